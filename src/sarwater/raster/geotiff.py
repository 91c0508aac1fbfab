"""What all GeoTIFFs that are written have in common."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sarwater.errors import OutputError
from sarwater.types import Grid

_LONGEST = 2**31 - 1
"""Pixels of a side."""


def profile_of(path: Path, grid: Grid, bands: int, dtype: str, nodata: float | None) -> Any:
    """Return the options of rasterio for a new file, to which those of its layout are added.

    Args:
        path: of the file, for the message.
        grid: size and georeference.
        bands: how many.
        dtype: of all of them.
        nodata: value that means no data.

    Raises:
        OutputError: no GeoTIFF holds so many rows or columns.
    """
    if max(grid.height, grid.width) > _LONGEST:
        raise OutputError(
            f"cannot write {path}: {grid.height} x {grid.width} px (rows x columns) is more than a "
            "GeoTIFF holds; take a part of it"
        )
    place = {} if grid.crs is None else {"crs": grid.crs, "transform": grid.transform}
    return {
        "driver": "GTiff",
        "height": grid.height,
        "width": grid.width,
        "count": bands,
        "dtype": dtype,
        "nodata": nodata,
        "bigtiff": "if_safer",
        **place,
    }


def describe(
    dataset: Any,
    bands: Sequence[str],
    tags: Mapping[str, str] | None,
    colors: Mapping[int, tuple[int, int, int, int]] | None,
) -> None:
    """Write names of bands, metadata items and the colour table of the first band."""
    dataset.descriptions = tuple(bands)
    dataset.update_tags(**dict(tags or {}))
    if colors:
        dataset.write_colormap(1, dict(colors))


def not_whole(path: Path) -> OutputError:
    """Return the error of a file that GDAL closed on a full disk without a word."""
    return OutputError(
        f"cannot write {path}: what arrived on the disk is not whole; is there room on it? Make "
        "some, or name another place"
    )
