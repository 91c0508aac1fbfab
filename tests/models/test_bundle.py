import hashlib
import json
import math
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors import safe_open
from safetensors.torch import save_file

from sarwater.errors import ModelError, OutputExistsError
from sarwater.models.architecture import Architecture
from sarwater.models.bundle import Bundle, ModelInfo, load_bundle, save_bundle
from sarwater.models.segmenter import Segmenter, require_seeds
from sarwater.normalize import BandStatistics, Normalization, Normalizer
from sarwater.types import Units
from tests.training.test_checkpoint import Touch

ARCHITECTURE = Architecture(
    encoder="tu-mobilenetv3_small_050", decoder_channels=8, detail_channels=4
)


def info(**changes: Any) -> ModelInfo:
    values: dict[str, Any] = {
        "version": "0.1.0",
        "classes": ("land", "lake", "flood"),
        "bands": ("VV", "VH"),
        "units": Units.DB,
        "normalization": Normalizer(
            Normalization.DATASET,
            Units.DB,
            BandStatistics((-10.1, 1 / 3), (3.3, 1e-7), 12345),
            (-20.0, 5.5),
        ),
        "patch_size": 64,
        "architecture": ARCHITECTURE,
        "threshold": 0.437,
        "threshold_criterion": "best F1 on the validation split",
        "pixel_size": 10.0,
        "scores": {"f1": 0.1 + 0.2, "curve": [1, 2.5], "none": None},
        "data": {"domains": ["Ü", "b"]},
    }
    return ModelInfo(**{**values, **changes})


def statistics(
    mean: tuple[float, ...], std: tuple[float, ...], value_range: tuple[float, float] = (0, 1)
) -> dict[str, Any]:
    known = {"mean": mean, "std": std, "count": 9}
    one = {"kind": "dataset", "units": "db", "statistics": known, "value_range": value_range}
    return {"normalization": one}


def network(seed: int = 0) -> Segmenter:
    torch.manual_seed(seed)
    return Segmenter(ARCHITECTURE, 2, 3).eval()


@pytest.fixture
def bundle() -> Bundle:
    return Bundle(info(), network().state_dict())


def with_description(path: Path, description: Any) -> Path:
    text = description if isinstance(description, str) else json.dumps(description)
    save_file({"a": torch.ones(1)}, path, {"sarwater": text})
    return path


def test_a_bundle_comes_back_bit_for_bit(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "models" / "m.safetensors"
    digest = save_bundle(path, bundle)
    found = load_bundle(path)
    assert found.info == bundle.info
    assert found.info.normalization.statistics == bundle.info.normalization.statistics
    assert found.state.keys() == bundle.state.keys()
    for name, tensor in bundle.state.items():
        assert torch.equal(found.state[name], tensor)
        assert found.state[name].dtype == tensor.dtype
    assert found.path == path
    assert found.hash == digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_network_that_is_built_says_the_same(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_bundle(path, bundle)
    image = torch.randn(1, 2, 40, 40)
    built = load_bundle(path).build()
    assert not built.training
    with torch.inference_mode():
        assert torch.equal(built(image), network()(image))


def test_the_network_asks_for_the_seeds_of_the_description(tmp_path: Path) -> None:
    plain = Bundle(info(), network().state_dict())
    seeded = Bundle(info(seed_margin=1.5), network().state_dict())
    save_bundle(tmp_path / "seeded.safetensors", seeded)
    image = torch.randn(1, 2, 32, 32, generator=torch.Generator().manual_seed(0))
    built = load_bundle(tmp_path / "seeded.safetensors").build()
    with torch.inference_mode():
        assert torch.equal(built(image), require_seeds(plain.build()(image), 1.5))
    assert built.state_dict().keys() == plain.state.keys()


@pytest.mark.parametrize("margin", [-1.0, math.inf])
def test_seeds_that_cannot_be_are_refused(margin: float) -> None:
    with pytest.raises(ValidationError, match="seed_margin"):
        info(seed_margin=margin)


def test_equal_bundles_give_equal_bytes(bundle: Bundle, tmp_path: Path) -> None:
    last = network().to(memory_format=torch.channels_last)
    turned = dict(reversed(last.state_dict().items()))
    kept = {
        name: tensor.requires_grad_(tensor.is_floating_point()) for name, tensor in turned.items()
    }
    hashes = {
        save_bundle(tmp_path / "a.safetensors", bundle),
        save_bundle(tmp_path / "b.safetensors", Bundle(info(), kept)),
        save_bundle(tmp_path / "c.safetensors", Bundle(info(), network().state_dict(), "old")),
    }
    assert len(hashes) == 1
    assert len({(tmp_path / f"{name}.safetensors").read_bytes() for name in "abc"}) == 1


def test_weights_and_description_are_in_the_hash(bundle: Bundle, tmp_path: Path) -> None:
    other_weights = Bundle(info(), network(seed=1).state_dict())
    other_threshold = replace(bundle, info=info(threshold=0.438))
    hashes = {
        save_bundle(tmp_path / f"{index}.safetensors", each)
        for index, each in enumerate([bundle, other_weights, other_threshold])
    }
    assert len(hashes) == 3


def test_the_file_can_be_read_without_sarwater(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_bundle(path, bundle)
    with safe_open(path, framework="np") as file:
        assert set(file.keys()) == set(bundle.state)
        assert json.loads(file.metadata()["sarwater"])["bands"] == ["VV", "VH"]


def test_an_existing_file_is_kept_unless_it_may_be_replaced(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_bundle(path, bundle)
    before = path.read_bytes()
    with pytest.raises(OutputExistsError, match="--overwrite"):
        save_bundle(path, replace(bundle, info=info(threshold=0.1)))
    assert path.read_bytes() == before
    save_bundle(path, replace(bundle, info=info(threshold=0.1)), overwrite=True)
    assert load_bundle(path).info.threshold == 0.1
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(ModelError, match="there is no model file"):
            load_bundle(path)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file(kept: float, bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_bundle(path, bundle)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ModelError, match="is not a model of sarwater"):
        load_bundle(path)


@pytest.mark.parametrize("closed", ["m.safetensors", "."])
def test_a_file_that_may_not_be_read(closed: str, bundle: Bundle, tmp_path: Path) -> None:
    """Nor a folder entered; by a process of its own, since root may read everything."""
    path = tmp_path / "m.safetensors"
    save_bundle(path, bundle)
    (tmp_path / closed).chmod(0)
    code = (
        "import os, sys\n"
        "from sarwater.models.bundle import load_bundle\n"
        "os.getuid() or os.setuid(65534)\n"
        "load_bundle(sys.argv[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    (tmp_path / closed).chmod(0o700)
    said = f"ModelError: cannot read {path}: Permission denied; see to its permissions"
    assert said in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("content", [b"\x00" * 100, b"\xff" * 100, b"II*\x00 a picture", b"{}"])
def test_a_file_of_another_kind(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"is not a model of sarwater"):
        load_bundle(path)


@pytest.mark.parametrize("by_torch", [True, False])
def test_a_pickle_is_never_opened(by_torch: bool, tmp_path: Path) -> None:
    path, made = tmp_path / "model.pt", tmp_path / "made"
    content = {"state_dict": Touch(made)}
    if by_torch:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(ModelError, match="opening them could run code"):
        load_bundle(path)
    assert not made.exists()


def test_weights_of_others(tmp_path: Path) -> None:
    for name, metadata in (("a", None), ("b", {"format": "pt"})):
        path = tmp_path / f"{name}.safetensors"
        save_file({"w": torch.ones(2)}, path, metadata)
        with pytest.raises(ModelError, match="no description by sarwater"):
            load_bundle(path)


def test_a_newer_format(tmp_path: Path) -> None:
    path = with_description(tmp_path / "m.safetensors", {"format": 2, "version": "9.1"})
    with pytest.raises(ModelError, match=r"written by a newer sarwater \(9.1\); update"):
        load_bundle(path)


@pytest.mark.parametrize(
    "description",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        {},
        {"format": "x"},
        {"format": None},
        {**info().model_dump(mode="json"), "threshold": 2},
        {**info().model_dump(mode="json"), "classes": ["land"]},
        {**info().model_dump(mode="json"), "surprise": 1},
        {**info().model_dump(mode="json"), "units": "furlongs"},
        {**info().model_dump(mode="json"), "normalization": {"kind": "dataset"}},
    ],
)
def test_a_damaged_description(description: Any, tmp_path: Path) -> None:
    path = with_description(tmp_path / "m.safetensors", description)
    with pytest.raises(ModelError, match=r"description in .* is damaged"):
        load_bundle(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"bands": ("VV",), "normalization": Normalizer(Normalization.FIXED, Units.DB)},
        {"classes": ("land", "water")},
        {"architecture": ARCHITECTURE.model_copy(update={"decoder_channels": 16})},
    ],
)
def test_weights_of_another_network(
    changes: dict[str, Any], bundle: Bundle, tmp_path: Path
) -> None:
    path = tmp_path / "m.safetensors"
    save_bundle(path, replace(bundle, info=info(**changes)))
    with pytest.raises(ModelError, match="do not fit the network that it describes") as error:
        load_bundle(path).build()
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("land", "land", "flood")}, "'land' is there twice"),
        ({"bands": ("VV", "vv")}, "'vv' is there twice"),
        ({"patch_size": 3}, "patch_size: Input should be greater"),
        ({"patch_size": 10**6}, "patch_size: Input should be less"),
        ({"window": 10**6}, "window: Input should be less"),
        (statistics((-10, math.nan), (3, 3)), "expected finite means"),
        (statistics((-10, -16), (3, math.inf)), "expected finite means"),
        (statistics((-10, -16), (3, -1)), "finite deviations of 0 or more"),
        (statistics((-10,), (3,)), "normalization.statistics: 1 means and 1 deviations of 2 bands"),
        (statistics((-10, -16), (3,)), "2 means and 1 deviations of 2 bands"),
        (
            {"decibel_statistics": {"mean": (-10, 0, 0), "std": (3, 3, 3), "count": 1}},
            "decibel_statistics: 3 means",
        ),
        (statistics((-10, -16), (3, 3), (5, -5)), "value_range: expected low < high"),
        (statistics((-10, -16), (3, 3), (math.nan, 5)), "value_range: expected low < high"),
    ],
)
def test_a_description_out_of_range_is_one_line(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    values = {**json.loads(info().model_dump_json()), **changes}
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.zeros(1)}, path, metadata={"sarwater": json.dumps(values)})
    with pytest.raises(ModelError, match=message) as found:
        load_bundle(path)
    assert "\n" not in str(found.value)
