"""Styles for QGIS: what is drawn, and how it is called."""

from pathlib import Path
from xml.etree import ElementTree

from sarwater.mapping.styles import write_class_style, write_probability_style


def test_a_map_of_classes_lists_its_classes_alone(tmp_path: Path) -> None:
    path = tmp_path / "map_water.qml"
    write_class_style(path, ["land", "water", "left out <by> a mask"])
    renderer = ElementTree.parse(path).getroot().find("pipe/rasterrenderer")
    assert renderer is not None
    assert renderer.get("type") == "paletted"
    entries = [(one.get("value"), one.get("label")) for one in renderer.iter("paletteEntry")]
    assert entries == [("0", "land"), ("1", "water"), ("2", "left out <by> a mask")]
    colors = [one.get("color") for one in renderer.iter("paletteEntry")]
    assert colors[1] == "#0072B2"
    assert len(set(colors)) == 3


def test_a_probability_runs_from_0_to_1_ever_brighter(tmp_path: Path) -> None:
    path = tmp_path / "map_probability.qml"
    write_probability_style(path)
    renderer = ElementTree.parse(path).getroot().find("pipe/rasterrenderer")
    assert renderer is not None
    stops = list(renderer.iter("item"))
    values = [float(one.get("value", "nan")) for one in stops]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (0, 1)
    light = [sum(bytes.fromhex(str(one.get("color"))[1:])) for one in stops]
    assert light == sorted(set(light))
