"""Writing figures: what users named is text, not formulas, in whatever script."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, NullFormatter

from sarwater.quiet import quiet


def save_figure(figure: Figure, path: Path, **options: Any) -> None:
    """Write a figure as PNG without a version in it, so that equal data give equal files.

    A dollar sign in a name is drawn as it is; letters that the font lacks become boxes.

    Args:
        figure: the figure.
        path: of the PNG.
        options: of matplotlib's ``savefig``, such as ``dpi``.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log":  # matplotlib labels it with formulas
                axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
                axis.set_minor_formatter(NullFormatter())
    for text in figure.findobj(Text):
        if isinstance(text, Text):
            text.set_parse_math(False)
    with quiet("Glyph .* missing", UserWarning):
        figure.savefig(path, metadata={"Software": None}, **options)
