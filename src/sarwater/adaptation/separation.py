"""A threshold for water probability without a label: where the backscatter itself separates best.

A network that was trained elsewhere often still ranks the pixels of a new region well while its
probabilities are shifted as a whole. Each threshold divides the region's pixels into two classes;
the one kept describes their backscatter best as two normal distributions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sarwater.evaluation.counts import BINS, THRESHOLDS
from sarwater.types import BoolArray, FloatArray, Units
from sarwater.units import can_convert, convert

DoubleArray = NDArray[np.float64]

MEDIAN = 5
"""Side in pixels of the median filter that quiets speckle."""

_FEWEST = 1e-4
"""Least share of the pixels that either class must have."""

_LOWEST = 0.005
"""Thresholds below this divide pixels that the network holds for land alike."""

_SMALLEST_VARIANCE = 1e-6
"""Share of the whole variance that is added to each class's, lest a constant one divides by 0."""


@dataclass(frozen=True)
class Separation:
    """A threshold chosen without labels."""

    threshold: float
    """Water probability, a multiple of .001."""
    score: float
    """The criterion there; lower separates better. Comparable on the same pixels only."""
    water_share: float
    """Share of the pixels at or above the threshold, 0 ... 1."""


class BackscatterByProbability:
    """Sums of median-filtered backscatter in each bin of water probability; additive.

    Count, sum and products of the bands in each of 1,000 bins say mean and covariance of the
    pixels above and below every threshold exactly, without keeping a pixel.
    """

    def __init__(self, bands: int) -> None:
        """Start without pixels."""
        self.count: DoubleArray = np.zeros(BINS)
        self.sum: DoubleArray = np.zeros((BINS, bands))
        self.products: DoubleArray = np.zeros((BINS, bands, bands))

    def add(self, backscatter: FloatArray, valid: BoolArray, probability: FloatArray) -> None:
        """Add the pixels of one image.

        Args:
            backscatter: [band, row, col], as ``filtered_decibels`` gives it.
            valid: [row, col], pixels that count.
            probability: [row, col] of water, 0 ... 1.
        """
        found = np.searchsorted(THRESHOLDS, probability[valid], side="right")
        values = backscatter[:, valid].astype(np.float64)
        self.count += np.bincount(found, minlength=BINS)
        for one, first in enumerate(values):
            self.sum[:, one] += np.bincount(found, first, BINS)
            for other in range(one + 1):
                added = np.bincount(found, first * values[other], BINS)
                self.products[:, one, other] += added
                if other != one:
                    self.products[:, other, one] += added

    def arrays(self) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
        """Return the three arrays, for sums over processes."""
        return self.count, self.sum, self.products

    def add_arrays(self, arrays: Iterable[DoubleArray]) -> None:
        """Add what `arrays` of another one gave."""
        for own, other in zip(self.arrays(), arrays, strict=True):
            own += other


def separating_threshold(
    sums: BackscatterByProbability, *, water_is_darker: bool = True
) -> Separation | None:
    """Choose the threshold whose two classes of backscatter fit two normal distributions best.

    J(t) = P1 ln|S1| + P0 ln|S0| - 2 (P1 ln P1 + P0 ln P0) is lowest, with the share P and the
    covariance S of the pixels at or above (1) and below (0) the threshold t: the minimum error
    criterion of Kittler & Illingworth, in several bands, over the classes that the network's
    probability can make instead of over levels of gray.

    Args:
        sums: of the region.
        water_is_darker: refuse a division whose water is brighter than its land.

    Returns:
        None where no threshold separates: a class would have less than a ten-thousandth of the
        pixels, water is not the darker class, or J is lowest at an end of the range.

    References:
        Kittler & Illingworth, Minimum error thresholding, Pattern Recognition 19 (1986) 41-47.
    """
    total = sums.count.sum()
    if total == 0:
        return None
    above = [array[::-1].cumsum(axis=0)[::-1][1:] for array in sums.arrays()]
    below = [array.cumsum(axis=0)[:-1] for array in sums.arrays()]
    share = above[0] / total
    allowed = (share >= _FEWEST) & (1 - share >= _FEWEST) & (THRESHOLDS >= _LOWEST)
    if not allowed.any():
        return None
    floor = _SMALLEST_VARIANCE * _covariance(*(array.sum(axis=0)[None] for array in sums.arrays()))
    cost = np.full(len(THRESHOLDS), np.inf)
    chosen = np.flatnonzero(allowed)
    for counts, sign in ((above, share), (below, 1 - share)):
        parts = [array[chosen] for array in counts]
        weight = sign[chosen]
        log_determinant = np.linalg.slogdet(_covariance(*parts) + floor)[1]
        term = weight * log_determinant - 2 * weight * np.log(weight)
        cost[chosen] = np.where(np.isinf(cost[chosen]), term, cost[chosen] + term)
    best = int(cost.argmin())
    difference = above[1][best] / above[0][best] - below[1][best] / below[0][best]
    if best in (chosen[0], chosen[-1]) or (water_is_darker and difference.mean() >= 0):
        return None
    return Separation((best + 1) / 1000, float(cost[best]), float(share[best]))


def filtered_decibels(
    image: FloatArray, valid: BoolArray, units: Units
) -> tuple[FloatArray, BoolArray]:
    """Return backscatter on a logarithmic scale after a median filter, and where it holds.

    Args:
        image: [band, row, col].
        valid: [row, col].
        units: of the image; linear power and amplitude become decibels, others stay.

    Returns:
        The filtered image, and True where the whole filter window was valid.
    """
    if units in (Units.LINEAR, Units.AMPLITUDE) and can_convert(units, Units.DB):
        image = convert(image, units, Units.DB)
    elif units is Units.AMPLITUDE:
        image = 20 * np.log10(np.maximum(image, np.float32(1e-6)))
    quiet = np.stack([ndimage.median_filter(band, MEDIAN) for band in image])
    inside: BoolArray = ndimage.minimum_filter(valid, MEDIAN)
    return quiet, inside


def _covariance(count: DoubleArray, sum_: DoubleArray, products: DoubleArray) -> DoubleArray:
    mean = sum_ / count[:, None]
    return np.asarray(products / count[:, None, None] - mean[:, :, None] * mean[:, None, :])


def describe(found: Separation | None) -> dict[str, Any]:
    """Return a separation as plain data; None for each value without one."""
    names = ("threshold", "score", "water_share")
    return {name: getattr(found, name) if found else None for name in names}
