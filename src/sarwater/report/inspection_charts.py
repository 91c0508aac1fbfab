"""Plots of an inspection: histograms by domain, ratio bins, a contact sheet, domain distances."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sarwater.inspection import Inspection
from sarwater.inspection.domains import BandComparison, DomainBand, Matrix
from sarwater.inspection.histograms import Histogram, add
from sarwater.inspection.thumbnails import Thumbnail, describe
from sarwater.ratios import RATIO_BINS, RatioTable
from sarwater.report.saving import save_figure

WATER, LAND, INK, FAINT = "#0072B2", "#D9D2C5", "#222222", "#8A8A8A"
BIN_COLORS = ("#0072B2", "#56B4E9", "#BFD9E8", LAND)
"""One for each of ``RATIO_BINS``: the more water, the bluer."""
OUTLINES = ("#56B4E9", "#E69F00", "#F0E442", "#CC79A7", "#009E73", "#D55E00")
"""Outlines of the foreground classes on the contact sheet (Okabe and Ito 2008)."""

_DPI = 130
_COLUMNS = 8
_ANNOTATED = 12
"""Matrices of more domains than this carry no numbers."""


def save_charts(inspection: Inspection, thumbnails: Sequence[Thumbnail], folder: Path) -> list[str]:
    """Write the plots that there is something to plot for, and return their names.

    ``histograms.png``, ``ratio_bins.png`` (with labels), ``domain_distances.png`` (two domains or
    more) and ``contact_sheet.png``.
    """
    figures: dict[str, Figure] = {}
    if inspection.domains:
        figures["histograms.png"] = histogram_figure(inspection.domains)
    if inspection.ratios:
        figures["ratio_bins.png"] = ratio_figure(inspection.ratios, inspection.classes)
    if any(len(found.domains) > 1 for found in inspection.domains):
        figures["domain_distances.png"] = distance_figure(inspection.domains)
    if thumbnails:
        readable = sum(bool(chip.bands) for chip in inspection.chips)
        figures["contact_sheet.png"] = contact_figure(thumbnails, readable)
    for name, figure in figures.items():
        save_figure(figure, folder / name, dpi=_DPI)
    return list(figures)


def histogram_figure(domains: Sequence[BandComparison]) -> Figure:
    """Draw a column a band and a row a domain, over the outline of all domains together."""
    names = list(dict.fromkeys(one.domain for found in domains for one in found.domains))
    height = 1.3 + max(0.62 * len(names), 1.6)
    figure = Figure(figsize=(1.6 + 4.6 * len(domains), height), layout="constrained")
    grid = figure.subplots(len(names), len(domains), squeeze=False, sharex="col")
    for column, found in enumerate(domains):
        together = add([one.histogram for one in found.domains])
        by_name = {one.domain: one for one in found.domains}
        limits = (together.quantile(0.001), together.quantile(0.999))
        margin = 0.03 * (limits[1] - limits[0]) + together.width
        for row, name in enumerate(names):
            axes = grid[row, column]
            _ridge(axes, by_name.get(name), together if len(names) > 1 else None)
            axes.set_xlim(limits[0] - margin, limits[1] + margin)
            if column == 0:
                axes.set_ylabel(
                    _wrapped(name, 18), rotation=0, ha="right", va="center", fontsize=8, labelpad=8
                )
        grid[0, column].set_title(found.band, fontsize=11, fontweight="bold", loc="left")
        _show_x(grid[-1, column], found.scale.value)
    handles: list[Patch | Line2D] = [
        Patch(color=WATER, alpha=0.75, label="this domain, valid pixels"),
        Line2D([], [], color=INK, lw=1.2, label="its median"),
    ]
    if len(names) > 1:
        handles.insert(1, Line2D([], [], color=FAINT, lw=1, label="all domains together"))
    figure.suptitle("Backscatter by domain" if _is_radar(domains) else "Values by domain")
    _legend(figure, handles)
    return figure


def ratio_figure(table: RatioTable, classes: Sequence[str]) -> Figure:
    """Draw the share of chips in each ratio bin: all of them, by split and by domain."""
    parts = {"split": table.by_split, "domain": table.by_domain}
    rows = [{"all chips": table.total}, *parts.values()]
    height = 1.7 + 0.36 * sum(len(part) for part in rows) + 0.5
    figure = Figure(figsize=(8.6, height), layout="constrained")
    panels = figure.subplots(3, 1, height_ratios=[len(part) + 0.4 for part in rows], sharex=True)
    for axes, title, part in zip(panels, ("", "by split", "by domain"), rows, strict=True):
        _bars(axes, part)
        axes.set_title(title, fontsize=9, loc="left", color=FAINT)
    _show_x(panels[-1], "share of chips (%); numbers are chips")
    foreground = " + ".join(classes[1:])
    figure.suptitle(f"{classes[0]} px for each px of {foreground}, over labelled pixels")
    last = RATIO_BINS[-1].replace("water", foreground)
    names = (*RATIO_BINS[:-1], last)
    _legend(figure, [Patch(color=c, label=name) for c, name in zip(BIN_COLORS, names, strict=True)])
    return figure


def distance_figure(domains: Sequence[BandComparison]) -> Figure:
    """Draw three matrices a band: signed shift of means, divergence, earth mover's distance."""
    shown = [found for found in domains if len(found.domains) > 1]
    most = max(len(found.domains) for found in shown)
    side = min(1.9 + 0.5 * most, 9.0)
    divergence = "Jensen-Shannon divergence\n(bits)"
    figure = Figure(figsize=(3 * side + 1.6, side * len(shown) + 0.8), layout="constrained")
    grid = figure.subplots(len(shown), 3, squeeze=False)
    for row, found in zip(grid, shown, strict=True):
        names = [one.domain for one in found.domains]
        _matrix(
            row[0],
            names,
            found.standardized_difference,
            f"{found.band}: mean of row - column\n(pooled standard deviations)",
            "PuOr",
            signed=True,
        )
        _matrix(row[1], None, found.jensen_shannon, f"{found.band}: {divergence}", "Blues")
        title = f"{found.band}: 1-Wasserstein distance\n({found.scale.value})"
        _matrix(row[2], None, found.wasserstein, title, "Blues")
    figure.suptitle("How far apart the domains lie")
    return figure


def contact_figure(thumbnails: Sequence[Thumbnail], chip_count: int) -> Figure:
    """Draw the chips in their order, the foreground classes outlined."""
    columns = min(_COLUMNS, len(thumbnails))
    rows = math.ceil(len(thumbnails) / columns)
    size = (max(1.55 * columns, 6.0), 1.78 * rows + 0.8)
    engine = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    figure = Figure(figsize=size, layout=engine)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    several = len({one.summary.record.domain for one in thumbnails}) > 1
    for axes, one in zip(grid.flat, thumbnails, strict=False):
        _thumbnail(axes, one, name_domain=several)
    names = thumbnails[0].summary.record.classes[1:]
    handles: list[Patch | Line2D] = [
        Line2D([], [], color=OUTLINES[i % len(OUTLINES)], lw=1.5, label=name)
        for i, name in enumerate(names)
        if any(one.target is not None and (one.target == i + 1).any() for one in thumbnails)
    ]
    handles.append(_nodata_patch())
    if any(one.target is not None and (one.target == 255).any() for one in thumbnails):
        handles.append(Patch(facecolor="#D55E00", alpha=0.35, label="unlabelled"))
    bands = list(dict.fromkeys(one.summary.record.bands[0] for one in thumbnails))
    number = f"{len(thumbnails)} of {chip_count} readable chips, evenly chosen"
    if len(thumbnails) == chip_count:
        number = f"all {chip_count} readable chips"
    classes = thumbnails[0].summary.record.classes
    ratio = f"{classes[0]} : {' + '.join(classes[1:])}"
    title = f"{' / '.join(bands)}, {number}; sorted by {ratio} px, lowest ratio first"
    figure.suptitle(_wrapped(title, int(13 * size[0])), fontsize=10)
    _legend(figure, handles)
    return figure


def _ridge(axes: Axes, one: DomainBand | None, together: Histogram | None) -> None:
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#CCCCCC")
    axes.tick_params(left=False, labelleft=False, bottom=False, labelbottom=False)
    if one is None:
        axes.text(
            0.5, 0.3, "no such band", transform=axes.transAxes, ha="center", color=FAINT, fontsize=8
        )
        return
    density = _density(one.histogram)
    top = _height(density)
    axes.stairs(density, one.histogram.edges, fill=True, color=WATER, alpha=0.75, lw=0)
    if together is not None:
        whole = _density(together)
        top = max(top, _height(whole))
        axes.stairs(whole, together.edges, color=FAINT, lw=0.9)
    axes.axvline(one.histogram.quantile(0.5), color=INK, lw=1.2, ymax=0.92)
    axes.set_ylim(0, top)


def _density(found: Histogram) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(found.counts / max(found.total, 1) / found.width, np.float64)


def _height(density: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    """Leave a lone spike (the zeros of bytes) cut off rather than let it flatten the rest."""
    ordered = np.sort(density)
    peak = ordered[-1]
    rest = ordered[-4] if len(ordered) > 3 and ordered[-4] > 0 else peak
    return float(1.12 * min(peak, 1.6 * rest))


def _bars(axes: Axes, rows: Mapping[str, Sequence[int]]) -> None:
    names = list(rows)
    counts = np.array([rows[name] for name in names], np.float64)
    totals = counts.sum(axis=1)
    shares = 100 * counts / np.maximum(totals, 1)[:, None]
    left = np.zeros(len(names))
    places = np.arange(len(names))
    for index, color in enumerate(BIN_COLORS):
        axes.barh(places, shares[:, index], 0.74, left=left, color=color, ec="white", lw=0.8)
        for place, share, start, count in zip(
            places, shares[:, index], left, counts[:, index], strict=True
        ):
            if share >= 3.5:
                ink = "white" if index == 0 else INK
                where = (start + share / 2, place)
                axes.annotate(
                    f"{count:.0f}", where, ha="center", va="center", fontsize=8, color=ink
                )
        left += shares[:, index]
    for place, total in zip(places, totals, strict=True):
        axes.annotate(f" {total:.0f}", (100, place), va="center", fontsize=8, color=FAINT)
    axes.set_yticks(places, [_wrapped(name, 28) for name in names], fontsize=8)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.tick_params(left=False, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)


def _matrix(
    axes: Axes,
    names: Sequence[str] | None,
    values: Matrix,
    title: str,
    cmap: str,
    *,
    signed: bool = False,
) -> None:
    table = np.array([[np.nan if v is None else v for v in row] for row in values], np.float64)
    reach = max(float(np.nanmax(np.abs(table))) if np.isfinite(table).any() else 0.0, 1e-9)
    low = -reach if signed else 0.0
    axes.imshow(table, cmap=cmap, vmin=1.15 * low, vmax=1.15 * reach)
    axes.set_title(title, fontsize=9)
    ticks = np.arange(len(table))
    shown = [_wrapped(name, 18) for name in names] if names else []
    axes.set_yticks(ticks if names else [], shown, fontsize=7)
    columns = [_wrapped(name, 18) for name in names] if names else []
    axes.set_xticks(ticks if names else [], columns, fontsize=7, rotation=90)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    if len(table) > _ANNOTATED:
        return
    for row in range(len(table)):
        for col in range(len(table)):
            value = table[row, col]
            if row != col and np.isfinite(value):
                ink = "white" if abs(value) > 0.72 * reach else INK
                text = f"{value:+.2f}" if signed else f"{value:.2g}"
                axes.text(col, row, text, ha="center", va="center", fontsize=7, color=ink)


def _thumbnail(axes: Axes, one: Thumbnail, *, name_domain: bool) -> None:
    record = one.summary.record
    gray = np.ma.masked_array(one.gray, ~one.valid)
    axes.imshow(np.full(one.gray.shape, 0.93), cmap="gray", vmin=0, vmax=1)
    axes.imshow(gray, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    if one.target is not None:
        unlabelled = np.ma.masked_array(np.ones(one.target.shape), (one.target != 255) | ~one.valid)
        axes.imshow(unlabelled, cmap=ListedColormap(["#D55E00"]), alpha=0.35)
        for index in range(1, len(record.classes)):
            inside = one.target == index
            if inside.any() and not inside.all() and min(inside.shape) > 1:
                color = OUTLINES[(index - 1) % len(OUTLINES)]
                axes.contour(inside, levels=[0.5], colors=[color], linewidths=0.7)
    name = record.id.removeprefix(record.domain).lstrip("_- ") if not name_domain else record.id
    lines = [_shortened(name or record.id, 24)]
    lines.append(" · ".join(text for text in (record.split, describe(one.summary)) if text))
    axes.set_title("\n".join(lines), fontsize=6.5, pad=2, linespacing=1.15)


def _nodata_patch() -> Patch:
    return Patch(facecolor="#EDEDED", edgecolor="#BBBBBB", label="no data")


def _show_x(axes: Axes, label: str) -> None:
    axes.tick_params(bottom=True, labelbottom=True, labelsize=8)
    axes.set_xlabel(label, fontsize=9)


def _legend(figure: Figure, handles: Sequence[Patch | Line2D]) -> None:
    figure.legend(
        handles=list(handles), loc="outside lower center", ncols=4, fontsize=8, frameon=False
    )


def _is_radar(domains: Sequence[BandComparison]) -> bool:
    return all(found.band.upper() in ("VV", "VH", "HH", "HV") for found in domains)


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text.replace("_", "_ "), width)).replace("_ ", "_").rstrip()


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length // 2 - 1]}…{text[-length // 2 :]}"
