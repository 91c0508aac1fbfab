"""Class medians and the statistics that match them, against NumPy on the pixels themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarwater.adaptation.radiometry import class_medians, matching_statistics, overlap
from sarwater.normalize import BandStatistics
from sarwater.types import BoolArray, FloatArray


def image(seed: int, side: int = 60) -> tuple[FloatArray, BoolArray, BoolArray]:
    random = np.random.default_rng(seed)
    water, valid = random.random((2, side, side)) < np.array([0.4, 0.9])[:, None, None]
    values = random.normal(-10, 2, (2, side, side)) - 9 * water
    return values.astype(np.float32), water, valid


def test_medians_are_those_of_all_pixels_together() -> None:
    images = [image(seed) for seed in range(3)]
    found = class_medians(images)
    assert found is not None
    for kind in (0, 1):
        for band in (0, 1):
            pixels = [v[band][valid & (water == kind)] for v, water, valid in images]
            assert found[kind, band] == pytest.approx(np.median(np.concatenate(pixels)))


@pytest.mark.parametrize("kind", [False, True])
def test_a_class_of_few_pixels_has_no_median(kind: bool) -> None:
    values, water, valid = image(0)
    water[...] = not kind
    water.flat[:999] = kind
    valid[...] = True
    assert class_medians([(values, water, valid)]) is None
    water.flat[999] = kind
    assert class_medians([(values, water, valid)]) is not None


band = st.tuples(st.floats(-30, 0), st.floats(1, 20), st.floats(-1, 1), st.floats(0.5, 5))


@given(st.lists(band, min_size=1, max_size=3))
def test_matched_classes_lie_where_the_sources_lie(bands: list[tuple[float, ...]]) -> None:
    land, apart, wanted, wanted_apart = np.array(bands).T
    target = np.stack([land, land - apart])
    source = np.stack([wanted, wanted - wanted_apart])
    found = matching_statistics(target, source, 5)
    assert found is not None
    assert found.count == 5
    normalized = (target - np.array(found.mean)) / np.array(found.std)
    np.testing.assert_allclose(normalized, source, atol=1e-6)


def test_a_gain_and_a_contrast_of_the_sensor_are_undone() -> None:
    values, water, valid = image(1)
    mean, std = values[:, valid].mean(axis=1), values[:, valid].std(axis=1)
    normalized = (values - mean[:, None, None]) / std[:, None, None]
    source = class_medians([(normalized, water, valid)])
    gain, contrast = np.array([[[[5]], [[7]]], [[[8]], [[6.5]]]], np.float32)
    target = class_medians([(values * contrast + gain, water, valid)])
    assert source is not None
    assert target is not None
    found = matching_statistics(target, source, 1)
    assert found is not None
    np.testing.assert_allclose(found.mean, mean * contrast.ravel() + gain.ravel(), rtol=1e-4)
    np.testing.assert_allclose(found.std, std * contrast.ravel(), rtol=1e-4)


@pytest.mark.parametrize("water", [[-9.0, -20.0], [-12.0, -9.0]])
def test_water_on_the_other_side_of_land_cannot_be_matched(water: list[float]) -> None:
    target = np.array([[-9.0, -9.0], water])
    assert matching_statistics(target, np.array([[0.0, 0.0], [-3.0, -3.0]]), 1) is None


def test_equal_classes_of_the_source_cannot_be_matched() -> None:
    target = np.array([[-9.0], [-20.0]])
    assert matching_statistics(target, np.array([[0.5], [0.5]]), 1) is None


def test_the_overlap_pools_images() -> None:
    one = [np.array([[True, True]]), np.array([[True, False]])]
    other = [np.array([[True, False]]), np.array([[True, True]])]
    assert overlap(one, other) == 0.5
    assert overlap(one, one) == 1
    dry = [np.zeros((2, 2), np.bool_)]
    assert overlap(dry, dry) == 0


def test_statistics_are_plain_numbers() -> None:
    found = matching_statistics(np.array([[1.0], [0.0]]), np.array([[2.0], [0.0]]), 3)
    assert found == BandStatistics((0.0,), (0.5,), 3)
    assert type(found.mean[0]) is float
