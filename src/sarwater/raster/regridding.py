"""Rasters of other grids, read as if they lay on a scene's."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from sarwater.errors import DataError
from sarwater.raster.opening import header_of, opened, reading
from sarwater.types import BoolArray, Grid


@dataclass(frozen=True)
class OnGrid:
    """A raster that is read by the rows of another grid; made by ``on_grid``."""

    path: Path
    bands: int
    """In the file."""
    width: int
    """Columns of the grid."""
    dataset: Any
    """The open file, or its view on the grid."""

    def read(self, row: int, rows: int) -> BoolArray:
        """Return where the first band is neither 0 nor no data, bool [row, col].

        Raises:
            RasterError: the file cannot be read there.
        """
        window = Window(0, row, self.width, rows)
        with reading(self.path):
            values = self.dataset.read(1, window=window)
            seen = self.dataset.read_masks(1, window=window) > 0
        return np.asarray(seen & (values != 0) & ~(values != values))  # NaN is not itself


@contextmanager
def on_grid(path: Path, grid: Grid) -> Iterator[OnGrid]:
    """Open a raster to be read by the rows of a grid; the nearest pixel counts.

    Args:
        path: a raster, of any grid and CRS where both it and ``grid`` have one, else of the
            grid's size.
        grid: to be read on.

    Raises:
        RasterError: the file cannot be read.
        DataError: one of the two has no CRS, and they differ in size.
    """
    with opened(path) as dataset:
        header = header_of(path, dataset)
        if header.grid == grid:
            yield OnGrid(path, header.count, grid.width, dataset)
            return
        if header.grid.crs is None or grid.crs is None:
            if (header.grid.height, header.grid.width) != (grid.height, grid.width):
                raise DataError(
                    f"{path} ({header.grid.height} x {header.grid.width} px) cannot be laid on a "
                    f"scene of {grid.height} x {grid.width} px: one of them has no CRS, so that "
                    "both need the same size; give both a CRS"
                )
            yield OnGrid(path, header.count, grid.width, dataset)
            return
        with (
            reading(path),
            WarpedVRT(
                dataset,
                crs=grid.crs,
                transform=grid.transform,
                height=grid.height,
                width=grid.width,
                resampling=Resampling.nearest,
                add_alpha=dataset.nodata is None,
            ) as view,
        ):
            yield OnGrid(path, header.count, grid.width, view)
