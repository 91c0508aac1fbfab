"""The only module that opens rasters: chips and scenes in, GeoTIFF out.

No data in all its kinds (NaN, infinity, a declared value, a dataset mask, the borders of 8-bit
products) becomes ``valid`` here, once; behind this module there is no NaN.
"""

import math
import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.warp import transform_bounds
from rasterio.windows import Window
from scipy import ndimage

from sarwater.datasets.manifest import ChipRecord, LabelCodes
from sarwater.errors import DataError, RasterError, nearest
from sarwater.files import atomic_path
from sarwater.types import IGNORE, AnyArray, BoolArray, ByteArray, Chip, FloatArray, Grid, Units
from sarwater.units import guess_units

# GDAL's fast way through a PNG takes a truncated file for a whole one.
os.environ.setdefault("GDAL_PNG_WHOLE_IMAGE_OPTIM", "NO")

_SAMPLE = 512
"""Side in pixels of the decimated image from which units are guessed."""


@dataclass(frozen=True)
class Header:
    """What a raster says of itself, without its pixels."""

    path: Path
    count: int
    dtype: str
    descriptions: tuple[str, ...]
    """Band names; empty strings where the file has none."""
    grid: Grid
    declares_nodata: bool
    """Whether a nodata value, an alpha band or a mask is declared."""

    @property
    def bounds(self) -> tuple[float, float, float, float] | None:
        """West, south, east, north in degrees (EPSG:4326), or None without a CRS."""
        return lonlat_bounds(self.grid)


class Scene:
    """An image of any size, read by windows; several files of one grid make one image.

    Use as a context manager::

        with Scene(["scene_vv.tif", "scene_vh.tif"], bands=("VV", "VH")) as scene:
            image, valid = scene.read(0, 0, 512, 512)
    """

    def __init__(
        self,
        files: Sequence[str | Path],
        *,
        bands: Sequence[str] = (),
        units: Units | None = None,
        nodata: str = "auto",
    ) -> None:
        """Open the files and check that they fit each other.

        Args:
            files: rasters of equal size and georeference, whose bands follow one another.
            bands: a name for each band; by default the files' band descriptions.
            units: what the values measure; guessed from the values by default.
            nodata: rule of the manifest's column of that name.

        Raises:
            RasterError: a file cannot be read.
            DataError: the files differ in size, CRS or place, or band names do not fit.
        """
        self.files = tuple(Path(file) for file in files)
        self.nodata = nodata
        self._stack = ExitStack()
        try:
            self._sets = [self._stack.enter_context(_opened(file)) for file in self.files]
            headers = [_header(file, ds) for file, ds in zip(self.files, self._sets, strict=True)]
            for other in headers[1:]:
                check_same_grid(headers[0].grid, other.grid, headers[0].path, other.path)
            self.grid = headers[0].grid
            self.dtype = headers[0].dtype
            self._channels = _channels(headers, bands)
            self.bands = tuple(bands) or _described_bands(headers)
            self.declares_nodata = any(header.declares_nodata for header in headers)
            self._border: BoolArray | None = None
            self.units = units or self._guess_units()
            if self._follows_border_rule():
                self._border = self._border_valid()
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> "Scene":
        """Return the scene itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the files."""
        self.close()

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    @property
    def name(self) -> str:
        """Stem of the (first) file, a polarisation at its end left out."""
        stem = self.files[0].stem
        band = self.bands[0] if len(self.files) > 1 else ""
        return (
            stem[: -len(band) - 1] if band and stem.lower().endswith("_" + band.lower()) else stem
        )

    def band_indices(self, wanted: Sequence[str]) -> list[int]:
        """Return where the wanted bands lie, matched by name (in any case of letters).

        Raises:
            DataError: a band is missing.
        """
        there = [band.lower() for band in self.bands]
        for band in wanted:
            if band.lower() not in there:
                raise DataError(
                    f"{self.files[0]} has no band '{band}'{nearest(band, list(self.bands))}: "
                    f"found {', '.join(self.bands)}; name the files or their bands in order"
                )
        return [there.index(band.lower()) for band in wanted]

    def read(
        self,
        row: int,
        col: int,
        height: int,
        width: int,
        *,
        bands: Sequence[int] | None = None,
        out_shape: tuple[int, int] | None = None,
    ) -> tuple[FloatArray, BoolArray]:
        """Read a window that lies within the scene.

        Args:
            row: first row.
            col: first column.
            height: rows.
            width: columns.
            bands: indices of the bands to read, in that order; all by default.
            out_shape: read decimated to this many rows and columns (nearest pixel).

        Returns:
            ``image`` float32 [band, row, col], finite, 0 where not valid, and ``valid`` bool
            [row, col].

        Raises:
            RasterError: the file is truncated or unreadable there.
        """
        window = Window(col, row, width, height)
        shape = out_shape or (height, width)
        chosen = range(len(self._channels)) if bands is None else bands
        image = np.empty((len(chosen), *shape), np.float32)
        valid = np.ones(shape, np.bool_)
        for position, band in enumerate(chosen):
            values, usable = self._read_band(band, window, shape)
            image[position] = values
            valid &= usable
        if self._border is not None:
            rows = row + np.arange(shape[0]) * height // shape[0]
            cols = col + np.arange(shape[1]) * width // shape[1]
            valid &= self._border[np.ix_(rows, cols)]
        image[:, ~valid] = 0
        return image, valid

    def _read_band(
        self, band: int, window: Window, shape: tuple[int, int]
    ) -> tuple[AnyArray, BoolArray]:
        dataset, channels = self._channels_of(band)
        path = Path(dataset.name)
        with _reading(path):
            values = dataset.read(channels[0], window=window, out_shape=shape)
            declared = dataset.read_masks(channels[0], window=window, out_shape=shape)
            for extra in channels[1:]:
                if not np.array_equal(values, dataset.read(extra, window=window, out_shape=shape)):
                    raise DataError(
                        f"{path} has {len(channels)} channels that differ, but one band was "
                        "named for it; name all of its bands"
                    )
        valid: BoolArray = declared > 0
        if values.dtype.kind in "fc":
            valid &= np.isfinite(values)
        if _is_number(self.nodata) and not math.isnan(float(self.nodata)):
            valid &= values != float(self.nodata)
        return np.where(valid, values, 0).astype(np.float32), valid

    def _channels_of(self, band: int) -> tuple[Any, tuple[int, ...]]:
        file, channels = self._channels[band]
        return self._sets[file], channels

    def _guess_units(self) -> Units:
        shape = (min(self.grid.height, _SAMPLE), min(self.grid.width, _SAMPLE))
        image, valid = self.read(0, 0, self.grid.height, self.grid.width, out_shape=shape)
        return guess_units(image[:, valid], self.dtype)

    def _follows_border_rule(self) -> bool:
        if self.nodata == "border":
            return True
        is_byte = self.units == Units.BYTE and self.dtype == "uint8"
        return self.nodata == "auto" and is_byte and not self.declares_nodata

    def _border_valid(self) -> BoolArray:
        image, _ = self.read(0, 0, self.grid.height, self.grid.width)
        return border_valid(image)


def border_valid(image: AnyArray) -> BoolArray:
    """Find the borders of an 8-bit product: what is valid is True.

    255 in all bands is no data; so is 0 in all bands where such pixels are connected (by edges)
    to it. Any other zero is the darkest valid water, and 255 in some bands only a bright target.

    Args:
        image: [band, row, col], values 0 ... 255.

    >>> import numpy as np
    >>> row = np.array([[255, 0, 0, 7, 0]])
    >>> border_valid(np.stack([row, row])).tolist()
    [[False, False, False, True, True]]
    """
    bright = (image == 255).all(axis=0)
    candidates = bright | (image == 0).all(axis=0)
    if not bright.any():
        return np.ones(bright.shape, np.bool_)
    labels, count = ndimage.label(candidates)
    outside = np.zeros(count + 1, np.bool_)
    outside[labels[bright]] = True
    return np.asarray(~outside[labels])


def read_header(path: str | Path) -> Header:
    """Read what a raster says of itself.

    Raises:
        RasterError: it cannot be opened.
    """
    with _opened(Path(path)) as dataset:
        return _header(Path(path), dataset)


def read_chip(record: ChipRecord, *, with_target: bool = True) -> Chip:
    """Read one chip of a manifest.

    Args:
        record: the manifest's row.
        with_target: read the labels, if there are any; label files are not opened otherwise.

    Raises:
        RasterError: a file cannot be read.
        DataError: image and labels do not fit, or a label value is in no table of codes.
    """
    with Scene(
        record.images, bands=record.bands, units=record.units, nodata=record.nodata
    ) as scene:
        grid = scene.grid
        image, valid = scene.read(0, 0, grid.height, grid.width)
    target = None
    if with_target and record.labels:
        target = read_target(record, grid)
    return Chip(record.id, record.domain, record.bands, record.units, image, valid, target, grid)


def read_target(record: ChipRecord, grid: Grid | None = None) -> ByteArray:
    """Read a chip's labels as class indices, later files over earlier ones.

    Raises:
        RasterError: a file cannot be read.
        DataError: a label's grid is not the image's, or a value is in no table of codes.
    """
    target: ByteArray | None = None
    for path, codes in zip(record.labels, record.codes, strict=True):
        values, nodata, label_grid = _read_label(path)
        if grid is not None:
            check_same_grid(grid, label_grid, record.images[0], path)
        if target is None:
            target = np.full(values.shape, IGNORE, np.uint8)
        _decode(values, codes, nodata, record.classes, target, path)
    if target is None:
        raise DataError(f"chip '{record.id}' has no label files")
    return target


def label_values(path: str | Path) -> dict[int, int]:
    """Count the values of a label file (its declared no-data value left out)."""
    values, nodata, _ = _read_label(Path(path))
    found, counts = np.unique(values, return_counts=True)
    return {int(v): int(n) for v, n in zip(found, counts, strict=True) if v != nodata}


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
            f"{what}its CRS is {_short(other.crs)} instead of {_short(one.crs)}; reproject it"
        )
    shift = ~one.transform @ other.transform
    corners = [(0, 0), (one.width, one.height)]
    moved = max(
        abs(a - b) for corner in corners for a, b in zip(shift @ corner, corner, strict=True)
    )
    if moved > 0.1:
        raise DataError(f"{what}it lies {moved:.1f} px away; resample it to the same grid")


def lonlat_bounds(grid: Grid) -> tuple[float, float, float, float] | None:
    """Return west, south, east, north in degrees (EPSG:4326), or None without a CRS."""
    if grid.crs is None:
        return None
    xs, ys = zip(
        *(grid.transform @ corner for corner in _corners(grid)),
        strict=True,
    )
    west, south, east, north = transform_bounds(
        grid.crs, "EPSG:4326", min(xs), min(ys), max(xs), max(ys)
    )
    return (west, south, east, north)


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
        return float(area * metres**2 * math.cos(math.radians(latitude)))
    _, factor = crs.linear_units_factor
    return float(area * factor**2)


class RasterWriter:
    """Writes a tiled, compressed GeoTIFF by windows; made by ``open_writer``."""

    def __init__(self, dataset: Any, path: Path) -> None:
        """Wrap an open rasterio dataset whose final name is ``path``."""
        self._dataset = dataset
        self._path = path

    def write(self, array: AnyArray, row: int = 0, col: int = 0) -> None:
        """Write ``array`` [row, col] or [band, row, col] with its upper left pixel at (row, col).

        Raises:
            RasterError: the values cannot be held by the file's type, or the disk is full.
        """
        bands = array[None] if array.ndim == 2 else array
        dtype = np.dtype(self._dataset.dtypes[0])
        if not np.can_cast(bands.dtype, dtype, "same_kind"):
            raise RasterError(
                f"{self._path} holds {dtype} but was given {bands.dtype}: values would be lost"
            )
        window = Window(col, row, bands.shape[2], bands.shape[1])
        with _reading(self._path):
            self._dataset.write(bands.astype(dtype), window=window)

    def write_valid(self, valid: BoolArray, row: int = 0, col: int = 0) -> None:
        """Write the dataset mask: pixels that are not valid are no data to every reader."""
        window = Window(col, row, valid.shape[1], valid.shape[0])
        with _reading(self._path), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            self._dataset.write_mask(valid, window=window)


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
        RasterError: writing failed; nothing is left under ``path``.
    """
    path = Path(path)
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": grid.height,
        "width": grid.width,
        "count": len(bands),
        "dtype": dtype,
        "nodata": nodata,
        "compress": "deflate",
        "predictor": 3 if np.dtype(dtype).kind == "f" else 2,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
        "bigtiff": "if_safer",
    }
    if grid.crs is not None:
        profile |= {"crs": grid.crs, "transform": grid.transform}
    with (
        atomic_path(path, overwrite=overwrite) as aside,
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        _reading(path),
        rasterio.open(aside, "w", **profile) as dataset,
    ):
        dataset.descriptions = tuple(bands)
        dataset.update_tags(**dict(tags or {}))
        if colors:
            dataset.write_colormap(1, dict(colors))
        yield RasterWriter(dataset, path)


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


class _Quiet:
    """Silences rasterio's word on missing georeference; the filters of Python are shared by all
    threads, so the first that enters sets them and the last that leaves puts them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
            self._inside += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._saved.__exit__(None, None, None)


_quiet = _Quiet()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    with _quiet:
        try:
            yield
        except RasterioError as error:
            cause = error.__cause__ or error
            raise RasterError(
                f"cannot read or write {path}: {cause}; the file may be truncated, or not a raster"
            ) from error


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.exists():
        raise RasterError(f"cannot read {path}: there is no such file")
    with _reading(path):
        dataset = rasterio.open(path)
    with dataset:
        yield dataset


def _header(path: Path, dataset: Any) -> Header:
    has_place = dataset.crs is not None
    grid = Grid(
        dataset.height,
        dataset.width,
        dataset.transform if has_place else Affine.identity(),
        dataset.crs.to_wkt() if has_place else None,
    )
    flags = dataset.mask_flag_enums
    declares = any(flag != [rasterio.enums.MaskFlags.all_valid] for flag in flags)
    return Header(
        path,
        dataset.count,
        dataset.dtypes[0],
        tuple(name or "" for name in dataset.descriptions),
        grid,
        declares,
    )


def _channels(headers: Sequence[Header], bands: Sequence[str]) -> list[tuple[int, tuple[int, ...]]]:
    """Pair each band with its file and channels (several where they must be equal)."""
    total = sum(header.count for header in headers)
    if not bands or total == len(bands):
        return [(i, (c + 1,)) for i, header in enumerate(headers) for c in range(header.count)]
    if len(headers) == len(bands):
        # A grey picture stored as RGB(A): equal channels, checked when they are read.
        return [(i, tuple(range(1, min(h.count, 3) + 1))) for i, h in enumerate(headers)]
    files = ", ".join(f"{header.path} ({header.count})" for header in headers)
    raise DataError(
        f"{len(bands)} bands are named ({', '.join(bands)}) but the files have {total}: {files}; "
        "name every band in order"
    )


def _described_bands(headers: Sequence[Header]) -> tuple[str, ...]:
    names = [name for header in headers for name in header.descriptions]
    if all(names):
        return tuple(names)
    if len(headers) == len(names):
        suffixes = [header.path.stem.rpartition("_")[2] for header in headers]
        return tuple(suffixes)
    return tuple(name or f"band{i}" for i, name in enumerate(names, 1))


def _read_label(path: Path) -> tuple[AnyArray, float | None, Grid]:
    with _opened(path) as dataset, _reading(path):
        values = dataset.read(1)
        for channel in range(2, min(dataset.count, 3) + 1):
            if not np.array_equal(values, dataset.read(channel)):
                raise DataError(
                    f"{path} has {dataset.count} channels that differ; a label file has one "
                    "channel of whole numbers"
                )
        header = _header(path, dataset)
        nodata = dataset.nodata
    if values.dtype.kind == "f":
        missing = ~np.isfinite(values)
        rounded = np.where(missing, 0, values).round()
        if not np.array_equal(np.where(missing, 0, values), rounded):
            raise DataError(f"{path} holds fractions; a label file holds whole numbers")
        if nodata is None or math.isnan(nodata):
            nodata = np.iinfo(np.int32).min
        values = np.where(missing, nodata, rounded).astype(np.int64)
    return values, nodata, header.grid


def _decode(
    values: AnyArray,
    codes: LabelCodes,
    nodata: float | None,
    classes: Sequence[str],
    target: ByteArray,
    path: Path,
) -> None:
    meanings = {name: index for index, name in enumerate(classes)} | {"ignore": IGNORE}
    unknown: dict[int, int] = {}
    for value, count in zip(*np.unique(values, return_counts=True), strict=True):
        meaning = codes.table.get(int(value))
        if meaning is None:
            meaning = "ignore" if nodata is not None and value == nodata else codes.other
        if meaning is None:
            unknown[int(value)] = int(count)
        elif meaning != "keep":
            target[values == value] = meanings[meaning]
    if unknown:
        listed = ", ".join(f"{value} ({count} px)" for value, count in unknown.items())
        raise DataError(
            f"{path} has label values that nobody declared: {listed}; the table of codes is "
            f"'{codes}': correct the file, or add them to the manifest's column codes"
        )


def _corners(grid: Grid) -> list[tuple[int, int]]:
    return [(0, 0), (grid.width, 0), (0, grid.height), (grid.width, grid.height)]


def _short(crs: str) -> str:
    parsed = rasterio.crs.CRS.from_user_input(crs)
    code = parsed.to_epsg()
    return f"EPSG:{code}" if code else parsed.to_wkt()[:60]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
