"""Whether what a raster says of its place on Earth can be true."""

import math
from typing import Any

from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.warp import transform

from sarwater.raster.grids import short_crs
from sarwater.types import Grid


def grid_of(dataset: Any) -> tuple[Grid, str]:
    """Return where an open rasterio dataset lies, and what is wrong with the place it declares.

    A raster whose place cannot be true lies nowhere, as one without a CRS: its areas would be
    wrong.

    Returns:
        The grid, and why a declared CRS is not followed; empty where it is, or there is none.
    """
    height, width, crs, place = dataset.height, dataset.width, dataset.crs, dataset.transform
    if crs is None or not (crs.is_geographic or crs.is_projected):
        return Grid(height, width), ""
    wkt = crs.to_wkt()
    fault = _fault(crs, wkt, place, (height, width))
    return (Grid(height, width), fault) if fault else (Grid(height, width, place, wkt), "")


def _fault(crs: Any, wkt: str, place: Affine, shape: tuple[int, int]) -> str:
    name = short_crs(wkt)
    if place == Affine.identity():
        return f"it declares {name}, but no coordinates (no transform from pixels)"
    if not all(map(math.isfinite, place)) or place.is_degenerate:
        return f"its pixels have no area in {name} ({', '.join(f'{x:g}' for x in place[:6])})"
    height, width = shape
    corners = [place @ at for at in ((0, 0), (width, 0), (0, height), (width, height))]
    if crs.is_geographic:
        # Of grids by pixel centers, corners lie half a pixel beyond the poles.
        highest = 90 + max(abs(place.d), abs(place.e))
        far = [(x, y) for x, y in corners if abs(y) > highest or abs(x) > 540]
    else:
        middle = place @ (width / 2, height / 2)
        far = [] if _is_on_earth(wkt, middle) else [middle]
    if not far:
        return ""
    x, y = far[0]
    return f"x {x:.8g}, y {y:.8g} is no place in {name}; its CRS is another one, perhaps"


def _is_on_earth(wkt: str, at: tuple[float, float]) -> bool:
    try:
        (east,), (north,) = transform(wkt, "EPSG:4326", [at[0]], [at[1]])
    except (RasterioError, CPLE_BaseError):
        return False
    return math.isfinite(east) and math.isfinite(north)
