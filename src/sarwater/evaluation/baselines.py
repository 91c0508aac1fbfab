"""Water by a threshold on backscatter: what a network has to beat.

Each method is as its paper has it. All of them look at one band on a logarithmic scale (decibels,
or the steps of 8-bit products), and call water what lies at or below a threshold: one for each
scene, or one for all.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.errors import ConfigError, DataError, nearest
from sarwater.evaluation.counts import DoubleArray
from sarwater.evaluation.histogram_thresholds import (
    SceneHistogram,
    SceneTiles,
    histogram,
)
from sarwater.normalize import BandStatistics
from sarwater.progress import track
from sarwater.raster import read_chip
from sarwater.smoothing import local_median
from sarwater.types import IGNORE, Chip, FloatArray, Units
from sarwater.units import BYTE_COUNTS_PER_DB, in_decibels

_EDGES: dict[bool, DoubleArray] = {
    True: np.linspace(-0.5, 255.5, 257),
    False: np.linspace(-50.0, 100.0, 3001).astype(np.float32).astype(np.float64),
}
"""Of bins: of 8-bit steps, or of decibels (calibrated ones and those of digital numbers); a bin
holds its upper edge, as the water below a threshold does. Float32 like what is counted."""

_HALFWAY = {True: 10 * BYTE_COUNTS_PER_DB, False: 10.0}
"""Distance from the threshold at which a score is halfway to its end: 10 dB."""


class Method(enum.StrEnum):
    """How a threshold is found."""

    OTSU = "otsu"
    """Largest variance between the two classes, scene by scene (Otsu 1979)."""
    THRESHOLD = "threshold"
    """The same for every scene, given or chosen on labelled chips of other events."""
    MINIMUM_ERROR = "minimum-error"
    """Kittler & Illingworth (1986) on the tiles of a scene that hold both classes, averaged (after
    Martinis, Twele & Voigt 2009)."""


@dataclass(frozen=True)
class BaselineOptions:
    """What is thresholded, and how."""

    method: Method
    band: str = "VH"
    """Name of the band."""
    median: int = 1
    """Side in pixels of a median filter before that; 1: none."""
    tile: int = 200
    """Side in pixels of the tiles of ``minimum-error``."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: a value is out of range.
        """
        if self.median < 1 or self.median % 2 == 0:
            raise ConfigError(f"median: an odd number of pixels, 1 or more, found {self.median}")
        if self.tile < 16:
            raise ConfigError(f"tile: at least 16 px, found {self.tile}")


@dataclass(frozen=True)
class Baseline:
    """A threshold a scene; what ``evaluate`` takes for a model.

    A pixel's score is .5 - d / (2 (|d| + 10 dB)), d being its backscatter less its scene's
    threshold t, so that .5 is the method's own decision and other thresholds move t, over the whole
    range of values. It ranks pixels, and is no probability.
    """

    options: BaselineOptions
    thresholds: Mapping[str, float]
    """By scene; "" where one holds for all."""
    scenes: Mapping[str, str] = field(default_factory=dict)
    """Scene of each chip, by the chip's id."""
    is_byte: bool | None = None
    """Whether the thresholds are in steps of 8-bit products; None where that is not known."""
    assumed: int = 0
    """Scenes that show no two classes, and have the mean of the others' thresholds."""

    def model_chip(self, chip: Chip) -> Chip:
        """Return the chip as it is.

        Raises:
            DataError: it has no such band.
        """
        band_of(chip, self.options.band)
        return chip

    def predict_chip(self, chip: Chip, group: BandStatistics | None = None) -> FloatArray:
        """Return the scores of land and water, which add up to 1, float32 [2, row, col].

        Raises:
            DataError: it has no such band, or its scene no threshold.
        """
        del group  # thresholds need no statistics
        if self.is_byte is not None and self.is_byte != (chip.units == Units.BYTE):
            there, own = (
                ("8-bit steps", "decibels") if self.is_byte else ("decibels", "8-bit steps")
            )
            raise DataError(
                f"chip '{chip.id}' has units '{chip.units.value}', but the threshold is in "
                f"{there}; find one in {own}"
            )
        scene = "" if "" in self.thresholds else self.scenes.get(chip.id, chip.id)
        if scene not in self.thresholds:
            raise DataError(f"chip '{chip.id}': no threshold was found for its scene '{scene}'")
        apart = backscatter(chip, self.options) - np.float32(self.thresholds[scene])
        water = _score(apart, _HALFWAY[chip.units == Units.BYTE])
        return np.stack([1 - water, water]).astype(np.float32)


def _score(apart: FloatArray, halfway: float) -> FloatArray:
    """Return 0 ... 1, at least .5 exactly where ``apart`` is 0 or less."""
    score = np.float32(0.5) - apart / (2 * (np.abs(apart) + np.float32(halfway)))
    under = np.nextafter(np.float32(0.5), np.float32(0))
    return np.where(apart > 0, np.minimum(score, under), score).astype(np.float32)


def band_of(chip: Chip, name: str) -> FloatArray:
    """Return a band by name.

    Raises:
        DataError: the chip has none of that name, or holds no backscatter.
    """
    there = [band.lower() for band in chip.bands]
    if name.lower() not in there:
        raise DataError(
            f"chip '{chip.id}' has no band '{name}'{nearest(name, list(chip.bands))}: found "
            f"{', '.join(chip.bands)}; name one with --band"
        )
    if chip.units == Units.OTHER:
        raise DataError(f"chip '{chip.id}' holds no backscatter (units 'other'): nothing is dark")
    return np.asarray(chip.image[there.index(name.lower())])


def backscatter(chip: Chip, options: BaselineOptions) -> FloatArray:
    """Return the band on a logarithmic scale, after the median filter.

    Raises:
        DataError: as ``band_of``.
    """
    values = in_decibels(band_of(chip, options.band), chip.units)
    if options.median > 1:
        if not chip.valid.all() and chip.valid.any():  # or no data would count as dark
            nearest_valid = ndimage.distance_transform_edt(
                ~chip.valid, return_distances=False, return_indices=True
            )
            values = values[tuple(nearest_valid)]
        values = local_median(values, options.median)
    return np.asarray(values, np.float32)


def edges_of(units: Units) -> DoubleArray:
    """Return the edges of the bins that backscatter is counted in."""
    return _EDGES[units == Units.BYTE]


def fit(manifest: Manifest, options: BaselineOptions) -> Baseline:
    """Find a threshold for each scene of some chips; their labels are not read.

    A chip without a scene is one by itself. Where a scene shows no two classes (``None`` of the
    method) its threshold is the mean of the others'.

    Raises:
        ConfigError: the method takes its threshold from elsewhere.
        DataError: no scene has a threshold, chips differ in units, or lack the band.
        RasterError: a file cannot be read.
    """
    if options.method == Method.THRESHOLD:
        raise ConfigError("a fixed threshold is given or tuned, not found in the scenes")
    scenes = {record.id: record.scene or record.id for record in manifest}
    seen: dict[str, SceneHistogram | SceneTiles] = {}
    is_byte = None
    for record, chip, values in _read(manifest, options, with_target=False):
        is_byte = chip.units == Units.BYTE
        edges, scene = edges_of(chip.units), scenes[record.id]
        if scene not in seen:
            is_otsu = options.method == Method.OTSU
            seen[scene] = SceneHistogram(edges) if is_otsu else SceneTiles(edges, options.tile)
        seen[scene].add(values, chip.valid)
    found = {scene: part.threshold() for scene, part in seen.items()}
    known = {scene: value for scene, value in found.items() if value is not None}
    if not known:
        raise DataError(f"{manifest.path or 'the manifest'}: no scene falls into two classes")
    middle = float(np.mean(list(known.values())))
    thresholds = {scene: known.get(scene, middle) for scene in scenes.values()}
    return Baseline(options, thresholds, scenes, is_byte, len(thresholds) - len(known))


def tuned(manifest: Manifest, options: BaselineOptions) -> Baseline:
    """Take the threshold with the best F1 on labelled chips.

    Raises:
        DataError: no chip is labelled, none has water, chips differ in units, or lack the band.
        RasterError: a file cannot be read.
    """
    part = manifest.select(labelled=True)
    counts: DoubleArray | None = None
    is_byte = False
    for _, chip, values in _read(part, options, with_target=True):
        assert chip.target is not None
        edges, is_byte = edges_of(chip.units), chip.units == Units.BYTE
        counted = chip.valid & (chip.target != IGNORE)
        parts = (chip.target == 0, chip.target != 0)
        found = np.stack([histogram(values[counted & part], edges) for part in parts])
        counts = found if counts is None else counts + found
    if counts is None or not counts[1].any():
        raise DataError(
            f"{manifest.path or 'the manifest'} has no labelled water to choose a threshold on"
        )
    false, hit = counts.cumsum(axis=1)
    f1 = 2 * hit / (hit + false + counts[1].sum())
    best = float(edges[1 + int(f1.argmax())])
    return Baseline(options, {"": best}, is_byte=is_byte)


def _read(
    manifest: Manifest, options: BaselineOptions, *, with_target: bool
) -> Iterable[tuple[ChipRecord, Chip, FloatArray]]:
    """Yield chips that have data, with their backscatter; all of the same units."""
    first: Chip | None = None
    for record in track(manifest, "reading", len(manifest)):
        chip = read_chip(record, with_target=with_target)
        if not chip.valid.any():
            continue
        first = first or chip
        if (first.units == Units.BYTE) != (chip.units == Units.BYTE):
            raise DataError(
                f"chip '{first.id}' has units '{first.units.value}' and chip '{chip.id}' "
                f"'{chip.units.value}', which no threshold serves at once; choose by --domains"
            )
        yield record, chip, backscatter(chip, options)
