"""Charts of one evaluation, from its summary."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sarwater.evaluation.counts import DoubleArray
from sarwater.evaluation.summary import point_title
from sarwater.report.saving import save_figure

SCORE_COLORS = {"precision": "#E69F00", "recall": "#CC79A7", "f1": "#0072B2", "iou": "#009E73"}
SCORE_NAMES = {"precision": "precision", "recall": "recall", "f1": "F1", "iou": "IoU"}
POINT_STYLES = {
    "chosen": ("o", "-", "#D55E00"),
    "model": ("D", "-.", "#56B4E9"),
    "half": ("s", ":", "#000000"),
    "best": ("^", "--", "#777777"),
}
"""Marker, line and color of each operating point."""
_INK = "#333333"


def write_charts(summary: Mapping[str, Any], folder: Path) -> list[str]:
    """Write all charts of a summary as PNG into a folder and return their names."""
    charts = {
        "thresholds.png": threshold_chart(summary),
    }
    if summary["calibration"] is not None:
        charts["calibration.png"] = calibration_chart(summary)
    if summary["average_precision"]["value"] is not None:
        charts["precision_recall.png"] = precision_recall_chart(summary)
        charts["domains.png"] = domains_chart(summary)
    for name, figure in charts.items():
        save_figure(figure, folder / name, dpi=130)
    return sorted(charts)


def precision_recall_chart(summary: Mapping[str, Any]) -> Figure:
    """Draw precision over recall, with the thresholds in use and lines of equal F1."""
    figure, axes = new_chart(5.6, 5.0)
    equal_f1_lines(axes)
    axes.plot(numbers(summary, "recall"), numbers(summary, "precision"), color="#0072B2", lw=2)
    for name, point in summary["operating_points"].items():
        pooled = point["pooled"]
        marker, _, color = POINT_STYLES[name]
        if pooled["precision"]["value"] is None or pooled["recall"]["value"] is None:
            continue
        axes.plot(
            pooled["recall"]["value"],
            pooled["precision"]["value"],
            marker,
            color=color,
            markersize=9 - 2 * (name == "half"),
            markeredgecolor="white",
            label=f"{_named(name, point)} (F1 {pooled['f1']['value']:.3f})",
            linestyle="none",
            zorder=3,
        )
    unit_square(axes)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    title(
        axes, "Precision and recall", f"average precision {_bounded(summary['average_precision'])}"
    )
    axes.legend(loc="lower left", fontsize=8, frameon=True, framealpha=0.9, edgecolor="none")
    return figure


def threshold_chart(summary: Mapping[str, Any]) -> Figure:
    """Draw the four scores over the threshold."""
    figure, axes = new_chart(6.4, 4.4)
    thresholds = np.array(summary["curve"]["threshold"])
    for name, color in SCORE_COLORS.items():
        axes.plot(thresholds, numbers(summary, name), color=color, lw=2, label=SCORE_NAMES[name])
    for name, point in summary["operating_points"].items():
        _, style, color = POINT_STYLES[name]
        axes.axvline(
            point["threshold"],
            color=color,
            ls=style,
            lw=1.2,
            zorder=1,
            label=_named(name, point),
        )
    unit_square(axes)
    what = "score" if summary["calibration"] is None else "probability of water"
    axes.set_xlabel(f"threshold on the {what}")
    axes.set_ylabel("score, pooled pixels")
    title(axes, "Scores by threshold", _what(summary))
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)
    return figure


def calibration_chart(summary: Mapping[str, Any]) -> Figure:
    """Draw the share of water over the predicted probability, and how many pixels are where."""
    found = summary["calibration"]
    figure = Figure(figsize=(5.6, 5.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3.2, 1]})
    for axes in (upper, lower):
        plain_axes(axes)
    pixels = np.array(found["pixels"])
    used = pixels > 0
    edges = np.array(found["edges"])
    upper.plot([0, 1], [0, 1], color="#999999", ls="--", lw=1, label="perfect")
    upper.plot(
        np.array(found["predicted"], np.float64)[used],
        np.array(found["observed"], np.float64)[used],
        "o-",
        color="#0072B2",
        lw=2,
        label="model",
    )
    unit_square(upper)
    upper.set_ylabel("observed share of water")
    upper.legend(loc="upper left", fontsize=8, frameon=False)
    error = f"expected calibration error {found['expected_error']:.4f}, Brier {found['brier']:.4f}"
    title(upper, "Calibration", error)
    lower.bar(
        edges[:-1][used],
        pixels[used],
        width=np.diff(edges)[used],
        align="edge",
        color="#56B4E9",
        edgecolor="white",
    )
    lower.set_yscale("log")
    lower.set_ylabel("pixels")
    lower.set_xlabel("predicted probability of water")
    return figure


def domains_chart(summary: Mapping[str, Any]) -> Figure:
    """Draw precision, recall, F1 and IoU of each domain with intervals, and of all together."""
    point = summary["operating_points"]["chosen"]
    groups = {"all chips": point["pooled"], **point["domains"]}
    if len(point["domains"]) == 1:
        groups.pop("all chips")
    figure, axes = new_chart(7.2, 1.5 + 0.75 * len(groups))
    height = 0.19
    for offset, (name, color) in enumerate(SCORE_COLORS.items()):
        places = np.arange(len(groups)) + (offset - 1.5) * height
        values = [group[name]["value"] for group in groups.values()]
        bounds = [group[name]["interval"] for group in groups.values()]
        axes.barh(
            places, [v or 0 for v in values], height * 0.9, color=color, label=SCORE_NAMES[name]
        )
        for place, group, value, bound in zip(places, groups.values(), values, bounds, strict=True):
            if value is None:
                text = _undefined(name, group)
                axes.text(0.01, place, text, fontsize=6.5, va="center", color=_INK)
            elif bound is not None:
                axes.plot(bound, [place, place], color=_INK, lw=1.1, solid_capstyle="butt")
    axes.set_yticks(range(len(groups)), [_domain(name, g) for name, g in groups.items()])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("score; lines are 95 % bootstrap intervals over chips")
    title(axes, "Scores by domain", f"at the threshold {point['threshold']:g}")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8, frameon=False)
    return figure


def new_chart(width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure (inches) with one pair of axes in the house's style."""
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    plain_axes(axes)
    return figure, axes


def plain_axes(axes: Axes) -> None:
    """Light grid, no box."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#E6E6E6", lw=0.8)
    axes.set_axisbelow(True)


def title(axes: Axes, text: str, below: str = "") -> None:
    """Set a bold title with a smaller line under it, aligned to the left."""
    axes.set_title(text, loc="left", fontsize=12, weight="bold", pad=20 if below else 6)
    if below:
        axes.annotate(
            below,
            (0, 1),
            (0, 6),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=8.5,
            color="#555555",
        )


def unit_square(axes: Axes) -> None:
    """Show 0 ... 1 on both axes."""
    axes.set_xlim(0, 1.005)
    axes.set_ylim(0, 1.005)


def equal_f1_lines(axes: Axes) -> None:
    """Draw where precision and recall give the same F1."""
    for f1 in (0.2, 0.4, 0.6, 0.8, 0.9):
        recall = np.linspace(f1 / (2 - f1), 1, 200)
        precision = f1 * recall / (2 * recall - f1)
        axes.plot(recall, precision, color="#CCCCCC", lw=0.8, zorder=0.5)
        axes.text(1.008, f1 / (2 - f1), f"F1 {f1:g}", fontsize=6.5, color="#999999", va="center")


def numbers(summary: Mapping[str, Any], name: str) -> DoubleArray:
    """Return a score of the curve as an array, nan where undefined."""
    return np.array(summary["curve"][name], np.float64)


def _named(name: str, point: Mapping[str, Any]) -> str:
    """Return what a legend calls an operating point."""
    if name == "half":
        return f"fixed: {point['threshold']:g}"
    return f"{point_title(name, point)}: {point['threshold']:g}"


def _what(summary: Mapping[str, Any]) -> str:
    data = summary["data"]
    split = f", split {data['split']}" if data["split"] else ""
    chips = data["chips"]
    return f"{summary['model']['name']} on {data['manifest']}{split}, {chips} chips"


def _undefined(name: str, group: Mapping[str, Any]) -> str:
    """Return what stands in place of a bar: false alarms in place of the F1 of a dry domain."""
    if name == "f1" and group["tp"] + group["fn"] == 0:
        return f"no water: {group['fp']:,} px of false alarms"
    return "undefined"


def _domain(name: str, group: Mapping[str, Any]) -> str:
    short = name if len(name) <= 28 else name[:27] + "…"
    return f"{short}\n({group['chips']} chips)" if "chips" in group else short


def _bounded(value: Mapping[str, Any]) -> str:
    bounds = value["interval"]
    within = f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else ""
    return f"{value['value']:.3f}{within}"
