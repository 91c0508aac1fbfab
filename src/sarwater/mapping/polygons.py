"""Water as polygons: traced strip by strip, joined over the seams, measured on the ellipsoid."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError
from scipy import ndimage

from sarwater.errors import OutputError
from sarwater.files import output_errors
from sarwater.mapping.options import FORMATS, PolygonOptions
from sarwater.quiet import quiet
from sarwater.raster import outlines, pixel_area
from sarwater.types import ByteArray, Grid

_ROWS = 256
"""Rows that are traced at once."""

_METRES_A_DEGREE = 111_320.0

_GEOPACKAGE = {"layer": "water", "dataset_options": {"VERSION": "1.2"}}
"""Programs with a GDAL before 3.7 warn of files of version 1.4, which newer ones write."""

ReadClasses = Callable[[int, int], ByteArray]
"""(first row, number of rows) -> class indices [row, col]."""


@dataclass
class _Body:
    """A body of water that may go on in the next strip."""

    code: int
    """Class index."""
    pixels: int = 0
    parts: list[Any] = field(default_factory=list)
    """Polygons, in pixels."""


def trace(
    read: ReadClasses, height: int, codes: Sequence[int], min_pixels: int = 0
) -> Iterator[tuple[int, int, Any]]:
    """Trace bodies of water: pixels of a class that are connected by edges.

    A strip of the image is in memory at once, and the bodies that reach over its end.

    Args:
        read: gives class indices.
        height: rows.
        codes: classes that are water.
        min_pixels: smaller bodies are left out.

    Yields:
        Class index, number of pixels, and the polygon, a ``shapely.Polygon`` in pixels (columns to
        the right, rows downwards); a body when its last row was read.
    """
    above: dict[int, _Body] = {}
    upper: NDArray[np.int64] | None = None
    for row in range(0, height, _ROWS):
        rows = min(_ROWS, height - row)
        labels, code_of = _label(read(row, rows), codes)
        sizes = np.bincount(labels.ravel(), minlength=len(code_of))
        is_open = np.zeros(len(code_of), np.bool_)
        is_open[np.unique(labels[[0, -1]])] = True
        is_kept = (sizes >= min_pixels) | is_open
        labels = np.where(is_kept, np.arange(len(code_of), dtype=np.int32), np.int32(0))[labels]
        bodies = {
            label: _Body(int(code_of[label]), int(sizes[label]), parts)
            for label, parts in outlines(labels, row).items()
        }
        if upper is not None:
            _join(above, upper, bodies, labels[0])
        last = labels[-1].astype(np.int64)
        goes_on = set(np.unique(last).tolist()) - {0} if row + rows < height else set()
        # A body of several labels is the same object under each of them.
        kept = {id(bodies[label]) for label in goes_on}
        begun = {id(body): body for body in [*above.values(), *bodies.values()]}
        for key, body in begun.items():
            if key not in kept and body.pixels >= min_pixels:
                yield body.code, body.pixels, _whole(body.parts)
        above, upper = {label: bodies[label] for label in goes_on}, last


def _label(classes: ByteArray, codes: Sequence[int]) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Number the connected pixels of each class; return the class of each number too."""
    labels: NDArray[np.int32] = np.zeros(classes.shape, np.int32)
    code_of = [np.zeros(1, np.uint8)]
    total = 0
    for code in codes:
        found, count = ndimage.label(classes == code)
        labels += np.where(found > 0, found + total, 0).astype(np.int32)
        code_of.append(np.full(count, code, np.uint8))
        total += count
    return labels, np.concatenate(code_of)


def _join(
    above: dict[int, _Body],
    upper: NDArray[np.int64],
    bodies: dict[int, _Body],
    lower: NDArray[np.int32],
) -> None:
    """Join bodies of one class that touch over the seam; ``bodies`` holds the result."""
    touching = (upper > 0) & (lower > 0)
    for one, other in np.unique(np.stack([upper[touching], lower[touching]], 1), axis=0).tolist():
        first, second = above[one], bodies[other]
        if first is second or first.code != second.code:
            continue
        second.pixels += first.pixels
        second.parts += first.parts
        for held in (above, bodies):
            for label, body in held.items():
                if body is first:
                    held[label] = second


def _whole(parts: list[Any]) -> Any:
    """Join the parts of a body, without the vertices that the seams have left."""
    polygon = parts[0] if len(parts) == 1 else shapely.simplify(shapely.union_all(parts), 0)
    return polygon if polygon.is_valid else shapely.make_valid(polygon)


def water_polygons(
    read: ReadClasses, grid: Grid, classes: Sequence[str], options: PolygonOptions
) -> geopandas.GeoDataFrame:
    """Return the bodies of water of a map as polygons in its CRS.

    Args:
        read: gives the map's class indices.
        grid: of the map.
        classes: names; the first is the background.
        options: which, and how.

    Returns:
        Columns ``class`` (name), ``area_m2`` (on the WGS 84 ellipsoid, of the pixels and before
        simplification; None without a CRS), ``pixels`` and ``geometry``; the largest first.
    """
    pixel = _smallest_pixel(grid)
    bodies = list(
        trace(read, grid.height, range(1, len(classes)), int(options.min_area / pixel * 0.5))
    )
    placed = np.array([outline for *_, outline in bodies], dtype=object)
    if bodies:
        placed = shapely.transform(placed, lambda at: _placed(at, grid))
    areas = _geodesic_areas(placed, grid)
    pixels = np.array([count for _, count, _ in bodies], np.int64)
    measured = pixels if areas is None else areas
    order = [
        int(index)
        for index in np.lexsort((np.arange(len(bodies)), -measured))
        if measured[index] >= options.min_area
    ]
    thinned = shapely.simplify(placed[order], _tolerance(options.simplify, grid))
    return geopandas.GeoDataFrame(
        {
            "class": [classes[bodies[index][0]] for index in order],
            "area_m2": None if areas is None else areas[order],
            "pixels": pixels[order],
        },
        geometry=list(thinned),
        crs=grid.crs,
    )


def _placed(at: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    a, b, c, d, e, f = grid.transform[:6]
    col, row = at[:, 0], at[:, 1]
    return np.stack([a * col + b * row + c, d * col + e * row + f], axis=1)


def _smallest_pixel(grid: Grid) -> float:
    """Return the area of the smallest pixel, roughly: degrees shrink towards the poles."""
    rows = (0, grid.height // 2, grid.height - 1)
    areas = [pixel_area(grid.window(row, grid.width // 2, 1, 1)) for row in rows]
    return min((area for area in areas if area), default=1.0)


def _geodesic_areas(polygons: NDArray[Any], grid: Grid) -> NDArray[np.float64] | None:
    if grid.crs is None:
        return None
    to_degrees = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    geod = pyproj.Geod(ellps="WGS84")

    def area(polygon: Any) -> float:
        degrees = shapely.transform(
            polygon, lambda at: np.stack(to_degrees.transform(at[:, 0], at[:, 1]), axis=1)
        )
        return abs(float(geod.geometry_area_perimeter(shapely.orient_polygons(degrees))[0]))

    return np.array([area(polygon) for polygon in polygons], np.float64)


def _tolerance(metres: float, grid: Grid) -> float:
    if grid.crs is None:
        return metres
    crs = pyproj.CRS.from_user_input(grid.crs)
    if crs.is_geographic:
        return metres / _METRES_A_DEGREE
    return metres / crs.axis_info[0].unit_conversion_factor


def write_polygons(path: Path, frame: geopandas.GeoDataFrame) -> None:
    """Write polygons in the format of the file's suffix.

    Raises:
        OutputError: writing failed.
    """
    content = BytesIO()  # pyogrio takes names with ; or ! for something else
    # No CRS: that was said already, when the scene was opened.
    with output_errors(path), quiet("'crs' was not provided"):
        if path.suffix == ".parquet":
            frame.to_parquet(path)
            return
        try:
            frame.to_file(
                content,
                driver=FORMATS[path.suffix[1:]],
                engine="pyogrio",
                geometry_type="MultiPolygon",
                promote_to_multi=True,
                **(_GEOPACKAGE if path.suffix == ".gpkg" else {"layer": path.stem}),
            )
        except (DataSourceError, DataLayerError, FeatureError, GeometryError) as error:
            raise OutputError(
                f"cannot write {path}: {error}; is there room on the disk? Make some, or name "
                "another place"
            ) from error
        path.write_bytes(content.getbuffer())
