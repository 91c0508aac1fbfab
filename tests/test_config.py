from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from sarwater.config import (
    DataSettings,
    LossSettings,
    ModelSettings,
    NormalizationSettings,
    OptimizationSettings,
    PatchSettings,
    Strategy,
    TrainSettings,
    build_settings,
    merge,
    read_yaml,
    write_settings,
)
from sarwater.errors import ConfigError
from sarwater.losses.terms import FocalTerm, TverskyTerm
from sarwater.models.architecture import Architecture
from sarwater.normalize import Normalization

CHANGED: dict[str, Any] = {
    "data": {"domains": ["a", "b"], "cache_gb": 0.5},
    "normalization": {"kind": "fixed", "value_range": [-25, 0]},
    "patches": {"size": 64, "strategy": "stratified", "per_epoch": 100, "max_nodata": 0},
    "augmentation": {"flips": False, "gain_db": 1, "speckle_looks": 4},
    "model": {"encoder": "resnet18", "atrous_rates": [2, 4, 6], "init": "start.safetensors"},
    "loss": {
        "terms": ["dice", {"name": "focal", "alpha": [0.1, 0.4, 0.5], "weight": 2}],
        "learned_weights": True,
    },
    "optimization": {"early_stopping": 3, "clip_norm": None, "learning_rate": "1e-4"},
    "run": {"devices": "0, 1", "precision": "bf16-mixed", "threads": 2},
}


def problems(kind: type[BaseModel], values: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as error:
        build_settings(kind, values, "my.yaml")
    head, *lines = str(error.value).split("\n")
    assert head == f"my.yaml: {len(lines)} problem" + ("s" if len(lines) > 1 else "")
    return [line.strip() for line in lines]


def test_every_mistake_is_named_at_once_with_its_key_path() -> None:
    found = problems(
        TrainSettings,
        {
            "optimisation": {"epochs": 3},
            "patches": {"size": 40, "strategy": "gird"},
            "loss": {"terms": [{"name": "tversky", "fp_weigt": 1, "fn_weight": -1}]},
            "data": {"cache_gb": "much"},
        },
    )
    assert [line.split(":")[0] for line in found] == [
        "data.cache_gb",
        "loss.terms.0.tversky.fn_weight",
        "loss.terms.0.tversky.fp_weigt",
        "optimisation",
        "patches.size",
        "patches.strategy",
    ]
    text = dict(line.split(": ", 1) for line in found)
    assert text["optimisation"] == "no such key (did you mean 'optimization'?)"
    assert text["loss.terms.0.tversky.fp_weigt"].endswith("(did you mean 'fp_weight'?)")
    assert text["patches.size"].endswith("multiple of 16, found 40")
    assert "'stratified'" in text["patches.strategy"]
    assert text["patches.strategy"].endswith("found 'gird' (did you mean 'grid'?)")
    assert text["data.cache_gb"].endswith("found 'much'")


def test_what_two_groups_cannot_do_together_is_named_beside_other_mistakes() -> None:
    found = problems(
        TrainSettings,
        {
            "patches": {"size": 40},
            "optimization": {"average_decay": 0.9},
            "run": {"precision": "16-true"},
        },
    )
    assert [line.split(":")[0] for line in found] == ["patches.size", "run"]
    assert "optimization.average_decay" in found[1]


def test_an_unknown_key_unlike_any_other_gets_no_suggestion() -> None:
    assert problems(DataSettings, {"zzz": 1}) == ["zzz: no such key"]


def test_an_unknown_loss_names_those_that_there_are() -> None:
    (line,) = problems(LossSettings, {"terms": ["tverski"]})
    assert line.startswith("terms.0: ")
    for name in ("tverski", "cross_entropy", "balanced_cross_entropy", "focal", "dice", "jaccard"):
        assert f"'{name}'" in line


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (LossSettings, {"terms": []}, "terms: "),
        (LossSettings, {"terms": [{"name": "tversky", "fp_weight": 0, "fn_weight": 0}]}, "not all"),
        (LossSettings, {"terms": [{"name": "dice", "weight": 0}]}, "terms: one term at least must"),
        (PatchSettings, {"size": 16}, "size: "),
        (PatchSettings, {"max_nodata": 1}, "max_nodata: "),
        (PatchSettings, {"per_epoch": 0}, "per_epoch: "),
        (OptimizationSettings, {"learning_rate": float("nan")}, "learning_rate: "),
        (OptimizationSettings, {"learning_rate": float("inf")}, "learning_rate: "),
        (OptimizationSettings, {"warmup": 1}, "warmup: "),
        (OptimizationSettings, {"optimizer": "adam"}, "optimizer: "),
        (NormalizationSettings, {"value_range": [0, -25]}, "lower value first, found 0, -25"),
        (NormalizationSettings, {"value_range": [3, 3]}, "lower value first"),
        (NormalizationSettings, {"value_range": [3]}, "value_range"),
        (NormalizationSettings, {"value_range": [-25, 0]}, "value_range: only kind fixed has"),
        (
            NormalizationSettings,
            {"kind": "scene", "value_range": [-25, 0]},
            "kind is scene: set normalization.kind to fixed, or leave the range out",
        ),
        (DataSettings, {"train_split": "val"}, "val_split: 'val' is the split that trains"),
        (DataSettings, {"val_split": "train"}, "val_split: 'train' is the split that trains"),
        (ModelSettings, {"atrous_rates": [0, 2, 4]}, "atrous_rates.0: "),
        (ModelSettings, {"output_stride": 32}, "output_stride: "),
        (TrainSettings, {"data": 3}, "data: "),
    ],
)
def test_values_out_of_range_are_refused(
    kind: type[BaseModel], values: dict[str, Any], message: str
) -> None:
    (line,) = problems(kind, values)
    assert message in line


def test_values_are_typed() -> None:
    settings = build_settings(TrainSettings, CHANGED, "test")
    assert settings.data.domains == ("a", "b")
    assert settings.normalization.kind is Normalization.FIXED
    assert settings.normalization.value_range == (-25.0, 0.0)
    assert settings.patches.strategy is Strategy.STRATIFIED
    assert settings.model.init == Path("start.safetensors")
    assert settings.optimization.learning_rate == 1e-4
    assert settings.run.devices == "0, 1"
    assert settings.loss.terms[1] == FocalTerm(alpha=(0.1, 0.4, 0.5), weight=2)


def test_one_term_or_domain_needs_no_list() -> None:
    settings = build_settings(
        TrainSettings,
        {"loss": {"terms": "tversky"}, "data": {"domains": 7}},
        "test",
    )
    assert settings.loss.terms == (TverskyTerm(),)
    assert settings.data.domains == ("7",)
    mapping = {"terms": {"name": "tversky", "fp_weight": 0.5}}
    assert build_settings(LossSettings, mapping, "test").terms == (TverskyTerm(fp_weight=0.5),)


def test_a_split_may_be_called_by_a_number() -> None:
    assert build_settings(DataSettings, {"val_split": 3}, "test").val_split == "3"


def test_the_architecture_is_the_network_alone() -> None:
    model = ModelSettings(encoder="resnet18", detail_channels=0, encoder_weights="x.pth")
    assert type(model.architecture) is Architecture
    assert model.architecture == Architecture(encoder="resnet18", detail_channels=0)


@pytest.mark.parametrize("values", [{}, CHANGED])
def test_settings_come_back_from_their_file(values: dict[str, Any], tmp_path: Path) -> None:
    settings = build_settings(TrainSettings, values, "test")
    path = tmp_path / "settings.yaml"
    write_settings(settings, path)
    assert build_settings(TrainSettings, read_yaml(path), str(path)) == settings
    assert set(yaml.safe_load(path.read_text())) == set(TrainSettings.model_fields)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        TrainSettings().patches.size = 64  # type: ignore[misc]


def test_every_setting_says_what_it_is() -> None:
    for concern, field in TrainSettings.model_fields.items():
        assert isinstance(field.annotation, type)
        assert field.annotation.__doc__
        for name, inner in field.annotation.model_fields.items():
            assert inner.description, f"{concern}.{name}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [1", "is not YAML"),
        (b"a: 2024-13-45", "is not YAML"),
        (b"- a\n- b", "expected keys and values, found a list"),
        (b"just text", "expected keys and values, found a str"),
        (b"\xff\xfe\x00a", "cannot read the config"),
    ],
)
def test_files_that_are_no_settings(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as error:
        read_yaml(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("run: {seed: 1}\ndata: {}\nrun: {seed: 2}\n", 3, "run"),
        ("optimization:\n  epochs: 3\n  batch_size: 2\n  epochs: 4\n", 4, "epochs"),
        ("loss: {terms: [{name: focal,\n gamma: 1, gamma: 2}]}\n", 2, "gamma"),
    ],
)
def test_a_key_that_is_given_twice_is_refused(
    text: str, line: int, key: str, tmp_path: Path
) -> None:
    """YAML itself would take the last and lose the first without a word."""
    path = tmp_path / "twice.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"line {line}: the key '{key}' is given twice") as error:
        read_yaml(path)
    assert str(path) in str(error.value)


def test_a_merged_key_may_be_given_anew(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text("a: {b: &b {x: 1, y: 2}}\nc: {<<: *b, x: 3}\n")
    assert read_yaml(path)["c"] == {"x": 3, "y": 2}


def test_yaml_runs_no_code(tmp_path: Path) -> None:
    path, made = tmp_path / "bad.yaml", tmp_path / "made"
    path.write_text(f"a: !!python/object/apply:pathlib.Path.touch [{made}]")
    with pytest.raises(ConfigError, match="is not YAML"):
        read_yaml(path)
    assert not made.exists()


def test_a_missing_and_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the config"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_yaml(tmp_path / "empty.yaml") == {}


def test_merge_leaves_its_arguments_alone() -> None:
    base: dict[str, Any] = {"a": {"b": {"c": 1}, "l": [1, 2]}}
    over: dict[str, Any] = {"a": {"b": {"d": 2}, "l": [3]}, "e": 5}
    assert merge(base, over) == {"a": {"b": {"c": 1, "d": 2}, "l": [3]}, "e": 5}
    assert base == {"a": {"b": {"c": 1}, "l": [1, 2]}}
    assert over == {"a": {"b": {"d": 2}, "l": [3]}, "e": 5}


def test_a_key_in_the_wrong_group_is_told_its_place() -> None:
    assert problems(TrainSettings, {"epochs": 1}) == [
        "epochs: no such key (did you mean 'optimization.epochs'?)"
    ]
    assert problems(TrainSettings, {"data": {"size": 64}}) == [
        "data.size: no such key (did you mean 'patches.size'?)"
    ]
