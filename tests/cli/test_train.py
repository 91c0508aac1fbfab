"""`sarwater train --init`: fine-tuning a model, also the one in the box."""

from pathlib import Path

import numpy as np
import pytest

from sarwater.cli import main
from sarwater.models.boxed import boxed_model
from sarwater.models.bundle import load_bundle, save_bundle
from sarwater.normalize import Normalization, Normalizer
from sarwater.types import Units
from tests.tiny_models import segmenter_bundle
from tests.training.lakes import write_chips

QUICK = (
    *("--optimization.epochs", "1", "--patches.size", "64", "--patches.per_epoch", "2"),
    *("--optimization.batch_size", "2", "--accelerator", "cpu", "--threads", "1"),
)
STILL = ("--optimization.learning_rate", "1e-12", "--optimization.min_learning_rate", "0")


@pytest.fixture
def chips(tmp_path: Path) -> Path:
    (tmp_path / "chips").mkdir()
    return write_chips(tmp_path / "chips")


def test_a_run_starts_from_the_weights_network_and_normalization_of_a_model(
    chips: Path, tmp_path: Path
) -> None:
    start = segmenter_bundle(normalization=Normalizer(Normalization.PATCH, Units.DB))
    model, out = tmp_path / "m.safetensors", tmp_path / "run"
    save_bundle(model, start)
    given = ["train", str(chips), "--init", str(model), "--out", str(out), *QUICK, *STILL]
    assert main(given) == 0
    tuned = load_bundle(out / "model.safetensors")
    assert tuned.info.architecture == start.info.architecture
    assert tuned.info.normalization.kind == Normalization.PATCH
    for name, value in start.state.items():
        if name.endswith("weight"):
            np.testing.assert_allclose(tuned.state[name].numpy(), value.numpy(), atol=1e-6)


def test_a_normalization_that_is_named_is_kept(chips: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "m.safetensors", tmp_path / "run"
    save_bundle(model, segmenter_bundle())
    named = ("--normalization.kind", "domain")
    given = ["train", str(chips), "--init", str(model), "--out", str(out), *QUICK, *named]
    assert main(given) == 0
    found = load_bundle(out / "model.safetensors").info.normalization
    assert found.kind == Normalization.DOMAIN


def test_the_model_in_the_box_is_fine_tuned_on_decibels(chips: Path, tmp_path: Path) -> None:
    box, out = boxed_model(), tmp_path / "run"
    given = ["train", str(chips), "--init", str(box), "--out", str(out), *QUICK, *STILL]
    assert main(given) == 0
    tuned, start = load_bundle(out / "model.safetensors"), load_bundle(box)
    assert tuned.info.units == Units.DB
    assert tuned.info.architecture == start.info.architecture
    name = next(name for name in start.state if name.endswith("conv_stem.weight"))
    np.testing.assert_allclose(tuned.state[name].numpy(), start.state[name].numpy(), atol=1e-4)


@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_weight_a_class_is_asked_for_before_anything_is_written(
    more: list[str], chips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    terms = ("--loss.terms", "[{name: cross_entropy, class_weights: [1, 3, 8]}]")
    assert main(["train", str(chips), "--out", str(out), *QUICK, *terms, *more]) == 2
    shown = capsys.readouterr().err
    assert "loss.terms.0.class_weights has 3 values" in shown
    assert "2 classes (land, water)" in shown
    assert not out.exists()


def test_a_run_that_goes_on_takes_no_other_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["train", "data.csv", "--resume", str(tmp_path), "--init", "m.safetensors"])
    assert "goes on with its own settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("optimization: {epochs: 1}", Normalization.PATCH),
        ("normalization: {kind: domain}", Normalization.DOMAIN),
    ],
)
def test_a_config_names_a_normalization_or_leaves_the_models(
    text: str, kind: Normalization, chips: Path, tmp_path: Path
) -> None:
    model, out, config = tmp_path / "m.safetensors", tmp_path / "run", tmp_path / "c.yaml"
    save_bundle(model, segmenter_bundle(normalization=Normalizer(Normalization.PATCH, Units.DB)))
    config.write_text(text + "\n")
    given = ["train", str(chips), "--init", str(model), "--config", str(config), "--out", str(out)]
    assert main([*given, *QUICK]) == 0
    assert load_bundle(out / "model.safetensors").info.normalization.kind == kind
