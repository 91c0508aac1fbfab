"""Outlines of numbered pixels."""

from typing import Any

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray


def outlines(labels: NDArray[np.int32], row: int = 0) -> dict[int, list[Any]]:
    """Return the polygons of each number but 0, in pixels (columns right, rows down).

    Pixels of one number are connected by edges, not by corners.

    Args:
        labels: numbers [row, col].
        row: of the first one.

    >>> found = outlines(np.array([[0, 3, 3]], np.int32), row=5)
    >>> found[3][0].bounds
    (1.0, 5.0, 3.0, 6.0)
    """
    found: dict[int, list[Any]] = {}
    shift = Affine.translation(0, row)
    for shape, label in rasterio.features.shapes(labels, mask=labels > 0, transform=shift):
        rings = shape["coordinates"]
        found.setdefault(int(label), []).append(shapely.Polygon(rings[0], rings[1:]))
    return found
