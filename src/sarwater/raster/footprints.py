"""Do two rasters show the same ground: their outlines, laid over each other."""

from itertools import pairwise

import numpy as np
import rasterio
from rasterio.warp import transform
from shapely.geometry import Polygon

from sarwater.types import AnyArray, Grid

_STEPS = 20
"""Parts that each side is divided into, since straight lines are bent in another CRS."""


def shared_share(one: Grid, other: Grid) -> float | None:
    """Return which share of the smaller raster's area the other covers too, in [0, 1].

    Outlines are compared in the CRS of the first, where neighbors that touch share nothing; boxes
    in degrees around them do, wherever the grid's north is not that of the meridians.

    Returns:
        The share; None where a raster has no CRS, or one lies where the other's CRS is of no use.
    """
    if one.crs is None or other.crs is None:
        return None
    ring, other_ring = _ring(one), _ring(other)
    crs = rasterio.crs.CRS.from_user_input(one.crs)
    if one.crs != other.crs:
        other_crs = rasterio.crs.CRS.from_user_input(other.crs)
        if crs != other_crs:
            other_ring = np.stack(transform(other_crs, crs, *other_ring.T), axis=1)
    if not (np.isfinite(ring).all() and np.isfinite(other_ring).all()):
        return None
    if crs.is_geographic:  # longitudes may be counted from -180 or from 0
        turns = np.round((ring[:, 0].mean() - other_ring[:, 0].mean()) / 360)
        other_ring[:, 0] += 360 * turns
    first, second = Polygon(ring), Polygon(other_ring)
    smaller = min(first.area, second.area)
    if not (first.is_valid and second.is_valid and smaller > 0):
        return None
    return float(first.intersection(second).area / smaller)


def _ring(grid: Grid) -> AnyArray:
    """Return points along the outline, [point, (x, y)]."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)], np.float64)
    corners *= (grid.width, grid.height)
    steps = np.linspace(0, 1, _STEPS, endpoint=False)[:, None]
    sides = [here + (there - here) * steps for here, there in pairwise(corners)]
    cols, rows = np.concatenate(sides).T
    t = grid.transform
    return np.stack([t.a * cols + t.b * rows + t.c, t.d * cols + t.e * rows + t.f], axis=1)
