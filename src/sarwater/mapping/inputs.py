"""A scene as a model takes it: its bands by name, its units, and what does not fit."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sarwater.errors import DataError, ModelError
from sarwater.files import real
from sarwater.mapping.plausibility import undeclared_nodata
from sarwater.normalize import BandStatistics, RunningStatistics
from sarwater.prediction import Predictor
from sarwater.raster import Scene, lonlat_bounds, pixel_area
from sarwater.types import POLARIZATIONS, AnyArray, BoolArray, FloatArray, Grid, Units

if TYPE_CHECKING:
    from sarwater.models.bundle import ModelInfo

NO_PLACE = "the scene has no CRS: areas are in pixels"

_MOSTLY = 0.5
"""Share of valid pixels from which a window stands for its scene."""

_SAMPLED = 1 << 25
"""Pixels from which statistics are taken: windows of them err by some .2 dB at most."""


@dataclass(frozen=True)
class SceneSource:
    """A scene that is to be mapped."""

    files: tuple[Path, ...]
    """One file with its bands, or files of one grid whose bands follow one another."""
    bands: tuple[str, ...] = ()
    """Names of the bands in order; by default those that the files give."""
    units: Units | None = None
    """What the values measure; guessed from the values by default."""
    nodata: str = "auto"
    """Rule for no data, as in the manifest."""
    name: str = ""
    """Begins the names of the outputs; by default the (first) file's, without its band."""
    when: datetime | None = None
    """When it was taken, with a time zone; by default what the file's name says."""

    @property
    def title(self) -> str:
        """The name, or what the first file is called.

        >>> SceneSource((Path("a_vv.tif"), Path("a_vh.tif")), ("VV", "VH")).title
        'a'
        """
        stem = self.files[0].stem
        if self.name:
            return self.name
        ending = f"_{self.bands[0]}".lower() if len(self.files) > 1 and self.bands else ""
        return stem[: -len(ending)] if ending and stem.lower().endswith(ending) else stem


class ModelScene:
    """An open scene with the model's bands, in its order and units; made by ``open_for_model``."""

    def __init__(
        self, scene: Scene, predictor: Predictor, units: Units, notes: tuple[str, ...]
    ) -> None:
        """Wrap an open scene that fits the model."""
        self.grid: Grid = scene.grid
        self.units = units
        """Of the files, before conversion."""
        self.notes = notes
        """What was converted, assumed, or looks odd."""
        self.is_byte = scene.dtype == "uint8"
        """Whether the files hold bytes."""
        self.shared_bytes = scene.shared_bytes
        """Bytes of blocks that pay to be held while the scene is read row by row."""
        self._scene = scene
        self.predictor = predictor
        """The model, as it takes this scene's units."""
        self._bands = scene.band_indices(predictor.info.bands)

    def read(self, row: int, rows: int) -> tuple[AnyArray, BoolArray]:
        """Read ``rows`` rows from ``row`` on, at full width.

        Only the model's bands are read: no data in another band of the file is no matter. An
        image of bytes stays one.

        Raises:
            RasterError: the file is truncated or unreadable there.
        """
        image, valid = self._scene.read(
            row, 0, rows, self.grid.width, bands=self._bands, keep_bytes=True
        )
        return self.predictor.in_model_units(image, valid, self.units), valid

    def sample(self, size: int, count: int) -> list[tuple[FloatArray, BoolArray]]:
        """Read windows from all over the scene, the same ones each time.

        Args:
            size: side in pixels; windows that reach over the scene's border are padded.
            count: how many at most.

        Returns:
            Pairs of image [band, row, col] and valid [row, col]: windows of which at least half is
            valid, or, where there is none, those with any valid pixel.
        """
        height, width = self.grid.height, self.grid.width
        corners = [(r, c) for r in range(0, height, size) for c in range(0, width, size)]
        whole: list[tuple[FloatArray, BoolArray]] = []
        partial: list[tuple[FloatArray, BoolArray]] = []
        for place in np.random.default_rng(0).permutation(len(corners)):
            row, col = (
                min(at, max(end - size, 0))
                for at, end in zip(corners[place], (height, width), strict=True)
            )
            window = self._padded(row, col, size)
            kept = whole if window[1].mean() >= _MOSTLY else partial
            if window[1].any() and len(kept) < count:
                kept.append(window)
            if len(whole) == count:
                break
        return whole or partial

    def _padded(self, row: int, col: int, size: int) -> tuple[FloatArray, BoolArray]:
        rows, cols = min(size, self.grid.height - row), min(size, self.grid.width - col)
        image, valid = self._scene.read(row, col, rows, cols, bands=self._bands)
        image = self.predictor.in_model_units(image, valid, self.units)
        missing = ((0, size - rows), (0, size - cols))
        return np.pad(image, ((0, 0), *missing)), np.pad(valid, missing)

    def statistics(self) -> BandStatistics | None:
        """Return the statistics of the valid pixels, where the model's normalization needs them.

        Scenes of more than ``_SAMPLED`` pixels are sampled by windows all over them; of smaller
        ones, and where no pixel of these windows is valid, every pixel counts. Never are they
        taken from overviews, whose averages have less speckle than what the model was trained on.
        None where no pixel is valid.
        """
        if not self.predictor.info.normalization.needs_group:
            return None
        for pixels in (_SAMPLED, self.grid.height * self.grid.width):
            running, has_any = RunningStatistics(), False
            for image, valid in self._scene.sampled(pixels, bands=self._bands):
                running.add(self.predictor.in_model_units(image, valid, self.units), valid)
                has_any |= bool(valid.any())
            if has_any:
                return running.result()
        return None


@contextmanager
def open_for_model(source: SceneSource, predictor: Predictor) -> Iterator[ModelScene]:
    """Open a scene and check that it fits the model; units are converted where they can be.

    Raises:
        RasterError: a file cannot be read.
        DataError: the files do not fit each other, or lie nowhere on Earth.
        ModelError: bands are missing or units do not convert; everything wrong is named at once.
    """
    if len({real(file) for file in source.files}) < len(source.files):
        raise DataError(
            f"{source.files[0]} is named for several bands; name a file of its own for each"
        )
    # Units of imagery that is not radar cannot be guessed: the model's are taken.
    declared = source.units or (Units.OTHER if predictor.info.units == Units.OTHER else None)
    with Scene(source.files, bands=source.bands, units=declared, nodata=source.nodata) as scene:
        units, notes = scene.units, []
        if declared is None and units == Units.OTHER:
            units = predictor.info.units
            notes.append(
                f"units cannot be guessed, since no valid pixel was found; taken to be "
                f"'{units.value}', the model's"
            )
        predictor = predictor.for_units(units)
        info = predictor.info
        problems = predictor.misfits(scene.bands, units)
        if problems:
            names = ", ".join(str(file) for file in scene.files)
            raise ModelError(f"{names} does not fit the model: " + "; ".join(problems))
        lonlat_bounds(scene.grid, scene.files[0])  # now rather than when the map is made
        if predictor.takes_as_is(units):
            notes.append(
                f"values in units '{units.value}' are taken as they are by a model trained on "
                f"'{info.units.value}', as was asked for"
            )
        elif units != info.units:
            how = "declared" if declared else "guessed from the values"
            notes.append(
                f"converted from units '{units.value}' ({how}) to '{info.units.value}', the model's"
            )
        notes += _notes_on_names(scene)
        notes += undeclared_nodata(scene, units, scene.band_indices(info.bands))
        notes += _notes_on_place(scene, info)
        yield ModelScene(scene, predictor, units, tuple(notes))


def _notes_on_names(scene: Scene) -> list[str]:
    """Say where files that say VV or VH themselves were given another band's name."""
    if len(scene.files) == 1 or len(scene.described) != len(scene.files):
        return []
    return [
        f"{file} was named as band {given}, but describes itself as {described}; is that meant?"
        for file, given, described in zip(scene.files, scene.bands, scene.described, strict=True)
        if described.upper() in POLARIZATIONS and described.upper() != given.upper()
    ]


def _notes_on_place(scene: Scene, info: "ModelInfo") -> list[str]:
    area = pixel_area(scene.grid)
    if scene.misplaced:
        return [
            f"the scene's place is not used, and areas are in pixels: {scene.misplaced}; give the "
            "file its CRS and coordinates (gdal_edit.py -a_srs, -a_ullr), and map it anew"
        ]
    if area is None:
        return [NO_PLACE]
    size = math.sqrt(area)
    if info.pixel_size is None or 0.5 <= size / info.pixel_size <= 2:
        return []
    return [
        f"pixels are {size:.3g} m wide, the model is for pixels of {info.pixel_size:.3g} m; "
        "resample the scene for a map to rely on"
    ]
