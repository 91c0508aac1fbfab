"""Exact counts of hits and misses at a fine grid of thresholds, in one pass and additive.

A pixel is called water at threshold t where ``probability >= t``. Which of the 999 thresholds a
probability passes is one number, its bin; the histogram of the bins over water pixels and over
land pixels gives TP, FP, FN and TN at every threshold by sums from the right.

Networks that are sure of nearly all pixels put them below the first threshold and above the last;
finer bins towards 0 and 1 say how such pixels are ranked.
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

_SHIFT = 20
"""The bits of a float32 but the lowest 20 count the eighths of its octave, and all below."""

_NEAR, _ZERO, _ONE = (int(np.float32(2.0**n).view(np.int32) >> _SHIFT) for n in (-6, -40, -24))
"""Octaves are divided from 1/64 down to 1e-12, and from 63/64 up to the last float32 before 1."""

RANKS = BINS + (_NEAR - _ZERO) + (_NEAR - _ONE)
"""Number of the finer bins: each is a part of one bin."""

_EDGES = np.concatenate([[-np.inf], THRESHOLDS, [np.inf]]).astype(np.float32)
_CHUNK = 1 << 14
"""Pixels at a time: what stays in a core's cache makes the pass three times as fast."""
_SLACK = 1e-3
"""How far rounding (softmax, blending) may carry a probability out of 0 ... 1."""


@dataclass(frozen=True, eq=False)
class ThresholdCounts:
    """Histograms of probability over water and over land, of one chip or a stack of chips.

    Arrays are [..., 1000], of finer bins [..., 1416]; adding two of them adds their pixels, and a
    sum over the leading axis pools the chips.
    """

    positives: IntArray
    """Pixels labelled water by bin."""
    negatives: IntArray
    """Pixels labelled land by bin."""
    positive_sums: DoubleArray
    """Sum of the probabilities of the water pixels by bin, for calibration."""
    negative_sums: DoubleArray
    """Sum of the probabilities of the land pixels by bin."""
    positive_ranks: IntArray
    """Pixels labelled water by finer bin, for average precision."""
    negative_ranks: IntArray
    """Pixels labelled land by finer bin."""

    @classmethod
    def zeros(cls, *leading: int) -> "ThresholdCounts":
        """Return counts of no pixels; the neutral element of the addition."""
        shape, finer = (*leading, BINS), (*leading, RANKS)
        return cls(
            np.zeros(shape, np.int64),
            np.zeros(shape, np.int64),
            np.zeros(shape, np.float64),
            np.zeros(shape, np.float64),
            np.zeros(finer, np.int64),
            np.zeros(finer, np.int64),
        )

    @classmethod
    def from_arrays(cls, *arrays: AnyArray) -> "ThresholdCounts":
        """Return what the arrays say, in the order of the fields.

        Counts of earlier versions have the first four: there all pixels of a bin are ties.
        """
        if len(arrays) > 4:
            return cls(*arrays)
        finer = np.zeros((2, *arrays[0].shape[:-1], RANKS), np.int64)
        for ranks, histogram in zip(finer, arrays, strict=False):
            ranks[..., _STARTS] = histogram
        return cls(*arrays, *finer)

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
        return _each(lambda array: array.reshape(-1, array.shape[-1]).sum(axis=0), self)

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
    histogram = np.zeros(2 * RANKS, np.int64)
    sums = np.zeros(2 * RANKS, np.float64)
    for start in range(0, values.size, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        part, is_water = values[chunk], water[chunk]
        if kept is not None:
            part, is_water = part[kept[chunk]], is_water[kept[chunk]]
        part = _checked(part)
        index = _ranks(part)
        np.add(index, RANKS, out=index, where=is_water)
        histogram += np.bincount(index, minlength=2 * RANKS)
        sums += np.bincount(index, weights=part, minlength=2 * RANKS)
    ranks = histogram[RANKS:], histogram[:RANKS]
    finer = (*ranks, sums[RANKS:], sums[:RANKS])
    positives, negatives, positive_sums, negative_sums = (
        np.add.reduceat(n, _STARTS) for n in finer
    )
    return ThresholdCounts(positives, negatives, positive_sums, negative_sums, *ranks)


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


def threshold_at(index: int) -> float:
    """Return the threshold at a place of ``THRESHOLDS``, as a plain multiple of .001.

    >>> threshold_at(threshold_index(0.123))
    0.123
    """
    return (index + 1) / 1000


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


def _checked(values: FloatArray) -> FloatArray:
    """Return probabilities within 0 ... 1, clipped where rounding carried them out."""
    if not values.size:
        return values
    low, high = values.min(), values.max()
    if not (low >= -_SLACK and high <= 1 + _SLACK):
        found = f"{low} ... {high}"
        raise DataError(f"probabilities must lie within 0 ... 1, found {found}; are they logits?")
    return values if low >= 0 and high <= 1 else values.clip(0, 1)


def _ranks(values: FloatArray) -> IntArray:
    """Return the finer bin of each value (int64): the thresholds and the octaves that it passes."""
    # The nearest threshold is found by rounding; the bin is below it unless it is passed.
    place = (values * np.float32(1000) + np.float32(0.5)).astype(np.int32)
    place -= values < _EDGES[place]
    place += _octaves(values, _ZERO)
    place += (_NEAR - _ONE) - _octaves(np.float32(1) - values, _ONE)
    return place.astype(np.int64)


def _octaves(values: FloatArray, least: int) -> NDArray[np.int32]:
    bits = np.asarray(values).view(np.int32) >> _SHIFT
    np.clip(bits, least, _NEAR, out=bits)
    bits -= least
    return bits


_STARTS = _ranks(np.concatenate([np.zeros(1, np.float32), THRESHOLDS]))
"""The first finer bin of each bin."""


def _passing(histogram: IntArray) -> IntArray:
    return np.asarray(histogram[..., ::-1].cumsum(axis=-1)[..., ::-1][..., 1:])


def _each(operation: Callable[..., AnyArray], *parts: ThresholdCounts) -> ThresholdCounts:
    """Apply an operation to each of the histograms of the parts."""
    names = [field.name for field in fields(ThresholdCounts)]
    return ThresholdCounts(*(operation(*(getattr(part, n) for part in parts)) for n in names))
