"""Where a raster lies, by what it says of it."""

import math
from typing import Any

from affine import Affine

from sarwater.raster.grids import short_crs
from sarwater.types import Grid


def grid_of(dataset: Any) -> tuple[Grid, str]:
    """Return where an open rasterio dataset lies, and what is wrong with the place it declares.

    A raster with a CRS but without coordinates lies nowhere, as one without a CRS: its areas would
    be wrong. Coordinates that its CRS cannot have are another matter (``lonlat_bounds``).

    Returns:
        The grid, and why a declared CRS is not followed; empty where it is, or there is none.
    """
    height, width, crs, place = dataset.height, dataset.width, dataset.crs, dataset.transform
    if crs is None or not (crs.is_geographic or crs.is_projected):
        return Grid(height, width), ""
    wkt = crs.to_wkt()
    fault = _fault(wkt, place)
    return (Grid(height, width), fault) if fault else (Grid(height, width, place, wkt), "")


def _fault(wkt: str, place: Affine) -> str:
    name = short_crs(wkt)
    if place == Affine.identity():
        return f"it declares {name}, but no coordinates (no transform from pixels)"
    if not all(map(math.isfinite, place)) or place.is_degenerate:
        return f"its pixels have no area in {name} ({', '.join(f'{x:g}' for x in place[:6])})"
    return ""
