"""Polygons of a map in the pixels of its picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from sarwater.errors import DataError
from sarwater.mapping.options import FORMATS
from sarwater.quiet import quiet
from sarwater.raster import read_header

LARGEST = 2000
"""Polygons that are drawn, at most: the largest."""
_TOLERANCE = 0.4
"""Pixels of the picture by which an outline may move when its vertices are thinned out."""


def read_polygons(
    folder: Path, name: str, outputs: Sequence[str], step: int
) -> dict[str, Any] | None:
    """Read the polygons of a scene's map, where there are any.

    Args:
        folder: of the map.
        name: of the scene.
        outputs: names of the map's files.
        step: pixels of the scene to one of its picture.

    Returns:
        ``count`` of all, and ``shown``, the largest first: ``class``, ``area_m2`` (None without a
        CRS), ``pixels``, ``box`` (left, top, right, bottom) and ``path`` (of SVG), in pixels of
        the picture. None where the map has no polygons.

    Raises:
        DataError: the file cannot be read.
    """
    paths = [folder / one for one in outputs if Path(one).suffix[1:] in FORMATS]
    path = next((one for one in paths if one.is_file()), None)
    if path is None:
        return None
    frame = _read(path)
    away = ~read_header(folder / f"{name}_water.tif").grid.transform
    a, b, c, d, e, f = (value / step for value in away[:6])
    frame = frame.sort_values("pixels", ascending=False, kind="stable")
    shown = frame.iloc[:LARGEST]
    outlines = shapely.transform(
        np.array(shown.geometry),
        lambda at: np.stack(
            [a * at[:, 0] + b * at[:, 1] + c, d * at[:, 0] + e * at[:, 1] + f], axis=1
        ),
    )
    outlines = shapely.simplify(outlines, _TOLERANCE)
    has_area = "area_m2" in frame and frame["area_m2"].notna().any()
    return {
        "count": len(frame),
        "shown": [
            {
                "class": str(row["class"]),
                "area_m2": float(row["area_m2"]) if has_area else None,
                "pixels": int(row["pixels"]),
                "box": [round(float(value), 1) for value in outline.bounds],
                "path": svg_path(outline),
            }
            for (_, row), outline in zip(shown.iterrows(), outlines, strict=True)
        ],
    }


def svg_path(outline: Any) -> str:
    """Set a polygon or several as the path of an SVG, one decimal.

    >>> svg_path(shapely.box(0, 0, 2, 1.25))
    'M2 0L2 1.2L0 1.2L0 0Z'
    """
    parts = []
    for polygon in shapely.get_parts(outline):
        if polygon.geom_type != "Polygon":
            continue
        for ring in (polygon.exterior, *polygon.interiors):
            points = [f"{x:.1f} {y:.1f}".replace(".0", "") for x, y in ring.coords[:-1]]
            parts.append("M" + "L".join(points) + "Z")
    return "".join(parts)


def _read(path: Path) -> Any:
    import geopandas
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        with quiet(".*crs.*"):
            if path.suffix == ".parquet":
                return geopandas.read_parquet(path)
            return geopandas.read_file(path, engine="pyogrio")
    except (OSError, ValueError, DataSourceError, DataLayerError) as error:
        raise DataError(f"{path} cannot be read as polygons ({error}); map anew") from error
