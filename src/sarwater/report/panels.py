"""Panels of the worst chips: image, truth, map, and where the map errs."""

import math
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sarwater.evaluation.chips import Observed
from sarwater.evaluation.scores import plain, scores
from sarwater.report.images import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    NO_DATA,
    OTHER_WATER,
    WATER,
    class_color,
    class_picture,
    error_map,
    gray_view,
    sar_composite,
)
from sarwater.report.saving import save_figure
from sarwater.types import ByteArray, Units

ROWS = 6
"""Chips on a page."""

_LARGEST = 640
"""Pictures with a longer side are thinned out to about this many pixels."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One row of a page."""

    badness: tuple[float, float]
    """Sorted by; the smallest is the worst."""
    title: str
    pictures: tuple[ByteArray, ByteArray, ByteArray, ByteArray]
    view: str = "SAR"
    """What the first picture shows."""


class WorstPanels:
    """Keeps the pictures of the worst chips while an evaluation runs.

    Chips with water are sorted by F1, the lowest first, and among equal ones by wrong pixels.
    Chips without water have no F1: they come after the others, on pages of their own, sorted by
    false alarms; up to a quarter of the panels are theirs, and those without a false alarm are
    left out.
    """

    order = (
        "chips with water by F1, the lowest first, equal ones by wrong pixels; then chips without "
        "water that have false alarms, the most first, up to a quarter of the panels"
    )
    """How the panels are chosen and sorted, in words."""

    def __init__(self, limit: int, classes: Sequence[str]) -> None:
        """Keep at most ``limit`` panels."""
        self.limit = limit
        self.classes = tuple(classes)
        self.seen = 0
        self._wet: list[Panel] = []
        self._dry: list[Panel] = []

    def add(self, observed: Observed) -> None:
        """Look at a chip, and keep its pictures while it is among the worst."""
        self.seen += 1
        if self.limit == 0:
            return
        matrix = observed.confusion
        fp, fn = int(matrix[0, 1:].sum()), int(matrix[1:, 0].sum())
        tp = int(matrix[1:, 1:].sum())
        if tp + fn:
            found = scores(tp, fp, fn)
            precision = plain(float(found.precision))
            shown = "-" if precision is None else f"{precision:.2f}"
            title = f"(P {shown}, R {found.recall:.2f}, F1 {found.f1:.2f})"
            self._keep(self._wet, (float(found.f1), -float(fp + fn)), title, observed)
        elif fp:
            title = f"(no water; false alarms {fp:,} px)"
            self._keep(self._dry, (-float(fp), 0.0), title, observed)

    def pages(self) -> list[tuple[str, list[Panel]]]:
        """Return the chosen panels by file name of their page, worst first."""
        dry = self._dry[: max(self.limit // 4, self.limit - len(self._wet))]
        wet = self._wet[: self.limit - len(dry)]
        return _paged("panels", wet) + _paged("panels_no_water", dry)

    def write(self, folder: Path) -> list[str]:
        """Write the pages as PNG into a folder and return their names."""
        pages = self.pages()
        for number, (name, panels) in enumerate(pages, 1):
            shown = sum(len(listed) for _, listed in pages)
            note = f"Worst first: {shown} of {self.seen} chips (page {number} of {len(pages)})"
            figure = panel_page(panels, self.classes, note)
            save_figure(figure, folder / name, dpi=110)
        return [name for name, _ in pages]

    def _keep(
        self, kept: list[Panel], badness: tuple[float, float], title: str, observed: Observed
    ) -> None:
        if len(kept) == self.limit and badness >= kept[-1].badness:
            return
        chip = observed.chip
        is_told = chip.domain == "default" or chip.domain in chip.id
        name = chip.id if is_told else f"{chip.id}   {chip.domain}"
        view = "image" if chip.units is Units.OTHER else "SAR"
        panel = Panel(badness, f"{name}   {title}", _pictures(observed), view)
        insort(kept, panel, key=lambda item: item.badness)
        del kept[self.limit :]


def panel_page(panels: Sequence[Panel], classes: Sequence[str], note: str) -> Figure:
    """Draw a page: a row a chip, its name and (P, R, F1) above it."""
    height = 0.75 + 2.62 * len(panels)
    figure = Figure(figsize=(9.6, height))
    top = 1 - 0.7 / height
    row_height = 2.62 / height
    figure.text(0.02, 1 - 0.25 / height, note, fontsize=11, weight="bold", va="center")
    figure.legend(
        handles=_legend(classes),
        loc="center left",
        bbox_to_anchor=(0.012, 1 - 0.55 / height),
        ncols=8,
        fontsize=8,
        frameon=False,
        handlelength=1.2,
        columnspacing=1.2,
    )
    for row, panel in enumerate(panels):
        base = top - (row + 1) * row_height
        figure.text(0.02, base + 2.42 / height, panel.title, fontsize=9, va="center")
        for col, (name, picture) in enumerate(
            zip((panel.view, "truth", "prediction", "errors"), panel.pictures, strict=True)
        ):
            axes = figure.add_axes((0.02 + col * 0.242, base, 0.234, 2.28 / height))
            axes.imshow(picture, interpolation="nearest", aspect="equal")
            axes.set_axis_off()
            axes.set_anchor("N")
            axes.text(
                0.025,
                0.965,
                name,
                transform=axes.transAxes,
                fontsize=7,
                va="top",
                bbox={"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1.5},
            )
    return figure


def _legend(classes: Sequence[str]) -> list[Patch]:
    entries = [(class_color(i), name) for i, name in enumerate(classes)]
    if len(classes) == 2:
        entries[1] = (WATER, f"{classes[1]} (errors: found)")
    else:
        entries.append((WATER, "found"))
    entries += [
        (FALSE_POSITIVE, "false water"),
        (FALSE_NEGATIVE, "missed water"),
    ]
    if len(classes) > 2:
        entries.append((OTHER_WATER, "other water class"))
    handles = [Patch(facecolor=color, edgecolor="none", label=name) for color, name in entries]
    handles.append(Patch(facecolor=NO_DATA, edgecolor="#AAAAAA", hatch="////", label="not counted"))
    return handles


def _pictures(observed: Observed) -> tuple[ByteArray, ByteArray, ByteArray, ByteArray]:
    chip, target = observed.chip, observed.chip.target
    assert target is not None
    step = math.ceil(max(target.shape) / _LARGEST)

    def thin(picture: ByteArray) -> ByteArray:
        return np.ascontiguousarray(picture[::step, ::step])

    return (
        thin(sar_composite(chip)),
        thin(class_picture(target)),
        thin(class_picture(observed.predicted, chip.valid)),
        thin(error_map(gray_view(chip), target, observed.predicted, observed.counted)),
    )


def _paged(name: str, panels: Sequence[Panel]) -> list[tuple[str, list[Panel]]]:
    return [
        (f"{name}_{start // ROWS + 1:02d}.png", list(panels[start : start + ROWS]))
        for start in range(0, len(panels), ROWS)
    ]
