"""What a mapped scene becomes: rows of classes and probability, files, areas, a thumbnail."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sarwater.errors import OutputExistsError
from sarwater.mapping.options import FORMATS
from sarwater.palette import class_color, rgb
from sarwater.prediction import classify_foreground, sum_of_foreground
from sarwater.raster import Layer, RowRaster, create_rows, opened_rows, pixel_area
from sarwater.stitching import Strip
from sarwater.types import IGNORE, AnyArray, ByteArray, FloatArray, Grid, Units

STEPS = 250
"""A probability of 1 as it is stored in a byte; one of 0 is 0, no data 255."""

_THUMBNAIL = 2048
"""Pixels of a thumbnail's longer side, at most."""

_SUFFIXES = {
    "water": "_water.tif",
    "probability": "_probability.tif",
    "water_style": "_water.qml",
    "probability_style": "_probability.qml",
    "polygons": "_water.{}",
    "quicklook": "_quicklook.png",
    "pictures": "_pictures.zip",
    "item": "_item.json",
    "summary": "_summary.json",
}
"""The summary comes last: where it is, the others are."""


def output_paths(folder: Path, name: str, polygons: str | None = None) -> dict[str, Path]:
    """Return the files that a scene becomes, by kind.

    Args:
        folder: where they lie.
        name: of the scene.
        polygons: suffix of the file of polygons; None for none.

    >>> [path.name for path in output_paths(Path("maps"), "a", "gpkg").values()][:2]
    ['a_water.tif', 'a_probability.tif']
    """
    return {
        kind: folder / f"{name}{suffix.format(polygons)}"
        for kind, suffix in _SUFFIXES.items()
        if kind != "polygons" or polygons
    }


def publish(made: Mapping[str, Path], paths: Mapping[str, Path], *, overwrite: bool) -> None:
    """Move finished files to where they belong, the summary last.

    What replaces a map removes its polygons of other formats, which would be of another map.

    Raises:
        OutputExistsError: another process wrote there in the meantime.
    """
    there = [str(path) for path in paths.values() if path.exists()]
    if there and not overwrite:
        raise OutputExistsError(f"another process wrote {', '.join(there)} in the meantime")
    for suffix in FORMATS if overwrite else ():
        old = paths["water"].with_suffix(f".{suffix}")
        if old != paths.get("polygons"):
            old.unlink(missing_ok=True)
    for kind, path in paths.items():
        if kind in made:
            made[kind].replace(path)


@dataclass(frozen=True, eq=False)
class MappedRows:
    """Some finished rows of a map, at full width, as they are stored."""

    row: int
    """First row in the scene."""
    classes: ByteArray
    """Class indices [row, col]; ``IGNORE`` (255) where there is no data."""
    water: AnyArray
    """Probability of any foreground class [row, col]: float32, NaN where there is no data; or
    uint8 in ``STEPS``, 255 where there is none."""


def mapped_rows(
    strips: Iterable[Strip], threshold: float, dtype: str = "float32"
) -> Iterator[MappedRows]:
    """Apply the threshold, and mark no data."""
    for strip in strips:
        water = sum_of_foreground(strip.foreground)
        classes = classify_foreground(strip.foreground, threshold)
        if dtype == "uint8":
            steps = np.multiply(water, np.float32(STEPS))
            steps += np.float32(0.5)  # truncation then rounds
            stored: AnyArray = steps.astype(np.uint8)
        else:
            stored = water.copy()
        if not strip.valid.all():
            missing = ~strip.valid
            classes[missing] = IGNORE
            stored[missing] = IGNORE if dtype == "uint8" else np.nan
        yield MappedRows(strip.row, classes, stored)


def map_layers(
    classes: Sequence[str], tags: Mapping[str, str], dtype: str = "float32"
) -> dict[str, Layer]:
    """Return what the map (``water``) and the ``probability`` say of themselves.

    Args:
        classes: names.
        tags: of provenance, for both files.
        dtype: of the probability: ``uint8`` or ``float32``.
    """
    names = [*enumerate(classes), (IGNORE, "no data")]
    colors = {index: (*rgb(class_color(index)), 255) for index in range(len(classes))}
    tags = dict(tags) | {"CLASS_NAMES": ",".join(f"{index}={name}" for index, name in names)}
    is_byte = dtype == "uint8"
    return {
        "water": Layer(
            "class",
            "uint8",
            IGNORE,
            "nearest",
            colors=colors | {IGNORE: (0, 0, 0, 0)},
            tags=tags | {f"CLASS_{index}": name for index, name in names},
        ),
        "probability": Layer(
            "water probability",
            dtype,
            IGNORE if is_byte else math.nan,
            "average",
            scale=1 / STEPS if is_byte else 1.0,
            tags=tags,
        ),
    }


class MapRows:
    """The two rasters that a map is written into, row by row; see ``open_map``."""

    def __init__(self, rasters: Mapping[str, RowRaster]) -> None:
        """Wrap the open rasters ``water`` and ``probability``."""
        self._rasters = rasters

    def write(self, rows: MappedRows) -> None:
        """Write some rows.

        Raises:
            OutputError: the disk refuses.
        """
        self._rasters["water"].write(rows.row, rows.classes)
        self._rasters["probability"].write(rows.row, rows.water)

    def read(self, row: int, rows: int) -> MappedRows:
        """Return rows that were written before."""
        classes, water = (self._rasters[kind].read(row, rows) for kind in ("water", "probability"))
        return MappedRows(row, classes, water)

    def sync(self) -> None:
        """Return when all that was written is on the disk.

        Raises:
            OutputError: the disk refuses.
        """
        for raster in self._rasters.values():
            raster.sync()


@contextmanager
def open_map(
    paths: Mapping[str, Path], grid: Grid, layers: Mapping[str, Layer], *, anew: bool = True
) -> Iterator[MapRows]:
    """Open the rasters that a map is written into.

    Args:
        paths: ``water`` and ``probability``.
        grid: of the scene.
        layers: of ``map_layers``.
        anew: make the files; otherwise they are there.

    Raises:
        OutputError: there is no room for them, or their place cannot be written.
    """
    if anew:
        for kind, layer in layers.items():
            create_rows(paths[kind], grid, layer)
    with opened_rows(paths["water"]) as water, opened_rows(paths["probability"]) as probability:
        yield MapRows({"water": water, "probability": probability})


class Tally:
    """Counts pixels and areas by class; strip by strip, since degrees shrink towards the poles."""

    def __init__(self, grid: Grid, classes: Sequence[str], *, excluded: bool = False) -> None:
        """Start at nothing.

        Args:
            grid: of the map.
            classes: names, the background first.
            excluded: the last class is what was left out, neither land nor water.
        """
        self._grid = grid
        self._classes = classes
        self._seen = len(classes) - excluded
        self._pixels = np.zeros(256, np.int64)
        self._square_metres = np.zeros(256)

    def add(self, rows: MappedRows) -> None:
        """Count some rows."""
        codes = (*range(len(self._classes)), IGNORE)
        counts = np.zeros(256, np.int64)
        counts[list(codes)] = [np.count_nonzero(rows.classes == code) for code in codes]
        self._pixels += counts
        area = pixel_area(self._grid.window(rows.row, 0, *rows.classes.shape))
        self._square_metres += counts * (area or 0)

    def result(self) -> dict[str, object]:
        """Return pixels and square kilometres of each class, all water, and no data."""
        k = self._seen
        valid = int(self._pixels[:k].sum())
        water = int(self._pixels[1:k].sum())
        return {
            "classes": {name: self._area(slice(i, i + 1)) for i, name in enumerate(self._classes)},
            "water": self._area(slice(1, k)),
            "valid": self._area(slice(0, k)),
            "no_data": self._area(slice(IGNORE, None)),
            "water_share": water / valid if valid else None,
        }

    def _area(self, codes: slice) -> dict[str, float | int | None]:
        square_km = float(self._square_metres[codes].sum()) / 1e6
        has_place = self._grid.crs is not None
        return {
            "pixels": int(self._pixels[codes].sum()),
            "km2": square_km if has_place else None,
        }


class Thumbnail:
    """A scene and its map, thinned out to every n-th pixel while they go by."""

    def __init__(
        self,
        name: str,
        grid: Grid,
        bands: Sequence[str],
        units: Units,
        classes: Sequence[str],
        threshold: float,
    ) -> None:
        """Make empty pictures for a scene of this grid."""
        self.name = name
        self.bands = tuple(bands)
        self.units = units
        self.class_names = tuple(classes)
        self.threshold = threshold
        self.step = max(1, math.ceil(max(grid.height, grid.width) / _THUMBNAIL))
        shape = (-(-grid.height // self.step), -(-grid.width // self.step))
        self.image: FloatArray = np.zeros((len(bands), *shape), np.float32)
        """float32 [band, row, col]."""
        self.classes: ByteArray = np.full(shape, IGNORE, np.uint8)
        """Class indices [row, col]; ``IGNORE`` where there is no data."""
        self.water: FloatArray = np.full(shape, np.nan, np.float32)
        """Probability [row, col]; NaN where there is no data."""

    def add_image(self, row: int, image: AnyArray) -> None:
        """Keep every n-th pixel of rows [band, row, col] that start at ``row``."""
        first = -row % self.step
        thin = image[:, first :: self.step, :: self.step]
        start = (row + first) // self.step
        self.image[:, start : start + thin.shape[1]] = thin

    def add_map(self, rows: MappedRows) -> None:
        """Keep every n-th pixel of some rows of the map."""
        first = -rows.row % self.step
        start = (rows.row + first) // self.step
        classes, water = (
            whole[first :: self.step, :: self.step] for whole in (rows.classes, rows.water)
        )
        if water.dtype == np.uint8:
            water = np.where(water == IGNORE, np.float32(np.nan), water / np.float32(STEPS))
        self.classes[start : start + classes.shape[0]] = classes
        self.water[start : start + water.shape[0]] = water
