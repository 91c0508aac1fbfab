"""What a file itself declares to be no data: a value, a mask, an alpha band."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from sarwater.raster.opening import reading
from sarwater.types import AnyArray, BoolArray


def take_declared(
    dataset: Any, channel: int, window: Window, values: AnyArray, valid: BoolArray
) -> None:
    """Take from ``valid`` what a declared value or a mask says of a channel's values.

    Raises:
        RasterError: the mask cannot be read.
    """
    flags, nodata = dataset.mask_flag_enums[channel - 1], dataset.nodatavals[channel - 1]
    span = _nodata_span(values.dtype, nodata) if flags == [MaskFlags.nodata] else None
    if span is not None:  # forty times as fast as GDAL's own mask
        low, high = span
        valid &= values != low if low == high else (values < low) | (values > high)
    elif flags != [MaskFlags.all_valid] and MaskFlags.alpha not in flags:
        with reading(Path(dataset.name)):
            mask = dataset.read_masks(channel, window=window, out_shape=valid.shape)
        valid &= mask > 0


def take_transparent(dataset: Any, alpha: int, window: Window, valid: BoolArray) -> None:
    """Take from ``valid`` where an alpha band is 0; GDAL itself looks at some of them only.

    Raises:
        RasterError: the band cannot be read.
    """
    with reading(Path(dataset.name)):
        valid &= dataset.read(alpha, window=window, out_shape=valid.shape) > 0


def _nodata_span(dtype: np.dtype[Any], nodata: float | None) -> tuple[float, float] | None:
    """Return the least and the greatest value that GDAL takes for the declared one.

    Floats have a tolerance there (``ARE_REAL_EQUAL``), for values that went through text. None
    where GDAL has to say itself what is no data.
    """
    if nodata is None or not math.isfinite(nodata):
        return None
    if dtype.kind in "iu":
        return (int(nodata), int(nodata)) if nodata % 1 == 0 else None
    if dtype != np.float32:
        return None
    ends = []
    for side in (-np.inf, np.inf):
        end = np.float32(nodata)
        while True:
            with np.errstate(over="ignore"):
                beyond = np.nextafter(end, np.float32(side))
            apart, size = abs(float(beyond) - nodata), abs(float(beyond) + nodata)
            if not apart < 2 * float(np.finfo(np.float32).eps) * size < math.inf:
                break
            end = beyond
        ends.append(float(end))
    return ends[0], ends[1]
