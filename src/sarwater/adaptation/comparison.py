"""Source-only and adapted model side by side on images without labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sarwater.adaptation.observation import Observation
from sarwater.normalize import BandStatistics
from sarwater.types import IGNORE, BoolArray, ByteArray, Chip, FloatArray, Units
from sarwater.units import add_decibels

Predict = Callable[[FloatArray, BoolArray, BandStatistics | None], FloatArray]
"""From image [band, row, col], valid [row, col] and the statistics of the image's domain or scene
(where the normalization needs them) to water probability [row, col]."""

GAIN_DB = 1.0
"""Change of gain under which a good map stays the same."""

_LITTLE_OVERLAP = 0.5
"""Intersection over union of the two maps' water below which they are different maps."""

_MUCH = 0.1
"""Change of the agreement under a gain that says something."""

_FEW = 0.005
"""Share of the pixels up to which a change is too small to warn of."""


@dataclass(frozen=True)
class Side:
    """One of the two models."""

    predict: Predict
    threshold: float


@dataclass(eq=False)
class Example:
    """A chip with both maps, for pictures."""

    chip: Chip
    source_only: ByteArray
    adapted: ByteArray
    differs: int
    """Pixels whose class differs."""
    water: tuple[FloatArray, FloatArray]
    """Probability of water [row, col] of both models, 0 where there is no data."""


@dataclass(eq=False)
class _Sums:
    observation: Observation
    flip: list[int] = field(default_factory=lambda: [0, 0])
    gain: list[int] = field(default_factory=lambda: [0, 0])

    def signals(self, threshold: float) -> dict[str, Any]:
        found = self.observation.separation()
        return {
            "threshold": threshold,
            "separating_threshold": found.threshold if found else None,
            "water_share": self.observation.water_share(threshold),
            "entropy": self.observation.entropy,
            "separation": self.observation.separation_at(threshold),
            "agreement_flips": _ratio(self.flip),
            "agreement_gain": _ratio(self.gain),
        }


class SideBySide:
    """Runs both models over chips, and sums up what can be said without labels."""

    def __init__(
        self,
        source_only: Side,
        adapted: Side,
        bands: Sequence[str],
        units: Units,
        examples: int = 12,
    ) -> None:
        """Start without chips, of bands with these names.

        The ``examples`` chips whose maps differ most are kept.
        """
        self._sides = (source_only, adapted)
        self._sums = tuple(_Sums(Observation(bands, units)) for _ in range(2))
        self._pixels = np.zeros((2, 2), np.int64)
        self._kept = examples
        self.examples: list[Example] = []

    def add(self, chip: Chip, group: BandStatistics | None = None) -> None:
        """Predict a chip with both models; ``group``: statistics of its domain or scene."""
        found = [
            self._predict(chip, group, *both) for both in zip(self._sides, self._sums, strict=True)
        ]
        maps = [water for _, water in found]
        one, other = (water[chip.valid] for water in maps)
        pairs = np.bincount(2 * one.astype(np.int64) + other, minlength=4)
        self._pixels += pairs.reshape(2, 2)
        before, after = (np.where(chip.valid, water, IGNORE).astype(np.uint8) for water in maps)
        differs = int((one != other).sum())
        self.examples.append(Example(chip, before, after, differs, (found[0][0], found[1][0])))
        self.examples.sort(key=lambda example: -example.differs)
        del self.examples[self._kept :]

    def _predict(
        self, chip: Chip, group: BandStatistics | None, side: Side, sums: _Sums
    ) -> tuple[FloatArray, BoolArray]:
        """Return probability and map of a chip, and count how steady the map is."""
        probability = side.predict(chip.image, chip.valid, group)
        sums.observation.add(chip, probability)
        threshold = np.float32(side.threshold)
        water: BoolArray = (probability >= threshold) & chip.valid
        mirrored = chip.image[..., ::-1].copy(), chip.valid[:, ::-1].copy()
        flipped = side.predict(*mirrored, group)[:, ::-1]
        _count(sums.flip, water, (flipped >= threshold) & chip.valid)
        if chip.units is not Units.OTHER:
            brighter = add_decibels(chip.image, np.float32(GAIN_DB), chip.units)
            brighter = np.where(chip.valid, brighter, np.float32(0))
            louder = side.predict(brighter, chip.valid, group)
            _count(sums.gain, water, (louder >= threshold) & chip.valid)
        return np.where(chip.valid, probability, np.float32(0)), water

    def result(self) -> dict[str, Any]:
        """Return what was found, as plain data.

        ``source_only`` and ``adapted`` hold each model's ``threshold``, ``separating_threshold``
        (chosen without labels; None where none separates), ``water_share`` (0 ... 1), ``entropy``
        (bits), ``separation`` (cost of dividing the backscatter there: lower is better, comparable
        between the two), ``agreement_flips`` and ``agreement_gain`` (intersection over union of
        its water with that of the mirrored image, and of the image one decibel brighter).
        ``overlap`` is the intersection over union of the two maps' water (None without any),
        ``disagreement`` the share of pixels whose class differs; ``recommended`` is the name of
        one of the two models (see ``recommended``); ``warnings`` say in words why adapting looks
        harmful, if it does.
        """
        names = ("source_only", "adapted")
        found: dict[str, Any] = {
            name: sums.signals(side.threshold)
            for name, sums, side in zip(names, self._sums, self._sides, strict=True)
        }
        total, union = self._pixels.sum(), self._pixels.sum() - self._pixels[0, 0]
        found["pixels"] = int(total)
        found["overlap"] = float(self._pixels[1, 1] / union) if union else None
        changed = self._pixels[0, 1] + self._pixels[1, 0]
        found["disagreement"] = float(changed / total) if total else 0.0
        found["recommended"] = recommended(found)
        found["warnings"] = warnings(found)
        return found


def recommended(found: dict[str, Any]) -> str:
    """Choose between the two models by the signals alone: ``adapted`` or ``source_only``.

    The one whose water changes less under a mirror and under a decibel of gain, by the sum of the
    two agreements; the adapted one where nothing can be told.

    >>> steady = {"agreement_flips": 0.9, "agreement_gain": 0.9}
    >>> unsteady = {"agreement_flips": 0.95, "agreement_gain": 0.8}
    >>> recommended({"source_only": steady, "adapted": unsteady})
    'source_only'
    """
    before, after = found["source_only"], found["adapted"]
    known = [
        name
        for name in ("agreement_flips", "agreement_gain")
        if before[name] is not None and after[name] is not None
    ]
    change = sum(after[name] - before[name] for name in known)
    return "source_only" if change < 0 else "adapted"


def warnings(found: dict[str, Any]) -> list[str]:
    """Say why adapting looks harmful, from the signals alone."""
    before, after = found["source_only"], found["adapted"]
    words = []
    # A source-only map that one decibel changes is no measure for the other one.
    is_firmer = _worse(before["agreement_gain"], after["agreement_gain"], _MUCH)
    is_clearer = _worse(after["separation"], before["separation"], 0.0)
    is_better = is_firmer and is_clearer
    if maps_differ(found["overlap"], found["disagreement"]) and not is_better:
        words.append(
            f"the two maps share {found['overlap']:.0%} of their water only "
            f"({before['water_share']:.1%} of the pixels before, {after['water_share']:.1%} after)"
        )
    if _worse(before["separation"], after["separation"], 0.0):
        words.append("the adapted map divides the target's backscatter less clearly than before")
    if _worse(after["agreement_gain"], before["agreement_gain"], _MUCH):
        words.append("the adapted map changes more than before when the image gets 1 dB brighter")
    return words


def maps_differ(overlap: float | None, disagreement: float) -> bool:
    """Whether two maps are so different that one of them must be wrong.

    Args:
        overlap: intersection over union of their water, None without any.
        disagreement: share of the pixels whose class differs.
    """
    return overlap is not None and overlap < _LITTLE_OVERLAP and disagreement > _FEW


def _worse(low: float | None, high: float | None, margin: float) -> bool:
    return low is not None and high is not None and high - low > margin


def _count(sums: list[int], one: BoolArray, other: BoolArray) -> None:
    sums[0] += int((one & other).sum())
    sums[1] += int((one | other).sum())


def _ratio(sums: list[int]) -> float | None:
    return sums[0] / sums[1] if sums[1] else None
