import io
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sarwater.errors import DataError
from sarwater.report.gallery import Gallery, GalleryWriter
from sarwater.types import IGNORE, AnyArray, Chip, FloatArray, Grid, Units


def make_chip(height: int = 30, width: int = 50, name: str = "a") -> Chip:
    generator = np.random.default_rng(3)
    image = generator.normal(-12, 3, (2, height, width)).astype(np.float32)
    valid = generator.random((height, width)) < 0.9
    target = (generator.random((height, width)) < 0.4).astype(np.uint8)
    target[:4] = IGNORE
    image[:, target == 1] -= 6
    image[:, ~valid] = 0
    bands = ("VV", "VH")
    return Chip(name, "elbe", bands, Units.DB, image, valid, target, Grid(height, width))


def probability(chip: Chip, seed: int = 5) -> FloatArray:
    found = np.random.default_rng(seed).random(chip.valid.shape).astype(np.float32)
    return np.where(chip.valid, found, np.float32(0))


def decoded(content: bytes) -> AnyArray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_maps_are_exact_at_every_stored_threshold(tmp_path: Path) -> None:
    chip = make_chip()
    water, other, counted = (
        probability(chip),
        probability(chip, 6),
        chip.valid & (chip.image[0] < 0),
    )
    with GalleryWriter(tmp_path / "g.zip", size=64) as writer:
        writer.add(chip, counted, water, other)
    with Gallery(tmp_path / "g.zip") as gallery:
        maps = decoded(gallery.pictures(0)[1])
        assert gallery.chips[0]["step"] == 1
    for k in (4, 100, 200, 500, 800, 996):
        threshold = np.float32(k / 1000)
        np.testing.assert_array_equal(maps[..., 0] >= k / 4, water >= threshold)
        np.testing.assert_array_equal(maps[..., 1] >= k / 4, other >= threshold)
    codes = maps[..., 2]
    np.testing.assert_array_equal(codes >= 128, counted)
    np.testing.assert_array_equal(codes & 64 > 0, chip.valid)
    assert chip.target is not None
    np.testing.assert_array_equal(codes & 63, np.where(chip.target == IGNORE, 63, chip.target))


def test_pictures_are_thinned_to_the_size_by_the_stated_rule(tmp_path: Path) -> None:
    chip = make_chip(30, 50)
    water = probability(chip)
    with GalleryWriter(tmp_path / "g.zip", size=17) as writer:
        writer.add(chip, chip.valid, water)
    with Gallery(tmp_path / "g.zip") as gallery:
        image, maps = map(decoded, gallery.pictures(0))
        entry = gallery.chips[0]
    assert (entry["step"], entry["height"], entry["width"]) == (3, 10, 17)
    assert image.shape == (20, 17, 3)  # two bands below each other
    assert maps.shape == (10, 17, 3)
    for row in range(10):
        for col in range(16):
            value = float(water[3 * row + 1, 3 * col + 1])
            assert maps[row, col, 0] == min(249, math.floor(value * 250 + 1e-4))


def test_image_bands_are_means_of_blocks(tmp_path: Path) -> None:
    chip = make_chip(40, 40)
    with GalleryWriter(tmp_path / "g.zip", size=10) as writer:
        writer.add(chip, chip.valid, probability(chip))
    with Gallery(tmp_path / "g.zip") as gallery:
        gray = decoded(gallery.pictures(0)[0])[:10, :, 0].astype(float)
    means = np.zeros((10, 10))
    for row, col in np.ndindex(10, 10):
        block = np.s_[4 * row : 4 * row + 4, 4 * col : 4 * col + 4]
        means[row, col] = chip.image[0][block][chip.valid[block]].mean()
    assert np.corrcoef(means.ravel(), gray.ravel())[0, 1] > 0.97  # the picture is lossy


def test_what_is_known_of_the_values(tmp_path: Path) -> None:
    chip = make_chip()
    counted = chip.valid & (np.indices(chip.valid.shape)[0] >= 4)
    with GalleryWriter(tmp_path / "g.zip") as writer:
        writer.add(chip, counted, probability(chip))
    with Gallery(tmp_path / "g.zip") as gallery:
        first, second = gallery.chips[0]["values"]
    values = chip.image[1][chip.valid]
    assert second["name"] == "VH"
    assert (second["minimum"], second["maximum"]) == (values.min(), values.max())
    expected, _ = np.histogram(values.astype(np.float64), 40)
    assert np.abs(np.array(second["histogram"]) - expected).sum() <= 4  # rounding at the edges
    assert sum(second["histogram"]) == chip.valid.sum()
    assert chip.target is not None
    land = chip.image[0][counted & (chip.target == 0)]
    water = chip.image[0][counted & (chip.target == 1)]
    contrast = (land.mean() - water.mean()) / np.sqrt((land.var() + water.var()) / 2)
    assert first["contrast"] == pytest.approx(contrast, rel=1e-4)


def test_a_chip_without_data_or_water_is_no_reason_to_fail(tmp_path: Path) -> None:
    chip = make_chip()
    nothing = np.zeros_like(chip.valid)
    empty = Chip("e", "elbe", ("VV",), Units.DB, chip.image[:1] * 0, nothing, None, chip.grid)
    with GalleryWriter(tmp_path / "g.zip") as writer:
        writer.add(empty, nothing, np.zeros(nothing.shape, np.float32))
    with Gallery(tmp_path / "g.zip") as gallery:
        assert gallery.chips[0]["values"] == [
            {
                "name": "VV",
                "scale": "dB",
                "minimum": None,
                "maximum": None,
                "histogram": None,
                "contrast": None,
            }
        ]
        assert set(np.unique(decoded(gallery.pictures(0)[1])[..., 2])) == {63}


def test_equal_chips_make_equal_files(tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        with GalleryWriter(tmp_path / name) as writer:
            writer.add(make_chip(), make_chip().valid, probability(make_chip()))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_bands_named_red_green_and_blue_are_shown_as_those(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((4, 8, 8)).astype(np.float32)
    bands, everywhere = ("blue", "green", "red", "nir"), np.full((8, 8), True)
    chip = Chip("o", "elbe", bands, Units.OTHER, image, everywhere, None, Grid(8, 8))
    with GalleryWriter(tmp_path / "g.zip") as writer:
        writer.add(chip, everywhere, image[0])
    with Gallery(tmp_path / "g.zip") as gallery:
        assert gallery.chips[0]["bands"] == ["red", "green", "blue"]
        assert [one["name"] for one in gallery.chips[0]["values"]] == ["red", "green", "blue"]


@pytest.mark.parametrize("content", [b"", b"no zip file"])
def test_a_damaged_gallery_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "gallery.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"gallery\.zip is damaged"):
        Gallery(tmp_path / "gallery.zip")


def test_a_picture_that_is_damaged_is_named(tmp_path: Path) -> None:
    image, everywhere = np.zeros((1, 8, 8), np.float32), np.full((8, 8), True)
    chip = Chip("o", "elbe", ("VV",), Units.DB, image, everywhere, None, Grid(8, 8))
    with GalleryWriter(tmp_path / "g.zip") as writer:
        writer.add(chip, everywhere, image[0])
    content = bytearray((tmp_path / "g.zip").read_bytes())
    content[content.index(b"WEBP") + 8] ^= 0xFF
    (tmp_path / "g.zip").write_bytes(content)
    with (
        Gallery(tmp_path / "g.zip") as gallery,
        pytest.raises(DataError, match=r"g\.zip is damaged"),
    ):
        gallery.pictures(0)


def test_a_gallery_that_is_refused_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[zipfile.ZipFile] = []

    class Noted(zipfile.ZipFile):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            made.append(self)

    with zipfile.ZipFile(tmp_path / "g.zip", "w") as file:
        file.writestr("index.json", "{")
    monkeypatch.setattr(zipfile, "ZipFile", Noted)
    with pytest.raises(DataError, match=r"g\.zip is damaged"):
        Gallery(tmp_path / "g.zip")
    (opened,) = made
    assert opened.fp is None


def test_a_gallery_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "gallery.zip", "w") as file:
        file.writestr("index.json", json.dumps({"format": 2}))
    with pytest.raises(DataError, match="newer sarwater"):
        Gallery(tmp_path / "gallery.zip")
