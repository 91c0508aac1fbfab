"""Pixels that a map leaves out: layover and shadow, steep terrain, permanent water."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from sarwater.errors import DataError
from sarwater.mapping.outputs import MappedRows
from sarwater.raster import on_grid
from sarwater.types import IGNORE, BoolArray, Grid


class Exclusion:
    """Rasters of pixels to leave out, laid on a scene's grid; use as a context manager."""

    def __init__(self, files: Sequence[Path], grid: Grid, code: int | None = None) -> None:
        """Open the files.

        Args:
            files: rasters of one band; pixels that are neither 0 nor no data are left out. They
                may have another grid and CRS: the nearest pixel counts. What they do not cover
                stays.
            grid: of the scene.
            code: class index of what is left out; None makes it no data.

        Raises:
            RasterError: a file cannot be read.
            DataError: a file has several bands, or cannot be laid on the grid.
        """
        self._grid, self._code = grid, code
        self._stack = ExitStack()
        try:
            self._sets = [self._stack.enter_context(on_grid(file, grid)) for file in files]
            for one in self._sets:
                if one.bands != 1:
                    raise DataError(
                        f"{one.path} has {one.bands} bands, but pixels to leave out are one: 0 for "
                        "what stays, any other value for what goes; extract the band"
                    )
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> "Exclusion":
        """Return itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the files."""
        self._stack.close()

    def applied(self, rows: MappedRows) -> MappedRows:
        """Return some rows of a map without what is left out.

        Raises:
            RasterError: a file cannot be read there.
        """
        if not self._sets:
            return rows
        out: BoolArray = np.zeros(rows.classes.shape, np.bool_)
        for one in self._sets:
            out |= one.read(rows.row, rows.classes.shape[0])
        if self._code is not None:
            code = np.uint8(self._code)
            return replace(
                rows, classes=np.where(out & (rows.classes != IGNORE), code, rows.classes)
            )
        missing = np.uint8(IGNORE) if rows.water.dtype == np.uint8 else np.float32(np.nan)
        return replace(
            rows,
            classes=np.where(out, np.uint8(IGNORE), rows.classes),
            water=np.where(out, missing, rows.water),
        )
