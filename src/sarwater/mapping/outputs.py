"""What a mapped scene becomes: rows of classes and probability, files, areas, a thumbnail."""

import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sarwater.errors import OutputExistsError
from sarwater.files import output_errors
from sarwater.palette import class_color, rgb
from sarwater.prediction import classify, water_probability
from sarwater.raster import open_writer, pixel_area
from sarwater.stitching import Strip
from sarwater.types import IGNORE, ByteArray, FloatArray, Grid, Units

BLOCK = 512
"""Rows of a compressed block of the written rasters; whole blocks are written once."""

_THUMBNAIL = 1024
"""Pixels of a thumbnail's longer side, at most."""

_SUFFIXES = {
    "water": "_water.tif",
    "probability": "_probability.tif",
    "summary": "_summary.json",
    "quicklook": "_quicklook.png",
}


def output_paths(folder: Path, name: str) -> dict[str, Path]:
    """Return the files that a scene becomes, by kind.

    >>> [path.name for path in output_paths(Path("maps"), "a").values()]
    ['a_water.tif', 'a_probability.tif', 'a_summary.json', 'a_quicklook.png']
    """
    return {kind: folder / f"{name}{suffix}" for kind, suffix in _SUFFIXES.items()}


@contextmanager
def staged(paths: Mapping[str, Path], folder: Path) -> Iterator[dict[str, Path]]:
    """Yield paths in a folder aside; move what is there to ``paths`` when the block succeeds.

    When the block fails everything that it wrote is removed, and ``folder`` too if it was made
    for it.

    Raises:
        OutputExistsError: ``folder`` is a file, one of ``paths`` a folder, or another process
            wrote there in the meantime.
        OutputError: the files cannot be written there.
    """
    with output_errors(folder):
        missing = not folder.exists()
        if folder.exists() and not folder.is_dir():
            raise OutputExistsError(f"{folder} is a file; name a folder for the maps")
        for path in paths.values():
            if path.is_dir():
                raise OutputExistsError(f"{path} is a folder; a file of that name is to be written")
        folder.mkdir(parents=True, exist_ok=True)
        there = {path for path in paths.values() if path.exists()}
        aside = Path(tempfile.mkdtemp(prefix=".mapping-", dir=folder))
    try:
        with output_errors(folder, aside):
            inside = {kind: aside / path.name for kind, path in paths.items()}
            yield inside
            new = [str(path) for path in paths.values() if path.exists() and path not in there]
            if new:
                raise OutputExistsError(f"another process wrote {', '.join(new)} in the meantime")
            for kind, path in paths.items():
                if inside[kind].exists():
                    inside[kind].replace(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if missing and not any(folder.iterdir()):
            folder.rmdir()


@dataclass(frozen=True, eq=False)
class MappedRows:
    """Some finished rows of a map, at full width."""

    row: int
    """First row in the scene."""
    classes: ByteArray
    """Class indices [row, col]; ``IGNORE`` (255) where there is no data."""
    water: FloatArray
    """Probability of any foreground class [row, col]; NaN where there is no data."""

    def part(self, first: int, end: int) -> "MappedRows":
        """Return the rows ``first`` to ``end`` of these."""
        return MappedRows(self.row + first, self.classes[first:end], self.water[first:end])


def mapped_rows(strips: Iterable[Strip], threshold: float) -> Iterator[MappedRows]:
    """Apply the threshold, and mark no data."""
    for strip in strips:
        classes = np.where(strip.valid, classify(strip.probability, threshold), np.uint8(IGNORE))
        water = np.where(strip.valid, water_probability(strip.probability), np.float32(np.nan))
        yield MappedRows(strip.row, classes, water)


def in_blocks(rows: Iterable[MappedRows], height: int, block: int = BLOCK) -> Iterator[MappedRows]:
    """Join and cut rows so that each piece but the last ends at a multiple of ``block``."""
    held: MappedRows | None = None
    for new in rows:
        held = new if held is None else _joined(held, new)
        end = held.row + held.classes.shape[0]
        cut = (end if end == height else end // block * block) - held.row
        if cut > 0:
            yield held.part(0, cut)
            held = held.part(cut, end - held.row) if held.row + cut < end else None


def _joined(one: MappedRows, other: MappedRows) -> MappedRows:
    return MappedRows(
        one.row,
        np.concatenate([one.classes, other.classes]),
        np.concatenate([one.water, other.water]),
    )


@contextmanager
def open_map(
    paths: Mapping[str, Path], grid: Grid, classes: Sequence[str], tags: Mapping[str, str]
) -> Iterator[Callable[[MappedRows], None]]:
    """Open the map and the probability for writing; yield what writes rows into both.

    Args:
        paths: ``water`` and ``probability``.
        grid: of the scene.
        classes: names.
        tags: of provenance, for both files.

    Raises:
        RasterError: writing failed.
    """
    names = [*enumerate(classes), (IGNORE, "no data")]
    colors = {index: (*rgb(class_color(index)), 255) for index in range(len(classes))}
    tags = dict(tags) | {"CLASS_NAMES": ",".join(f"{index}={name}" for index, name in names)}
    with (
        open_writer(
            paths["water"],
            grid,
            dtype="uint8",
            bands=("class",),
            nodata=IGNORE,
            colors=colors | {IGNORE: (0, 0, 0, 0)},
            tags=tags | {f"CLASS_{index}": name for index, name in names},
        ) as water,
        open_writer(
            paths["probability"],
            grid,
            dtype="float32",
            bands=("water probability",),
            nodata=math.nan,
            tags=tags,
        ) as probability,
    ):

        def write(rows: MappedRows) -> None:
            water.write(rows.classes, rows.row)
            probability.write(rows.water, rows.row)

        yield write


class Tally:
    """Counts pixels and areas by class; strip by strip, since degrees shrink towards the poles."""

    def __init__(self, grid: Grid, classes: Sequence[str]) -> None:
        """Start at nothing."""
        self._grid = grid
        self._classes = classes
        self._pixels = np.zeros(256, np.int64)
        self._square_metres = np.zeros(256)

    def add(self, rows: MappedRows) -> None:
        """Count some rows."""
        counts = np.bincount(rows.classes.ravel(), minlength=256)
        self._pixels += counts
        area = pixel_area(self._grid.window(rows.row, 0, *rows.classes.shape))
        self._square_metres += counts * (area or 0)

    def result(self) -> dict[str, object]:
        """Return pixels and square kilometres of each class, all water, and no data."""
        k = len(self._classes)
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

    def add_image(self, row: int, image: FloatArray) -> None:
        """Keep every n-th pixel of rows [band, row, col] that start at ``row``."""
        first = -row % self.step
        thin = image[:, first :: self.step, :: self.step]
        start = (row + first) // self.step
        self.image[:, start : start + thin.shape[1]] = thin

    def add_map(self, rows: MappedRows) -> None:
        """Keep every n-th pixel of some rows of the map."""
        first = -rows.row % self.step
        start = (rows.row + first) // self.step
        for whole, kept in ((rows.classes, self.classes), (rows.water, self.water)):
            thin = whole[first :: self.step, :: self.step]
            kept[start : start + thin.shape[0]] = thin
