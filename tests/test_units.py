import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarwater.errors import DataError
from sarwater.types import Units
from sarwater.units import can_convert, convert, guess_units


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
