"""Small pictures of chips for a contact sheet: chosen evenly from those sorted by ratio."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sarwater.errors import DataError, RasterError
from sarwater.inspection.chips import ChipSummary
from sarwater.inspection.domains import BandComparison
from sarwater.inspection.histograms import Histogram, scale_of, to_scale
from sarwater.progress import track
from sarwater.raster import Scene, read_target
from sarwater.types import AnyArray, BoolArray, ByteArray, FloatArray

_DARKEST, _BRIGHTEST = 0.02, 0.98
"""Quantiles of the domain's first band that are shown black and white."""

_LARGEST = 2048
"""Rows and columns above which an image is read decimated."""


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A chip's first band, small, in grey."""

    summary: ChipSummary
    gray: FloatArray
    """[row, col], 0 ... 1; the same value is the same grey in all chips of a domain."""
    valid: BoolArray
    target: ByteArray | None


def choose_chips(chips: Sequence[ChipSummary], limit: int = 64) -> tuple[ChipSummary, ...]:
    """Choose chips evenly from those sorted by ratio, the lowest ratio (the most foreground) first.

    Labelled chips without foreground follow, then those that are wholly unlabelled, without usable
    labels or without valid pixels. Chips that cannot be read are left out.
    """
    ordered = sorted((chip for chip in chips if chip.bands), key=_order)
    if len(ordered) <= limit:
        return tuple(ordered)
    return tuple(ordered[i] for i in np.linspace(0, len(ordered) - 1, limit).round().astype(int))


def read_thumbnails(
    chips: Sequence[ChipSummary], domains: Sequence[BandComparison], *, side: int = 192
) -> list[Thumbnail]:
    """Read the chips again as pictures of at most ``side`` pixels (means of blocks)."""
    found = []
    for chip in track(chips, "drawing", len(chips)):
        try:
            found.append(_read(chip, domains, side))
        except (RasterError, DataError):  # it changed since it was inspected
            continue
    return found


def _read(chip: ChipSummary, domains: Sequence[BandComparison], side: int) -> Thumbnail:
    record = chip.record
    with Scene(
        record.images, bands=record.bands, units=record.units, nodata=record.nodata
    ) as scene:
        height, width = scene.grid.height, scene.grid.width
        shrink = max(1.0, max(height, width) / _LARGEST)
        shape = (max(1, int(height / shrink)), max(1, int(width / shrink)))
        image, valid = scene.read(0, 0, height, width, bands=[0], out_shape=shape)
    step = math.ceil(max(shape) / side)
    values = to_scale(image[0], record.units)
    sums, counts = _blocks(np.where(valid, values, 0), step), _blocks(valid, step)
    usable = counts >= step * step / 2
    low, high = _range(chip, domains)
    gray = (sums / np.maximum(counts, 1) - low) / (high - low)
    target = None
    if chip.labels is not None:
        full = read_target(record)
        rows = (np.arange(usable.shape[0]) + 0.5) * height / shape[0] * step
        cols = (np.arange(usable.shape[1]) + 0.5) * width / shape[1] * step
        target = full[
            np.ix_(
                np.minimum(rows.astype(int), height - 1), np.minimum(cols.astype(int), width - 1)
            )
        ]
    return Thumbnail(chip, np.clip(gray, 0, 1).astype(np.float32), usable, target)


def _order(chip: ChipSummary) -> tuple[int, float]:
    count = chip.label_count()
    if count is None or chip.valid_share == 0:
        return (3, 0.0)
    if count.background + count.foreground == 0:
        return (2, 0.0)
    return (1, float(count.background)) if count.ratio is None else (0, count.ratio)


def _range(chip: ChipSummary, domains: Sequence[BandComparison]) -> tuple[float, float]:
    record = chip.record
    for found in domains:
        if found.band.lower() == record.bands[0].lower() and found.scale == scale_of(record.units):
            for domain in found.domains:
                if domain.domain == record.domain:
                    return _ends(domain.histogram)
    return 0.0, 1.0


def _ends(found: Histogram) -> tuple[float, float]:
    low, high = found.quantile(_DARKEST), found.quantile(_BRIGHTEST)
    return low, max(high, low + found.width)


def _blocks(values: AnyArray, step: int) -> AnyArray:
    """Sum blocks of ``step`` x ``step`` pixels; blocks at the far edges may hold fewer."""
    after = [(0, -length % step) for length in values.shape]
    padded = np.pad(values.astype(np.float64), after)
    rows, cols = padded.shape[0] // step, padded.shape[1] // step
    return np.asarray(padded.reshape(rows, step, cols, step).sum(axis=(1, 3)))


def describe(chip: ChipSummary) -> str:
    """Say in a few words how much foreground a chip has."""
    count = chip.label_count()
    if chip.valid_share == 0:
        return "no valid radar"
    if count is None:
        return "no labels"
    if count.background + count.foreground == 0:
        return "wholly unlabelled"
    if count.ratio is None:
        return f"no {' or '.join(chip.record.classes[1:])}"
    return f"{count.ratio:.2g} : 1" if count.ratio < 10 else f"{count.ratio:,.0f} : 1"
