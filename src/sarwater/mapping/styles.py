"""How QGIS draws a map: a ``.qml`` file beside a raster of the same name is its default style."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from sarwater.files import write_text
from sarwater.palette import PROBABILITY_COLORS, class_color

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"


def write_class_style(path: Path, classes: Sequence[str]) -> None:
    """Write the style of a map of classes: the names and colors of these, and no other entry.

    The color table of a TIFF has 256 entries without names, and so has its legend in QGIS.

    Args:
        path: beside the raster, with the suffix ``.qml``.
        classes: names, the background first.

    Raises:
        OutputError: the file cannot be written.
    """
    root, renderer = _style("paletted")
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for index, name in enumerate(classes):
        entry = {"value": str(index), "label": name, "color": class_color(index), "alpha": "255"}
        ElementTree.SubElement(palette, "paletteEntry", entry)
    _write(path, root)


def write_probability_style(path: Path) -> None:
    """Write the style of a probability: cividis, as in the quick-look, from 0 to 1.

    Args:
        path: beside the raster, with the suffix ``.qml``.

    Raises:
        OutputError: the file cannot be written.
    """
    ends = {"classificationMin": "0", "classificationMax": "1"}
    root, renderer = _style("singlebandpseudocolor", **ends)
    shader = ElementTree.SubElement(renderer, "rastershader")
    ramp = {"colorRampType": "INTERPOLATED", "classificationMode": "1", "clip": "0"}
    limits = {"minimumValue": "0", "maximumValue": "1"}
    stops = ElementTree.SubElement(shader, "colorrampshader", ramp | limits)
    for number, color in enumerate(PROBABILITY_COLORS):
        value = f"{number / (len(PROBABILITY_COLORS) - 1):g}"
        entry = {"value": value, "label": value, "color": color, "alpha": "255"}
        ElementTree.SubElement(stops, "item", entry)
    _write(path, root)


def _style(kind: str, **attributes: str) -> tuple[ElementTree.Element, ElementTree.Element]:
    root = ElementTree.Element("qgis", {"version": "3.22", "styleCategories": "Symbology"})
    common = {"type": kind, "band": "1", "opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    pipe = ElementTree.SubElement(root, "pipe")
    return root, ElementTree.SubElement(pipe, "rasterrenderer", common | attributes)


def _write(path: Path, root: ElementTree.Element) -> None:
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    write_text(path, f"{_DOCTYPE}\n{text}\n", overwrite=True)
