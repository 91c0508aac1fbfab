"""A raster that is written row by row, survives a kill, and then becomes a cloud-optimized one."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import Resampling

from sarwater.errors import OutputError, RasterError
from sarwater.files import output_errors
from sarwater.raster.geotiff import describe, not_whole, profile_of
from sarwater.raster.opening import opened, writing
from sarwater.types import AnyArray, Grid

_ROOM = 1 << 20
"""Bytes of a file beside its pixels."""

_STRIP = 64
"""Rows of a TIFF strip of the uncompressed file. They follow one another like rows in strips of
one, and GDAL makes overviews from them three times as fast."""

BLOCK = 512
"""Side in pixels of the blocks of cloud-optimized files."""


@dataclass(frozen=True)
class Layer:
    """What a raster of one band says of itself."""

    name: str
    """Of the band."""
    dtype: str
    """``uint8`` or ``float32``."""
    nodata: float
    resampling: str
    """How overviews are made: ``nearest`` or ``average``."""
    scale: float = 1.0
    """What a stored value is to be multiplied with."""
    colors: Mapping[int, tuple[int, int, int, int]] = field(default_factory=dict)
    """Colour table, RGBA by value."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Metadata items."""


class RowRaster:
    """An uncompressed GeoTIFF whose rows are written and read in place.

    Writing a row changes nothing but the bytes of that row, so that the file is whole at any
    moment: a process may be killed, and another one goes on.
    """

    def __init__(self, path: Path) -> None:
        """Open a file that ``create_rows`` made.

        Raises:
            RasterError: it is damaged, or no such file.
            OutputError: it cannot be written.
        """
        self.path = path
        with opened(path) as dataset:
            self.shape = (dataset.height, dataset.width)
            self.dtype = np.dtype(dataset.dtypes[0])
            offset = dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1)
        size = self.dtype.itemsize * self.shape[0] * self.shape[1]
        if offset is None or path.stat().st_size < int(offset) + size:
            raise OutputError(f"cannot write {path}: it is not whole; remove it, and begin again")
        self._offset = int(offset)
        with output_errors(path):
            self._file = path.open("r+b", buffering=0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def write(self, row: int, values: AnyArray) -> None:
        """Write whole rows [row, col] from ``row`` on.

        Raises:
            OutputError: the disk refuses.
        """
        held = memoryview(values.astype(self.dtype, copy=False).tobytes())
        with output_errors(self.path):
            self._file.seek(self._place(row))
            while held:
                held = held[self._file.write(held) :]

    def read(self, row: int, rows: int) -> AnyArray:
        """Return ``rows`` rows [row, col] from ``row`` on."""
        size = self._place(row + rows) - self._place(row)
        self._file.seek(self._place(row))
        held = self._file.read(size)
        return np.frombuffer(held, self.dtype).reshape(rows, self.shape[1])

    def sync(self) -> None:
        """Return when all that was written is on the disk.

        Raises:
            OutputError: the disk refuses.
        """
        with output_errors(self.path):
            os.fsync(self._file.fileno())

    def _place(self, row: int) -> int:
        return self._offset + int(row * self.shape[1] * self.dtype.itemsize)


def create_rows(path: Path, grid: Grid, layer: Layer) -> None:
    """Make an uncompressed GeoTIFF of no data, for ``RowRaster``.

    Raises:
        OutputError: there is no room for it, or its place cannot be written.
    """
    profile = profile_of(path, grid, 1, layer.dtype, layer.nodata)
    size = np.dtype(layer.dtype).itemsize * grid.height * grid.width
    _require_room(path, size + _ROOM)
    profile |= {"tiled": False, "blockysize": min(_STRIP, grid.height)}
    with writing(path), rasterio.open(path, "w", **profile) as dataset:
        describe(dataset, (layer.name,), layer.tags, layer.colors)
        if layer.scale != 1:
            dataset.scales = (layer.scale,)


def _require_room(path: Path, size: int) -> None:
    """Take the room on the disk first: GDAL closes a file on a full disk without a word."""
    with output_errors(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(handle, 0, size)
        finally:
            os.close(handle)


@contextmanager
def opened_rows(path: Path) -> Iterator[RowRaster]:
    """Open a file of ``create_rows``, and close it."""
    raster = RowRaster(path)
    try:
        yield raster
    finally:
        raster.close()


def write_cog(rows: Path, path: Path, layer: Layer) -> None:
    """Write a cloud-optimized GeoTIFF: blocks of 512 px, deflate, overviews down to one block.

    Georeference, names, colours, tags and scale are those of the source. Equal sources give equal
    bytes.

    Args:
        rows: the source, of ``create_rows``.
        path: where to write; replaced if it is there.
        layer: of the source.

    Raises:
        OutputError: writing failed; the disk is full.
    """
    with writing(path):
        _build_overviews(rows, layer)
        rasterio.shutil.copy(
            rows,
            path,
            driver="COG",
            BLOCKSIZE=str(BLOCK),
            COMPRESS="DEFLATE",
            LEVEL="1",
            PREDICTOR="YES" if layer.resampling == "average" else "NO",  # not of classes
            OVERVIEWS="AUTO",
            NUM_THREADS="ALL_CPUS",
            BIGTIFF="IF_SAFER",
            STATISTICS="NO",
        )
    _check_whole(path)


def _build_overviews(rows: Path, layer: Layer) -> None:
    """Lay overviews beside the source, uncompressed: twice as fast as the driver's own way."""
    with (
        rasterio.Env(TIFF_USE_OVR=True, GDAL_NUM_THREADS="ALL_CPUS"),
        rasterio.open(rows, "r+") as dataset,
    ):
        longest, factors = max(dataset.shape), [2]
        while longest > BLOCK * factors[-1]:
            factors.append(factors[-1] * 2)
        if longest > BLOCK:
            dataset.build_overviews(factors, Resampling[layer.resampling])


def _check_whole(path: Path) -> None:
    """Compare where blocks lie with where the file ends; to read them all would take long."""
    try:
        is_whole = _last_byte(path) <= path.stat().st_size
    except RasterError:
        is_whole = False
    if not is_whole:
        raise not_whole(path)


def _last_byte(path: Path) -> int:
    """Return where the last block of a file ends, overviews included."""
    last = 0
    with opened(path) as dataset:
        levels = len(dataset.overviews(1))
    for level in range(-1, levels):
        options = {} if level < 0 else {"overview_level": level}
        with opened(path, **options) as dataset:
            for (row, col), _ in dataset.block_windows(1):
                start, length = (
                    int(dataset.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=1) or 0)
                    for what in ("OFFSET", "SIZE")
                )
                last = max(last, start + length)
    return last
