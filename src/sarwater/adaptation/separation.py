"""A threshold for water probability without a label: where the backscatter itself separates best.

A network that was trained elsewhere often still ranks the pixels of a new region well while its
probabilities are shifted as a whole. Each threshold divides the region's pixels into two classes;
the one kept describes their backscatter best as two normal distributions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import logit

from sarwater.evaluation.counts import BINS, THRESHOLDS, threshold_at, threshold_index
from sarwater.smoothing import local_median
from sarwater.types import POLARIZATIONS, BoolArray, FloatArray, Units
from sarwater.units import in_decibels

DoubleArray = NDArray[np.float64]

MEDIAN = 5
"""Side in pixels of the median filter that quiets speckle."""

_SUREST = 10.0
"""Log-odds beyond which tails of normal distributions say nothing."""

_FEWEST = 1e-4
"""Least share of the pixels that either class must have."""

_LOWEST = 0.005
"""Thresholds below this divide pixels that the network holds for land alike."""

_CONSTANT = 1e-10
"""Variance over squared mean up to which a band is constant but for rounding."""

_REPEATED = 1e-8
"""Variance, of standardized bands, up to which a direction follows from other bands."""

_SMALLEST_VARIANCE = 1e-6
"""Share of the whole variance that is added to each class's, lest a constant one divides by 0."""


TRUST = 0.01
"""Weight of the squared shift of the logits from an expected threshold."""

CAUTION = 0.05
"""The same where the threshold may be moved, not only sure water be found."""


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

    def __init__(self, bands: Sequence[str]) -> None:
        """Start without pixels, with bands of these names."""
        size = len(bands)
        self.is_polarization = np.array([name.upper() in POLARIZATIONS for name in bands])
        self.count: DoubleArray = np.zeros(BINS)
        self.sum: DoubleArray = np.zeros((BINS, size))
        self.products: DoubleArray = np.zeros((BINS, size, size))

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


@dataclass(frozen=True, eq=False)
class TwoClasses:
    """Normal distributions of the backscatter of land and water, as a threshold divides it."""

    water_share: float
    mean: DoubleArray
    """[2, band] of land and of water."""
    covariance: DoubleArray
    """[2, band, band]"""

    def state(self) -> list[Any]:
        """Return it as plain data, for a checkpoint."""
        return [self.water_share, self.mean.tolist(), self.covariance.tolist()]

    @classmethod
    def from_state(cls, state: list[Any]) -> "TwoClasses":
        """Return what `state` was made of."""
        return cls(float(state[0]), np.array(state[1]), np.array(state[2]))

    def log_odds(self, backscatter: FloatArray) -> FloatArray:
        """Return ln(P1 N1(x) / (P0 N0(x))), how much a pixel's backscatter speaks for water.

        Values beyond the two means count as the nearer mean: the narrower of two normal
        distributions would lose what is far from both, such as the very darkest water, to the
        wider one.

        Args:
            backscatter: [band, row, col], as ``filtered_decibels`` gives it.

        Returns:
            float32 [row, col].
        """
        low, high = (edge(self.mean, axis=0)[:, None, None] for edge in (np.min, np.max))
        backscatter = np.clip(backscatter, low, high).astype(np.float32)
        parts = []
        shares = (1 - self.water_share, self.water_share)
        for share, mean, covariance in zip(shares, self.mean, self.covariance, strict=True):
            apart = backscatter - mean[:, None, None].astype(np.float32)
            inverse = np.linalg.inv(covariance).astype(np.float32)
            distance = np.einsum("irc,ij,jrc->rc", apart, inverse, apart)
            constant = np.log(share) - np.linalg.slogdet(covariance)[1] / 2
            parts.append(np.float32(constant) - distance / 2)
        return np.asarray(parts[1] - parts[0], np.float32)


@dataclass(frozen=True, eq=False)
class BackscatterEvidence:
    """What a pixel's backscatter adds to the log-odds of water that a network gives."""

    classes: TwoClasses
    units: Units
    weight: float
    """Of the log-odds, which are bounded to -10 ... 10."""

    def __call__(self, image: FloatArray, valid: BoolArray) -> FloatArray:
        """Return log-odds [row, col] of an image [band, row, col]; 0 where they cannot be told."""
        quiet, inside = filtered_decibels(image, valid, self.units)
        odds = np.clip(self.classes.log_odds(quiet), -_SUREST, _SUREST)
        return np.where(inside, self.weight * odds, np.float32(0)).astype(np.float32)


def separating_threshold(
    sums: BackscatterByProbability,
    *,
    water_is_darker: bool = True,
    expected: float | None = None,
    trust: float = TRUST,
) -> Separation | None:
    """Choose the threshold whose two classes of backscatter fit two normal distributions best.

    J(t) = P1 ln|S1| + P0 ln|S0| - 2 (P1 ln P1 + P0 ln P0) is lowest, with the share P and the
    covariance S of the pixels at or above (1) and below (0) the threshold t: the minimum error
    criterion of Kittler & Illingworth, in several bands, over the classes that the network's
    probability can make instead of over levels of gray.

    Args:
        sums: of the region.
        water_is_darker: refuse a division whose water is brighter than its land, in the mean of
            the bands named as polarizations; where none is, of all, each in units of its deviation.
        expected: a threshold that holds elsewhere, such as the source's: then
            J(t) + trust (logit t - logit expected)^2 is minimized, a normal prior on the shift of
            the network's logits. Backscatter alone takes the darkest look-alikes for the only
            water.
        trust: in the expected threshold, 0 or more.

    Returns:
        None where no threshold separates: a class would have less than a ten-thousandth of the
        pixels, water is not the darker class, or J is lowest at an end of the range.

    References:
        Kittler & Illingworth, Minimum error thresholding, Pattern Recognition 19 (1986) 41-47.
    """
    cost, share = _costs(sums)
    allowed = np.flatnonzero(np.isfinite(cost) & (THRESHOLDS >= _LOWEST))
    if not len(allowed):
        return None
    total = cost[allowed]
    if expected is not None:
        shift = logit(THRESHOLDS[allowed]) - logit(expected)
        total = total + trust * shift**2
    best = int(allowed[total.argmin()])
    if best in (allowed[0], allowed[-1]) or (water_is_darker and _brighter(sums, best) >= 0):
        return None
    return Separation(threshold_at(best), float(cost[best]), float(share[best]))


def two_classes(sums: BackscatterByProbability, threshold: float) -> TwoClasses | None:
    """Return how backscatter is distributed below and above a threshold (a multiple of .001).

    None where a class has less than a ten-thousandth of the pixels, or too few pixels or bands
    that are constant or repeat each other leave its covariance without an inverse.
    """
    parts = _halves(sums, threshold_index(threshold) + 1)
    counts = [float(part[0][0]) for part in parts]
    if min(counts) <= _FEWEST * sum(counts):
        return None
    covariance = np.concatenate([_covariance(*part) for part in parts])
    inverse = _inverse(_deviation(*_total(sums)))
    standardized = inverse[:, None] * covariance * inverse  # whatever the units of the bands
    if not (np.linalg.cond(standardized) < 1 / _REPEATED).all():
        return None
    mean = np.concatenate([part[1] / part[0][:, None] for part in parts])
    return TwoClasses(counts[1] / sum(counts), mean, covariance)


def separation_cost(sums: BackscatterByProbability, threshold: float) -> float | None:
    """Return J at a threshold (a multiple of .001); lower divides the backscatter better.

    None where a class has less than a ten-thousandth of the pixels.
    """
    cost = _costs(sums)[0][threshold_index(threshold)]
    return float(cost) if np.isfinite(cost) else None


def _costs(sums: BackscatterByProbability) -> tuple[DoubleArray, DoubleArray]:
    """Return J and the share of water at each threshold, both [999]."""
    total = max(sums.count.sum(), 1)
    above = [array[::-1].cumsum(axis=0)[::-1][1:] for array in sums.arrays()]
    below = [array.cumsum(axis=0)[:-1] for array in sums.arrays()]
    share = above[0] / total
    cost = np.full(len(share), np.inf)
    chosen = np.flatnonzero((share >= _FEWEST) & (below[0] / total >= _FEWEST))
    if not len(chosen):
        return cost, share
    axes, scale = _axes(*_total(sums))
    if not axes.shape[1]:
        return cost, share
    floor = _SMALLEST_VARIANCE * np.eye(axes.shape[1])
    cost[chosen] = scale
    for parts in (above, below):
        part = [array[chosen] for array in parts]
        weight = part[0] / total
        log_determinant = np.linalg.slogdet(axes.T @ _covariance(*part) @ axes + floor)[1]
        cost[chosen] += weight * log_determinant - 2 * weight * np.log(weight)
    return cost, share


def _brighter(sums: BackscatterByProbability, index: int) -> float:
    """Return how much brighter water is than land, divided at the threshold of an index."""
    below, above = _halves(sums, index + 1)
    difference = (above[1] / above[0][:, None] - below[1] / below[0][:, None])[0]
    if sums.is_polarization.any():  # other bands, such as elevation, may be anything over water
        return float(difference[sums.is_polarization].mean())
    return float((difference * _inverse(_deviation(*_total(sums)))).mean())


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
    image = in_decibels(image, units)
    quiet = np.stack([local_median(band, MEDIAN) for band in image])
    inside: BoolArray = ndimage.minimum_filter(valid, MEDIAN)
    return quiet, inside


def _axes(
    count: DoubleArray, sum_: DoubleArray, products: DoubleArray
) -> tuple[DoubleArray, float]:
    """Return axes [band, axis] along which the pixels vary, and 2 ln of what they divide by.

    Bands become uncorrelated with variance 1; what is constant, or follows from other bands, has
    no axis: its variance within a class is rounding, and its logarithm would decide everything.
    """
    covariance = _covariance(count, sum_, products)[0]
    deviation = _deviation(count, sum_, products)
    inverse = _inverse(deviation)
    values, vectors = np.linalg.eigh(inverse[:, None] * covariance * inverse)
    kept = values > _REPEATED
    axes = inverse[:, None] * vectors[:, kept] / np.sqrt(values[kept])
    scale = np.log(values[kept]).sum() + 2 * np.log(deviation[deviation > 0]).sum()
    return axes, float(scale)


def _deviation(count: DoubleArray, sum_: DoubleArray, products: DoubleArray) -> DoubleArray:
    """Return the standard deviation of each band, 0 of one that is constant but for rounding."""
    variance = np.diagonal(_covariance(count, sum_, products)[0]).clip(min=0)
    return np.sqrt(np.where(variance > _CONSTANT * (sum_[0] / count) ** 2, variance, 0))


def _inverse(deviation: DoubleArray) -> DoubleArray:
    """Return 1 / deviation, 0 of a constant band."""
    return np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)


def _total(sums: BackscatterByProbability) -> list[DoubleArray]:
    """Return the three sums over all bins, each with a first axis of one."""
    return [np.sum(array, axis=0, keepdims=True) for array in sums.arrays()]


def _halves(sums: BackscatterByProbability, bin_: int) -> list[list[DoubleArray]]:
    """Return the sums over the bins before one and from it on, as ``_total`` does."""
    return [
        [array[half].sum(axis=0, keepdims=True) for array in sums.arrays()]
        for half in (slice(None, bin_), slice(bin_, None))
    ]


def _covariance(count: DoubleArray, sum_: DoubleArray, products: DoubleArray) -> DoubleArray:
    mean = sum_ / count[:, None]
    return np.asarray(products / count[:, None, None] - mean[:, :, None] * mean[:, None, :])
