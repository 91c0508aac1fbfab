"""Which patches the network is shown, and a report of what was really drawn."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sarwater.config import PatchSettings, Strategy
from sarwater.errors import DataError
from sarwater.ratios import RATIO_BINS, ratio_bin
from sarwater.types import IGNORE, BoolArray, ByteArray

IntArray = NDArray[np.int64]
DoubleArray = NDArray[np.float64]

_MEMORY = 0.7
"""Share that a patch's former loss keeps when a new one is seen."""


@dataclass(frozen=True, eq=False)
class Places:
    """Places where a patch can be cut, and what is there; arrays of one length."""

    chip: IntArray
    """Index of the chip."""
    row: IntArray
    """First row in the chip."""
    col: IntArray
    """First column in the chip."""
    background: IntArray
    """Valid pixels labelled as class 0."""
    foreground: IntArray
    """Valid pixels labelled as any other class."""
    shoreline: IntArray
    """Of the foreground, pixels with background among their four neighbors."""
    valid_share: DoubleArray
    """Share of the patch that is valid."""
    last_row: IntArray
    """Largest first row of a patch in the chip."""
    last_col: IntArray
    """Largest first column of a patch in the chip."""
    on_grid: BoolArray
    """Whether the place belongs to the regular grid (places of the grid overlap least)."""

    def __len__(self) -> int:
        """Return the number of places."""
        return len(self.chip)

    def __getitem__(self, chosen: BoolArray | IntArray) -> "Places":
        """Return some of the places."""
        return Places(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    @classmethod
    def join(cls, parts: Sequence["Places"]) -> "Places":
        """Put the places of several chips into one table."""
        names = cls.__dataclass_fields__
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def places_of(chip: int, target: ByteArray, valid: BoolArray, size: int) -> Places:
    """List the places of one chip, half a patch apart.

    Args:
        chip: index of the chip.
        target: [row, col] class indices, ``IGNORE`` where unlabelled.
        valid: [row, col].
        size: side of a patch in pixels; a chip smaller than it has one place.
    """
    counted = valid & (target != IGNORE)
    foreground = counted & (target != 0)
    background = counted & (target == 0)
    shoreline = foreground & ndimage.binary_dilation(background)
    rows, row_grid = _starts(target.shape[0], size)
    cols, col_grid = _starts(target.shape[1], size)
    row, col = (grid.ravel() for grid in np.meshgrid(rows, cols, indexing="ij"))
    counts = [
        _window_sums(layer, row, col, size) for layer in (background, foreground, shoreline, valid)
    ]
    return Places(
        np.full(len(row), chip),
        row,
        col,
        counts[0],
        counts[1],
        counts[2],
        counts[3] / size**2,
        np.full(len(row), rows[-1]),
        np.full(len(row), cols[-1]),
        np.logical_and.outer(row_grid, col_grid).ravel(),
    )


@dataclass
class Sampler:
    """Draws the patches of each epoch from the places that are worth it.

    A draw depends on the seed, the epoch and, for ``hard``, the recent losses alone, so that a
    resumed run draws what the run would have drawn.
    """

    places: Places
    settings: PatchSettings
    seed: int
    losses: DoubleArray = field(init=False)
    """Recent loss of each place, nan where none was seen yet."""

    def __post_init__(self) -> None:
        """Keep the usable places.

        Raises:
            DataError: no place is usable.
        """
        usable = (self.places.valid_share >= 1 - self.settings.max_nodata) & (
            self.places.background + self.places.foreground > 0
        )
        if not usable.any():
            raise DataError(
                f"none of {len(usable)} patches of {self.settings.size} px has labelled valid "
                f"pixels and at most {self.settings.max_nodata:.0%} without data; check the "
                "labels, lower patches.size where chips are smaller, or raise patches.max_nodata"
            )
        self.places = self.places[usable]
        self.losses = np.full(len(self.places), np.nan)

    @property
    def epoch_size(self) -> int:
        """Number of patches an epoch."""
        return self.settings.per_epoch or max(int(self.places.on_grid.sum()), 1)

    def draw(self, epoch: int) -> IntArray:
        """Return the indices of the places of an epoch, in the order in which they are shown."""
        random = np.random.default_rng([self.seed, epoch])
        size = self.epoch_size
        if self.settings.strategy == Strategy.GRID:
            grid = np.flatnonzero(self.places.on_grid)
            grid = grid if len(grid) else np.arange(len(self.places))
            rounds = [random.permutation(grid) for _ in range(-(-size // len(grid)))]
            return np.concatenate(rounds)[:size]
        return random.choice(len(self.places), size, p=self._probabilities())

    def offsets(self, drawn: IntArray, epoch: int) -> tuple[IntArray, IntArray]:
        """Return the first rows and columns of drawn patches.

        ``uniform`` moves each place by up to half the distance to the next, and back to the border
        where that leaves the chip: every pixel offset within the chip occurs, those at the border
        more often than others. The other strategies cut where their counts were taken. What is cut
        there may be without data: `accepts` says whether the move stands.
        """
        row, col = self.places.row[drawn], self.places.col[drawn]
        if self.settings.strategy != Strategy.UNIFORM:
            return row, col
        random = np.random.default_rng([self.seed, epoch, 1])
        reach = max(self.settings.size // 4, 1)
        jitter = random.integers(-reach, reach + 1, (2, len(drawn)))
        return (
            np.clip(row + jitter[0], 0, self.places.last_row[drawn]),
            np.clip(col + jitter[1], 0, self.places.last_col[drawn]),
        )

    def accepts(self, valid: BoolArray, usable: BoolArray) -> bool:
        """Whether a patch has pixels to learn from, and few enough without data.

        Args:
            valid: [row, col] of the whole patch.
            usable: [row, col], labelled pixels, or all where the patch needs no labels.
        """
        enough = bool(valid.mean() >= 1 - self.settings.max_nodata)
        return enough and bool((valid & usable).any())

    def observe(self, drawn: IntArray, losses: DoubleArray) -> None:
        """Remember the losses of patches, in the order in which they were shown."""
        for place, loss in zip(drawn, losses, strict=True):
            old = self.losses[place]
            kept = loss if np.isnan(old) else _MEMORY * old + (1 - _MEMORY) * loss
            self.losses[place] = kept

    def report(self, drawn: IntArray, background: IntArray, foreground: IntArray) -> dict[str, Any]:
        """Say what there was to draw from, on the regular grid, and what was drawn.

        Args:
            drawn: indices of the places.
            background: pixels of class 0 in each patch as it was cut.
            foreground: pixels of all other classes.
        """
        grid = self.places[self.places.on_grid] if self.places.on_grid.any() else self.places
        return {
            "available": _composition(grid.background, grid.foreground),
            "drawn": _composition(background, foreground),
            "distinct_places": len(np.unique(drawn)),
        }

    def _probabilities(self) -> DoubleArray:
        places = self.places
        uniform = np.full(len(places), 1 / len(places))
        if self.settings.strategy == Strategy.UNIFORM:
            return uniform
        if self.settings.strategy == Strategy.STRATIFIED:
            bins = ratio_bin(places.background, places.foreground)
            sizes = np.bincount(bins, minlength=len(RATIO_BINS))
            return np.asarray(1 / (sizes[bins] * np.count_nonzero(sizes)))
        if self.settings.strategy == Strategy.SHORELINE:
            score = places.shoreline.astype(np.float64)
        else:
            seen = ~np.isnan(self.losses)
            # A place that was never shown counts as the hardest one, so that all are seen soon.
            hardest = self.losses[seen].max() if seen.any() else 1.0
            score = np.asarray(np.where(seen, self.losses, hardest))
        if score.sum() <= 0:
            return uniform
        explore = self.settings.explore
        return np.asarray(explore * uniform + (1 - explore) * score / score.sum())


def _composition(background: IntArray, foreground: IntArray) -> dict[str, Any]:
    labelled = background.sum() + foreground.sum()
    bins = np.bincount(ratio_bin(background, foreground), minlength=len(RATIO_BINS))
    return {
        "patches": len(background),
        "water_share": float(foreground.sum() / max(labelled, 1)),
        "ratio_bins": dict(zip(RATIO_BINS, bins.tolist(), strict=True)),
    }


def _starts(length: int, size: int) -> tuple[IntArray, BoolArray]:
    """Return starts half a patch apart, the last at the border, and which make the grid."""
    last = max(length - size, 0)
    starts = np.unique(np.append(np.arange(0, last + 1, max(size // 2, 1)), last))
    return starts, np.isin(starts, np.append(np.arange(0, last + 1, size), last))


def _window_sums(layer: BoolArray, row: IntArray, col: IntArray, size: int) -> IntArray:
    height, width = layer.shape
    table = np.zeros((height + 1, width + 1), np.int64)
    np.cumsum(np.cumsum(layer, axis=0, dtype=np.int64), axis=1, out=table[1:, 1:])
    bottom, right = np.minimum(row + size, height), np.minimum(col + size, width)
    return table[bottom, right] - table[row, right] - table[bottom, col] + table[row, col]
