from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sarwater.mapping.outputs import MappedRows, Thumbnail
from sarwater.palette import WATER, rgb
from sarwater.report.map_charts import draw_quicklook
from sarwater.types import Grid, Units


def look(height: int, width: int, bands: tuple[str, ...] = ("VV", "VH")) -> Thumbnail:
    generator = np.random.default_rng(0)
    thumbnail = Thumbnail("s", Grid(height, width), bands, Units.DB, ("land", "water"), 0.5)
    image = generator.uniform(-25, -1, (len(bands), height, width)).astype(np.float32)
    water = np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width)
    classes = (water >= 0.5).astype(np.uint8)
    classes[:, : width // 4] = 255
    water[:, : width // 4] = np.nan
    thumbnail.add_image(0, image)
    thumbnail.add_map(MappedRows(0, classes, water))
    return thumbnail


@pytest.mark.parametrize(
    ("height", "width"), [(60, 80), (1, 1), (1, 900), (900, 1), (1500, 1300), (200, 30)]
)
def test_a_picture_of_any_scene_is_drawn(height: int, width: int, tmp_path: Path) -> None:
    draw_quicklook(look(height, width), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 100
        assert max(picture.size) < 4000


def test_water_is_shown_in_its_color(tmp_path: Path) -> None:
    draw_quicklook(look(60, 80), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    blue = (pixels == rgb(WATER)).all(axis=-1)
    third = pixels.shape[1] // 3
    assert blue[:, 2 * third :].mean() > 0.1


def test_a_single_band_without_data_is_drawn(tmp_path: Path) -> None:
    empty = Thumbnail("s", Grid(20, 20), ("HH",), Units.LINEAR, ("land", "water"), 0.5)
    draw_quicklook(empty, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_the_same_scene_gives_the_same_picture(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_quicklook(look(30, 40), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
