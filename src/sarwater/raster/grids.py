"""Where pixels lie: do two rasters fit, what do they cover, how large is a pixel."""

import math
from pathlib import Path

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.warp import transform_bounds

from sarwater.errors import DataError
from sarwater.types import Grid


def check_same_grid(one: Grid, other: Grid, one_path: Path, other_path: Path) -> None:
    """Check that two rasters have the same size, CRS and place (to a tenth of a pixel).

    A raster without a CRS fits any place.

    Raises:
        DataError: they differ; both files and both values are named.
    """
    what = f"{other_path} does not fit {one_path}: "
    if (one.height, one.width) != (other.height, other.width):
        raise DataError(
            f"{what}{other.height} x {other.width} px instead of {one.height} x {one.width} "
            "(rows x columns); resample one of them"
        )
    if one.crs is None or other.crs is None:
        return
    if rasterio.crs.CRS.from_user_input(one.crs) != rasterio.crs.CRS.from_user_input(other.crs):
        raise DataError(
            f"{what}its CRS is {short_crs(other.crs)} instead of {short_crs(one.crs)}; reproject it"
        )
    shift = ~one.transform @ other.transform
    corners = [(0, 0), (one.width, one.height)]
    moved = max(
        abs(a - b) for corner in corners for a, b in zip(shift @ corner, corner, strict=True)
    )
    if moved > 0.1:
        raise DataError(f"{what}it lies {moved:.1f} px away; resample it to the same grid")


def lonlat_bounds(grid: Grid) -> tuple[float, float, float, float] | None:
    """Return west, south, east, north in degrees (EPSG:4326).

    None without a CRS, and where the grid reaches beyond what its CRS can place on Earth.
    """
    if grid.crs is None:
        return None
    xs, ys = zip(
        *(grid.transform @ corner for corner in _corners(grid)),
        strict=True,
    )
    try:
        found = transform_bounds(grid.crs, "EPSG:4326", min(xs), min(ys), max(xs), max(ys))
    except (rasterio.errors.RasterioError, CPLE_BaseError):
        return None
    west, south, east, north = found
    return (west, south, east, north) if all(map(math.isfinite, found)) else None


def pixel_area(grid: Grid) -> float | None:
    """Return the area of the middle pixel in square metres, or None without a CRS.

    Geographic grids are measured on a sphere of the Earth's mean radius (6,371,009 m).
    """
    if grid.crs is None:
        return None
    crs = rasterio.crs.CRS.from_user_input(grid.crs)
    area = abs(grid.transform.determinant)
    if crs.is_geographic:
        _, latitude = grid.transform @ (grid.width / 2, grid.height / 2)
        metres = math.radians(1) * 6_371_009.0
        return float(area * metres**2 * max(math.cos(math.radians(latitude)), 0))
    _, factor = crs.linear_units_factor
    return float(area * factor**2)


def _corners(grid: Grid) -> list[tuple[int, int]]:
    return [(0, 0), (grid.width, 0), (0, grid.height), (grid.width, grid.height)]


def short_crs(crs: str) -> str:
    """Return the EPSG code of a CRS, or the beginning of its text where it has none.

    >>> short_crs(rasterio.crs.CRS.from_epsg(32633).to_wkt())
    'EPSG:32633'
    """
    try:
        parsed = rasterio.crs.CRS.from_user_input(crs)
    except rasterio.errors.CRSError:
        return crs[:60]
    code = parsed.to_epsg()
    return f"EPSG:{code}" if code else parsed.to_wkt()[:60]
