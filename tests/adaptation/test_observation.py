"""What is said of images without labels, against SciPy and direct counts."""

import math

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import entropy

from sarwater.adaptation.observation import Observation, binary_entropy
from sarwater.adaptation.separation import (
    BackscatterByProbability,
    filtered_decibels,
    separating_threshold,
)
from sarwater.types import Chip, FloatArray, Grid, Units

Observed = tuple[Chip, FloatArray]
SIDE = 40


def observed(seed: int = 0, units: Units = Units.DB) -> Observed:
    """A chip half of which is dark water, a few pixels of it invalid, and a probability."""
    random = np.random.default_rng(seed)
    truth = np.broadcast_to(np.arange(SIDE) < SIDE // 2, (SIDE, SIDE)).T
    image = np.where(truth, -20, -10) + random.normal(0, 2, (2, SIDE, SIDE))
    probability = expit(-13 - image.mean(axis=0) + random.normal(0, 1, truth.shape))
    valid = random.random(truth.shape) >= 0.01
    image[:, ~valid] = 0
    if units is Units.LINEAR:
        image = 10 ** (image / 10)
    chip = Chip(
        str(seed),
        "delta",
        ("VV", "VH"),
        units,
        image.astype(np.float32),
        valid,
        None,
        Grid(SIDE, SIDE),
    )
    return chip, probability.astype(np.float32)


def of(*images: Observed) -> Observation:
    observation = Observation(images[0][0].bands, images[0][0].units)
    for image in images:
        observation.add(*image)
    return observation


def pooled(*images: Observed) -> FloatArray:
    """The probabilities of all valid pixels."""
    return np.concatenate([probability[chip.valid] for chip, probability in images])


def test_the_entropy_is_the_mean_over_the_valid_pixels() -> None:
    images = observed(0), observed(1)
    p = pooled(*images).astype(np.float64)
    assert of(*images).entropy == pytest.approx(entropy([p, 1 - p], base=2).mean(), abs=1e-6)


def test_the_entropy_of_a_probability_is_scipys() -> None:
    p = np.array([0, 1e-30, 1e-6, 0.001, 0.3, 0.5, 0.9, 0.9999, 1], np.float32)
    exact = p.astype(np.float64)
    np.testing.assert_allclose(binary_entropy(p), entropy([exact, 1 - exact], base=2), atol=3e-6)


@pytest.mark.parametrize("threshold", [0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_the_share_of_water_counts_pixels_at_the_threshold(threshold: float) -> None:
    chip, probability = observed()
    at = np.float32(threshold)
    probability[::3] = at
    probability[1::6] = np.nextafter(at, np.float32(0))
    values = probability[chip.valid]
    expected = np.mean([value >= at for value in values])
    assert of((chip, probability)).water_share(threshold) == pytest.approx(expected, abs=1e-12)


def test_without_pixels_nothing_is_known() -> None:
    chip, probability = observed()
    chip.valid[...] = False
    for observation in (Observation(chip.bands, Units.DB), of((chip, probability))):
        assert math.isnan(observation.entropy)
        assert math.isnan(observation.water_share(0.5))
        assert observation.separation() is None
        assert observation.separation_at(0.5) is None


@pytest.mark.parametrize("units", [Units.DB, Units.LINEAR])
def test_the_separation_is_that_of_the_filtered_decibels(units: Units) -> None:
    chip, probability = observed(units=units)
    sums = BackscatterByProbability(["VV", "VH"])
    quiet, inside = filtered_decibels(chip.image, chip.valid, units)
    for row, col in np.argwhere(inside):
        here = slice(row, row + 1), slice(col, col + 1)
        sums.add(quiet[:, *here], inside[here], probability[here])
    found, expected = of((chip, probability)).separation(), separating_threshold(sums)
    assert found is not None
    assert expected is not None
    assert found.threshold == expected.threshold
    assert found.score == pytest.approx(expected.score, abs=1e-9)


def test_the_cost_at_the_separation_is_its_score() -> None:
    observation = of(observed(), observed(1))
    found = observation.separation()
    assert found is not None
    assert observation.separation_at(found.threshold) == found.score
    worse = observation.separation_at(0.999)
    assert worse is None or worse > found.score


@pytest.mark.parametrize(("units", "separates"), [(Units.DB, False), (Units.OTHER, True)])
def test_bright_water_is_allowed_only_where_values_are_no_backscatter(
    units: Units, separates: bool
) -> None:
    chip, probability = observed(units=units)
    chip.image[...] = -chip.image
    assert (of((chip, probability)).separation() is not None) == separates


def add_over_processes(*parts: Observation) -> None:
    """What a reduction over processes does to the observation of each."""
    totals = [sum(arrays) for arrays in zip(*(part.arrays() for part in parts), strict=True)]
    for part in parts:
        part.set_arrays(np.array(total) for total in totals)


def test_two_halves_add_up_to_the_whole() -> None:
    images = [observed(seed) for seed in range(4)]
    whole, halves = of(*images), (of(*images[::2]), of(*images[1::2]))
    add_over_processes(*halves)
    for half in halves:
        assert half.entropy == pytest.approx(whole.entropy, abs=1e-12)
        assert half.water_share(0.3) == whole.water_share(0.3)
        for found, expected in zip(half.arrays(), whole.arrays(), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9)
        assert half.separation() is not None


def test_what_two_have_seen_merges() -> None:
    images = [observed(seed) for seed in range(3)]
    merged, other = of(*images[:1]), of(*images[1:])
    before = [array.copy() for array in other.arrays()]
    merged.merge(other)
    for found, expected in zip(merged.arrays(), of(*images).arrays(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    for found, expected in zip(other.arrays(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_order_of_images_does_not_matter() -> None:
    images = [observed(seed) for seed in range(3)]
    for found, expected in zip(of(*images).arrays(), of(*images[::-1]).arrays(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_process_without_images_says_what_the_others_say(sign: int) -> None:
    chip, probability = observed()
    chip.image[...] *= sign
    busy, idle = of((chip, probability)), Observation(chip.bands, chip.units)
    add_over_processes(busy, idle)
    assert idle.separation() == busy.separation()
