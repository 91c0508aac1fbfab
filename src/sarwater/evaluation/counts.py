"""Exact counts of hits and misses at a fine grid of thresholds, in one pass and additive.

A pixel is called water at threshold t where ``probability >= t``. Which of the 999 thresholds a
probability passes is one number, its bin; the histogram of the bins over water pixels and over
land pixels gives TP, FP, FN and TN at every threshold by sums from the right.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from sarwater.errors import DataError
from sarwater.types import AnyArray, BoolArray, ByteArray, FloatArray

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]

THRESHOLDS: FloatArray = (np.arange(1, 1000) / 1000).astype(np.float32)
"""The thresholds .001, .002 ... .999 as float32; a pixel exactly at one of them passes it."""

BINS = len(THRESHOLDS) + 1
"""Number of bins: bin b holds the pixels that pass exactly b thresholds."""

_EDGES = np.concatenate([[-np.inf], THRESHOLDS, [np.inf]]).astype(np.float32)
_CHUNK = 1 << 16
"""Pixels at a time: what stays in a core's cache makes the pass three times as fast."""
_SLACK = 1e-3
"""How far rounding (softmax, blending) may carry a probability out of 0 ... 1."""


@dataclass(frozen=True, eq=False)
class ThresholdCounts:
    """Histograms of probability over water and over land, of one chip or a stack of chips.

    All arrays are [..., 1000]; adding two of them adds their pixels, and a sum over the leading
    axis pools the chips.
    """

    positives: IntArray
    """Pixels labelled water by bin."""
    negatives: IntArray
    """Pixels labelled land by bin."""
    positive_sums: DoubleArray
    """Sum of the probabilities of the water pixels by bin, for calibration."""
    negative_sums: DoubleArray
    """Sum of the probabilities of the land pixels by bin."""

    @classmethod
    def zeros(cls, *leading: int) -> "ThresholdCounts":
        """Return counts of no pixels; the neutral element of the addition."""
        shape = (*leading, BINS)
        return cls(
            np.zeros(shape, np.int64),
            np.zeros(shape, np.int64),
            np.zeros(shape, np.float64),
            np.zeros(shape, np.float64),
        )

    @classmethod
    def stack(cls, parts: Iterable["ThresholdCounts"]) -> "ThresholdCounts":
        """Stack the counts of chips to [chip, 1000]."""
        listed = list(parts)
        if not listed:
            return cls.zeros(0)
        return _each(lambda *arrays: np.stack(arrays), *listed)

    def __add__(self, other: "ThresholdCounts") -> "ThresholdCounts":
        """Add the pixels of two counts."""
        return _each(np.add, self, other)

    def __getitem__(self, index: int | slice | IntArray | BoolArray) -> "ThresholdCounts":
        """Return some chips of a stack."""
        return _each(lambda array: array[index], self)

    def pooled(self) -> "ThresholdCounts":
        """Return the sum over all leading axes: the counts of all pixels together."""
        return _each(lambda array: array.reshape(-1, BINS).sum(axis=0), self)

    @property
    def water(self) -> IntArray:
        """Number of water pixels [...]."""
        return np.asarray(self.positives.sum(axis=-1))

    @property
    def land(self) -> IntArray:
        """Number of land pixels [...]."""
        return np.asarray(self.negatives.sum(axis=-1))

    @property
    def tp(self) -> IntArray:
        """True positives at each threshold [..., 999]."""
        return _passing(self.positives)

    @property
    def fp(self) -> IntArray:
        """False positives at each threshold [..., 999]."""
        return _passing(self.negatives)

    @property
    def fn(self) -> IntArray:
        """False negatives at each threshold [..., 999]."""
        return np.asarray(self.water[..., None] - self.tp)

    @property
    def tn(self) -> IntArray:
        """True negatives at each threshold [..., 999]."""
        return np.asarray(self.land[..., None] - self.fp)


def count(
    probability: FloatArray, is_positive: BoolArray, counted: BoolArray | None = None
) -> ThresholdCounts:
    """Count the pixels of one chip (or of anything) at all thresholds.

    Args:
        probability: water probability 0 ... 1, float32, any shape.
        is_positive: True where the label is water; same shape.
        counted: True where the pixel counts; all do by default. What lies elsewhere is not looked
            at, not even for nan.

    Raises:
        DataError: shapes differ, or a counted probability is nan or not within 0 ... 1.

    >>> counts = count(np.float32([0.2, 0.5, 0.9]), np.array([False, True, True]))
    >>> int(counts.tp[499]), int(counts.fp[499])  # at .5
    (2, 0)
    """
    if probability.shape != is_positive.shape or (
        counted is not None and counted.shape != probability.shape
    ):
        raise DataError(
            f"probability is {probability.shape}, the labels {is_positive.shape} and the counted "
            f"pixels {None if counted is None else counted.shape}: expected one shape"
        )
    values = np.asarray(probability, np.float32).ravel()
    water = is_positive.ravel()
    kept = None if counted is None or counted.all() else counted.ravel()
    histogram = np.zeros(2 * BINS, np.int64)
    sums = np.zeros(2 * BINS, np.float64)
    for start in range(0, values.size, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        part, is_water = values[chunk], water[chunk]
        if kept is not None:
            part, is_water = part[kept[chunk]], is_water[kept[chunk]]
        index = _bins(part)
        np.add(index, BINS, out=index, where=is_water)
        histogram += np.bincount(index, minlength=2 * BINS)
        sums += np.bincount(index, weights=part, minlength=2 * BINS)
    return ThresholdCounts(histogram[BINS:], histogram[:BINS], sums[BINS:], sums[:BINS])


def threshold_index(threshold: float) -> int:
    """Return where a threshold lies in ``THRESHOLDS``.

    Raises:
        DataError: it is not a multiple of .001 between .001 and .999.

    >>> float(THRESHOLDS[threshold_index(0.5)])
    0.5
    """
    index = round(threshold * 1000) if np.isfinite(threshold) else 0
    if not 1 <= index <= len(THRESHOLDS) or abs(threshold * 1000 - index) > 1e-3:
        raise DataError(
            f"the threshold {threshold} is not on the grid of exact counts: expected a multiple "
            "of 0.001 from 0.001 to 0.999; round it (--threshold)"
        )
    return index - 1


def confusion_matrix(
    predicted: ByteArray, target: ByteArray, counted: BoolArray, classes: int
) -> IntArray:
    """Count pixels by true class (row) and predicted class (column); int64 [classes, classes].

    >>> truth = np.uint8([0, 1, 1])
    >>> confusion_matrix(np.uint8([0, 0, 1]), truth, np.full(3, True), 2).tolist()
    [[1, 0], [1, 1]]
    """
    pairs = target[counted].astype(np.int64) * classes + predicted[counted]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def _bins(values: FloatArray) -> IntArray:
    """Return how many thresholds each value passes (int64)."""
    if values.size and not (values.min() >= -_SLACK and values.max() <= 1 + _SLACK):
        found = f"{values.min()} ... {values.max()}"
        raise DataError(f"probabilities must lie within 0 ... 1, found {found}; are they logits?")
    # The nearest threshold is found by rounding; the bin is below it unless it is passed.
    nearest = (values * np.float32(1000) + np.float32(0.5)).astype(np.int64)
    nearest -= values < _EDGES[nearest]
    return nearest


def _passing(histogram: IntArray) -> IntArray:
    return np.asarray(histogram[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:])


def _each(operation: Callable[..., AnyArray], *parts: ThresholdCounts) -> ThresholdCounts:
    """Apply an operation to each of the four histograms of the parts."""
    names = [field.name for field in fields(ThresholdCounts)]
    return ThresholdCounts(*(operation(*(getattr(part, n) for part in parts)) for n in names))
