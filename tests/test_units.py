from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sarwater.errors import DataError
from sarwater.types import Units
from sarwater.units import add_decibels, can_convert, convert, guess_units, in_decibels


@given(st.floats(-49.5, 30, width=32))
def test_decibels_survive_linear_and_back(decibels: float) -> None:
    values = np.array([[[decibels]]], np.float32)
    back = convert(convert(values, Units.DB, Units.LINEAR), Units.LINEAR, Units.DB)
    np.testing.assert_allclose(back, values, atol=1e-4)


def test_ten_times_the_power_is_ten_decibels_more() -> None:
    linear = np.array([0.001, 0.01, 0.1, 1, 10], np.float32)
    decibels = convert(linear, Units.LINEAR, Units.DB)
    np.testing.assert_allclose(decibels, [-30, -20, -10, 0, 10], atol=1e-5)
    assert decibels.dtype == np.float32


def test_no_power_is_the_floor_not_minus_infinity() -> None:
    values = convert(np.array([0.0, 1e-9, -0.1], np.float32), Units.LINEAR, Units.DB)
    np.testing.assert_allclose(values, -50, atol=1e-5)


@pytest.mark.parametrize("found", list(Units))
@pytest.mark.parametrize("wanted", list(Units))
def test_only_decibel_and_linear_convert(found: Units, wanted: Units) -> None:
    values = np.array([1, 2], np.float32)
    if found == wanted:
        assert convert(values, found, wanted) is values
    elif {found, wanted} == {Units.DB, Units.LINEAR}:
        assert can_convert(found, wanted)
    else:
        assert not can_convert(found, wanted)
        with pytest.raises(DataError, match=f"'{found.value}' cannot become '{wanted.value}'"):
            convert(values, found, wanted)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([-22.5, -8, 1.5], "float32", Units.DB),
        ([0.003, 0.05, 4.0], "float32", Units.LINEAR),
        ([40.0, 200.0, 900.0], "float32", Units.AMPLITUDE),
        ([40, 200, 900], "uint16", Units.AMPLITUDE),
        ([-26, -14, -9, -3], "int16", Units.DB),
        ([-26, -14, 2], "int32", Units.DB),
        ([40, 200, 900, -1], "int16", Units.AMPLITUDE),
        ([-32768, -32768, 200], "int16", Units.AMPLITUDE),
        ([0, 90, 255], "uint8", Units.BYTE),
        ([], "uint8", Units.BYTE),
        ([], "float32", Units.OTHER),
    ],
)
def test_units_are_guessed(values: list[float], dtype: str, expected: Units) -> None:
    assert guess_units(np.asarray(values, dtype), dtype) == expected


def test_a_few_negative_pixels_of_noise_do_not_make_decibels() -> None:
    values = np.full(100_000, 0.05, np.float32)
    values[:5] = -0.001
    assert guess_units(values, "float32") == Units.LINEAR


@pytest.mark.parametrize("water", [0.05, 0.3])
def test_noise_that_was_subtracted_does_not_make_decibels(water: float) -> None:
    """Calm water lies around zero then, half of it below."""
    random = np.random.default_rng(0)
    is_water = random.random(20_000) < water
    power = np.where(is_water, random.normal(0, 0.002, 20_000), random.gamma(4, 0.02, 20_000))
    assert (power < 0).mean() > 0.01
    assert guess_units(power.astype(np.float32), "float32") == Units.LINEAR


@pytest.mark.parametrize("middle", [-12.0, 0.5, 3.0])
def test_decibels_around_zero_are_decibels(middle: float) -> None:
    decibels = np.random.default_rng(0).normal(middle, 4, 20_000).astype(np.float32)
    assert guess_units(decibels, "float32") == Units.DB


@pytest.mark.parametrize("units", [Units.LINEAR, Units.AMPLITUDE])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_floor_for_all_backscatter(units: Units, dtype: type[np.floating[Any]]) -> None:
    found = in_decibels(np.array([0, 1e-9, 1e-3, 1], dtype), units)
    assert found.dtype == dtype
    expected = [-50, -50, -30 if units == Units.LINEAR else -50, 0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def backscatter() -> dict[Units, NDArray[np.float64]]:
    """The same backscatter in each of the units, -20 ... -3 dB."""
    power = np.random.default_rng(0).uniform(0.01, 0.5, (2, 30, 40))
    decibel = 10 * np.log10(power)
    return {
        Units.DB: decibel,
        Units.LINEAR: power,
        Units.AMPLITUDE: np.sqrt(power),
        Units.BYTE: (decibel + 25) * 255 / 30,
    }


@pytest.mark.parametrize("units", backscatter())
def test_a_decibel_more_is_a_decibel_more_in_any_units(units: Units) -> None:
    decibel = backscatter()[Units.DB] + 1
    louder = {
        Units.DB: decibel,
        Units.LINEAR: 10 ** (decibel / 10),
        Units.AMPLITUDE: 10 ** (decibel / 20),
        Units.BYTE: (decibel + 25) * 255 / 30,
    }
    found = add_decibels(backscatter()[units].astype(np.float32), np.float32(1), units)
    np.testing.assert_allclose(found, louder[units], rtol=1e-4)


def test_bytes_stay_within_their_range_and_what_is_no_radar_stays() -> None:
    values = np.array([0, 3, 250, 255], np.float32)
    assert add_decibels(values, np.float32(3), Units.BYTE).max() == 255
    assert add_decibels(values, np.float32(-3), Units.BYTE).min() == 0
    np.testing.assert_array_equal(add_decibels(values, np.float32(3), Units.OTHER), values)


@pytest.mark.parametrize("units", [Units.DB, Units.LINEAR, Units.AMPLITUDE])
def test_all_backscatter_has_the_same_decibels(units: Units) -> None:
    found = in_decibels(backscatter()[units].astype(np.float32), units)
    np.testing.assert_allclose(found, backscatter()[Units.DB], atol=1e-4)
