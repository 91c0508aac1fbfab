"""The threshold without labels against a search over all thresholds, and the filter before it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import medfilt2d
from scipy.special import expit
from scipy.stats import multivariate_normal
from sklearn.metrics import precision_recall_curve

from sarwater.adaptation.separation import (
    BackscatterByProbability,
    BackscatterEvidence,
    Separation,
    TwoClasses,
    filtered_decibels,
    separating_threshold,
    separation_cost,
    two_classes,
)
from sarwater.types import BoolArray, FloatArray, Units

Pixels = tuple[FloatArray, BoolArray, FloatArray]
NAMES = ("VV", "VH", "HH")
LAND, WATER = (-9.0, -15.0, -12.0), (-18.0, -25.0, -17.0)


def scene(
    bands: int = 2, count: int = 4000, offset: float = -3.0, seed: int = 0
) -> tuple[Pixels, BoolArray]:
    """One row of pixels of two normal classes, a shifted network's probability, and the truth."""
    random = np.random.default_rng(seed)
    truth = random.random((1, count)) < 0.3
    image = random.normal(0, 2, (bands, 1, count))
    for band, land, water in zip(image, LAND, WATER, strict=False):
        band += np.where(truth, water, land)
    middle = (LAND[0] + WATER[0]) / 2
    probability = expit(middle - image[0] + random.normal(0, 0.5, truth.shape) + offset)
    pixels = image.astype(np.float32), np.ones_like(truth), probability.astype(np.float32)
    return pixels, truth


def summed(*images: Pixels, names: Sequence[str] = NAMES) -> BackscatterByProbability:
    sums = BackscatterByProbability(names[: len(images[0][0])])
    for image in images:
        sums.add(*image)
    return sums


def cost_of(values: NDArray[Any], above: NDArray[Any]) -> float | None:
    """J of one division of values [band, pixel]; None where a class is too small.

    The variance that is added for classes of a few equal pixels moves it by less than .001.
    """
    shares = above.mean(), (~above).mean()
    if min(shares) < 1e-4:
        return None
    floor = 1e-6 * np.diag(values.var(axis=1))
    cost = 0.0
    for part, share in zip((above, ~above), shares, strict=True):
        covariance = np.atleast_2d(np.cov(values[:, part], bias=True) + floor)
        cost += share * np.log(np.linalg.det(covariance)) - 2 * share * np.log(share)
    return cost


def search(values: NDArray[Any], probability: NDArray[Any]) -> Separation | None:
    """Try each threshold on the pixels themselves."""
    found = []
    for step in range(5, 1000):
        above = probability >= np.float32(step / 1000)
        cost = cost_of(values, above)
        if cost is not None:
            found.append(Separation(step / 1000, cost, above.mean()))
    best = min(found, key=lambda one: one.score, default=None)
    return None if best is None or best in (found[0], found[-1]) else best


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("bands", [1, 2, 3])
def test_the_threshold_is_that_of_a_search_over_all_of_them(bands: int, rounded: bool) -> None:
    (image, valid, probability), _ = scene(bands)
    if rounded:  # pixels exactly at a threshold
        probability = probability.astype(np.float64).round(2).astype(np.float32)
    found = separating_threshold(summed((image, valid, probability)))
    expected = search(image[:, 0].astype(np.float64), probability[0])
    assert found is not None
    assert expected is not None
    assert found.threshold == expected.threshold
    assert found.score == pytest.approx(expected.score, abs=1e-3)
    assert found.water_share == pytest.approx(expected.water_share)


@pytest.mark.parametrize(
    ("offset", "threshold"), [(-4.6, 0.01), (4.6, 0.99), (-7, None), (8, None)]
)
def test_a_threshold_beyond_the_range_is_none(offset: float, threshold: float | None) -> None:
    (image, valid, probability), _ = scene(offset=offset)
    found = separating_threshold(summed((image, valid, probability)))
    expected = search(image[:, 0].astype(np.float64), probability[0])
    assert (found and found.threshold) == (expected and expected.threshold)
    if threshold is None:
        assert found is None
    else:
        assert found is not None
        assert found.threshold == pytest.approx(threshold, abs=0.004)


@pytest.mark.parametrize("threshold", [0.001, 0.004, 0.05, 0.5, 0.9, 0.999])
def test_the_cost_of_a_threshold_is_that_of_its_pixels(threshold: float) -> None:
    (image, valid, probability), _ = scene(3)
    found = separation_cost(summed((image, valid, probability)), threshold)
    expected = cost_of(image[:, 0].astype(np.float64), probability[0] >= np.float32(threshold))
    assert expected is not None
    assert found == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("offset", [-4.0, -2.0, 2.0, 4.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_shifted_network_gets_nearly_the_best_f1(offset: float, seed: int) -> None:
    pixels, truth = scene(count=20000, offset=offset, seed=seed)
    precision, recall, _ = precision_recall_curve(truth[0], pixels[2][0])
    best = (2 * precision * recall / (precision + recall)).max()

    def f1(threshold: float) -> float:
        water = pixels[2] >= np.float32(threshold)
        return float(2 * (water & truth).sum() / (water.sum() + truth.sum()))

    found = separating_threshold(summed(pixels))
    assert found is not None
    assert f1(found.threshold) > best - 0.02
    assert f1(found.threshold) > f1(0.5)
    if abs(offset) == 4:
        assert f1(0.5) < best - 0.05


def test_images_add_up_one_by_one() -> None:
    images = [scene(count=count, seed=count)[0] for count in (300, 1, 700)]
    joined = tuple(np.concatenate(parts, axis=-1) for parts in zip(*images, strict=True))
    together = BackscatterByProbability(NAMES[:2])
    together.add(*joined)
    for found, expected in zip(summed(*images).arrays(), together.arrays(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 2**31), st.floats(0, 1))
def test_pixels_that_are_not_valid_change_nothing(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    (image, valid, probability), _ = scene(count=200, seed=seed)
    extra = random.random((1, 300)) >= share
    where = np.flatnonzero(extra[0])[:200]
    place = np.zeros((1, 300), bool)
    place[0, where] = True
    around = random.normal(0, 1e4, (2, 1, 300)).astype(np.float32)
    beside = random.random((1, 300), dtype=np.float32)
    kept = len(where)
    around[:, place], beside[place] = image[:, 0, :kept], probability[0, :kept]
    inside = image[..., :kept], valid[:, :kept], probability[:, :kept]
    pairs = zip(summed((around, place, beside)).arrays(), summed(inside).arrays(), strict=True)
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected)


def test_no_pixels_give_no_threshold() -> None:
    (image, valid, probability), _ = scene()
    for sums in (BackscatterByProbability(NAMES[:2]), summed((image, ~valid, probability))):
        assert separating_threshold(sums) is None
        assert separation_cost(sums, 0.5) is None


@pytest.mark.parametrize("value", [0.0, 0.001, 0.5, 1.0])
def test_a_constant_probability_gives_no_threshold(value: float) -> None:
    (image, valid, probability), _ = scene()
    assert separating_threshold(summed((image, valid, np.full_like(probability, value)))) is None


def test_water_brighter_than_land_is_refused_unless_allowed() -> None:
    (image, valid, probability), _ = scene()
    sums, usual = summed((-image, valid, probability)), summed((image, valid, probability))
    assert separating_threshold(sums) is None
    found, mirrored = separating_threshold(sums, water_is_darker=False), separating_threshold(usual)
    assert found is not None
    assert mirrored is not None
    assert found.threshold == mirrored.threshold


def with_elevation(
    pixels: Pixels, truth: BoolArray, water: float, land: float, deviation: float = 5.0
) -> Pixels:
    """The same pixels with a band that is no backscatter."""
    image, valid, probability = pixels
    noise = np.random.default_rng(9).normal(0, deviation, truth.shape)
    elevation = (np.where(truth, water, land) + noise).astype(np.float32)
    return np.concatenate([image, elevation[None]]), valid, probability


@pytest.mark.parametrize("names", [("VV", "elevation", "slope"), ("vv", "dem", "slope")])
@pytest.mark.parametrize(("water", "land"), [(80.0, 20.0), (20.0, 80.0)])
def test_the_polarizations_say_which_class_is_darker(
    names: Sequence[str], water: float, land: float
) -> None:
    pixels, truth = scene(bands=1)
    more = with_elevation(with_elevation(pixels, truth, water, land), truth, water, land, 9.0)
    image, valid, probability = more
    assert separating_threshold(summed(more, names=names)) is not None
    image[:1] *= -1
    assert separating_threshold(summed((image, valid, probability), names=names)) is None


@pytest.mark.parametrize("unit", [0.01, 1.0, 1000.0])
def test_without_known_polarizations_no_band_decides_by_its_unit_alone(unit: float) -> None:
    names = ("first", "second", "third")
    pixels, truth = scene()
    pixels = with_elevation(pixels, truth, 80 * unit, 20 * unit, 5 * unit)
    assert separating_threshold(summed(pixels, names=names)) is not None
    image, valid, probability = pixels
    constant = np.concatenate([image[:2], np.full_like(image[:1], 7 * unit)])
    assert separating_threshold(summed((constant, valid, probability), names=names)) is not None
    assert separating_threshold(summed((-constant, valid, probability), names=names)) is None


@pytest.mark.parametrize(("few", "enough"), [(1, False), (3, True)])
@pytest.mark.parametrize("few_are_water", [False, True])
def test_a_class_needs_a_ten_thousandth_of_the_pixels(
    few: int, enough: bool, few_are_water: bool
) -> None:
    (image, valid, probability), _ = scene(count=20_003)
    probability[...] = 0.2 if few_are_water else 0.8
    probability[0, :few] = 0.8 if few_are_water else 0.2
    sums = summed((image, valid, probability))
    assert (separation_cost(sums, 0.5) is not None) == enough
    if not enough:
        assert separating_threshold(sums, water_is_darker=False) is None


@pytest.mark.parametrize("value", [0.0, -12.3, 0.1, -50.0])
def test_a_constant_band_does_not_choose_the_threshold(value: float) -> None:
    (image, valid, probability), _ = scene(1)
    both = np.concatenate([image, np.full_like(image, value)])
    alone = separating_threshold(summed((image, valid, probability)))
    found = separating_threshold(summed((both, valid, probability)))
    assert alone is not None
    assert found is not None
    assert found.threshold == alone.threshold


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 0.0), (0.5, 3.3)])
def test_a_band_that_repeats_another_does_not_choose_the_threshold(
    gain: float, offset: float
) -> None:
    (image, valid, probability), _ = scene(1)
    both = np.concatenate([image, np.float32(gain) * image + np.float32(offset)])
    alone = separating_threshold(summed((image, valid, probability)))
    found = separating_threshold(summed((both, valid, probability)))
    assert alone is not None
    assert found is None or found.threshold == alone.threshold


def speckled(seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).gamma(4, 0.02, (2, 13, 17)).astype(np.float32)


@pytest.mark.parametrize(
    ("units", "factor"), [("linear", 10), ("amplitude", 20), ("db", 0), ("8bit", 0), ("other", 0)]
)
def test_the_filter_is_a_median_of_decibels(units: str, factor: int) -> None:
    image = speckled() * (1000 if units == "amplitude" else 1)
    before = image.copy()
    found, inside = filtered_decibels(image, np.ones((13, 17), bool), Units(units))
    decibels = factor * np.log10(image) if factor else image
    assert inside.all()
    assert found.dtype == np.float32
    for band, expected in zip(found, decibels, strict=True):
        quiet = medfilt2d(expected, 5)
        np.testing.assert_allclose(band[2:-2, 2:-2], quiet[2:-2, 2:-2], rtol=1e-5)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1, 1.0])
def test_a_window_that_holds_an_invalid_pixel_does_not_count(share: float) -> None:
    valid = np.random.default_rng(1).random((13, 17)) >= share
    inside = filtered_decibels(speckled(), valid, Units.LINEAR)[1]
    for row, col in np.ndindex(13, 17):
        window = valid[max(row - 2, 0) : row + 3, max(col - 2, 0) : col + 3]
        assert inside[row, col] == window.all()


@pytest.mark.parametrize("units", [Units.LINEAR, Units.AMPLITUDE])
def test_zeros_where_there_is_no_data_become_no_infinity(units: Units) -> None:
    image = speckled()
    image[:, 4:] = 0
    assert np.isfinite(filtered_decibels(image, image[0] > 0, units)[0]).all()


def test_an_expected_threshold_weighs_in_as_a_prior_on_the_shift_of_the_logits() -> None:
    (image, valid, probability), _ = scene()
    sums = summed((image, valid, probability))
    for trust in (0.0, 0.02, 0.2, 1e3):
        found = separating_threshold(sums, expected=0.9, trust=trust)
        assert found is not None
        costs = {}
        for threshold in np.arange(5, 1000) / 1000:
            cost = separation_cost(sums, threshold)
            if cost is not None:
                shift = np.log(threshold / (1 - threshold)) - np.log(9)
                costs[threshold] = cost + trust * shift**2
        best = min(costs, key=lambda threshold: costs[threshold])
        assert found.threshold == pytest.approx(best)
        assert trust < 1e3 or found.threshold == pytest.approx(0.9)


@pytest.mark.parametrize("bands", [1, 2, 3])
def test_the_log_odds_are_those_of_scipys_normal_distributions(bands: int) -> None:
    (image, valid, probability), _ = scene(bands)
    found = two_classes(summed((image, valid, probability)), 0.3)
    assert found is not None
    water = probability[0] >= np.float32(0.3)
    expected = np.zeros(image.shape[2])
    means = [image[:, 0, part].mean(axis=1)[:, None] for part in (water, ~water)]
    between = image[:, 0].clip(np.minimum(*means), np.maximum(*means))
    for sign, part in ((1, water), (-1, ~water)):
        values = image[:, 0, part].astype(np.float64)
        normal = multivariate_normal(values.mean(axis=1), np.cov(values, bias=True))
        expected += sign * (normal.logpdf(between.T) + np.log(part.mean()))
    np.testing.assert_allclose(found.log_odds(image)[0], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4])
def test_two_classes_do_not_depend_on_the_unit_of_a_band(unit: float) -> None:
    pixels, truth = scene()
    metres = with_elevation(pixels, truth, 20, 80, 25)
    image = metres[0].copy()
    image[2] *= unit
    expected = two_classes(summed(metres), 0.3)
    found = two_classes(summed((image, *metres[1:])), 0.3)
    assert expected is not None
    assert found is not None
    np.testing.assert_allclose(
        found.log_odds(image), expected.log_odds(metres[0]), rtol=1e-3, atol=1e-3
    )
    assert found.log_odds(image).std() > 1


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4])
@pytest.mark.parametrize("kind", ["constant", "constant in water", "repeated"])
def test_no_two_classes_of_bands_that_say_nothing_new(kind: str, unit: float) -> None:
    (image, valid, probability), _ = scene()
    water = probability >= np.float32(0.3)
    third = {
        "constant": np.full_like(image[:1], 0.1),
        "constant in water": np.where(water, np.float32(0.1), image[:1]),
        "repeated": image[:1] - image[1:],
    }[kind]
    more = np.concatenate([image, np.float32(unit) * third])
    assert two_classes(summed((more, valid, probability)), 0.3) is None


def test_two_classes_survive_a_checkpoint() -> None:
    pixels, _ = scene()
    found = two_classes(summed(pixels), 0.3)
    assert found is not None
    again = TwoClasses.from_state(found.state())
    np.testing.assert_array_equal(again.log_odds(pixels[0]), found.log_odds(pixels[0]))


@pytest.mark.parametrize("threshold", [0.001, 0.999])
def test_no_two_classes_without_pixels_on_both_sides(threshold: float) -> None:
    (image, valid, probability), _ = scene()
    middling = np.clip(probability, np.float32(0.2), np.float32(0.8))
    assert two_classes(summed((image, valid, middling)), threshold) is None


def test_evidence_is_bounded_weighted_and_silent_beside_no_data() -> None:
    classes = TwoClasses(0.1, np.array([[-9.0, -15], [-20, -25]]), np.array([np.eye(2)] * 2))
    image = np.full((2, 20, 20), -9, np.float32)
    image[:, :, 10:] = -60
    valid = np.ones((20, 20), np.bool_)
    valid[5, 5] = False
    found = BackscatterEvidence(classes, Units.DB, 0.5)(image, valid)
    assert found.dtype == np.float32
    assert (found[3:8, 3:8] == 0).all()
    assert (found[15, 2], found[15, 15]) == (-5, 5)


def test_darker_than_the_water_is_no_less_water() -> None:
    narrow, wide = np.diag([0.5, 0.5]), np.diag([9.0, 9.0])
    classes = TwoClasses(0.1, np.array([[-9.0, -15], [-20, -25]]), np.array([wide, narrow]))
    levels = np.arange(-60, -19, dtype=np.float32)
    found = classes.log_odds(np.stack([levels, levels - 5])[:, None])[0]
    np.testing.assert_allclose(found, found[-1], rtol=1e-5)
    assert found[-1] > 0
