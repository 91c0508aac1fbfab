"""Thresholds that histograms suggest: where two classes are told apart best.

Bins hold their upper edges, as the water below a threshold does.
"""

import math

import numpy as np

from sarwater.evaluation.counts import DoubleArray
from sarwater.types import AnyArray, BoolArray, FloatArray

_SPREAD = 0.05
"""Share of a scene's tiles that its threshold is taken from: those whose quarters differ most, of
the tiles that are not brighter than the scene."""

_TILES = 5
"""How many tiles these are at most."""


def otsu(counts: DoubleArray, edges: DoubleArray) -> float | None:
    """Return the edge that splits a histogram with the largest variance between the parts.

    P0 P1 (m0 - m1)^2, with the shares P and means m of both parts. None where all pixels lie in
    one bin.

    Reference: Otsu, A threshold selection method from gray-level histograms, 1979.
    """
    share, mean, _ = _parts(counts, edges)
    between = share[0] * share[1] * (mean[0] - mean[1]) ** 2
    return _lowest(-between, edges)


def minimum_error(counts: DoubleArray, edges: DoubleArray) -> float | None:
    """Return the edge where two normal distributions explain a histogram best.

    J = 2 (P0 ln s0 + P1 ln s1) - 2 (P0 ln P0 + P1 ln P1) is lowest, with the shares P and
    standard deviations s of both parts. None where no edge leaves both parts a width.

    Reference: Kittler & Illingworth, Minimum error thresholding, 1986.
    """
    share, _, variance = _parts(counts, edges)
    width = edges[1] - edges[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = (share * np.log(variance)).sum(axis=0) - 2 * (share * np.log(share)).sum(axis=0)
    cost[(variance < width**2).any(axis=0)] = np.nan
    return _lowest(cost, edges)


def _parts(counts: DoubleArray, edges: DoubleArray) -> tuple[DoubleArray, DoubleArray, DoubleArray]:
    """Return share, mean and variance [2, edge] of what lies below and above each inner edge."""
    middle = (edges[:-1] + edges[1:]) / 2
    sums = np.stack([counts, counts * middle, counts * middle**2]).cumsum(axis=1)
    below = sums[:, :-1]
    parts = np.stack([below, sums[:, -1:] - below], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = parts[1] / parts[0]
        variance = parts[2] / parts[0] - mean**2
        return parts[0] / sums[0, -1], mean, variance


def _lowest(cost: DoubleArray, edges: DoubleArray) -> float | None:
    """Return the inner edge of the lowest cost; the middle one of several in a row."""
    if not np.isfinite(cost).any():
        return None
    best = np.flatnonzero(cost <= np.nanmin(cost) + 1e-12 * abs(np.nanmin(cost)))
    return float(edges[1 + best[len(best) // 2]])


class SceneHistogram:
    """All pixels of a scene, split by Otsu's threshold."""

    def __init__(self, edges: DoubleArray) -> None:
        """Begin with no pixel; ``edges`` are those of the bins."""
        self._edges = edges
        self._counts: DoubleArray = np.zeros(len(edges) - 1)

    def add(self, values: FloatArray, valid: BoolArray) -> None:
        """Take a chip of the scene, [row, col]."""
        self._counts += histogram(values[valid], self._edges)

    def threshold(self) -> float | None:
        """Return Otsu's threshold; None where all pixels lie in one bin."""
        return otsu(self._counts, self._edges)


class SceneTiles:
    """The tiles of a scene: which hold both classes, and their minimum error thresholds."""

    def __init__(self, edges: DoubleArray, side: int) -> None:
        """Begin with no tile; ``side`` is that of a tile in pixels."""
        self._edges = edges
        self._side = side
        self._mean: list[float] = []
        self._spread: list[float] = []
        self._counts: list[DoubleArray] = []

    def add(self, values: FloatArray, valid: BoolArray) -> None:
        """Take a chip of the scene, [row, col]."""
        side = self._side
        for row in range(0, values.shape[0], side):
            for col in range(0, values.shape[1], side):
                at = slice(row, row + side), slice(col, col + side)
                self._add_tile(values[at], valid[at])

    def _add_tile(self, values: FloatArray, valid: BoolArray) -> None:
        half = values.shape[0] // 2, values.shape[1] // 2
        if min(half) < 4 or not valid.all():
            return
        quarters = [
            values[rows, cols].mean()
            for rows in (slice(None, half[0]), slice(half[0], None))
            for cols in (slice(None, half[1]), slice(half[1], None))
        ]
        self._mean.append(float(values.mean()))
        self._spread.append(float(np.std(quarters)))
        self._counts.append(histogram(values, self._edges))

    def threshold(self) -> float | None:
        """Return the mean of the thresholds of the chosen tiles; None without any."""
        if not self._mean:
            return None
        mean, spread = np.array(self._mean), np.array(self._spread)
        dark = np.flatnonzero(mean <= mean.mean())
        number = min(max(math.ceil(_SPREAD * len(mean)), 1), _TILES)
        chosen = dark[np.argsort(-spread[dark], kind="stable")][:number]
        found = [minimum_error(self._counts[index], self._edges) for index in chosen]
        known = [value for value in found if value is not None]
        return float(np.mean(known)) if known else None


def histogram(values: AnyArray, edges: DoubleArray) -> DoubleArray:
    """Count values in bins that hold their upper edges; what lies outside counts with the ends."""
    inside = np.clip(values, edges[0], edges[-1])
    # NumPy's bins hold their lower edges.
    return np.histogram(-inside, -edges[::-1])[0][::-1].astype(np.float64)
