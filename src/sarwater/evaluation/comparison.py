"""Evaluations side by side, with paired differences over the chips that they share.

Two models differ by less than either score is uncertain, since both find the same chips hard; so
each resample draws the same chips for both, and the interval is of the difference.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from sarwater import __version__
from sarwater.errors import DataError
from sarwater.evaluation.bootstrap import (
    CONFIDENCE,
    average_precision_samples,
    interval,
    pooled_samples,
    resample_weights,
    with_interval,
)
from sarwater.evaluation.chips import Evaluation
from sarwater.evaluation.counts import THRESHOLDS, DoubleArray, threshold_at, threshold_index
from sarwater.evaluation.scores import (
    METRICS,
    choose_threshold,
    curve,
    plain,
    plain_list,
    threshold_table,
)

POINTS = ("own", "half", "best")
"""Thresholds at which evaluations are compared: each one's own, .5, and each one's best."""


def compare(
    evaluations: Mapping[str, Evaluation], *, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Compare evaluations of the same chips.

    Args:
        evaluations: two or more by name; the first is what the tables start with.
        resamples: number of bootstrap resamples, 1 or more.
        seed: of the bootstrap.

    Returns:
        Plain data: the scores of each run at its own threshold, at .5 and at its best one (which
        is optimistic), its table .1 ... .8 and curve, and for each pair the difference (later
        minus earlier) with its interval and the share of resamples that agree about its sign.

    Raises:
        DataError: fewer than two, or other chips, labels, classes or rules; what differs is named.
    """
    aligned = align(evaluations)
    first = next(iter(aligned.values()))
    weights = resample_weights(len(first.chips), resamples, seed)
    with_bounds = len(first.chips) > 1
    samples = {name: _samples(run, weights) for name, run in aligned.items()}
    values = {name: _samples(run, np.ones((1, len(run.chips)))) for name, run in aligned.items()}
    return {
        "format": 1,
        "sarwater": __version__,
        "chips": len(first.chips),
        "pixels": int(first.counts.water.sum() + first.counts.land.sum()),
        "missing_radar": first.missing_radar.value,
        "bootstrap": {
            "resamples": resamples,
            "seed": seed,
            "confidence": CONFIDENCE,
            "paired": "each resample draws the same chips, with replacement, for all runs",
        },
        "runs": {
            name: _run(run, values[name], samples[name] if with_bounds else None)
            for name, run in aligned.items()
        },
        "differences": [
            _difference(one, other, values, samples, with_bounds=with_bounds)
            for one, other in combinations(aligned, 2)
        ],
    }


def align(evaluations: Mapping[str, Evaluation]) -> dict[str, Evaluation]:
    """Put the chips of all evaluations in one order.

    Raises:
        DataError: fewer than two, or they are not of the same pixels; what differs is named.
    """
    if len(evaluations) < 2:
        raise DataError(f"a comparison needs two or more evaluations, found {len(evaluations)}")
    (base_name, base), *others = evaluations.items()
    if not base.counts.water.any():
        raise DataError(f"'{base_name}' has no water in its chips: there is no F1 to compare")
    aligned = {base_name: base}
    for name, run in others:
        places = {chip.id: place for place, chip in enumerate(run.chips)}
        problems = _disagreements(base, run, places)
        if problems:
            raise DataError(
                f"'{base_name}' and '{name}' are not evaluations of the same pixels: "
                + "; ".join(problems)
                + "; evaluate both on the same manifest, split and rules"
            )
        aligned[name] = run.in_order_of(base)
    return aligned


def threshold_of(run: Evaluation, point: str) -> float:
    """Return the threshold of an evaluation at one of ``POINTS``."""
    if point == "own":
        return run.threshold
    return 0.5 if point == "half" else choose_threshold(run.counts.pooled(), "f1")[0]


def comparison_rows(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a flat row for each score of each run and for each difference."""
    rows = []
    for name, run in comparison["runs"].items():
        for point in POINTS:
            for metric in METRICS:
                rows.append(_row("score", name, point, metric, run["points"][point][metric]))
        rows.append(_row("score", name, "all", "average_precision", run["average_precision"]))
    for pair in comparison["differences"]:
        name = f"{pair['run']} - {pair['minus']}"
        for point in POINTS:
            for metric in METRICS:
                rows.append(_row("difference", name, point, metric, pair["points"][point][metric]))
        rows.append(_row("difference", name, "all", "average_precision", pair["average_precision"]))
    return rows


def _run(
    run: Evaluation, values: dict[str, DoubleArray], samples: dict[str, DoubleArray] | None
) -> dict[str, Any]:
    pooled = run.counts.pooled()
    found = curve(pooled)

    def score(key: str) -> dict[str, Any]:
        return with_interval(values[key][0], None if samples is None else samples[key])

    return {
        "model": run.model.name,
        "hash": run.model.hash,
        "criterion": run.criterion,
        "points": {
            point: {
                "threshold": threshold_of(run, point),
                **{metric: score(f"{point} {metric}") for metric in METRICS},
            }
            for point in POINTS
        },
        "average_precision": score("average_precision"),
        "table": threshold_table(found),
        "curve": {
            "threshold": [threshold_at(i) for i in range(len(THRESHOLDS))],
            **{metric: plain_list(getattr(found, metric)) for metric in METRICS},
        },
    }


def _samples(run: Evaluation, weights: DoubleArray) -> dict[str, DoubleArray]:
    """Return every score of each resample, by ``point metric``."""
    out = {}
    for point in POINTS:
        index = threshold_index(threshold_of(run, point))
        for metric, values in pooled_samples(run.counts, weights, index).items():
            out[f"{point} {metric}"] = values
    out["average_precision"] = average_precision_samples(run.counts, weights)
    return out


def _difference(
    one: str,
    other: str,
    values: Mapping[str, dict[str, DoubleArray]],
    samples: Mapping[str, dict[str, DoubleArray]],
    *,
    with_bounds: bool,
) -> dict[str, Any]:
    def score(key: str) -> dict[str, Any]:
        value = float(values[other][key][0] - values[one][key][0])
        drawn = samples[other][key] - samples[one][key]
        drawn = drawn[np.isfinite(drawn)]
        agree = np.sign(drawn) == np.sign(value)
        return {
            "value": plain(value),
            "interval": interval(drawn) if with_bounds else None,
            "same_sign": float(agree.mean()) if with_bounds and drawn.size else None,
        }

    return {
        "run": other,
        "minus": one,
        "points": {
            point: {metric: score(f"{point} {metric}") for metric in METRICS} for point in POINTS
        },
        "average_precision": score("average_precision"),
    }


def _disagreements(one: Evaluation, other: Evaluation, places: Mapping[str, int]) -> list[str]:
    problems = []
    if one.model.classes != other.model.classes:
        problems.append(
            f"classes {', '.join(one.model.classes)} and {', '.join(other.model.classes)}"
        )
    if one.missing_radar is not other.missing_radar:
        problems.append(
            f"--missing-radar {one.missing_radar.value} and {other.missing_radar.value}"
        )
    here = {chip.id for chip in one.chips}
    if here != set(places):
        only = sorted(here - set(places)), sorted(set(places) - here)
        problems.append(
            f"{len(only[0])} chips only in the first ({_some(only[0])}), "
            f"{len(only[1])} only in the second ({_some(only[1])})"
        )
        return problems
    order = np.array([places[chip.id] for chip in one.chips])
    differs = (one.counts.water != other.counts.water[order]) | (
        one.counts.land != other.counts.land[order]
    )
    if differs.any():
        names = [chip.id for chip, d in zip(one.chips, differs, strict=True) if d]
        problems.append(f"other numbers of labelled pixels in {len(names)} chips ({_some(names)})")
    return problems


def _some(names: Sequence[str]) -> str:
    return (", ".join(names[:5]) + (", ..." if len(names) > 5 else "")) or "none"


def _row(kind: str, run: str, point: str, metric: str, score: Mapping[str, Any]) -> dict[str, Any]:
    low, high = score["interval"] or (None, None)
    return {
        "kind": kind,
        "run": run,
        "threshold": point,
        "score": metric,
        "value": score["value"],
        "low": low,
        "high": high,
        "same_sign": score.get("same_sign"),
    }
