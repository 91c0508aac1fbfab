"""Histograms that add up exactly, and how far apart two of them lie.

A bin's width is a power of two and bins start at multiples of it, so that histograms of different
chips can be added without resampling: the finer one is coarsened bin by bin.
"""

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarwater.types import AnyArray, Units
from sarwater.units import in_decibels

_MOST_BINS = 512
"""Histograms are coarsened until they have no more bins than this."""


class Scale(enum.StrEnum):
    """On which axis values are counted and compared."""

    DECIBEL = "dB"
    """Decibel as they are, and linear power as 10 log10, at least -50 dB."""
    AMPLITUDE = "dB of the amplitude"
    """Amplitudes, calibrated or digital numbers, as 20 log10, at least -50 dB."""
    BYTE = "8-bit value"
    """0 ... 255."""
    PLAIN = "value"
    """Anything else, as it is."""


_SCALES = {
    Units.DB: Scale.DECIBEL,
    Units.LINEAR: Scale.DECIBEL,
    Units.AMPLITUDE: Scale.AMPLITUDE,
    Units.BYTE: Scale.BYTE,
    Units.OTHER: Scale.PLAIN,
}

_FIXED = {
    Scale.DECIBEL: (0.5, -50.0, 20.0),
    Scale.AMPLITUDE: (0.5, -50.0, 100.0),
    Scale.BYTE: (1.0, 0.0, 256.0),
}
"""Bin width, lower and upper end of the scales whose bins are fixed."""


def scale_of(units: Units) -> Scale:
    """Return the axis on which values of these units are counted."""
    return _SCALES[units]


def to_scale(values: AnyArray, units: Units) -> NDArray[np.float64]:
    """Put values onto the axis of ``scale_of(units)``, in float64.

    >>> to_scale(np.array([0.01, 0.0]), Units.LINEAR).tolist()
    [-20.0, -50.0]
    """
    return np.asarray(in_decibels(values.astype(np.float64), units), np.float64)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Counts of values; bin i holds [(start + i) width, (start + i + 1) width)."""

    width: float
    """A power of two."""
    start: int
    """Lower end of the first bin, in widths."""
    counts: NDArray[np.int64]
    below: int = 0
    """Values under the first bin."""
    above: int = 0
    """Values over the last bin."""

    @property
    def edges(self) -> NDArray[np.float64]:
        """Ends of the bins, one more than there are bins."""
        ends = self.start + np.arange(len(self.counts) + 1)
        return np.asarray(ends * self.width, np.float64)

    @property
    def total(self) -> int:
        """Values counted, those below and above included."""
        return int(self.counts.sum()) + self.below + self.above

    def quantile(self, share: float) -> float:
        """Return the center of the bin in which the cumulative share is reached (ends clipped)."""
        cumulative = self.below + np.cumsum(self.counts)
        index = int(np.searchsorted(cumulative, share * self.total))
        return (self.start + min(index, len(self.counts) - 1) + 0.5) * self.width


def histogram(values: NDArray[np.float64], scale: Scale) -> Histogram | None:
    """Count values on a scale; None when there are none.

    Bins are -50 ... 20 by .5 for dB, -50 ... 100 by .5 for 20 log10 of an amplitude, 0 ... 256
    by 1 for bytes. On the plain scale at most 130 bins hold the range from p1 - s to p99 + s,
    s = p99 - p1 being the distance of the 1st and the 99th percentile, so that a few wild values
    do not blur the others. What lies outside is counted as below and above.

    >>> found = histogram(np.array([-20.2, -20.1, 3.0, 90.0]), Scale.DECIBEL)
    >>> int(found.counts.sum()), found.above, found.edges[found.counts.argmax()].item()
    (3, 1, -20.5)
    """
    if values.size == 0:
        return None
    width, low, high = _FIXED.get(scale) or _adaptive(values)
    start, stop = math.floor(low / width), math.ceil(high / width)
    index = np.floor(values / width)
    below, above = index < start, index >= stop
    inside = (index[~(below | above)] - start).astype(np.int64)
    counts = np.bincount(inside, minlength=stop - start).astype(np.int64)
    return Histogram(width, start, counts, int(below.sum()), int(above.sum()))


def add(histograms: Sequence[Histogram]) -> Histogram:
    """Add histograms of one scale, on the widest of their bins or wider."""
    aligned = align(histograms)
    return Histogram(
        aligned[0].width,
        aligned[0].start,
        np.sum([one.counts for one in aligned], axis=0, dtype=np.int64),
        sum(one.below for one in aligned),
        sum(one.above for one in aligned),
    )


def align(histograms: Sequence[Histogram]) -> list[Histogram]:
    """Put histograms of one scale onto the same bins, at most 512 of them."""
    width = max(one.width for one in histograms)
    while True:
        coarse = [_coarsened(one, width) for one in histograms]
        start = min(one.start for one in coarse)
        stop = max(one.start + len(one.counts) for one in coarse)
        if stop - start <= _MOST_BINS:
            break
        width *= 2
    return [
        Histogram(
            width,
            start,
            np.pad(one.counts, (one.start - start, stop - one.start - len(one.counts))),
            one.below,
            one.above,
        )
        for one in coarse
    ]


def jensen_shannon(first: Histogram, second: Histogram) -> float:
    """Return the Jensen-Shannon divergence in bits: 0 where equal, 1 where nothing overlaps.

    JSD = (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2 (Lin 1991), p and q the shares of
    the bins, what lies below and above being a bin each.
    """
    p, q = _shares(first, second)
    middle = (p + q) / 2
    return max(0.0, (_divergence(p, middle) + _divergence(q, middle)) / 2)


def wasserstein(first: Histogram, second: Histogram) -> float:
    """Return the 1-Wasserstein (earth mover's) distance, in units of the scale.

    W = integral of |P(x) - Q(x)| dx over the cumulative shares, every value taken to lie at the
    center of its bin, what lies below and above one bin beyond the ends.
    """
    p, q = _shares(first, second)
    width = align((first, second))[0].width
    return float(np.abs(np.cumsum(p - q))[:-1].sum() * width)


def _adaptive(values: NDArray[np.float64]) -> tuple[float, float, float]:
    low, high = np.percentile(values, (1, 99))
    span = high - low
    size = max(abs(float(low)), abs(float(high)))
    reach = max(3 * float(span), size * 2.0**-20, 2.0**-60)
    width = 2.0 ** math.ceil(math.log2(reach / 128))
    return (
        width,
        max(float(low - span), float(values.min())),
        min(float(high + span), float(values.max())) + width,
    )


def _coarsened(one: Histogram, width: float) -> Histogram:
    if width == one.width:
        return one
    # Powers of two divide exactly, so that no count lands in a neighboring bin.
    index = np.floor(one.edges[:-1] / width).astype(np.int64)
    start = int(index[0])
    counts = np.zeros(int(index[-1]) - start + 1, np.int64)
    np.add.at(counts, index - start, one.counts)
    return Histogram(width, start, counts, one.below, one.above)


def _shares(first: Histogram, second: Histogram) -> tuple[NDArray[np.float64], ...]:
    return tuple(
        np.concatenate([[one.below], one.counts, [one.above]]) / one.total
        for one in align((first, second))
    )


def _divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    there = p > 0
    return float((p[there] * np.log2(p[there] / q[there])).sum())
