"""What the runs of benchmarks/adaptation.py say together: shares of the gap, thresholds, signals.

A row is one run: ``pair``, ``method``, ``seed`` and what benchmarks/adaptation_scores.py measured.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from sarwater.evaluation.bootstrap import interval, resample_weights
from sarwater.evaluation.scores import METRICS, scores

Row = dict[str, Any]

SOURCE_ONLY, ORACLE, THRESHOLD = "source_only", "oracle", "threshold"
"""``threshold`` is the source-only network at the threshold that was chosen without labels."""

RECOMMENDED = "recommended"
"""The method that is put forward, or the source-only model where that one agrees more with itself
under a mirror and a decibel of gain: the choice of `sarwater adapt`, made without labels."""

SMALLEST_GAP = 0.03
"""Gap in F1 below which no share of it is given."""

RULES = (
    "source",
    "half",
    "separation",
    "separation_alone",
    "expected_share",
    "prior_shift",
    "chosen",
    "best",
)
"""Ways to choose the threshold of the source-only network; ``chosen`` is with seeds (what
`sarwater adapt` does), ``best`` looks at the test labels."""

SIGNALS = {
    "val_f1": 1,
    "entropy": -1,
    "separation": -1,
    "agreement_flip": 1,
    "agreement_gain": 1,
}
"""Label-free signals, and whether more (1) or less (-1) of them should mean a better model."""


def summarize(rows: list[Row], best: Sequence[str]) -> dict[str, Any]:
    """Return what each method reaches on each pair, and the share of the gap that it recovers.

    Source-only and oracle count at the thresholds chosen on their own validation chips, all others
    at the threshold chosen without labels. Differences are to the source-only models of the same
    seeds, with intervals of 95 % over 2,000 paired resamples of the chips; the counts of several
    seeds are added.

    Args:
        rows: the runs.
        best: the methods that are put forward; on a pair the first one that was measured there.
    """
    pairs: dict[str, Any] = {}
    for name in dict.fromkeys(row["pair"] for row in rows):
        of_pair = [row for row in rows if row["pair"] == name]
        of_pair += list(_recommended(of_pair, best))
        found = {method: _method(of_pair, method) for method in _methods(of_pair)}
        gap = found[ORACLE].get("difference") if ORACLE in found else None
        for method, one in found.items():
            if method not in (SOURCE_ONLY, ORACLE) and "difference" in one:
                own = _gap(of_pair, one["seeds"])
                if own is not None and own >= SMALLEST_GAP:
                    one["gap_recovered"] = round(one["difference"] / own, 3)
        pairs[name] = {
            "gap": gap,
            "gap_recovered": found.get(RECOMMENDED, {}).get("gap_recovered"),
            "difference": found.get(RECOMMENDED, {}).get("difference"),
            "methods": found,
            "thresholds": _thresholds(of_pair),
            "signals": _signals([row for row in of_pair if row["method"] != RECOMMENDED]),
        }
    hours = sum(row["seconds"] for row in rows) / 3600
    known = {"best": list(best), "runs": len(rows), "hours": round(hours, 1)}
    return {**known, "pairs": pairs, "tversky": _tversky(rows)}


def _recommended(rows: list[Row], best: Sequence[str]) -> Iterator[Row]:
    """Yield for each seed the row of the model that would be taken."""
    there = {row["method"] for row in rows}
    taken_method = next((name for name in best if name in there), best[-1])

    def steadiness(row: Row) -> float:
        return sum(row["signals"][f"agreement_{name}"] for name in ("flip", "gain"))

    for row in _runs(rows, taken_method):
        for plain in _runs(rows, SOURCE_ONLY):
            if plain["seed"] == row["seed"]:
                taken = row
                if steadiness(plain) > steadiness(row):
                    points = {**plain["points"], "chosen": plain["points"]["source"]}
                    taken = {**plain, "points": points}
                yield {**taken, "method": RECOMMENDED}


def print_tables(rows: list[Row], best: Sequence[str]) -> None:
    """Print the summary as the tables of docs/adaptation.md."""
    summary = summarize(rows, best)
    print(f"{len(rows)} runs, {summary['hours']} hours, each with a core of its own.")
    for table in (_table_of_methods, _table_of_thresholds, _table_of_signals, _table_of_tversky):
        print()
        for line in table(summary):
            print("| " + " | ".join(line) + " |")


def _methods(rows: list[Row]) -> list[str]:
    names = dict.fromkeys([SOURCE_ONLY, THRESHOLD, *sorted(row["method"] for row in rows)])
    there = {row["method"] for row in rows}
    return [name for name in names if (SOURCE_ONLY if name == THRESHOLD else name) in there]


def _method(rows: list[Row], method: str) -> dict[str, Any]:
    """Return the scores of one method on one pair."""
    point = _point_of(method)
    runs = _runs(rows, SOURCE_ONLY if method == THRESHOLD else method)
    counts = _counts(runs, point)
    found = _values(counts)
    weights = resample_weights(counts.shape[1], 2000, 0)
    drawn = _f1(counts @ weights.T)
    found["f1_interval"] = _bounds(drawn)
    seeds = [row["seed"] for row in runs]
    base = [row for row in _runs(rows, SOURCE_ONLY) if row["seed"] in seeds]
    if method != SOURCE_ONLY and len(base) == len(runs):
        plain = _counts(base, "source")
        found["difference"] = round(found["f1"] - _values(plain)["f1"], 4)
        found["difference_interval"] = _bounds(drawn - _f1(plain @ weights.T))
    found["best_f1"] = _mean(row["points"]["best"]["f1"] for row in runs)
    if method != THRESHOLD:
        away = np.sum([row["away_from_shore"] for row in runs], axis=0)
        found["away_from_shore"] = _values(away)
    found["seeds"] = seeds
    found["f1_of_seeds"] = [row["points"][point]["f1"] for row in runs]
    return found


def _point_of(method: str) -> str:
    """Return the threshold that a method counts at."""
    return "source" if method == SOURCE_ONLY else "chosen"


def _gap(rows: list[Row], seeds: Sequence[int]) -> float | None:
    """Return how far the oracle lies above source-only, in F1, over these seeds alone."""
    pooled = {}
    for method, point in ((SOURCE_ONLY, "source"), (ORACLE, "chosen")):
        runs = [row for row in _runs(rows, method) if row["seed"] in seeds]
        if len(runs) < len(seeds):
            return None
        pooled[method] = _values(_counts(runs, point))["f1"]
    return float(pooled[ORACLE] - pooled[SOURCE_ONLY])


def _runs(rows: list[Row], method: str) -> list[Row]:
    return sorted((row for row in rows if row["method"] == method), key=lambda row: row["seed"])


def _counts(runs: list[Row], point: str) -> Any:
    """Return [3, chip] hits, false alarms and misses, added over seeds."""
    return np.sum([row["points"][point]["counts"] for row in runs], axis=0)


def _values(counts: Any) -> dict[str, Any]:
    found = scores(*counts.sum(axis=1))
    return {name: round(float(getattr(found, name)), 4) for name in METRICS}


def _f1(counts: Any) -> Any:
    return scores(*counts).f1


def _bounds(drawn: Any) -> list[float]:
    return [round(bound, 4) for bound in interval(drawn) or []]


def _mean(values: Iterator[float]) -> float:
    return round(float(np.mean(list(values))), 4)


def _thresholds(rows: list[Row]) -> dict[str, float]:
    """Return the mean F1 of the source-only models at each rule's threshold."""
    runs = _runs(rows, SOURCE_ONLY)
    return {rule: _mean(row["points"][rule]["f1"] for row in runs) for rule in RULES if runs}


def _signals(rows: list[Row]) -> dict[str, float | None]:
    """Return how each signal ranks the models of a pair: Spearman's correlation with their F1.

    Over all methods of the first seed but the oracle, at the thresholds whose maps the signals are
    of: the source's for the source-only model, the label-free one for all others.
    """
    runs = [row for row in rows if row["method"] != ORACLE and row["seed"] == 0]
    found: dict[str, float | None] = {}
    for name, sign in SIGNALS.items():
        pairs = [
            (sign * row["signals"][name], row["points"][_point_of(row["method"])]["f1"])
            for row in runs
            if row["signals"][name] is not None
        ]
        enough = len(pairs) >= 4 and len({value for value, _ in pairs}) > 1
        found[name] = round(float(spearmanr(*zip(*pairs, strict=True))[0]), 2) if enough else None
    return found


def _tversky(rows: list[Row]) -> dict[str, Any]:
    """Return precision and recall of cross-entropy and of Tversky alone, at two thresholds."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(row["pair"] for row in rows):
        runs = {
            method: _runs([row for row in rows if row["pair"] == name], method)[:1]
            for method in (SOURCE_ONLY, "tversky")
        }
        if all(runs.values()):
            found[name] = {
                method: {point: run[0]["points"][point] for point in ("half", "source")}
                for method, run in runs.items()
            }
    return _without_counts(found)


def _without_counts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_counts(one) for name, one in value.items() if name != "counts"}
    return value


def _table_of_methods(summary: dict[str, Any]) -> Iterator[list[str]]:
    yield [
        *("pair", "method", "seeds", "F1", "[95 %]", "IoU", "precision", "recall"),
        *("difference [95 %]", "of the gap", "best F1", "F1 off the shore"),
    ]
    yield ["---"] * 12
    for name, pair in summary["pairs"].items():
        for method, one in sorted(pair["methods"].items(), key=lambda item: -item[1]["f1"]):
            away = one.get("away_from_shore")
            yield [
                name,
                method,
                str(len(one["seeds"])),
                f"{one['f1']:.3f}",
                "[{:.3f}, {:.3f}]".format(*one["f1_interval"]),
                *(f"{one[score]:.3f}" for score in ("iou", "precision", "recall")),
                "{:+.3f} [{:+.3f}, {:+.3f}]".format(one["difference"], *one["difference_interval"])
                if "difference" in one
                else "-",
                f"{one['gap_recovered']:.0%}" if "gap_recovered" in one else "-",
                f"{one['best_f1']:.3f}",
                f"{away['f1']:.3f}" if away else "-",
            ]


def _table_of_thresholds(summary: dict[str, Any]) -> Iterator[list[str]]:
    yield ["pair", *RULES]
    yield ["---"] * (len(RULES) + 1)
    for name, pair in summary["pairs"].items():
        if pair["thresholds"]:
            yield [name, *(f"{pair['thresholds'][rule]:.3f}" for rule in RULES)]


def _table_of_signals(summary: dict[str, Any]) -> Iterator[list[str]]:
    yield ["pair", *SIGNALS]
    yield ["---"] * (len(SIGNALS) + 1)
    for name, pair in summary["pairs"].items():
        found = pair["signals"]
        yield [name, *("-" if found[s] is None else f"{found[s]:+.2f}" for s in SIGNALS)]


def _table_of_tversky(summary: dict[str, Any]) -> Iterator[list[str]]:
    yield ["pair", "loss", "P at .5", "R at .5", "F1 at .5", "P at own", "R at own", "F1 at own"]
    yield ["---"] * 8
    for name, losses in summary["tversky"].items():
        for method, points in losses.items():
            yield [
                name,
                "cross-entropy" if method == SOURCE_ONLY else "Tversky",
                *(
                    f"{points[point][score]:.3f}"
                    for point in ("half", "source")
                    for score in ("precision", "recall", "f1")
                ),
            ]
