"""Scores from counts: precision, recall, F1, IoU, average precision, calibration; thresholds.

Water is the positive class. What is undefined (recall, F1 and IoU without water, precision where
nothing is called water) is nan in arrays and None in plain data, never 0 or 1.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sarwater.errors import DataError, SarwaterWarning
from sarwater.evaluation.counts import (
    BINS,
    THRESHOLDS,
    DoubleArray,
    IntArray,
    ThresholdCounts,
    threshold_at,
    threshold_index,
)
from sarwater.threshold_criteria import parse_criterion
from sarwater.types import BoolArray

METRICS = ("precision", "recall", "f1", "iou")
"""Names of the four scores, as they are stored."""

TABLE_THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Thresholds of the printed table."""


@dataclass(frozen=True, eq=False)
class Scores:
    """The four scores as float64 arrays of one shape; nan where undefined."""

    precision: DoubleArray
    """TP / (TP + FP): share of what is called water that is water."""
    recall: DoubleArray
    """TP / (TP + FN): share of the water that is found."""
    f1: DoubleArray
    """2 TP / (2 TP + FP + FN): harmonic mean of the two; undefined where TP + FN = 0."""
    iou: DoubleArray
    """TP / (TP + FP + FN): intersection over union of the water; undefined where TP + FN = 0."""


def scores(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> Scores:
    """Return the scores of counts (whole numbers or weighted sums) of any shape.

    >>> found = scores(3, 1, 2)
    >>> float(found.precision), float(found.recall), float(found.iou)
    (0.75, 0.6, 0.5)
    """
    hit, false, missed = (np.asarray(x, np.float64) for x in (tp, fp, fn))
    water = hit + missed
    return Scores(
        ratio(hit, hit + false),
        ratio(hit, water),
        ratio(2 * hit, np.where(water > 0, hit + false + water, 0)),
        ratio(hit, np.where(water > 0, false + water, 0)),
    )


def curve(counts: ThresholdCounts) -> Scores:
    """Return the scores at every threshold [..., 999]."""
    return scores(counts.tp, counts.fp, counts.fn)


def ratio(numerator: DoubleArray, denominator: DoubleArray) -> DoubleArray:
    """Divide; 0 / 0 is nan, without a warning."""
    out = np.full(np.broadcast(numerator, denominator).shape, np.nan)
    np.divide(numerator, denominator, out=out, where=denominator > 0)
    return out


def average_precision(positives: ArrayLike, negatives: ArrayLike) -> DoubleArray:
    """Return the average precision, sum of (R_n - R_(n-1)) P_n from the highest bin to the lowest.

    The step integral of precision over recall, as scikit-learn's on scores rounded down to their
    bins (the lowest bin, where all is called water, included).

    Args:
        positives: water pixels by bin [..., n], whole numbers or weighted sums, such as
            ``ThresholdCounts.positive_ranks``.
        negatives: land pixels by bin.

    Returns:
        float64 [...]; nan without water.
    """
    gained = np.asarray(positives, np.float64)[..., ::-1]
    hit = gained.cumsum(axis=-1)
    called = hit + np.asarray(negatives, np.float64)[..., ::-1].cumsum(axis=-1)
    precision = np.divide(hit, called, out=np.zeros_like(hit), where=called > 0)
    return ratio((gained * precision).sum(axis=-1), hit[..., -1])


@dataclass(frozen=True, eq=False)
class Calibration:
    """How the probabilities agree with what was found, over pooled pixels."""

    edges: DoubleArray
    """Edges of the equal bins of probability [n + 1]."""
    pixels: IntArray
    """Pixels by bin [n]."""
    predicted: DoubleArray
    """Mean probability by bin; nan where no pixel is."""
    observed: DoubleArray
    """Share of water by bin; nan where no pixel is."""
    expected_error: float
    """Sum over bins of pixels / total * |observed - predicted| (Naeini et al. 2015)."""
    brier: float
    """Mean of (probability - label)^2 (Brier 1950), to 2.5e-7 from the fine bins' sums."""


def calibration(counts: ThresholdCounts, bins: int = 10) -> Calibration:
    """Compare probabilities with the share of water, in equal bins of probability.

    Args:
        counts: pooled counts [1000].
        bins: number of bins; must divide 1000.

    Raises:
        DataError: there are no pixels.
    """
    fine = (counts.positives + counts.negatives).astype(np.float64)
    total = fine.sum()
    if total == 0:
        raise DataError("no pixel to calibrate with")
    fine_sums = counts.positive_sums + counts.negative_sums
    pixels = fine.reshape(bins, -1).sum(axis=1)
    predicted = ratio(fine_sums.reshape(bins, -1).sum(axis=1), pixels)
    observed = ratio(counts.positives.reshape(bins, -1).sum(axis=1).astype(np.float64), pixels)
    gaps = np.where(pixels > 0, np.abs(observed - predicted), 0.0)
    squares = np.divide(fine_sums**2, fine, out=np.zeros(BINS), where=fine > 0)
    brier = squares.sum() - 2 * counts.positive_sums.sum() + counts.positives.sum()
    return Calibration(
        np.linspace(0, 1, bins + 1),
        pixels.astype(np.int64),
        predicted,
        observed,
        float((gaps * pixels).sum() / total),
        float(brier / total),
    )


def class_scores(confusion: IntArray) -> Scores:
    """Return the scores of each class [k] from a confusion matrix [true, predicted]."""
    hit = np.diagonal(confusion)
    return scores(hit, confusion.sum(axis=0) - hit, confusion.sum(axis=1) - hit)


def choose_threshold(counts: ThresholdCounts, criterion: str = "f1") -> tuple[float, str]:
    """Choose a threshold on pooled counts, as training does on the validation split.

    Criteria: ``f1`` and ``iou`` take the best score (both have their best at the same threshold);
    ``balanced`` the smallest |FP - FN|, where the mapped area is nearest to the labelled one;
    ``precision>=0.9`` the best recall among thresholds of at least that precision;
    ``recall>=0.9`` the best precision among thresholds of at least that recall.
    Of thresholds that are equally good the longest run is taken (the one nearest .5 of several
    as long), and of it the middle: the choice that a small shift of the probabilities hurts least.

    Args:
        counts: counts of a chip, or a stack that is pooled.
        criterion: one of ``threshold_criteria.CRITERIA``.

    Returns:
        The threshold and a sentence that says how it was chosen.

    Raises:
        DataError: there is no water, the criterion is unknown, or no threshold satisfies it.
    """
    pooled = counts.pooled()
    name, bound = parse_criterion(criterion)
    if pooled.water == 0:
        raise DataError(
            f"cannot choose a threshold on {int(pooled.land)} pixels of land and none of water: "
            "the validation split needs chips with water; move some there (`sarwater split`), or "
            "name a threshold"
        )
    found = curve(pooled)
    if bound is None:
        goal, text = _GOALS[name](pooled, found)
        allowed = np.full(goal.shape, True)
    else:
        values = getattr(found, name)
        other = "recall" if name == "precision" else "precision"
        goal, text = getattr(found, other), f"best {other} of a {name} of at least {bound:g}"
        allowed = np.nan_to_num(values, nan=-1.0) >= bound
        if not allowed.any():
            best = "undefined" if np.isnan(values).all() else f"{np.nanmax(values):.3f}"
            raise DataError(
                f"no threshold reaches {name} >= {bound:g}: the highest is {best}; "
                "ask for less, or choose by f1"
            )
    goal = np.where(allowed & ~np.isnan(goal), goal, -np.inf)
    index = _middle_of_plateau(goal == goal.max())
    return threshold_at(index), f"{text} ({_reached(found, index)})"


def warn_of_end(threshold: float, what: str) -> None:
    """Warn where a threshold that was chosen is the first or the last that there is.

    Args:
        threshold: which.
        what: it is, for the message.
    """
    if threshold_index(threshold) in (0, len(THRESHOLDS) - 1):
        warnings.warn(
            f"{what} is {threshold:g}, at the end of the thresholds that are tried (0.001 ... "
            "0.999): a better one may lie beyond, where the network is sure of nearly all pixels; "
            "train with another loss, or longer",
            SarwaterWarning,
            3,
        )


def threshold_table(found: Scores) -> list[dict[str, Any]]:
    """Return the rows .1 ... .8 of a curve [999] as plain data, None where undefined."""
    return [{"threshold": t, **at_index(found, threshold_index(t))} for t in TABLE_THRESHOLDS]


def at_index(found: Scores, index: int) -> dict[str, float | None]:
    """Return the four scores at a place of a curve as plain data, None where undefined."""
    return {name: plain(getattr(found, name)[index]) for name in METRICS}


def plain(value: float | np.floating[Any]) -> float | None:
    """Turn a number into a plain float, nan and infinity into None."""
    return float(value) if np.isfinite(value) else None


def plain_list(values: NDArray[Any]) -> list[float | None]:
    """Turn an array [n] into a list of plain floats with None for nan."""
    return [plain(value) for value in values]


_Goal = Callable[[ThresholdCounts, Scores], tuple[DoubleArray, str]]
_GOALS: dict[str, _Goal] = {
    "f1": lambda _, found: (found.f1, "best F1"),
    "iou": lambda _, found: (found.iou, "best IoU"),
    "balanced": lambda counts, _: (
        -np.abs(counts.fp - counts.fn).astype(np.float64),
        "mapped area nearest to the labelled area",
    ),
}


def _middle_of_plateau(best: BoolArray) -> int:
    steps = np.diff(np.concatenate([[0], best.astype(np.int8), [0]]))
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    middles = (starts + ends - 1) // 2
    distance = np.abs(THRESHOLDS[middles] - 0.5)
    return int(middles[np.lexsort((distance, starts - ends))[0]])


def _reached(found: Scores, index: int) -> str:
    values = at_index(found, index)
    parts = (f"{name} {value:.3f}" for name, value in values.items() if value is not None)
    return ", ".join(parts).replace("f1", "F1").replace("iou", "IoU")
