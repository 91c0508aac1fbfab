"""The folder of a comparison, and its tables as text."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sarwater.evaluation.comparison import comparison_rows
from sarwater.evaluation.files import csv_text, three_digits
from sarwater.evaluation.scores import METRICS
from sarwater.evaluation.summary import POINT_TITLES
from sarwater.files import write_json, write_text

TITLES = {"own": "own threshold", **{key: POINT_TITLES[key] for key in ("half", "best")}}
"""What the points are called at which evaluations are compared."""

_SHORT = {"precision": "P", "recall": "R", "f1": "F1", "iou": "IoU"}


def write_comparison(
    folder: Path, comparison: Mapping[str, Any], evaluations: Mapping[str, Path]
) -> None:
    """Write ``comparison.json``, ``comparison.csv`` and ``comparison.txt`` into a folder.

    Args:
        folder: where to write; it may be renamed later, but stays in its parent.
        comparison: what was found.
        evaluations: folder of each run, noted relative to ``folder``: a report shows chips from
            there, also after all of it was moved together.
    """
    runs = {
        name: {**run, "folder": _relative(evaluations[name], folder)}
        for name, run in comparison["runs"].items()
    }
    write_json(folder / "comparison.json", {**comparison, "runs": runs})
    write_text(folder / "comparison.csv", csv_text(comparison_rows(comparison)))
    write_text(folder / "comparison.txt", format_comparison(comparison) + "\n")


def _relative(path: Path, folder: Path) -> str:
    try:
        return os.path.relpath(path.resolve(), folder.resolve())
    except ValueError:  # another drive
        return str(path.resolve())


def format_comparison(comparison: Mapping[str, Any]) -> str:
    """Set scores, tables of thresholds and differences as text."""
    runs = comparison["runs"]
    width = max(12, *(len(name) for name in runs))
    lines = [f"{comparison['chips']} chips in common, {comparison['pixels']:,} pixels", ""]
    lines += [f"{'run':{width}}  threshold                precision  recall     F1    IoU"]
    for name, run in runs.items():
        for point, title in TITLES.items():
            found = run["points"][point]
            cells = [three_digits(found[metric]["value"]) for metric in METRICS]
            lines.append(
                f"{name:{width}}  {found['threshold']:.3f} {title:22} "
                f"{cells[0]:>6}  {cells[1]:>6}  {cells[2]:>5}  {cells[3]:>5}"
            )
    lines += ["", _side_by_side(runs), "", _differences(comparison)]
    return "\n".join(lines)


def _side_by_side(runs: Mapping[str, Any]) -> str:
    """Set the tables .1 ... .8 of all runs beside each other."""
    gap = "   "
    group = {name: max(23, len(name)) for name in runs}
    lines = [
        "threshold" + "".join(f"{gap}{name:<{group[name]}}" for name in runs),
        " " * 9 + "".join(f"{gap}{_cells(_SHORT.values()):<{group[name]}}" for name in runs),
    ]
    tables = [run["table"] for run in runs.values()]
    for rows in zip(*tables, strict=True):
        cells = [
            f"{gap}{_cells(three_digits(row[metric]) for metric in METRICS):<{group[name]}}"
            for name, row in zip(runs, rows, strict=True)
        ]
        lines.append(f"{rows[0]['threshold']:9.1f}" + "".join(cells))
    return "\n".join(line.rstrip() for line in lines)


def _differences(comparison: Mapping[str, Any]) -> str:
    lines = [
        "differences, paired over chips [95 % interval], share of resamples of the same sign",
        "(precision, recall and the best thresholds are in comparison.csv)",
    ]
    for pair in comparison["differences"]:
        lines.append(f"{pair['run']} - {pair['minus']}")
        for point in ("own", "half"):
            for metric in ("f1", "iou"):
                score = pair["points"][point][metric]
                lines.append(f"  {_SHORT[metric]:3} {TITLES[point]:14} {_difference(score)}")
        lines.append(f"  {'average precision':18} {_difference(pair['average_precision'])}")
    return "\n".join(lines)


def _difference(score: Mapping[str, Any]) -> str:
    if score["value"] is None:
        return "undefined"
    bounds = score["interval"]
    if bounds is None:
        return f"{score['value']:+.3f}"
    return f"{score['value']:+.3f} [{bounds[0]:+.3f}, {bounds[1]:+.3f}], {score['same_sign']:.0%}"


def _cells(texts: Any) -> str:
    return " ".join(f"{text:>5}" for text in texts)
