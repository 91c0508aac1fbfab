"""Pictures of a mapped scene: the quick-look, and the layers that a report shows."""

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from sarwater.mapping.outputs import Thumbnail
from sarwater.report.gallery import GalleryWriter
from sarwater.report.images import NO_DATA, class_color, class_picture, sar_composite
from sarwater.report.saving import save_figure
from sarwater.types import IGNORE, Chip, Grid

_QUICKLOOK = 1024
"""Pixels of the longer side that are drawn, at most."""
_PANEL = 5.0
"""Width of a panel in inches."""
_EXTREME = 4.0
"""Scenes longer than this many times their width are not drawn to scale."""


def draw_map(thumbnail: Thumbnail, quicklook: Path, pictures: Path) -> None:
    """Draw the quick-look of a scene, and write its layers for a report.

    Args:
        thumbnail: the scene, thinned out.
        quicklook: the PNG to write.
        pictures: the gallery of one picture to write; its true classes are those of the map.
    """
    draw_quicklook(thumbnail, quicklook)
    valid = thumbnail.classes != IGNORE
    with GalleryWriter(pictures, size=max(valid.shape)) as gallery:
        gallery.add(_chip(thumbnail), valid, np.nan_to_num(thumbnail.water))


def draw_quicklook(thumbnail: Thumbnail, path: Path) -> None:
    """Draw image | probability | map of a scene as PNG.

    Args:
        thumbnail: the scene, thinned out.
        path: of the PNG.
    """
    step = max(1, math.ceil(max(thumbnail.classes.shape) / _QUICKLOOK))
    chip = _chip(thumbnail, step)
    classes, water = thumbnail.classes[::step, ::step], thumbnail.water[::step, ::step]
    height, width = classes.shape
    ratio = height / width
    is_drawable = 1 / _EXTREME <= ratio <= _EXTREME
    shown = min(max(ratio, 1 / _EXTREME), _EXTREME)
    figure = Figure(figsize=(3 * _PANEL + 1, _PANEL * shown + 1.2), layout="constrained")
    axes = figure.subplots(1, 3)
    aspect = "equal" if is_drawable else "auto"
    axes[0].imshow(sar_composite(chip), aspect=aspect, interpolation="nearest")
    axes[0].set_title(f"{thumbnail.name}: {', '.join(thumbnail.bands)} ({thumbnail.units.value})")
    axes[1].set_facecolor(NO_DATA)
    drawn = axes[1].imshow(
        water, vmin=0, vmax=1, cmap="cividis", aspect=aspect, interpolation="nearest"
    )
    axes[1].set_title("water probability")
    figure.colorbar(drawn, ax=axes[1], shrink=0.8)
    axes[2].imshow(class_picture(classes), aspect=aspect, interpolation="nearest")
    axes[2].set_title(f"map at threshold {thumbnail.threshold:.3g}")
    keys = [Patch(color=class_color(i), label=n) for i, n in enumerate(thumbnail.class_names)]
    keys.append(Patch(facecolor=NO_DATA, edgecolor="gray", label="no data"))
    axes[2].legend(
        handles=keys, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=4, frameon=False
    )
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    step *= thumbnail.step
    thinned = f"1 of {step} pixels in each direction" if step > 1 else "every pixel"
    figure.supxlabel(f"{thinned} shown", fontsize="small")
    save_figure(figure, path, dpi=150)


def _chip(thumbnail: Thumbnail, step: int = 1) -> Chip:
    """Return every n-th pixel of the scene as a chip whose target is the map."""
    classes = thumbnail.classes[::step, ::step]
    return Chip(
        thumbnail.name,
        "",
        thumbnail.bands,
        thumbnail.units,
        np.ascontiguousarray(thumbnail.image[:, ::step, ::step]),
        classes != IGNORE,
        np.ascontiguousarray(classes),
        Grid(*classes.shape),
    )
