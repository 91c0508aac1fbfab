"""Images of any size, read by windows; no data in all its kinds becomes ``valid`` here."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import Interleaving
from rasterio.windows import Window

from sarwater.datasets.records import NODATA_RULES, check_nodata
from sarwater.errors import DataError, nearest
from sarwater.raster.bands import alphas_of, channels_of, described_bands
from sarwater.raster.borders import Borders, follows_borders
from sarwater.raster.grids import check_same_grid
from sarwater.raster.missing import take_declared, take_transparent
from sarwater.raster.opening import header_of, is_scaled, opened, reading
from sarwater.types import AnyArray, BoolArray, FloatArray, Units
from sarwater.units import guess_units

_SAMPLE = 1 << 21
"""Pixels from which units are guessed."""

_SIDE = 512
"""Side in pixels of the decimated image from which they are guessed where those are no data."""

_TILE = 512
"""Side in pixels of the windows that a scene is sampled by."""

_LINES = 32
"""Rows of those windows in a file that is not tiled."""


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
            DataError: the files differ in size, CRS or place, band names do not fit, or the rule
                for no data is none.
        """
        try:
            check_nodata(nodata)
        except ValueError as error:
            raise DataError(str(error)) from error
        missing = None if nodata in NODATA_RULES else float(nodata)
        self._missing = None if missing is None or math.isnan(missing) else missing
        self.files = tuple(Path(file) for file in files)
        self.nodata = nodata
        self._stack = ExitStack()
        try:
            self._sets = [self._stack.enter_context(opened(file)) for file in self.files]
            headers = [header_of(file, ds) for file, ds in zip(self.files, self._sets, strict=True)]
            for other in headers[1:]:
                check_same_grid(headers[0].grid, other.grid, headers[0].path, other.path)
            self.grid = headers[0].grid
            self.misplaced = headers[0].misplaced
            self.described = tuple(name for header in headers for name in header.descriptions)
            dtypes = {header.dtype for header in headers}
            self.dtype = dtypes.pop() if len(dtypes) == 1 else "float32"
            self._channels = channels_of(headers, bands)
            self._alphas = alphas_of(headers, self._channels)
            self.bands = tuple(bands) or described_bands(headers)
            self.declares_nodata = any(header.declares_nodata for header in headers)
            self._borders: Borders | None = None
            self.units = units or self._guess_units()
            if self._follows_borders():
                alone = len(self.bands) == 1
                self._borders = Borders(self._bytes, self.grid.height, is_alone=alone)
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
    def is_scaled(self) -> bool:
        """Whether a file stores other numbers than it means."""
        return any(is_scaled(dataset) for dataset in self._sets)

    @property
    def shared_bytes(self) -> int:
        """Bytes of blocks that have to be held so that reading row by row decompresses each once.

        Two rows of windows share a row of blocks. Where bands follow one another in the file, or
        lie in files of their own, the others' blocks come in between.
        """
        total = 0
        for dataset in self._sets:
            size = sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
            total += dataset.block_shapes[0][0] * dataset.width * size
        alternate = len(self._sets) == 1 and self._sets[0].interleaving == Interleaving.pixel
        return total * (5 if alternate else 8) // 4

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
        keep_bytes: bool = False,
    ) -> tuple[AnyArray, BoolArray]:
        """Read a window that lies within the scene.

        Args:
            row: first row.
            col: first column.
            height: rows.
            width: columns.
            bands: indices of the bands to read, in that order; all by default.
            out_shape: read decimated to this many rows and columns (nearest pixel).
            keep_bytes: return an image of bytes as such, which takes a quarter of the memory.

        Returns:
            ``image`` float32 (or uint8) [band, row, col], finite, 0 where not valid, and ``valid``
            bool [row, col].

        Raises:
            RasterError: the file is truncated or unreadable there.
        """
        window = Window(col, row, width, height)
        shape = out_shape or (height, width)
        chosen = range(len(self._channels)) if bands is None else bands
        image, valid = self._read_bands(chosen, window, shape, keep_bytes=keep_bytes)
        if self._borders is not None:
            cols = col + np.arange(shape[1]) * width // shape[1]
            if shape == (height, width):
                valid &= self._borders.valid(self._bytes, row, height)[:, cols]
            else:
                for seen, at in zip(valid, np.arange(shape[0]) * height // shape[0], strict=True):
                    seen &= self._borders.valid(self._bytes, row + int(at), 1)[0, cols]
        if not valid.all():
            image[:, ~valid] = 0
        return image, valid

    def sampled(
        self, pixels: int, *, bands: Sequence[int] | None = None
    ) -> Iterator[tuple[FloatArray, BoolArray]]:
        """Read windows that are spread evenly over the scene, as ``read`` does; always the same.

        They are laid along the file's blocks, so that what is not read is not decompressed.

        Args:
            pixels: how many at least; a scene of fewer is read whole.
            bands: indices of the bands to read, in that order; all by default.

        Raises:
            RasterError: the file is truncated or unreadable there.
        """
        height, width = self.grid.height, self.grid.width
        is_tiled = self._sets[0].block_shapes[0][1] < width
        rows, cols = (_TILE, _TILE) if is_tiled else (_LINES, width)
        places = [(r, c) for r in range(0, height, rows) for c in range(0, width, cols)]
        every = max(height * width // max(pixels, 1), 1)
        while math.gcd(every, -(-width // cols)) > 1:  # or some columns would never be seen
            every -= 1
        for row, col in places[every // 2 :: every]:
            yield self.read(row, col, min(rows, height - row), min(cols, width - col), bands=bands)

    def _bytes(self, row: int, rows: int) -> AnyArray:
        """Read all bands of some rows, borders and all; 0 where not valid for another reason."""
        width, chosen = self.grid.width, range(len(self._channels))
        window = Window(0, row, width, rows)
        image, valid = self._read_bands(chosen, window, (rows, width), keep_bytes=True)
        if not valid.all():
            image[:, ~valid] = 0
        return image

    def _read_bands(
        self, bands: Sequence[int], window: Window, shape: tuple[int, int], *, keep_bytes: bool
    ) -> tuple[AnyArray, BoolArray]:
        """Read bands, and what is valid by every rule but that of borders."""
        is_byte = keep_bytes and self.dtype == "uint8"
        image = np.empty((len(bands), *shape), np.uint8 if is_byte else np.float32)
        valid = np.ones(shape, np.bool_)
        members: dict[tuple[int, str], list[int]] = {}
        for position, band in enumerate(bands):
            file, channels = self._channels[band]
            dtype = self._sets[file].dtypes[channels[0] - 1]
            members.setdefault((file, dtype), []).append(position)
        for (file, dtype), positions in members.items():
            chosen = [self._channels[bands[position]][1] for position in positions]
            firsts, dataset = [channels[0] for channels in chosen], self._sets[file]
            run = slice(positions[0], positions[0] + len(positions))
            in_place = dtype == image.dtype and positions == list(range(run.start, run.stop))
            into = {"out": image[run]} if in_place else {"out_shape": (len(firsts), *shape)}
            with reading(Path(dataset.name)):
                # All at once: where bands alternate in a file, blocks are decompressed once.
                found = dataset.read(firsts, window=window, **into)
            if not in_place:
                with np.errstate(over="ignore", invalid="ignore"):
                    image[positions] = found
            for position, values, channels in zip(positions, found, chosen, strict=True):
                self._check_equal(dataset, channels, window, values)
                self._take_missing(dataset, channels[0], window, values, valid)
                scale, offset = (
                    of_bands[channels[0] - 1] for of_bands in (dataset.scales, dataset.offsets)
                )
                if (scale, offset) != (1, 0):
                    image[position] = image[position] * np.float32(scale) + np.float32(offset)
                if values.dtype.kind in "fc":
                    valid &= np.isfinite(image[position])
            alpha = self._alphas[file]
            if alpha is not None:
                take_transparent(dataset, alpha, window, valid)
        return image, valid

    def _check_equal(
        self, dataset: Any, channels: tuple[int, ...], window: Window, values: AnyArray
    ) -> None:
        """Compare the first of channels that make one band, which was read, with the others."""
        with reading(Path(dataset.name)):
            for other in channels[1:]:
                read = dataset.read(other, window=window, out_shape=values.shape)
                if not np.array_equal(values, read):
                    raise DataError(
                        f"{dataset.name} has {len(channels)} channels that differ, but one band "
                        "was named for it; name all of its bands"
                    )

    def _take_missing(
        self, dataset: Any, channel: int, window: Window, values: AnyArray, valid: BoolArray
    ) -> None:
        """Take from ``valid`` what the file or the rule declares to be no data."""
        take_declared(dataset, channel, window, values, valid)
        if self._missing is not None:
            valid &= values != self._missing

    def _guess_units(self) -> Units:
        parts = [
            (image if valid.all() else image[:, valid]).ravel()
            for image, valid in self.sampled(_SAMPLE)
        ]
        if not any(part.size for part in parts):  # the windows lie where the radar saw nothing
            shape = (min(self.grid.height, _SIDE), min(self.grid.width, _SIDE))
            image, valid = self.read(0, 0, self.grid.height, self.grid.width, out_shape=shape)
            parts = [image[:, valid].ravel()]
        return guess_units(np.concatenate(parts), self.dtype)

    def _follows_borders(self) -> bool:
        is_open = self.nodata == "border" or not self.declares_nodata
        return is_open and follows_borders(self.nodata, self.units, self.bands)
