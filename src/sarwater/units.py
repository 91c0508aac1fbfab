"""What backscatter values measure: guess it, convert it."""

import numpy as np

from sarwater.errors import DataError
from sarwater.types import AnyArray, FloatArray, Units

_FLOOR_LINEAR = 1e-5
"""Linear power below which a decibel value is clipped (-50 dB, under any sensor's noise)."""


def guess_units(values: AnyArray, dtype: str) -> Units:
    """Guess the units of backscatter from valid values and the type they are stored in.

    Bytes are ``8bit`` and other integers ``amplitude``. Floats that go below zero are ``db``;
    floats that do not are ``linear`` when their median is under 10, ``amplitude`` otherwise.
    No values at all give ``other``.

    >>> guess_units(np.array([-22.5, -8.0, 1.5]), "float32").value
    'db'
    >>> guess_units(np.array([0.003, 0.05, 4.0]), "float32").value
    'linear'
    """
    if dtype == "uint8":
        return Units.BYTE
    if values.size == 0:
        return Units.OTHER
    if np.dtype(dtype).kind in "ui":
        return Units.AMPLITUDE
    if float(np.mean(values < 0)) > 0.001:
        return Units.DB
    return Units.LINEAR if float(np.median(values)) < 10 else Units.AMPLITUDE


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
        floored = np.maximum(image, np.float32(_FLOOR_LINEAR))
        return np.asarray(10 * np.log10(floored), dtype=np.float32)
    return np.asarray(np.float32(10) ** (image / np.float32(10)), dtype=np.float32)


BYTE_COUNTS_PER_DB = 255 / 30
"""8-bit products are taken as 30 dB over 0 ... 255 (nobody declares the scaling)."""


def in_decibels(image: AnyArray, units: Units) -> AnyArray:
    """Return values on a logarithmic scale: 10 log10 of power, 20 log10 of amplitude.

    What is one already (dB, 8-bit) and what is no backscatter stays. Power and amplitude under
    1e-5 count as that.

    >>> in_decibels(np.float32([0.1, 0]), Units.AMPLITUDE).round(3).tolist()
    [-20.0, -100.0]
    """
    if units not in (Units.LINEAR, Units.AMPLITUDE):
        return image
    factor = np.float32(10 if units == Units.LINEAR else 20)
    return np.asarray(factor * np.log10(np.maximum(image, np.float32(_FLOOR_LINEAR))))


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
