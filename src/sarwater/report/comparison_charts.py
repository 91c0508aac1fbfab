"""Charts of a comparison of evaluations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from sarwater.report.evaluation_charts import (
    SCORE_NAMES,
    equal_f1_lines,
    new_chart,
    numbers,
    plain_axes,
    title,
    unit_square,
)
from sarwater.report.saving import save_figure

RUN_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Colors of the runs in turn; from the eighth on they repeat with another line style."""

_STYLES = ("-", "--", ":", "-.")


def write_comparison_charts(comparison: Mapping[str, Any], folder: Path) -> list[str]:
    """Write all charts of a comparison as PNG into a folder and return their names."""
    charts = {
        "precision_recall.png": compared_precision_recall(comparison),
        "thresholds.png": compared_thresholds(comparison),
        "differences.png": differences_chart(comparison),
    }
    for name, figure in charts.items():
        save_figure(figure, folder / name, dpi=130)
    return sorted(charts)


def compared_precision_recall(comparison: Mapping[str, Any]) -> Figure:
    """Draw precision over recall of each run, with a marker at its own threshold and at .5."""
    figure, axes = new_chart(7.8, 5.2)
    equal_f1_lines(axes)
    for number, (name, run) in enumerate(comparison["runs"].items()):
        color, style = _look(number)
        axes.plot(numbers(run, "recall"), numbers(run, "precision"), style, color=color, lw=2)
        for point, marker, size in (("own", "o", 9), ("half", "s", 7)):
            found = run["points"][point]
            if found["precision"]["value"] is None or found["recall"]["value"] is None:
                continue
            f1 = found["f1"]["value"]
            axes.plot(
                found["recall"]["value"],
                found["precision"]["value"],
                marker,
                color=color if point == "own" else "white",
                markeredgecolor="white" if point == "own" else color,
                markeredgewidth=1 if point == "own" else 1.8,
                markersize=size,
                zorder=3,
                clip_on=False,
                label=f"{name} {'own' if point == 'own' else 'at'} {found['threshold']:g}"
                f" (F1 {f1:.3f})",
            )
    unit_square(axes)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    title(axes, "Precision and recall", f"{comparison['chips']} chips in common, pooled pixels")
    figure.legend(loc="outside right center", fontsize=8, frameon=False)
    return figure


def compared_thresholds(comparison: Mapping[str, Any]) -> Figure:
    """Draw precision, recall and F1 over the threshold, a panel a score and a line a run."""
    figure = Figure(figsize=(10.5, 4.0), layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    for axes, metric in zip(panels, ("precision", "recall", "f1"), strict=True):
        plain_axes(axes)
        for number, (name, run) in enumerate(comparison["runs"].items()):
            color, style = _look(number)
            values = numbers(run, metric)
            label = name if metric == "f1" else None
            axes.plot(run["curve"]["threshold"], values, style, color=color, lw=2, label=label)
            own = run["points"]["own"]
            if own[metric]["value"] is not None:
                axes.plot(
                    own["threshold"],
                    own[metric]["value"],
                    "o",
                    color=color,
                    markeredgecolor="white",
                    markersize=8,
                    zorder=3,
                )
        unit_square(axes)
        axes.axvline(0.5, color="#999999", lw=1, ls=":", zorder=0.9)
        axes.set_xlabel("threshold")
        title(axes, SCORE_NAMES[metric].capitalize() if metric != "f1" else "F1")
    figure.legend(
        loc="outside lower center",
        ncols=6,
        fontsize=8.5,
        frameon=False,
        title="dots: each run's own threshold",
        title_fontsize=8,
    )
    return figure


def differences_chart(comparison: Mapping[str, Any]) -> Figure:
    """Draw the paired differences of F1 with their intervals."""
    entries = [
        (f"{pair['run']} − {pair['minus']}", point, pair["points"][point]["f1"])
        for pair in comparison["differences"]
        for point in ("own", "half")
    ]
    figure, axes = new_chart(6.8, 1.6 + 0.34 * len(entries))
    axes.axvline(0, color="#999999", lw=1)
    for place, (_, point, score) in enumerate(entries):
        color = "#0072B2" if point == "own" else "#000000"
        if score["value"] is None:
            continue
        if score["interval"] is not None:
            axes.plot(score["interval"], [place, place], color=color, lw=2.2)
        axes.plot(
            score["value"],
            place,
            "o" if point == "own" else "s",
            color=color,
            ms=7,
            markeredgecolor="white",
        )
    places = np.arange(len(entries))
    words = {"own": "own thresholds", "half": "at .5"}
    axes.set_yticks(places, [f"{name}, {words[point]}" for name, point, _ in entries], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel("difference of pooled F1, paired 95 % bootstrap interval over chips")
    title(axes, "Which is better?")
    return figure


def _look(number: int) -> tuple[str, str]:
    rounds, place = divmod(number, len(RUN_COLORS))
    return RUN_COLORS[place], _STYLES[rounds % len(_STYLES)]
