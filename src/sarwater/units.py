"""What backscatter values measure: guess it, convert it."""

import numpy as np

from sarwater.errors import DataError
from sarwater.types import AnyArray, FloatArray, Units

_FLOORS = {Units.LINEAR: 1e-5, Units.AMPLITUDE: 1e-5**0.5}
"""Power and amplitude that count as -50 dB, under any sensor's noise, as does all below."""


def guess_units(values: AnyArray, dtype: str) -> Units:
    """Guess the units of backscatter from valid values and the type they are stored in.

    Bytes are ``8bit``; other integers ``db`` when their median is below zero and ``amplitude``
    otherwise. Floats that go below zero are ``db``, but for few and small ones that subtracted
    noise leaves; others are ``linear`` when their median is under 10, ``amplitude`` otherwise. No
    values at all give ``other``.

    >>> guess_units(np.array([-22.5, -8.0, 1.5]), "float32").value
    'db'
    >>> guess_units(np.array([0.003, 0.05, 4.0]), "float32").value
    'linear'
    """
    if dtype == "uint8":
        return Units.BYTE
    if values.size == 0:
        return Units.OTHER
    median = float(np.median(values))
    if np.dtype(dtype).kind in "ui":
        # Far below is what marks no data, undeclared.
        return Units.DB if -100 < median < 0 else Units.AMPLITUDE
    below = values[values < 0]
    share = len(below) / values.size
    is_noise = 0.001 < share < 0.25 and float(np.median(-below)) < median / 4
    if share > 0.001 and not is_noise:
        return Units.DB
    return Units.LINEAR if median < 10 else Units.AMPLITUDE


PLAUSIBLE: dict[Units, tuple[float, float]] = {
    Units.DB: (-80.0, 50.0),
    Units.LINEAR: (0.0, 1e5),
    Units.AMPLITUDE: (0.0, 65535.0),
    Units.BYTE: (0.0, 255.0),
}
"""Values beyond these are no backscatter of these units (an undeclared no-data value, perhaps)."""


def can_convert(found: Units, wanted: Units) -> bool:
    """Whether ``convert`` can turn one unit into the other without knowing the sensor."""
    return found == wanted or {found, wanted} == {Units.DB, Units.LINEAR}


def convert(image: FloatArray, found: Units, wanted: Units) -> FloatArray:
    """Convert linear power to decibel, 10 log10(x), or back; other pairs need calibration.

    Linear values under 1e-5 become -50 dB.

    Raises:
        DataError: the two units differ by a calibration that the values do not tell.

    >>> convert(np.float32([0.1]), Units.LINEAR, Units.DB).tolist()
    [-10.0]
    """
    if found == wanted:
        return image
    if not can_convert(found, wanted):
        raise DataError(
            f"values in units '{found.value}' cannot become '{wanted.value}' without the "
            "sensor's calibration; calibrate the image, or use a model of these units"
        )
    if wanted == Units.DB:
        return np.asarray(in_decibels(image, Units.LINEAR), dtype=np.float32)
    return np.asarray(np.float32(10) ** (image / np.float32(10)), dtype=np.float32)


BYTE_COUNTS_PER_DB = 255 / 30
"""8-bit products are taken as 30 dB over 0 ... 255 (nobody declares the scaling)."""


def in_decibels(image: AnyArray, units: Units) -> AnyArray:
    """Return values on a logarithmic scale: 10 log10 of power, 20 log10 of amplitude.

    What is one already (dB, 8-bit) and what is no backscatter stays. The least is -50 dB. Float32
    and float64 stay such.

    >>> in_decibels(np.float32([0.1, 0]), Units.AMPLITUDE).round(3).tolist()
    [-20.0, -50.0]
    """
    if units not in _FLOORS:
        return image
    factor = 10 if units == Units.LINEAR else 20
    return np.asarray(factor * np.log10(np.maximum(image, _FLOORS[units])))


def add_decibels(image: AnyArray, decibel: AnyArray | np.float32, units: Units) -> AnyArray:
    """Return values as a gain in dB changes them; 8-bit ones stay within 0 ... 255.

    Values that are no backscatter (units ``other``) stay as they are.

    >>> add_decibels(np.float32([2.0]), np.float32(10), Units.LINEAR).tolist()
    [20.0]
    """
    if units == Units.DB:
        return np.asarray(image + decibel)
    if units == Units.LINEAR:
        return np.asarray(image * np.float32(10) ** (decibel / np.float32(10)))
    if units == Units.AMPLITUDE:
        return np.asarray(image * np.float32(10) ** (decibel / np.float32(20)))
    if units == Units.BYTE:
        return np.asarray(np.clip(image + decibel * np.float32(BYTE_COUNTS_PER_DB), 0, 255))
    return image
