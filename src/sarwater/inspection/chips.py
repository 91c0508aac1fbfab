"""What is to be known of one chip: statistics by band, label counts, and what is wrong with it."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from sarwater.datasets.manifest import ChipRecord
from sarwater.errors import DataError, RasterError
from sarwater.inspection.histograms import Histogram, histogram, scale_of, to_scale
from sarwater.raster import Scene, label_values, lonlat_bounds, read_target
from sarwater.ratios import LabelCount
from sarwater.types import IGNORE, AnyArray, BoolArray, ByteArray, Units
from sarwater.units import guess_units

PERCENTILES = (1, 5, 25, 50, 75, 95, 99)

_ZEROS = 0.1
"""Share of exact zeros above which they are no decibels; 0 dB is a strong echo."""


@dataclass(frozen=True, eq=False)
class BandSummary:
    """One band of a chip over its valid pixels; in the chip's units, nan without valid pixels."""

    band: str
    minimum: float
    maximum: float
    mean: float
    std: float
    """Population standard deviation (divided by n)."""
    percentiles: tuple[float, ...]
    """At ``PERCENTILES``, with linear interpolation."""
    scale_mean: float
    """Mean on the histogram's axis (``histograms.scale_of``)."""
    scale_std: float
    histogram: Histogram | None
    """None without valid pixels."""


@dataclass(frozen=True)
class LabelSummary:
    """How many pixels of each class a chip has."""

    classes: tuple[int, ...]
    """Labelled pixels of each class, whatever the radar says."""
    classes_valid: tuple[int, ...]
    """Of these, the ones with valid radar."""
    ignored: int
    """Pixels without a label."""


@dataclass(frozen=True, eq=False)
class ChipSummary:
    """One chip as found; a chip that cannot be read has a problem and no bands."""

    record: ChipRecord
    """With its bounds, where the image has a CRS."""
    height: int = 0
    width: int = 0
    valid_share: float = 0.0
    guessed_units: Units | None = None
    """From the valid values and the type they are stored in; None without valid pixels."""
    bands: tuple[BandSummary, ...] = ()
    labels: LabelSummary | None = None
    """None without label files, or where these cannot be used."""
    digest: str = ""
    """SHA-256 of the pixels and of what is valid; empty without valid pixels."""
    fill: tuple[float, float] | None = None
    """A value in decibels that fills a great part of a band, and its share; None without."""
    problem: str = ""
    """Code of a finding: ``unreadable``, ``bad-image``, ``unknown-label``, ``bad-label``."""
    message: str = ""

    def label_count(self, *, valid_only: bool = False) -> LabelCount | None:
        """Return background and foreground pixels, of all labelled ones or the valid ones."""
        if self.labels is None:
            return None
        counts = self.labels.classes_valid if valid_only else self.labels.classes
        background, *foreground = counts
        record = self.record
        ignored = self.height * self.width - sum(counts)
        return LabelCount(
            record.id, record.domain, record.split, background, sum(foreground), ignored
        )


def summarize_chip(record: ChipRecord) -> ChipSummary:
    """Read one chip and sum it up; what goes wrong is told in the summary, not raised."""
    try:
        with Scene(
            record.images, bands=record.bands, units=record.units, nodata=record.nodata
        ) as scene:
            grid, dtype = scene.grid, scene.dtype
            image, valid = scene.read(0, 0, grid.height, grid.width)
        bounds = record.bounds or lonlat_bounds(grid, record.images[0])
    except RasterError as error:
        return ChipSummary(record, problem="unreadable", message=str(error))
    except DataError as error:
        return ChipSummary(record, problem="bad-image", message=str(error))
    target, problem, message = None, "", ""
    if record.labels:
        try:
            target = read_target(record, grid)
        except RasterError as error:
            problem, message = "unreadable", str(error)
        except DataError as error:
            problem = "unknown-label" if _has_unknown_label(record) else "bad-label"
            message = str(error)
    values = image[:, valid]
    return ChipSummary(
        replace(record, bounds=bounds),
        grid.height,
        grid.width,
        valid_share=float(valid.mean()),
        guessed_units=_guess(values, dtype, record.units),
        bands=tuple(
            summarize_band(name, band, record.units)
            for name, band in zip(record.bands, values, strict=True)
        ),
        labels=None if target is None else count_labels(target, valid, len(record.classes)),
        digest=_digest(image, valid) if valid.any() else "",
        fill=_fill(values) if record.units == Units.DB and np.dtype(dtype).kind == "f" else None,
        problem=problem,
        message=message,
    )


def summarize_band(name: str, values: AnyArray, units: Units) -> BandSummary:
    """Sum up the valid values of one band.

    >>> found = summarize_band("VV", np.float32([1, 3]), Units.DB)
    >>> found.mean, found.std, found.percentiles[3]
    (2.0, 1.0, 2.0)
    """
    if values.size == 0:
        nan = float("nan")
        return BandSummary(name, nan, nan, nan, nan, (nan,) * len(PERCENTILES), nan, nan, None)
    exact = values.astype(np.float64)
    scaled = to_scale(values, units)
    return BandSummary(
        name,
        float(exact.min()),
        float(exact.max()),
        float(exact.mean()),
        float(exact.std()),
        tuple(np.percentile(exact, PERCENTILES).tolist()),
        float(scaled.mean()),
        float(scaled.std()),
        histogram(scaled, scale_of(units)),
    )


def count_labels(target: ByteArray, valid: BoolArray, classes: int) -> LabelSummary:
    """Count the pixels of each class in a target [row, col] whose ``IGNORE`` is unlabelled."""
    every = np.bincount(target.ravel(), minlength=IGNORE + 1)
    seen = np.bincount(target[valid], minlength=IGNORE + 1)
    return LabelSummary(
        tuple(every[:classes].tolist()), tuple(seen[:classes].tolist()), int(every[IGNORE])
    )


def _guess(values: AnyArray, dtype: str, declared: Units) -> Units | None:
    if values.size == 0:
        return None
    guessed = guess_units(values, dtype)
    whole = declared == Units.BYTE and guessed in (Units.LINEAR, Units.AMPLITUDE)
    if whole and values.max() <= 255 and bool((values == np.round(values)).all()):
        return Units.BYTE  # bytes that somebody stored as floats or wider integers
    return guessed


def _fill(values: AnyArray) -> tuple[float, float] | None:
    """Return a value that is too frequent for a measured one, and its share."""
    found = []
    for band in values if values.size else ():
        for value, least in ((0.0, _ZEROS), (float(np.median(band)), 0.5)):
            share = float(np.mean(band == value))
            if least < share < 1:
                found.append((value, share))
    return max(found, key=lambda one: one[1], default=None)


def _has_unknown_label(record: ChipRecord) -> bool:
    try:
        return any(
            codes.other is None and not label_values(path).keys() <= codes.table.keys()
            for path, codes in zip(record.labels, record.codes, strict=True)
        )
    except (RasterError, DataError):
        return False


def _digest(image: AnyArray, valid: BoolArray) -> str:
    """Return the same for the same pixels, in whatever order the bands are."""
    digest = hashlib.sha256(repr(image.shape).encode())
    for band in sorted(hashlib.sha256(np.ascontiguousarray(one).data).digest() for one in image):
        digest.update(band)
    digest.update(np.packbits(valid).data)
    return digest.hexdigest()
