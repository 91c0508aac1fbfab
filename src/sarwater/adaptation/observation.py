"""What can be said of a network on images without labels."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sarwater.adaptation.separation import (
    TRUST,
    BackscatterByProbability,
    Separation,
    TwoClasses,
    filtered_decibels,
    separating_threshold,
    separation_cost,
    two_classes,
)
from sarwater.evaluation.counts import BINS, THRESHOLDS, threshold_index
from sarwater.types import Chip, FloatArray, Units

DoubleArray = NDArray[np.float64]


class Observation:
    """Sums over predicted images: probabilities, their entropy, and backscatter; additive."""

    def __init__(self, bands: Sequence[str], units: Units) -> None:
        """Start without pixels, for images of bands with these names, in these units."""
        self.histogram: DoubleArray = np.zeros(BINS)
        """Pixels by bin of water probability."""
        self._entropy: DoubleArray = np.zeros(1)
        self._backscatter = BackscatterByProbability(bands)
        self._units = units

    def add(self, chip: Chip, probability: FloatArray) -> None:
        """Add an image and its water probability [row, col]."""
        values = probability[chip.valid]
        self.histogram += np.bincount(
            np.searchsorted(THRESHOLDS, values, side="right"), minlength=BINS
        )
        self._entropy += binary_entropy(values).sum(dtype=np.float64)
        quiet, inside = filtered_decibels(chip.image, chip.valid, chip.units)
        self._backscatter.add(quiet, inside, probability)

    def merge(self, other: "Observation") -> None:
        """Add what another one has seen."""
        for own, more in zip(self.arrays(), other.arrays(), strict=True):
            own += more

    def arrays(self) -> Iterator[DoubleArray]:
        """Yield what adds up over processes."""
        yield self.histogram
        yield self._entropy
        yield from self._backscatter.arrays()

    def set_arrays(self, arrays: Iterable[DoubleArray]) -> None:
        """Replace the sums by those of all processes."""
        for own, total in zip(self.arrays(), arrays, strict=True):
            own[...] = total

    @property
    def entropy(self) -> float:
        """Mean entropy of the water probability in bits, 0 (sure) ... 1; nan without pixels."""
        return float(self._entropy[0] / self.histogram.sum()) if self.histogram.any() else np.nan

    def water_share(self, threshold: float) -> float:
        """Share of the pixels at or above a threshold, 0 ... 1; nan without pixels."""
        total = self.histogram.sum()
        return (
            float(self.histogram[threshold_index(threshold) + 1 :].sum() / total)
            if total
            else np.nan
        )

    def separation(self, expected: float | None = None, trust: float = TRUST) -> Separation | None:
        """Return the threshold at which the backscatter separates best, if any does.

        Args:
            expected: a threshold that holds elsewhere (the source's), which weighs in.
            trust: how much.
        """
        return separating_threshold(
            self._backscatter,
            water_is_darker=self._units is not Units.OTHER,
            expected=expected,
            trust=trust,
        )

    def two_classes(self, threshold: float) -> TwoClasses | None:
        """Return how the backscatter is distributed on both sides of a threshold."""
        return two_classes(self._backscatter, threshold)

    def separation_at(self, threshold: float) -> float | None:
        """Return the cost of dividing the backscatter at a threshold; lower is better."""
        return separation_cost(self._backscatter, threshold)


def binary_entropy(probability: FloatArray) -> FloatArray:
    """Return -p log2 p - (1 - p) log2 (1 - p).

    >>> binary_entropy(np.float32([0, 0.5, 1])).tolist()
    [0.0, 1.0, 0.0]
    """
    p = np.clip(probability, np.float32(1e-7), np.float32(1 - 1e-7))
    entropy = -p * np.log2(p) - (1 - p) * np.log2(1 - p)
    return np.where((probability <= 0) | (probability >= 1), np.float32(0), entropy)
