"""Land and water of a target laid on those of the source, by a network that reads brightness."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sarwater.config import TrainSettings
from sarwater.datasets.manifest import Manifest, read_manifest
from sarwater.models.bundle import load_bundle
from sarwater.normalization_kinds import Normalization
from sarwater.normalize import image_statistics
from sarwater.raster import read_chip, write_raster
from sarwater.training.adapter import Adapter
from sarwater.training.checkpoint import Progress
from sarwater.training.data import TrainingData, prepare
from sarwater.training.matching import match_classes, shift_of
from sarwater.training.start import train
from sarwater.training.target import TargetData, prepare_target
from sarwater.types import FloatArray, Units
from tests.training.lakes import grid, settings, write_chips
from tests.training.test_adapting_run import alone

DOMAIN: dict[str, Any] = {"normalization": {"kind": "domain"}}


class Darkness(nn.Module):
    """Calls dark pixels water, by the mean of the normalized bands."""

    def __init__(self, edge: float = -1.0) -> None:
        super().__init__()
        self.edge = nn.Parameter(torch.tensor(edge))

    def forward(self, image: Tensor) -> Tensor:
        water = 3 * (self.edge - image.mean(dim=1))
        return torch.stack([torch.zeros_like(water), water], dim=1)


def chosen(**adaptation: Any) -> TrainSettings:
    return settings(DOMAIN, adaptation=adaptation)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return read_manifest(write_chips(tmp_path_factory.mktemp("source")))


@pytest.fixture(scope="module")
def source(data: Manifest) -> TrainingData:
    return prepare(chosen(), data)


def rewritten(data: Manifest, folder: Path, change: Any) -> Manifest:
    """Write the chips as bytes, changed by a function of the image and its water."""
    records = []
    for record in data:
        chip = read_chip(record)
        assert chip.target is not None
        image: FloatArray = change(chip.image, chip.target == 1)
        path = folder / f"{record.id}.tif"
        write_raster(path, image.clip(1, 254).round().astype(np.uint8), grid(), bands=("VV", "VH"))
        records.append(replace(record, images=(path,), units=Units.BYTE, domain="bytes"))
    return Manifest(tuple(records))


@pytest.fixture
def other_chain(data: Manifest, tmp_path: Path) -> Manifest:
    """The same lakes through another processing chain: eight counts a decibel."""
    return rewritten(data, tmp_path, lambda image, _: 220 + 8 * image)


def target_of(manifest: Manifest, source: TrainingData) -> TargetData:
    return prepare_target(chosen(), manifest, source, 8)


def normalized_medians(manifest: Manifest, target: TargetData) -> Any:
    """Return the medians [2, band] of labelled land and water, as the network sees them."""
    assert target.matched is not None
    parts: tuple[list[Any], list[Any]] = ([], [])
    for record in manifest:
        chip = read_chip(record)
        assert chip.target is not None
        image = target.normalizer.apply(chip.image, chip.valid)
        for kind in (0, 1):
            parts[kind].append(image[:, chip.valid & (chip.target == kind)])
    return np.stack([np.median(np.concatenate(part, axis=1), axis=1) for part in parts])


def test_classes_of_another_chain_are_laid_on_the_sources(
    source: TrainingData, other_chain: Manifest
) -> None:
    before = target_of(other_chain, source)
    after = match_classes(Darkness(), 0.5, source, before)
    assert before.matched is None
    assert after.normalizer.kind == Normalization.DATASET
    assert after.normalizer.units == Units.BYTE
    group = source.groups["lakes"]
    wanted = (np.array([[-9.0], [-20.0]]) - np.array(group.mean)) / np.array(group.std)
    np.testing.assert_allclose(normalized_medians(other_chain, after), wanted, atol=0.1)


def test_a_wet_target_is_no_longer_taken_for_a_dry_one(
    source: TrainingData, data: Manifest, tmp_path: Path
) -> None:
    """Three quarters of each chip become water: its own mean lies within the water."""

    def flood(image: FloatArray, water: Any) -> FloatArray:
        wet = image.copy()
        wet[:, 16:] = np.where(water[16:], image[:, 16:], image[:, 16:] - 11)
        return 220 + 8 * wet

    wet = rewritten(data, tmp_path, flood)
    before = target_of(wet, source)
    after = match_classes(Darkness(), 0.5, source, before)
    assert after.matched is not None
    group = source.groups["lakes"]
    expected = 220 + 8 * np.array(group.mean)
    assert np.abs(np.array(after.matched.mean) - expected).max() < 5
    assert np.abs(np.array(before.groups["bytes"].mean) - expected).min() > 30


def test_where_the_network_then_finds_other_water_nothing_is_matched(
    source: TrainingData, data: Manifest, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    noise = rewritten(
        data, tmp_path, lambda image, _: 120 + 15 * random.standard_normal(image.shape)
    )
    target = target_of(noise, source)
    assert match_classes(Darkness(), 0.5, source, target) is target


def test_a_network_that_finds_no_water_matches_nothing(
    source: TrainingData, other_chain: Manifest
) -> None:
    target = target_of(other_chain, source)
    assert match_classes(Darkness(-99.0), 0.5, source, target) is target


@pytest.mark.parametrize(
    ("wish", "is_other", "matches"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("always", False, True),
        ("never", True, False),
    ],
)
def test_auto_matches_only_units_without_a_calibration_in_common(
    source: TrainingData,
    data: Manifest,
    other_chain: Manifest,
    wish: str,
    is_other: bool,
    matches: bool,
) -> None:
    target = other_chain if is_other else data
    adapter = Adapter(chosen(match_classes=wish), target, source, alone(), 2)
    adapter.begin(Darkness(), 0.5, Progress())
    assert (adapter.data.matched is not None) == matches
    assert adapter.description["classes_matched"] == matches


def test_what_was_matched_survives_a_checkpoint_and_goes_into_the_model(
    source: TrainingData, data: Manifest, other_chain: Manifest, tmp_path: Path
) -> None:
    adapter = Adapter(chosen(), other_chain, source, alone(), 2)
    adapter.begin(Darkness(), 0.5, Progress())
    resumed = Adapter(chosen(), other_chain, source, alone(), 2)
    torch.save(adapter.state_dict(), tmp_path / "state.pt")
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert resumed.data.matched == adapter.data.matched is not None
    bundle = load_bundle(train(chosen(), data, tmp_path / "run").bundle)
    carried, converted = resumed.carried(bundle), resumed.merely_converted(bundle)
    assert carried.info.normalization == resumed.data.normalizer
    assert carried.info.normalization.statistics == resumed.data.matched
    assert converted.info.normalization.kind == Normalization.DOMAIN
    assert carried.info.units == converted.info.units == Units.BYTE


def brighter(data: Manifest, folder: Path, decibels: float) -> Manifest:
    """Write the chips with a gain."""
    records = []
    for record in data:
        chip = read_chip(record)
        path = folder / f"{record.id}.tif"
        write_raster(path, chip.image + np.float32(decibels), grid(), bands=("VV", "VH"))
        records.append(replace(record, images=(path,)))
    return Manifest(tuple(records))


@pytest.mark.parametrize(
    ("wish", "kind", "gain", "is_own"),
    [
        ("auto", "dataset", 6.0, True),
        ("auto", "dataset", 0.1, False),
        ("always", "dataset", 0.1, True),
        ("never", "dataset", 6.0, False),
        ("always", "domain", 6.0, False),
    ],
)
def test_a_shifted_target_is_normalized_by_its_own_statistics(
    data: Manifest, tmp_path: Path, wish: str, kind: str, gain: float, is_own: bool
) -> None:
    """Only where the data set's would serve both, and badly."""
    wished = settings({"normalization": {"kind": kind}}, adaptation={"own_statistics": wish})
    known = prepare(wished, data)
    target = brighter(data, tmp_path, gain)
    adapter = Adapter(wished, target, known, alone(), 2)
    adapter.begin(Darkness(), 0.5, Progress())
    assert adapter.description["own_statistics"] == is_own
    assert adapter.description["classes_matched"] is False
    is_shifted = kind == "dataset" and gain > 1
    assert (shift_of(known, adapter.data) is not None) == is_shifted
    if is_own:
        chips = [read_chip(record) for record in target]
        image = np.concatenate([chip.image for chip in chips], axis=1)
        valid = np.concatenate([chip.valid for chip in chips])
        own = image_statistics(image, valid)
        assert adapter.data.normalizer.kind == Normalization.DOMAIN
        found = adapter.data.group_at(0)
        assert found is not None
        np.testing.assert_allclose(found.mean, own.mean, rtol=1e-6)
        np.testing.assert_allclose(found.std, own.std, rtol=1e-6)
        resumed = Adapter(wished, target, known, alone(), 2)
        resumed.load_state_dict(adapter.state_dict())
        assert resumed.data.normalizer == adapter.data.normalizer
    else:
        assert adapter.data.normalizer == adapter.data.plain
