"""From the counts of an evaluation to its scores, as plain data ready for JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sarwater import __version__
from sarwater.evaluation.bootstrap import (
    CONFIDENCE,
    average_precision_samples,
    mean_samples,
    pooled_samples,
    resample_weights,
    with_interval,
)
from sarwater.evaluation.chips import GIVEN, ChipPixels, Evaluation
from sarwater.evaluation.counts import (
    THRESHOLDS,
    DoubleArray,
    ThresholdCounts,
    threshold_at,
    threshold_index,
)
from sarwater.evaluation.scores import (
    METRICS,
    Scores,
    average_precision,
    calibration,
    choose_threshold,
    class_scores,
    curve,
    plain,
    plain_list,
    scores,
    threshold_table,
)
from sarwater.types import BoolArray

RULES = {
    "positive": "water is every class but the first; a pixel is called water where the "
    "probability of those classes together is at or above the threshold (both float32)",
    "pooled": "counts of all chips are added before scores are taken",
    "per_chip": "mean over chips with water of the chip's own score; a score that is undefined "
    "in a chip leaves that chip out; chips without water have a false-alarm area instead",
    "intervals": f"{CONFIDENCE:.0%} percentile bootstrap, chips drawn with replacement, within "
    "each domain for a domain's scores; null for fewer than two chips",
    "undefined": "null: recall, F1 and IoU where there is no water (resamples without any are left "
    "out of intervals), precision where nothing is called water",
}
"""How numbers in a summary are meant."""

POINT_TITLES = {
    "chosen": "model's threshold",
    "half": "at .5",
    "best": "best here (optimistic)",
}
"""What operating points are called where nothing else is said."""

MOVED = "; `sarwater map` lets each scene move this model's threshold, which is not scored here"
"""Said of a model with ``scene_threshold``."""


def summarize(evaluation: Evaluation, *, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Compute all scores of an evaluation.

    Args:
        evaluation: the counts.
        resamples: number of bootstrap resamples; 0 leaves the intervals out.
        seed: of the bootstrap.

    Returns:
        Plain data: what was evaluated, by which rules, scores at the threshold in use, at the
        model's own where another was given, at .5 and at the best one of this very split, the
        table .1 ... .8, the curve, calibration (None where the model gives no probabilities).
    """
    pooled = evaluation.counts.pooled()
    found = curve(pooled)
    weights = _weights(len(evaluation.chips), resamples, (seed,))
    precision = with_interval(
        average_precision(pooled.positive_ranks, pooled.negative_ranks),
        None if weights is None else average_precision_samples(evaluation.counts, weights),
    )
    return {
        "format": 1,
        "sarwater": __version__,
        "model": {
            "name": evaluation.model.name,
            "hash": evaluation.model.hash,
            "classes": list(evaluation.model.classes),
            "threshold": evaluation.model.threshold,
            "threshold_criterion": evaluation.model.criterion,
            "gives": "probabilities" if evaluation.model.is_probability else "scores",
        },
        "data": _data(evaluation),
        "rules": {
            "missing_radar": evaluation.missing_radar.value,
            "counted": evaluation.missing_radar.sentence,
            "normalization": evaluation.groups,
            "threshold": "the same for all chips" + (MOVED if _is_moved(evaluation) else ""),
            **RULES,
        },
        "bootstrap": {"resamples": resamples, "seed": seed, "confidence": CONFIDENCE},
        "pixels": _pixels(evaluation, pooled),
        "operating_points": {
            name: {"title": title, **operating_point(evaluation, threshold, text, resamples, seed)}
            for name, (title, threshold, text) in _thresholds(evaluation, pooled).items()
        },
        "average_precision": precision,
        "calibration": _calibration(pooled) if evaluation.model.is_probability else None,
        "table": threshold_table(found),
        "classes": _classes(evaluation),
        "curve": {
            "threshold": [threshold_at(i) for i in range(len(THRESHOLDS))],
            **{name: plain_list(getattr(found, name)) for name in METRICS},
        },
    }


def point_title(name: str, point: Mapping[str, Any]) -> str:
    """Return what an operating point is called; those of earlier versions do not say it."""
    return str(point["title"] if "title" in point else POINT_TITLES[name])


def operating_point(
    evaluation: Evaluation, threshold: float, criterion: str, resamples: int, seed: int
) -> dict[str, Any]:
    """Return the scores at one threshold: pooled, by domain and by chip, with intervals."""
    index = threshold_index(threshold)
    counts = evaluation.counts
    domains = list(dict.fromkeys(chip.domain for chip in evaluation.chips))
    names = np.array([chip.domain for chip in evaluation.chips])
    by_chip = chip_scores(counts, index)
    weights = _weights(len(names), resamples, (seed,))
    return {
        "threshold": threshold,
        "criterion": criterion,
        "pooled": _pooled(counts, weights, index),
        "per_chip": {
            "chips": int(np.count_nonzero(counts.water)),
            **{
                name: with_interval(
                    _mean(getattr(by_chip, name)),
                    None if weights is None else mean_samples(getattr(by_chip, name), weights),
                )
                for name in METRICS
            },
        },
        "domains": {
            domain: _domain(evaluation, names == domain, index, resamples, (seed, number))
            for number, domain in enumerate(domains, 1)
        },
        "false_alarms": _false_alarms(evaluation.chips, counts, index),
    }


def _domain(
    evaluation: Evaluation, inside: BoolArray, index: int, resamples: int, seed: tuple[int, ...]
) -> dict[str, Any]:
    """Return what ``operating_point`` says of the chips of a domain, ``inside`` [chip]."""
    counts = evaluation.counts[inside]
    chips = [evaluation.chips[place] for place in np.flatnonzero(inside)]
    return {
        "chips": len(chips),
        "water": int(counts.water.sum()),
        **_pooled(counts, _weights(len(chips), resamples, seed), index),
        "false_alarms": _false_alarms(chips, counts, index),
    }


def chip_scores(counts: ThresholdCounts, index: int) -> Scores:
    """Return each chip's own scores [chip] at a threshold; nan in chips without water."""
    tp, fp, fn, _ = counts_at(counts, index)
    found = scores(tp, fp, fn)
    dry = counts.water == 0
    return Scores(*(np.where(dry, np.nan, getattr(found, name)) for name in METRICS))


def counts_at(
    counts: ThresholdCounts, index: int
) -> tuple[DoubleArray, DoubleArray, DoubleArray, DoubleArray]:
    """Return TP, FP, FN and TN [...] at one threshold (without the whole curve)."""
    tp = counts.positives[..., index + 1 :].sum(axis=-1)
    fp = counts.negatives[..., index + 1 :].sum(axis=-1)
    return tp, fp, counts.water - tp, counts.land - fp


def chip_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Return a row a chip, None where a value is undefined.

    Scores are those at the evaluation's threshold, and at .5 in the columns ``*_half``.
    """
    index, half = threshold_index(evaluation.threshold), threshold_index(0.5)
    found, at_half = (chip_scores(evaluation.counts, place) for place in (index, half))
    tp, fp, fn, tn = counts_at(evaluation.counts, index)
    fp_half = counts_at(evaluation.counts, half)[1]
    rows = []
    for i, chip in enumerate(evaluation.chips):
        is_dry = tp[i] + fn[i] == 0
        area = chip.pixel_area
        rows.append(
            {
                "id": chip.id,
                "domain": chip.domain,
                "water_share": float((tp[i] + fn[i]) / chip.counted),
                **{name: plain(getattr(found, name)[i]) for name in METRICS},
                "tp": int(tp[i]),
                "fp": int(fp[i]),
                "fn": int(fn[i]),
                "tn": int(tn[i]),
                "false_alarm_px": int(fp[i]) if is_dry else None,
                "false_alarm_m2": float(fp[i] * area) if is_dry and area is not None else None,
                "pixels": chip.total,
                "labelled": chip.labelled,
                "counted": chip.counted,
                "labelled_without_radar": chip.without_radar,
                "water_without_radar": chip.water_without_radar,
                **{f"{name}_half": plain(getattr(at_half, name)[i]) for name in METRICS},
                "false_alarm_px_half": int(fp_half[i]) if is_dry else None,
                "false_alarm_m2_half": (
                    float(fp_half[i] * area) if is_dry and area is not None else None
                ),
            }
        )
    return rows


def _weights(chips: int, resamples: int, seed: tuple[int, ...]) -> DoubleArray | None:
    """Return resampling weights, or None where intervals would mean nothing."""
    return resample_weights(chips, resamples, seed) if resamples and chips > 1 else None


def _is_moved(evaluation: Evaluation) -> bool:
    return evaluation.model.scene_threshold and evaluation.criterion != GIVEN


def _thresholds(
    evaluation: Evaluation, pooled: ThresholdCounts
) -> dict[str, tuple[str, float, str]]:
    """Return title, threshold and criterion of each operating point."""
    model = evaluation.model
    title = POINT_TITLES["chosen"] if model.is_probability else "method's threshold"
    own = title, model.threshold, model.criterion
    points = {"chosen": own}
    if evaluation.criterion == GIVEN:
        points = {"chosen": ("given threshold", evaluation.threshold, GIVEN), "model": own}
    points["half"] = POINT_TITLES["half"], 0.5, "fixed at .5"
    if pooled.water:
        best, text = choose_threshold(pooled, "f1")
        text = f"optimistic: {text}, chosen on the very pixels it is scored on"
        points["best"] = POINT_TITLES["best"], best, text
    return points


def _pooled(counts: ThresholdCounts, weights: DoubleArray | None, index: int) -> dict[str, Any]:
    tp, fp, fn, tn = (int(x.sum()) for x in counts_at(counts, index))
    found = scores(tp, fp, fn)
    samples = {} if weights is None else pooled_samples(counts, weights, index)
    by_score = {name: with_interval(getattr(found, name), samples.get(name)) for name in METRICS}
    return {**by_score, "tp": tp, "fp": fp, "fn": fn, "tn": tn}


def _false_alarms(
    chips: Sequence[ChipPixels], counts: ThresholdCounts, index: int
) -> dict[str, Any]:
    dry = np.flatnonzero(counts.water == 0)
    _, fp, _, tn = counts_at(counts[dry], index)
    areas = [chips[i].pixel_area for i in dry.tolist()]
    known = [n * area for n, area in zip(fp, areas, strict=True) if area is not None]
    pixels = int(fp.sum())
    return {
        "chips_without_water": len(dry),
        "chips_with_false_alarms": int(np.count_nonzero(fp)),
        "pixels": pixels,
        "share": pixels / int((fp + tn).sum()) if len(dry) else None,
        "area_m2": float(sum(known)) if len(dry) and len(known) == len(dry) else None,
    }


def _data(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "manifest": evaluation.data,
        "split": evaluation.split,
        "domains": list(dict.fromkeys(chip.domain for chip in evaluation.chips)),
        "chips": len(evaluation.chips),
        "chips_without_water": int(np.count_nonzero(evaluation.counts.water == 0)),
        "not_counted": dict(evaluation.not_counted),
    }


def _pixels(evaluation: Evaluation, pooled: ThresholdCounts) -> dict[str, Any]:
    chips = evaluation.chips + evaluation.left_out
    water_without_radar = sum(chip.water_without_radar for chip in chips)
    water = int(pooled.water)
    if evaluation.missing_radar.value == "exclude":
        labelled_water = water + water_without_radar
    else:
        labelled_water = water
    return {
        "total": sum(chip.total for chip in chips),
        "labelled": sum(chip.labelled for chip in chips),
        "counted": sum(chip.counted for chip in chips),
        "water": water,
        "labelled_without_radar": sum(chip.without_radar for chip in chips),
        "water_without_radar": water_without_radar,
        "water_without_radar_share": water_without_radar / max(1, labelled_water),
    }


def _calibration(pooled: ThresholdCounts) -> dict[str, Any]:
    found = calibration(pooled)
    return {
        "expected_error": found.expected_error,
        "brier": found.brier,
        "edges": found.edges.tolist(),
        "pixels": found.pixels.tolist(),
        "predicted": plain_list(found.predicted),
        "observed": plain_list(found.observed),
    }


def _classes(evaluation: Evaluation) -> dict[str, Any]:
    matrix = evaluation.confusion.sum(axis=0)
    found = class_scores(matrix)
    ious = found.iou[np.isfinite(found.iou)]
    return {
        "confusion_matrix": matrix.tolist(),
        "rows": "true class",
        "columns": "predicted class",
        "mean_iou": plain(ious.mean()) if ious.size else None,
        "scores": {
            name: {metric: plain(getattr(found, metric)[i]) for metric in METRICS}
            for i, name in enumerate(evaluation.model.classes)
        },
    }


def _mean(values: DoubleArray) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if defined.size else float("nan")
