"""Bootstrap over chips: how far scores would move had other chips been labelled.

Pixels of one chip resemble each other, so chips are drawn (with replacement), not pixels. A
resample is a row of whole-number weights, and the counts of all resamples are one matrix product:
[resamples, chips] @ [chips, counts]. Efron and Tibshirani 1993, An Introduction to the Bootstrap.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarwater.errors import DataError
from sarwater.evaluation.counts import DoubleArray, ThresholdCounts
from sarwater.evaluation.scores import METRICS, average_precision, plain, ratio, scores

CONFIDENCE = 0.95
"""Share of the resamples that lies within an interval."""


def resample_weights(chips: int, resamples: int, seed: int | Sequence[int]) -> DoubleArray:
    """Draw how often each chip occurs in each resample: multinomial, each row sums to ``chips``.

    Returns:
        float64 [resamples, chips]; the same for the same arguments.

    Raises:
        DataError: a negative number of resamples, or no chips.
    """
    if chips < 1 or resamples < 0:
        raise DataError(f"cannot draw {resamples} resamples of {chips} chips")
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(chips, np.full(chips, 1 / chips), size=resamples)
    return drawn.astype(np.float64)


def interval(samples: DoubleArray) -> list[float] | None:
    """Return the 2.5th and the 97.5th percentile of the defined samples, None without any."""
    defined = samples[np.isfinite(samples)]
    if defined.size < 2:
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return [float(low), float(high)]


def pooled_samples(
    counts: ThresholdCounts, weights: DoubleArray, index: int
) -> dict[str, DoubleArray]:
    """Return the pooled scores of each resample at one threshold.

    Args:
        counts: a stack of chips [chip, 1000].
        weights: [resamples, chip].
        index: place of the threshold in ``THRESHOLDS``.

    Returns:
        Arrays [resamples] by name of the score.
    """
    tp = counts.positives[:, index + 1 :].sum(axis=1)
    fp = counts.negatives[:, index + 1 :].sum(axis=1)
    drawn = weights @ np.stack([tp, fp, counts.water - tp], axis=1).astype(np.float64)
    found = scores(drawn[:, 0], drawn[:, 1], drawn[:, 2])
    return {name: getattr(found, name) for name in METRICS}


def average_precision_samples(counts: ThresholdCounts, weights: DoubleArray) -> DoubleArray:
    """Return the pooled average precision of each resample [resamples]."""
    water, land = (n.astype(np.float64) for n in (counts.positive_ranks, counts.negative_ranks))
    parts = [
        average_precision(part @ water, part @ land)
        for part in np.array_split(weights, max(1, len(weights) // 250))
    ]
    return np.concatenate(parts)


def mean_samples(values: DoubleArray, weights: DoubleArray) -> DoubleArray:
    """Return the weighted mean over chips of each resample; chips whose value is nan are left out.

    Args:
        values: a value a chip [chip].
        weights: [resamples, chip].
    """
    defined = np.isfinite(values)
    total = weights @ defined.astype(np.float64)
    return ratio(weights @ np.where(defined, values, 0.0), total)


def with_interval(estimate: Any, samples: NDArray[np.float64] | None) -> dict[str, Any]:
    """Put an estimate and its interval together as plain data.

    >>> with_interval(0.5, None)
    {'value': 0.5, 'interval': None}
    """
    bounds = None if samples is None else interval(samples)
    return {"value": plain(estimate), "interval": bounds}
