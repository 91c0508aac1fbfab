"""Opening rasters: one kind of error for all that can go wrong, and what a header says."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from sarwater.errors import OutputError, RasterError
from sarwater.quiet import quiet
from sarwater.raster.places import grid_of
from sarwater.types import Grid

# GDAL's fast way through a PNG takes a truncated file for a whole one.
os.environ.setdefault("GDAL_PNG_WHOLE_IMAGE_OPTIM", "NO")


@dataclass(frozen=True)
class Header:
    """What a raster says of itself, without its pixels."""

    path: Path
    count: int
    """Channels, an alpha band at their end left out."""
    dtype: str
    """Of the values; float32 where a scale or an offset makes them of what is stored."""
    descriptions: tuple[str, ...]
    """Names of those channels; empty strings where the file has none."""
    grid: Grid
    declares_nodata: bool
    """Whether a value for no data, a mask or an alpha band is declared."""
    has_alpha: bool = False
    """Whether one more channel follows, which is 0 where the others have no data."""
    misplaced: str = ""
    """Why the place that the file declares is not followed, and ``grid`` has no CRS."""


def read_header(path: str | Path) -> Header:
    """Read what a raster says of itself.

    Raises:
        RasterError: it cannot be opened.
    """
    with opened(Path(path)) as dataset:
        return header_of(Path(path), dataset)


def is_scaled(dataset: Any) -> bool:
    """Tell whether an open dataset stores other numbers than it means."""
    return any(scale != 1 for scale in dataset.scales) or any(dataset.offsets)


def header_of(path: Path, dataset: Any) -> Header:
    """Return the header of an open rasterio dataset.

    Raises:
        RasterError: it has no band, or its values are complex.
    """
    if not dataset.count:
        within = ", ".join(dataset.subdatasets[:5]) or "nothing"
        raise RasterError(
            f"{path} has no band of its own; it holds {within}: save what is to be read as GeoTIFF"
        )
    grid, fault = grid_of(dataset)
    if dataset.dtypes[0].startswith("complex"):
        raise RasterError(
            f"{path} holds complex numbers; compute amplitude, power or dB first, and multilook"
        )
    flags = [flag for flag in dataset.mask_flag_enums if MaskFlags.alpha not in flag]
    declares = any(flag != [MaskFlags.all_valid] for flag in flags)
    has_alpha = _has_alpha(dataset)
    count = dataset.count - has_alpha
    return Header(
        path,
        count,
        "float32" if is_scaled(dataset) else dataset.dtypes[0],
        tuple(name or "" for name in dataset.descriptions[:count]),
        grid,
        declares or has_alpha,
        has_alpha,
        fault,
    )


def _has_alpha(dataset: Any) -> bool:
    """Tell whether the last channel is no band: GDAL calls the fourth of four bytes so too."""
    is_alpha = dataset.colorinterp[-1] == ColorInterp.alpha
    return bool(is_alpha and dataset.count > 1 and not dataset.descriptions[-1])


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what rasterio raises into a ``RasterError`` that names the file."""
    with quiet(category=NotGeoreferencedWarning):
        try:
            yield
        except (RasterioError, CPLE_BaseError) as error:
            cause = error.__cause__ or error
            raise RasterError(
                f"cannot read {path}: {cause}; the file may be truncated, or not a raster"
            ) from error
        except UnicodeEncodeError as error:
            raise RasterError(
                f"cannot read {str(path)!a}: its name is not UTF-8; rename it"
            ) from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what rasterio raises into an ``OutputError`` that names the file."""
    with quiet(category=NotGeoreferencedWarning):
        try:
            yield
        except (RasterioError, CPLE_BaseError) as error:
            cause = error.__cause__ or error
            raise OutputError(
                f"cannot write {path}: {cause}; is there room on the disk? Make some, or name "
                "another place"
            ) from error
        except UnicodeEncodeError as error:
            raise OutputError(
                f"cannot write {str(path)!a}: its name is not UTF-8; name another place"
            ) from error


_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/|/vsi")
"""Begins what GDAL alone would find; a path makes one slash of two."""


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[Any]:
    """Open a raster for reading; options are those of its driver.

    Raises:
        RasterError: there is no such file, or it is no raster.
    """
    try:
        is_there = path.exists()
    except (OSError, ValueError) as error:  # the name is too long
        raise RasterError(f"cannot read {str(path)!a}: {error}") from error
    if not is_there and _REMOTE.match(str(path)):
        raise RasterError(
            f"cannot read {path}: files are read from the disks of this machine only; download it"
        )
    if not is_there:
        raise RasterError(
            f"cannot read {path}: there is no such file; name one that is there (where the files "
            "of a table have moved, index them anew)"
        )
    if path.is_dir():
        raise RasterError(f"cannot read {path}: it is a folder; name a raster file")
    if not os.access(path, os.R_OK):
        raise RasterError(f"cannot read {path}: permission denied; ask its owner for leave to read")
    with reading(path):
        dataset = rasterio.open(path, **options)
    with dataset:
        yield dataset


_LEAST_CACHE, _MOST_CACHE = 64 << 20, 512 << 20
"""Bytes. Not megabytes, as GDAL itself would take a small number to be: rasterio sets the number as
it is."""


@contextmanager
def block_cache(shared: int = 0) -> Iterator[None]:
    """Hold few blocks of rasters in memory, as long as they are read and written by rows.

    GDAL's own default is a twentieth of the machine's memory.

    Args:
        shared: bytes that pay, of ``Scene.shared_bytes``.
    """
    with rasterio.Env(GDAL_CACHEMAX=cache_size(shared)):
        yield


def cache_size(shared: int) -> int:
    """Return the bytes of a cache that holds what pays, within bounds."""
    return min(max(shared, _LEAST_CACHE), _MOST_CACHE)


def gdal_version() -> str:
    """Return the version of GDAL that reads and writes rasters."""
    return str(rasterio.__gdal_version__)


def gdal_drivers() -> set[str]:
    """Return the names of the raster formats that GDAL knows here."""
    with rasterio.Env() as env:
        return set(env.drivers())
