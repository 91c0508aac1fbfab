"""Writing GeoTIFFs, whole or in windows; a file appears when it is complete."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from sarwater.errors import RasterError
from sarwater.files import atomic_path
from sarwater.raster.geotiff import describe, not_whole, profile_of
from sarwater.raster.opening import opened, reading, writing
from sarwater.types import AnyArray, BoolArray, Grid

_ROOM = 65536
"""Bytes that must fit on the disk before a file is begun."""


class RasterWriter:
    """Writes a tiled, compressed GeoTIFF by windows; made by ``open_writer``."""

    def __init__(self, dataset: Any, path: Path) -> None:
        """Wrap an open rasterio dataset whose final name is ``path``."""
        self._dataset = dataset
        self._path = path

    def write(self, array: AnyArray, row: int = 0) -> None:
        """Write whole rows, ``array`` [row, col] or [band, row, col], from ``row`` on.

        Raises:
            RasterError: the values cannot be held by the file's type.
            OutputError: the disk is full.
        """
        bands = array[None] if array.ndim == 2 else array
        dtype = np.dtype(self._dataset.dtypes[0])
        if not np.can_cast(bands.dtype, dtype, "same_kind"):
            raise RasterError(
                f"{self._path} holds {dtype} but was given {bands.dtype}: values would be lost"
            )
        window = Window(0, row, bands.shape[2], bands.shape[1])
        with writing(self._path):
            self._dataset.write(bands.astype(dtype), window=window)

    def write_valid(self, valid: BoolArray) -> None:
        """Write the mask of all pixels: those that are not valid are no data to every reader."""
        with writing(self._path), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            self._dataset.write_mask(valid)


@contextmanager
def open_writer(
    path: str | Path,
    grid: Grid,
    *,
    dtype: str,
    bands: Sequence[str],
    nodata: float | None = None,
    colors: Mapping[int, tuple[int, int, int, int]] | None = None,
    tags: Mapping[str, str] | None = None,
    overwrite: bool = False,
) -> Iterator[RasterWriter]:
    """Open a GeoTIFF for writing; it appears under ``path`` when the block succeeds.

    Args:
        path: where to write.
        grid: size and georeference.
        dtype: ``uint8``, ``float32``, ...
        bands: a name for each band.
        nodata: value that means no data.
        colors: colour table of the first band, RGBA by value (uint8 only).
        tags: metadata items.
        overwrite: replace what is there.

    Raises:
        OutputExistsError: the file exists and ``overwrite`` is false.
        OutputError: writing failed; nothing is left under ``path``.
    """
    path = Path(path)
    profile = profile_of(path, grid, len(bands), dtype, nodata) | {
        "compress": "deflate",
        "predictor": 3 if np.dtype(dtype).kind == "f" else 2,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
    }
    with atomic_path(path, overwrite=overwrite) as aside:
        aside.write_bytes(bytes(_ROOM))  # GDAL crashes where it cannot even write a header
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            writing(path),
            rasterio.open(aside, "w", **profile) as dataset,
        ):
            describe(dataset, bands, tags, colors)
            yield RasterWriter(dataset, path)
        _check_whole(aside, path)


def _check_whole(aside: Path, path: Path) -> None:
    """Read all blocks once more: where those of a mask lie is not to be had from GDAL."""
    try:
        with opened(aside) as dataset, reading(aside):
            masked = MaskFlags.per_dataset in dataset.mask_flag_enums[0]
            for (row, col), window in dataset.block_windows(1):
                dataset.read(window=window)
                if masked:
                    dataset.dataset_mask(window=window)
                offset = f"BLOCK_OFFSET_{col}_{row}"
                if not all(dataset.get_tag_item(offset, "TIFF", bidx=b) for b in dataset.indexes):
                    raise RasterError(f"block {row}, {col} is missing")
    except RasterError as error:
        raise not_whole(path) from error


def write_raster(
    path: str | Path,
    array: AnyArray,
    grid: Grid,
    *,
    bands: Sequence[str],
    valid: BoolArray | None = None,
    **options: Any,
) -> None:
    """Write a whole array [row, col] or [band, row, col]; options are those of ``open_writer``."""
    with open_writer(path, grid, dtype=str(array.dtype), bands=bands, **options) as writer:
        writer.write(array)
        if valid is not None:
            writer.write_valid(valid)
