"""Colors of classes, the same in rasters and in pictures.

They are told apart by color-blind readers (Okabe and Ito 2008).
"""

LAND = "#D9D2C5"
WATER = "#0072B2"
CLASS_COLORS = (LAND, WATER, "#56B4E9", "#009E73", "#D55E00", "#F0E442", "#CC79A7")
"""Color of each class; they repeat (land left out) beyond the seventh."""

PROBABILITY_COLORS = ("#00224E", "#434E6C", "#7D7C78", "#BCAE6C", "#FEE838")
"""Probabilities of 0, .25, ... 1: the cividis map (Nuñez et al. 2018), evenly spaced."""


def class_color(index: int) -> str:
    """Return the color of a class as ``#RRGGBB``.

    >>> class_color(1)
    '#0072B2'
    """
    if index < len(CLASS_COLORS):
        return CLASS_COLORS[index]
    return CLASS_COLORS[1 + (index - 1) % (len(CLASS_COLORS) - 1)]


def rgb(color: str) -> tuple[int, int, int]:
    """Read ``#RRGGBB``.

    >>> rgb("#0072B2")
    (0, 114, 178)
    """
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
