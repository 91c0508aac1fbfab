from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sarwater.errors import DataError
from sarwater.normalize import (
    FIXED_RANGES,
    BandStatistics,
    Normalization,
    Normalizer,
    RunningStatistics,
    group_statistics,
    image_statistics,
)
from sarwater.types import BoolArray, Chip, FloatArray, Grid, Units

STATISTICS = BandStatistics((-10.0, -17.0), (3.0, 4.0), 100)


def image_of(seed: int = 0, bands: int = 2, side: int = 8) -> tuple[FloatArray, BoolArray]:
    random = np.random.default_rng(seed)
    image = random.normal(-12, 5, (bands, side, side)).astype(np.float32)
    valid = random.random((side, side)) > 0.3
    image[:, ~valid] = 0
    return image, valid


def chip(image: FloatArray, valid: BoolArray, name: str = "a") -> Chip:
    bands = tuple("ABCDE"[: image.shape[0]])
    grid = Grid(valid.shape[0], valid.shape[1])
    return Chip(name, "here", bands, Units.DB, image, valid, None, grid)


@st.composite
def images_in_parts(draw: st.DrawFn) -> list[tuple[FloatArray, BoolArray]]:
    bands = draw(st.integers(1, 3))
    offset = draw(st.sampled_from([0.0, -30.0, 1e4, -1e6]))
    parts = []
    for _ in range(draw(st.integers(1, 5))):
        shape = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
        values = hnp.arrays(np.float32, (bands, *shape), elements=st.floats(-50, 50, width=32))
        valid = hnp.arrays(np.bool_, shape)
        parts.append((draw(values) + np.float32(offset), draw(valid)))
    return parts


@given(images_in_parts())
def test_statistics_are_those_of_all_valid_pixels_however_they_are_split(
    parts: list[tuple[FloatArray, BoolArray]],
) -> None:
    running = RunningStatistics()
    for image, valid in parts:
        running.add(image, valid)
    pixels = np.concatenate([image[:, valid] for image, valid in parts], axis=1).astype(np.float64)
    if pixels.shape[1] == 0:
        with pytest.raises(DataError, match="no valid pixel"):
            running.result()
        return
    found = running.result()
    assert found.count == pixels.shape[1]
    np.testing.assert_allclose(found.mean, pixels.mean(axis=1), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.std, pixels.std(axis=1), rtol=1e-7, atol=1e-7)


def test_statistics_of_many_parts_far_from_zero_lose_no_digits() -> None:
    random = np.random.default_rng(3)
    values = (random.normal(0, 1, (2, 300, 40)) + 1e5).astype(np.float32)
    running = RunningStatistics()
    for row in range(0, 300, 3):
        running.add(values[:, row : row + 3], np.ones((3, 40), np.bool_))
    reference = values.reshape(2, -1).astype(np.float64)
    np.testing.assert_allclose(running.result().std, reference.std(axis=1), rtol=1e-10)


@given(st.floats(-1e6, 1e6, width=32), st.sampled_from(list(Normalization)))
def test_what_lies_in_invalid_pixels_changes_nothing(value: float, kind: Normalization) -> None:
    image, valid = image_of()
    other = image.copy()
    other[:, ~valid] = value
    normalizer = Normalizer(kind, Units.DB, STATISTICS)
    one, two = (normalizer.apply(pixels, valid, STATISTICS) for pixels in (image, other))
    np.testing.assert_array_equal(one, two)
    assert (one[:, ~valid] == 0).all()
    assert one.dtype == np.float32
    assert image_statistics(image, valid) == image_statistics(other, valid)


@pytest.mark.parametrize("kind", [Normalization.DATASET, Normalization.DOMAIN, Normalization.SCENE])
def test_statistics_become_mean_zero_and_deviation_one(kind: Normalization) -> None:
    image, valid = image_of()
    pixels = image[:, valid].astype(np.float64)
    own = BandStatistics(tuple(pixels.mean(axis=1)), tuple(pixels.std(axis=1)), int(valid.sum()))
    needs_group = kind != Normalization.DATASET
    normalizer = Normalizer(kind, Units.DB, STATISTICS if needs_group else own)
    assert normalizer.needs_group == needs_group
    result = normalizer.apply(image, valid, own if needs_group else None)[:, valid]
    np.testing.assert_allclose(result.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(result.std(axis=1), 1, atol=1e-5)


def test_a_group_does_not_replace_the_statistics_of_the_data_set() -> None:
    image, valid = image_of()
    normalizer = Normalizer(Normalization.DATASET, Units.DB, STATISTICS)
    np.testing.assert_array_equal(
        normalizer.apply(image, valid),
        normalizer.apply(image, valid, BandStatistics((0.0, 0.0), (1.0, 1.0), 1)),
    )


def test_a_patch_is_normalized_by_itself() -> None:
    image, valid = image_of(bands=3)
    result = Normalizer(Normalization.PATCH, Units.DB).apply(image, valid)[:, valid]
    pixels = image[:, valid].astype(np.float64)
    expected = (pixels - pixels.mean(axis=1)[:, None]) / pixels.std(axis=1)[:, None]
    np.testing.assert_allclose(result, expected, atol=1e-5)


@pytest.mark.parametrize("kind", Normalization)
def test_a_patch_without_valid_pixels_is_zero(kind: Normalization) -> None:
    image = np.full((2, 4, 4), -3, np.float32)
    valid = np.zeros((4, 4), np.bool_)
    result = Normalizer(kind, Units.DB, STATISTICS).apply(image, valid, STATISTICS)
    np.testing.assert_array_equal(result, np.zeros((2, 4, 4), np.float32))


def test_a_constant_band_stays_finite() -> None:
    image = np.full((1, 4, 4), -7, np.float32)
    valid = np.ones((4, 4), np.bool_)
    result = Normalizer(Normalization.PATCH, Units.DB).apply(image, valid)
    np.testing.assert_array_equal(result, np.zeros((1, 4, 4), np.float32))


@pytest.mark.parametrize("units", Units)
def test_a_fixed_range_ends_at_minus_one_and_one(units: Units) -> None:
    low, high = FIXED_RANGES[units]
    image = np.array([[[low - 9, low, (low + high) / 2, high, high + 9]]], np.float32)
    result = Normalizer(Normalization.FIXED, units).apply(image, np.ones((1, 5), np.bool_))
    np.testing.assert_allclose(result[0, 0], [-1, -1, 0, 1, 1], atol=1e-6)


def test_a_fixed_range_of_ones_own() -> None:
    normalizer = Normalizer(Normalization.FIXED, Units.DB, value_range=(-20.0, 0.0))
    result = normalizer.apply(np.array([[[-30, -15, 5]]], np.float32), np.ones((1, 3), np.bool_))
    np.testing.assert_allclose(result, [[[-1, -0.5, 1]]], atol=1e-6)


@pytest.mark.parametrize("kind", [Normalization.DATASET, Normalization.DOMAIN, Normalization.SCENE])
def test_missing_statistics_are_named(kind: Normalization) -> None:
    image, valid = image_of()
    known = STATISTICS if kind != Normalization.DATASET else None
    with pytest.raises(DataError, match=f"'{kind.value}' normalization needs statistics"):
        Normalizer(kind, Units.DB, known).apply(image, valid)


def test_statistics_of_another_number_of_bands_are_refused() -> None:
    image, valid = image_of(bands=3)
    with pytest.raises(DataError, match="of 2 bands, the image has 3"):
        Normalizer(Normalization.DATASET, Units.DB, STATISTICS).apply(image, valid)


@pytest.mark.parametrize(
    ("kind", "scene", "group"),
    [
        (Normalization.DOMAIN, "s1", "nebraska"),
        (Normalization.SCENE, "s1", "s1"),
        (Normalization.SCENE, "", "chip7"),
    ],
)
def test_groups(kind: Normalization, scene: str, group: str) -> None:
    assert Normalizer(kind, Units.DB).group_of("nebraska", scene, "chip7") == group


def test_group_statistics_pool_the_chips_of_a_group() -> None:
    nothing: Any = (np.zeros((2, 4, 4), np.float32), np.zeros((4, 4), np.bool_))
    one, two, other = image_of(1), image_of(2, side=6), image_of(3)
    found = group_statistics(
        [
            ("a", chip(*one)),
            ("b", chip(*other)),
            ("a", chip(*two)),
            ("a", chip(*nothing)),
            ("empty", chip(*nothing)),
        ]
    )
    assert set(found) == {"a", "b"}
    pixels = np.concatenate([image[:, valid] for image, valid in (one, two)], axis=1)
    np.testing.assert_allclose(found["a"].mean, pixels.astype(np.float64).mean(axis=1))
    np.testing.assert_allclose(found["a"].std, pixels.astype(np.float64).std(axis=1))
    assert found["b"] == image_statistics(*other)
