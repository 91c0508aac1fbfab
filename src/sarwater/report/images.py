"""Pictures of chips: gray and color views of an image, class maps, and where a map errs.

Colors are told apart by color-blind readers (Okabe and Ito 2008). All functions return uint8.
"""

import numpy as np
from numpy.typing import NDArray

from sarwater.palette import LAND as LAND
from sarwater.palette import WATER as WATER
from sarwater.palette import class_color as class_color
from sarwater.palette import rgb as rgb
from sarwater.types import IGNORE, BoolArray, ByteArray, Chip, FloatArray
from sarwater.units import in_decibels

FALSE_POSITIVE = "#E69F00"
FALSE_NEGATIVE = "#CC79A7"
OTHER_WATER = "#F0E442"
"""Water taken for another kind of water, where there are more than two classes."""
NO_DATA = "#EDEDED"
_STRIPE = "#D2D2D2"
_DRAB = 0.55
"""How much of the gray is kept under an error map, so that the colors stand out."""


def stretch(image_band: FloatArray, valid: BoolArray) -> ByteArray:
    """Stretch a band [row, col] to 0 ... 255 from its 2nd to its 98th percentile.

    Percentiles are of valid pixels; pixels that are not valid become 0, a constant band 128.

    >>> stretch(np.float32([[0, 50, 100]]), np.full((1, 3), True)).tolist()
    [[0, 128, 255]]
    """
    gray = np.zeros(image_band.shape, np.uint8)
    values = image_band[valid]
    if values.size == 0:
        return gray
    low, high = np.percentile(values, [2, 98])
    if high <= low:
        gray[valid] = 128
        return gray
    scaled = np.clip((values - low) / (high - low), 0, 1) * 255
    gray[valid] = np.round(scaled).astype(np.uint8)
    return gray


def sar_composite(chip: Chip) -> ByteArray:
    """Show a chip as a color picture [row, col, 3]; no data is light with stripes.

    Bands named red, green and blue become those; otherwise the first two bands (VV, VH) become
    red and green and their mean blue, so that smooth water is dark and vegetation green. A single
    band is gray. Linear power and amplitude are shown in decibel.
    """
    names = [band.lower() for band in chip.bands]
    if {"red", "green", "blue"} <= set(names):
        order = [names.index(name) for name in ("red", "green", "blue")]
        layers = [stretch(chip.image[i], chip.valid) for i in order]
    else:
        layers = [stretch(in_decibels(band, chip.units), chip.valid) for band in chip.image[:2]]
        first, last = layers[0], layers[-1]
        layers = [first, last, ((first.astype(np.uint16) + last) // 2).astype(np.uint8)]
    return _striped(np.stack(layers, axis=-1), ~chip.valid)


def gray_view(chip: Chip) -> ByteArray:
    """Show the first band of a chip in gray [row, col]."""
    return stretch(in_decibels(chip.image[0], chip.units), chip.valid)


def class_picture(classes: ByteArray, counted: BoolArray | None = None) -> ByteArray:
    """Color class indices [row, col]; unlabelled or not counted pixels are light with stripes."""
    palette = np.array([rgb(class_color(i)) for i in range(256)], np.uint8)
    unknown = classes == IGNORE
    return _striped(palette[classes], unknown if counted is None else unknown | ~counted)


def error_map(
    gray: ByteArray, target: ByteArray, predicted: ByteArray, counted: BoolArray
) -> ByteArray:
    """Show where a map errs [row, col, 3].

    Water that was found is blue, false water orange, missed water magenta, water of another class
    than the true one yellow; land that was seen as land is the gray image, and what does not
    count light with stripes.

    Args:
        gray: uint8 image [row, col].
        target: true class indices.
        predicted: mapped class indices.
        counted: True where the pixel counts.
    """
    drab = (gray * _DRAB + 255 * (1 - _DRAB)).astype(np.uint8)
    picture = np.repeat(drab[..., None], 3, axis=-1)
    is_water, called = target != 0, predicted != 0
    picture[is_water & called] = rgb(WATER)
    picture[is_water & called & (target != predicted)] = rgb(OTHER_WATER)
    picture[~is_water & called] = rgb(FALSE_POSITIVE)
    picture[is_water & ~called] = rgb(FALSE_NEGATIVE)
    return _striped(picture, ~counted)


def _striped(picture: NDArray[np.uint8], where: BoolArray) -> ByteArray:
    rows, cols = np.indices(where.shape)
    width = max(3, max(where.shape) // 64)
    stripe = (rows + cols) % (4 * width) < width
    out = picture.copy()
    out[where] = rgb(NO_DATA)
    out[where & stripe] = rgb(_STRIPE)
    return out
