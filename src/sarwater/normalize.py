"""Normalization: from backscatter to what a network likes, with statistics over valid pixels."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarwater.errors import DataError
from sarwater.normalization_kinds import Normalization as Normalization
from sarwater.types import BoolArray, Chip, FloatArray, Units

FIXED_RANGES: Mapping[Units, tuple[float, float]] = {
    Units.DB: (-35.0, 5.0),
    Units.LINEAR: (0.0, 1.0),
    Units.AMPLITUDE: (0.0, 1000.0),
    Units.BYTE: (0.0, 255.0),
    Units.OTHER: (0.0, 1.0),
}
"""Lowest and highest value that ``fixed`` maps to -1 and 1, by units."""

SMALLEST_STD = 1e-6
"""Standard deviations below this (constant bands) do not divide."""


_PART = 1 << 16
"""Values that are summed at once."""


@dataclass(frozen=True)
class BandStatistics:
    """Mean and standard deviation of each band over valid pixels."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    count: int
    """Valid pixels."""


class RunningStatistics:
    """Sums up images into ``BandStatistics`` without keeping them (in float64, shifted).

    >>> running = RunningStatistics()
    >>> running.add(np.float32([[[1, 3]]]), np.array([[True, True]]))
    >>> running.result()
    BandStatistics(mean=(2.0,), std=(1.0,), count=2)
    """

    def __init__(self) -> None:
        """Start empty."""
        self._count = 0
        self._mean: NDArray[np.float64] | None = None
        self._squares: NDArray[np.float64] | None = None

    def add(self, image: FloatArray, valid: BoolArray) -> None:
        """Add the valid pixels of an image [band, row, col] (Chan et al. 1979, pairwise)."""
        count = int(valid.sum())
        if count == 0:
            return
        values = image.reshape(len(image), -1) if count == valid.size else image[:, valid]
        mean = np.array([_total(band) / count for band in values])
        squares = np.array([_squares(*pair) for pair in zip(values, mean, strict=True)])
        if self._mean is None or self._squares is None:
            self._count, self._mean, self._squares = count, mean, squares
            return
        total = self._count + count
        delta = mean - self._mean
        self._squares = self._squares + squares + delta**2 * (self._count * count / total)
        self._mean = self._mean + delta * (count / total)
        self._count = total

    def result(self) -> BandStatistics:
        """Return the statistics so far.

        Raises:
            DataError: there was no valid pixel.
        """
        if self._mean is None or self._squares is None:
            raise DataError("no valid pixel to take statistics from: every pixel is no data")
        std = np.sqrt(self._squares / self._count)
        return BandStatistics(tuple(self._mean.tolist()), tuple(std.tolist()), self._count)


def _total(values: FloatArray) -> float:
    """Sum in float64, by parts that stay in the processor's cache."""
    parts = (values[start : start + _PART] for start in range(0, len(values), _PART))
    return sum(float(part.astype(np.float64).sum()) for part in parts)


def _squares(values: FloatArray, mean: float) -> float:
    """Sum squared deviations in float64, by parts that stay in the processor's cache."""
    parts = (values[start : start + _PART] - mean for start in range(0, len(values), _PART))
    return sum(float(part @ part) for part in parts)


@dataclass(frozen=True)
class Normalizer:
    """A kind of normalization with what it needs; plain data, stored in the model."""

    kind: Normalization
    units: Units
    statistics: BandStatistics | None = None
    """Of the training chips; used by ``dataset``, and known of every kind but ``fixed``."""
    value_range: tuple[float, float] | None = None
    """For ``fixed``; by default that of the units in ``FIXED_RANGES``."""

    @property
    def needs_group(self) -> bool:
        """Whether ``apply`` must be given the statistics of the image's domain or scene."""
        return self.kind in (Normalization.DOMAIN, Normalization.SCENE)

    def group_of(self, domain: str, scene: str, chip: str) -> str:
        """Name the group of chips whose statistics normalize a chip."""
        return domain if self.kind == Normalization.DOMAIN else scene or chip

    def apply(
        self, image: FloatArray, valid: BoolArray, group: BandStatistics | None = None
    ) -> FloatArray:
        """Normalize an image [band, row, col]; pixels that are not valid become 0.

        Args:
            image: values in ``units``.
            valid: bool [row, col].
            group: statistics of the domain or scene, where ``needs_group``.

        Raises:
            DataError: statistics are missing, or those of another number of bands.
        """
        if self.kind == Normalization.FIXED:
            low, high = self.value_range or FIXED_RANGES[self.units]
            scaled = (np.clip(image, low, high) - low) * np.float32(2 / (high - low)) - 1
        else:
            statistics = self._statistics(image, valid, group)
            if statistics is None:
                return np.zeros_like(image)
            if len(statistics.mean) != image.shape[0]:
                raise DataError(
                    f"the statistics are of {len(statistics.mean)} bands, the image has "
                    f"{image.shape[0]}; give the bands that the model was trained on"
                )
            mean = np.asarray(statistics.mean, np.float32)[:, None, None]
            std = np.maximum(np.asarray(statistics.std, np.float32), SMALLEST_STD)
            scaled = np.subtract(image, mean, dtype=np.float32)
            scaled /= std[:, None, None]
        scaled = scaled.astype(np.float32, copy=False)
        if not valid.all():
            scaled[:, ~valid] = 0
        return scaled

    def _statistics(
        self, image: FloatArray, valid: BoolArray, group: BandStatistics | None
    ) -> BandStatistics | None:
        if self.kind == Normalization.PATCH:
            return image_statistics(image, valid) if valid.any() else None
        statistics = group if self.needs_group else self.statistics
        if statistics is None:
            raise DataError(
                f"'{self.kind.value}' normalization needs statistics and was given none; take "
                "them from the image's own domain or scene first"
            )
        return statistics


def image_statistics(image: FloatArray, valid: BoolArray) -> BandStatistics:
    """Return the statistics of one image [band, row, col] over its valid pixels.

    Raises:
        DataError: it has no valid pixel.
    """
    running = RunningStatistics()
    running.add(image, valid)
    return running.result()


def group_statistics(
    chips: Iterable[tuple[str, Chip]],
) -> dict[str, BandStatistics]:
    """Return the statistics of each group of chips, given as (group, chip); empty ones left out."""
    running: dict[str, RunningStatistics] = {}
    for group, chip in chips:
        if chip.valid.any():
            running.setdefault(group, RunningStatistics()).add(chip.image, chip.valid)
    return {group: sums.result() for group, sums in running.items()}
