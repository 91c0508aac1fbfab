"""What everything may name: chips, grids, units and the codes of a target."""

import enum
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from affine import Affine
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float32]
BoolArray: TypeAlias = NDArray[np.bool_]
ByteArray: TypeAlias = NDArray[np.uint8]
AnyArray: TypeAlias = NDArray[Any]

IGNORE = 255
"""Code of a target pixel that no loss and no score may count."""

POLARIZATIONS = ("VV", "VH", "HH", "HV")
"""Names of a radar's bands: sent, and received, vertically or horizontally."""


class Units(enum.StrEnum):
    """What the values of an image measure."""

    DB = "db"
    """Backscatter in decibel, 10 log10 of linear power; Sentinel-1 lies within -50 ... 20."""
    LINEAR = "linear"
    """Backscatter as linear power (sigma0, gamma0); not negative, land about .01 ... 1."""
    AMPLITUDE = "amplitude"
    """Digital numbers proportional to the square root of power; not negative, up to 65535."""
    BYTE = "8bit"
    """Backscatter scaled to 0 ... 255 by some producer."""
    OTHER = "other"
    """Anything else (optical reflectance, indices, elevations)."""


@dataclass(frozen=True)
class Grid:
    """Where the pixels of an array lie.

    ``transform`` maps (column, row) of a pixel's corner to coordinates of ``crs``. Without a CRS
    (``crs`` is None) the coordinates are pixels and areas are counted in pixels.
    """

    height: int
    width: int
    transform: Affine = Affine.identity()
    crs: str | None = None
    """WKT or ``EPSG:n``."""

    def window(self, row: int, col: int, height: int, width: int) -> "Grid":
        """Return the grid of a window whose upper left pixel is (row, col)."""
        return Grid(height, width, self.transform @ Affine.translation(col, row), self.crs)


@dataclass(frozen=True, eq=False)
class Chip:
    """A small image with what is known of it; rows and columns agree between its arrays."""

    id: str
    domain: str
    bands: tuple[str, ...]
    units: Units
    image: FloatArray
    """float32 [band, row, col]; finite everywhere, 0 where not valid."""
    valid: BoolArray
    """bool [row, col]; True where every band is usable."""
    target: ByteArray | None
    """uint8 [row, col]: class indices, ``IGNORE`` where unlabelled; None without label files."""
    grid: Grid
