"""Threshold and seeds of a target, chosen without its labels, with a network of brightness."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor, nn

from sarwater.datasets.manifest import Manifest, read_manifest
from sarwater.models.bundle import load_bundle
from sarwater.models.segmenter import require_seeds
from sarwater.prediction import Predictor, water_probability
from sarwater.raster import read_chip
from sarwater.training.adapter import Adapter
from sarwater.training.checkpoint import Progress
from sarwater.training.data import TrainingData, prepare
from sarwater.training.sampling import Places, Sampler, places_of
from sarwater.training.start import train
from sarwater.training.validation import ChipPredictor
from tests.training.lakes import settings, write_chips
from tests.training.test_adapting_run import alone


class Brightness(nn.Module):
    """Log-odds of water that fall with the first band, shifted as a whole."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.tensor(shift))
        self.seed_margin = 0.0

    def forward(self, image: Tensor) -> Tensor:
        water = 2 * (-0.8 - image[:, 0]) + self.shift
        logits = torch.stack([torch.zeros_like(water), water], dim=1)
        return require_seeds(logits, self.seed_margin)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return read_manifest(write_chips(tmp_path_factory.mktemp("source")))


@pytest.fixture(scope="module")
def source(data: Manifest) -> TrainingData:
    return prepare(settings(), data)


def looked(
    data: Manifest, source: TrainingData, shift: float, **adaptation: Any
) -> tuple[dict[str, Any], Progress]:
    progress = Progress()
    adapter = Adapter(settings(adaptation=adaptation), data, source, alone(), 2)
    return adapter.look(Brightness(shift), 0.5, progress), progress


def log_odds(share: float) -> float:
    return math.log(share / (1 - share))


def test_what_calls_too_much_water_needs_seeds(data: Manifest, source: TrainingData) -> None:
    found, progress = looked(data, source, 2.0)
    dividing = found["dividing"]
    assert dividing > 0.6
    assert 0.5 < found["threshold"] < dividing
    assert found["seed_margin"] == pytest.approx(log_odds(dividing) - log_odds(found["threshold"]))
    assert f"moved from 0.500 to {found['threshold']:.3f}" in found["criterion"]
    assert f"{dividing:.3f}" in found["criterion"]
    # Pseudo-labels reach as far as the source's threshold says, beside the same sure water.
    assert progress.pseudo["threshold"] == 0.5
    assert progress.pseudo["seed_margin"] == pytest.approx(log_odds(dividing))


def test_what_calls_too_little_water_gets_a_lower_threshold(
    data: Manifest, source: TrainingData
) -> None:
    found, _ = looked(data, source, -3.0)
    assert found["threshold"] == found["dividing"] < 0.4
    assert found["seed_margin"] == 0


@pytest.mark.parametrize(("wish", "is_source"), [("separation", False), ("source", True)])
def test_seeds_are_a_setting(
    data: Manifest, source: TrainingData, wish: str, is_source: bool
) -> None:
    found, _ = looked(data, source, 2.0, threshold=wish)
    assert found["seed_margin"] == 0
    assert found["threshold"] == (0.5 if is_source else found["dividing"])


def test_matched_classes_keep_the_threshold_of_the_source(
    data: Manifest, source: TrainingData
) -> None:
    adapter = Adapter(settings(adaptation={"match_classes": "always"}), data, source, alone(), 2)
    adapter.begin(Brightness(0.0), 0.5, Progress())
    assert adapter.data.matched is not None
    found = adapter.look(Brightness(2.0), 0.5, Progress())
    assert (found["threshold"], found["seed_margin"]) == (0.5, 0)


def test_a_model_with_seeds_maps_only_water_with_a_sure_core(
    data: Manifest, tmp_path: Path
) -> None:
    bundle = load_bundle(train(settings(), data, tmp_path / "run").bundle)
    chip = read_chip(data.records[0])
    plain = water_probability(Predictor(bundle).predict_chip(chip))
    threshold = round(float(np.quantile(plain, 0.7)), 3)
    sure = float(np.quantile(plain, 0.95))
    margin = log_odds(sure) - log_odds(threshold)
    seeded = bundle.info.model_copy(update={"seed_margin": margin})
    other = type(bundle)(seeded, bundle.state)
    grown = water_probability(Predictor(other).predict_chip(chip)) >= threshold
    assert grown.any()
    assert not (grown & (plain < threshold)).any()
    assert grown.sum() < (plain >= threshold).sum()
    rows, cols = np.nonzero(grown)
    for row, col in zip(rows, cols, strict=True):
        # Windows overlap here, and are blended after seeds were asked for: a pixel more each way.
        beside = plain[max(row - 3, 0) : row + 4, max(col - 3, 0) : col + 4]
        assert beside.max() >= sure - 0.02


def test_places_of_the_target_are_drawn_by_the_water_that_the_map_shows(
    data: Manifest, source: TrainingData
) -> None:
    drawn = settings(patches={"strategy": "stratified"}, adaptation={"methods": ["dann"]})
    adapter = Adapter(drawn, data, source, alone(), 2)
    network = Brightness(2.0)
    adapter.begin(network, 0.5, Progress())
    dividing = adapter.look(network, 0.5, Progress())["dividing"]
    predictor, places = ChipPredictor(network, source), []
    for index, record in enumerate(data):
        chip = read_chip(record)
        water = predictor.water(chip.image, chip.valid, None)
        sure = ndimage.maximum_filter(water, 5) >= dividing
        # Windows are blended after seeds were asked for: their seams are left out.
        places.append(places_of(index, ((water >= 0.5) & sure).astype(np.uint8), chip.valid, 32))
    expected = Sampler(Places.join(places), drawn.patches, 0).places
    found = adapter.data.sampler.places
    np.testing.assert_array_equal(found.chip, expected.chip)
    assert np.abs(found.foreground - expected.foreground).max() <= 20
    assert found.foreground.sum() > 1000
