"""Values of a scene that may be no data which nobody declared."""

from collections.abc import Iterator, Sequence

import numpy as np

from sarwater.raster import Scene
from sarwater.types import FloatArray, Units
from sarwater.units import PLAUSIBLE

_SAMPLED = 1 << 20
"""Pixels that are looked at, in windows all over the scene."""

_SHARE = 0.05
"""Of valid pixels from which one exact value in all bands is said; backscatter repeats no value."""

_BEYOND = 0.001
"""Share of values beyond what their units hold from which that is said: noise that was subtracted
leaves some negative powers."""


def undeclared_nodata(scene: Scene, units: Units, bands: Sequence[int]) -> Iterator[str]:
    """Say which valid values of a scene look like no data.

    Args:
        scene: an open scene.
        units: of its values.
        bands: indices of those that are to be mapped.

    Yields:
        One line a finding, with what to do.
    """
    values = np.concatenate(
        [image[:, valid] for image, valid in scene.sampled(_SAMPLED, bands=bands)], axis=1
    )
    if not values.size:
        return
    low, high = PLAUSIBLE.get(units, (-np.inf, np.inf))
    beyond = values[(values < low) | (values > high)]
    if beyond.size >= _BEYOND * values.size:
        value, count = _commonest(beyond)
        is_one = count >= beyond.size / 2
        yield (
            f"{beyond.size / values.size:.1%} of the values lie outside {low:g} ... {high:g}, "
            f"which is what units '{units.value}' hold, and are mapped all the same: perhaps the "
            "units are others (--units)"
            + (f", or {value} is no data ({_rule(scene, value)})" if is_one else "")
        )
        return
    if units == Units.BYTE:  # few values, and dark water is 0 in many products
        return
    same = values[0, (values == values[0]).all(axis=0)]
    value, count = _commonest(same) if same.size else (np.float32(0), 0)
    if count >= _SHARE * values.shape[1]:
        yield (
            f"{count / values.shape[1]:.0%} of the pixels are exactly {value} in all bands, and "
            f"are mapped all the same; if they are no data, say so ({_rule(scene, value)})"
        )


def _commonest(values: FloatArray) -> tuple[np.float32, int]:
    found, counts = np.unique(values, return_counts=True)
    return found[counts.argmax()], int(counts.max())


def _rule(scene: Scene, value: np.float32) -> str:
    """Return the option; it takes a value as it is stored."""
    return "--nodata and the number that is stored" if scene.is_scaled else f"--nodata={value}"
