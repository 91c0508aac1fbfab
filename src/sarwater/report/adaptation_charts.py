"""Charts of an adaptation: what happened over the epochs, and where the two maps differ."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from sarwater.adaptation.comparison import Example
from sarwater.report.images import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    NO_DATA,
    WATER,
    class_picture,
    error_map,
    gray_view,
    sar_composite,
)
from sarwater.report.saving import save_figure

_COLORS = {"source_only": "#E69F00", "adapted": "#0072B2"}
_LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")

_BARS = (
    ("water_share", "share called water"),
    ("entropy", "entropy (bits)"),
    ("agreement_flips", "agrees with itself mirrored"),
    ("agreement_gain", "agrees with itself 1 dB brighter"),
)


def draw_signals(found: Mapping[str, Any], path: Path) -> None:
    """Draw the signals over the epochs, and those of both models side by side, as PNG.

    Args:
        found: the content of ``adaptation.json``.
        path: of the PNG.
    """
    figure = Figure(figsize=(12, 6.5), layout="constrained")
    axes = figure.subplots(2, 3)
    history = found["history"]
    names = list(dict.fromkeys(name for row in history for name in row))
    losses = ("train_dann", "train_output_space", "train_self_training")
    accuracies = [name for name in names if name.startswith("train_accuracy_")]
    _lines(axes[0, 0], history, [n for n in losses if n in names], "losses of the methods")
    _lines(axes[0, 1], history, accuracies, "accuracy of the discriminator")
    if accuracies:
        axes[0, 1].axhline(0.5, color="gray", linewidth=0.8, linestyle=":")
        axes[0, 1].set_ylim(0, 1)
    _lines(axes[0, 2], history, [n for n in names if n.startswith("c_")], "learned c")
    _lines(axes[1, 0], history, ["target_dividing", "val_threshold"], "threshold")
    axes[1, 0].set_ylim(0, 1)
    _lines(
        axes[1, 1],
        history,
        ["target_water_share"],
        "target share above the dividing threshold",
    )
    _bars(axes[1, 2], found)
    save_figure(figure, path, dpi=110)


def draw_examples(examples: Sequence[Example], path: Path) -> None:
    """Draw the chips whose maps differ most: image, both maps, and where they differ, as PNG.

    Args:
        examples: chips with both maps; nothing is drawn without any.
        path: of the PNG.
    """
    if not examples:
        return
    rows = len(examples)
    figure = Figure(figsize=(12, 3.1 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, 4, squeeze=False)
    for line, one in zip(axes, examples, strict=True):
        valid = one.chip.valid
        difference = error_map(gray_view(one.chip), one.source_only, one.adapted, valid)
        pictures = (
            sar_composite(one.chip),
            class_picture(one.source_only, valid),
            class_picture(one.adapted, valid),
            difference,
        )
        titles = (one.chip.id, "source only", "adapted", "difference")
        for axis, picture, title in zip(line, pictures, titles, strict=True):
            axis.imshow(picture, interpolation="nearest")
            axis.set_title(title, fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
    keys = [
        Patch(color=WATER, label="water in both"),
        Patch(color=FALSE_POSITIVE, label="water after adapting only"),
        Patch(color=FALSE_NEGATIVE, label="water before only"),
        Patch(facecolor=NO_DATA, edgecolor="gray", label="no data"),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=4, frameon=False)
    save_figure(figure, path, dpi=110)


def _lines(
    axes: Axes, history: Sequence[Mapping[str, float]], names: Sequence[str], title: str
) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    if not names:
        axes.text(0.5, 0.5, "none", ha="center", va="center", transform=axes.transAxes)
        axes.set_xticks([])
        axes.set_yticks([])
        return
    for name, color in zip(names, _LINES, strict=False):
        found = [row.get(name) for row in history]
        values = [float("nan") if value is None else value for value in found]
        label = name.removeprefix("train_").removeprefix("accuracy_").removeprefix("c_")
        axes.plot(
            [row["epoch"] for row in history],
            values,
            color=color,
            label=label.replace("val_", "source_").replace("_", " "),
            marker=".",
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)


def _bars(axes: Axes, found: Mapping[str, Any]) -> None:
    for offset, (name, color) in zip((-0.2, 0.2), _COLORS.items(), strict=True):
        values = [found[name][key] or 0.0 for key, _ in _BARS]
        places = [place + offset for place in range(len(_BARS))]
        bars = axes.barh(places, values, 0.38, color=color, label=name.replace("_", " "))
        axes.bar_label(bars, [f"{value:.3f}" for value in values], fontsize=7, padding=2)
    axes.set_yticks(range(len(_BARS)), [label for _, label in _BARS], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.15)
    axes.set_title("on the target, without labels", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
