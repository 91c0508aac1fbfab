"""Where pixels lie: do two rasters fit, what do they cover, how large is a pixel."""

import math
from pathlib import Path

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.warp import transform, transform_bounds

from sarwater.errors import DataError
from sarwater.types import Grid

_DISTORTED = 0.02
"""Share by which an area in a CRS may differ from the true one before that one is taken."""


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
    if not _is_same_crs(one.crs, other.crs):
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


def lonlat_bounds(grid: Grid, path: Path | None = None) -> tuple[float, float, float, float] | None:
    """Return west, south, east, north in degrees (EPSG:4326), or None without a CRS.

    Longitudes are within -180 ... 180; west is the larger one across 180 degrees.

    Args:
        grid: of a raster.
        path: its file, for the message.

    Raises:
        DataError: the grid lies nowhere on Earth, as a wrong CRS makes it.
    """
    if grid.crs is None:
        return None
    xs, ys = zip(
        *(grid.transform @ corner for corner in _corners(grid)),
        strict=True,
    )
    box = (min(xs), min(ys), max(xs), max(ys))
    try:
        west, south, east, north = transform_bounds(grid.crs, "EPSG:4326", *box)
    except (RasterioError, CPLE_BaseError):
        west = south = east = north = math.inf
    # Cells of coarse global grids reach beyond the poles by half their size.
    if not (-91 <= south <= north <= 91 and -360 <= min(west, east) <= max(west, east) <= 360):
        raise DataError(
            f"{path or 'the raster'} lies nowhere on Earth: its CRS is {short_crs(grid.crs)}, and "
            f"its coordinates are {box[0]:g} ... {box[2]:g}, {box[1]:g} ... {box[3]:g}; give it "
            "the CRS that they are in"
        )
    if east - west >= 360:
        return (-180.0, south, 180.0, north)
    turns = math.floor((west + 180) / 360)  # some count longitudes from 0 to 360
    west, east = west - 360 * turns, east - 360 * turns
    return (west, south, east - 360 if east > 180 else east, north)


def pixel_area(grid: Grid) -> float | None:
    """Return the area of the middle pixel in square metres, or None without a CRS.

    Geographic grids are measured on a sphere of the Earth's mean radius (6,371,009 m). Projected
    ones count as their CRS says where that is right to 2 %, as of UTM and equal areas; elsewhere
    (Web Mercator, far from the equator) on the ellipsoid.
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
    said, true = float(area * factor**2), _area_on_the_ellipsoid(grid)
    return said if true is None or abs(said / true - 1) < _DISTORTED else true


def _area_on_the_ellipsoid(grid: Grid) -> float | None:
    """Return the area of the middle pixel on WGS 84; None where it has no place there."""
    middle = np.array([grid.width, grid.height]) / 2
    points = [middle + step for step in ((0, 0), (0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))]
    xs, ys = zip(*(grid.transform @ tuple(point) for point in points), strict=True)
    try:
        lon, lat = np.radians(transform(grid.crs, "EPSG:4326", xs, ys))
    except (RasterioError, CPLE_BaseError):
        return None
    sine = math.sin(lat[0])
    eccentricity, radius = 0.00669437999, 6_378_137.0  # squared; metres
    across = radius / math.sqrt(1 - eccentricity * sine**2)  # of the parallel's curvature
    along = across * (1 - eccentricity) / (1 - eccentricity * sine**2)  # of the meridian's
    turn = (lon[1::2] - lon[2::2] + math.pi) % (2 * math.pi) - math.pi
    east, north = turn * across * math.cos(lat[0]), (lat[1::2] - lat[2::2]) * along
    area = abs(float(east[0] * north[1] - east[1] * north[0]))
    return area if math.isfinite(area) and area > 0 else None


def _is_same_crs(one: str, other: str) -> bool:
    """Tell whether two CRS are the same on the ground; heights are no matter."""
    parsed = [rasterio.crs.CRS.from_user_input(crs) for crs in (one, other)]
    if parsed[0] == parsed[1]:
        return True
    import pyproj  # takes as long as rasterio, and is hardly ever needed

    flat = [pyproj.CRS.from_wkt(crs.to_wkt()).to_2d().to_wkt() for crs in parsed]
    return bool(rasterio.crs.CRS.from_wkt(flat[0]) == rasterio.crs.CRS.from_wkt(flat[1]))


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
