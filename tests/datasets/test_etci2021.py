from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sarwater.datasets.indexing import index
from sarwater.errors import DataError
from sarwater.raster import read_chip, read_target
from sarwater.types import AnyArray, Units

PngMaker = Callable[[str, AnyArray], Path]
KINDS = ("vv", "vh", "flood_label", "water_body_label")


@pytest.fixture
def make_event(make_png: PngMaker) -> Callable[..., None]:
    """Write an event's tiles at the places named; labels as in the real set, 0 and 255."""

    def make(
        event: str,
        places: tuple[tuple[int, int], ...] = ((1, 4), (1, 12)),
        *,
        folder: str = "",
        kinds: tuple[str, ...] = KINDS,
    ) -> None:
        flood = np.array([[0, 255, 0, 255]] * 4)
        body = np.array([[0, 0, 9, 9]] * 4)
        for row, col in places:
            name = f"{event}_x-{row}_y-{col}"
            files = {
                "vv": (f"{name}_vv.png", np.full((4, 4), 60)),
                "vh": (f"{name}_vh.png", np.full((4, 4, 3), 50)),
                "flood_label": (f"{name}.png", flood),
                "water_body_label": (f"{name}.png", body),
            }
            for kind in kinds:
                make_png(f"{folder}{event}/tiles/{kind}/{files[kind][0]}", files[kind][1])

    return make


@pytest.mark.parametrize("below", ["", "rhine_2021", "rhine_2021/tiles"])
def test_tiles_are_found_from_several_folders(
    below: str, make_event: Callable[..., None], tmp_path: Path
) -> None:
    make_event("rhine_2021")
    manifest = index(tmp_path / below, "etci2021")
    assert [row.id for row in manifest] == ["rhine_2021_x-1_y-4", "rhine_2021_x-1_y-12"]
    row = manifest.records[1]
    assert (row.scene, row.domain, row.row, row.col) == ("rhine_2021", "rhine_2021", 1, 12)
    assert (row.bands, row.units, row.split) == (("VV", "VH"), Units.BYTE, "")
    assert (row.height, row.width, row.bounds) == (4, 4, None)
    chip = read_chip(row)
    assert chip.image[:, 0, 0].tolist() == [60, 50]
    assert chip.target is not None
    assert chip.target[0].tolist() == [0, 1, 1, 1]


def test_three_classes_tell_permanent_water_from_flood(
    make_event: Callable[..., None], tmp_path: Path
) -> None:
    make_event("rhine")
    manifest = index(tmp_path, "etci2021", three_classes=True)
    assert manifest.classes == ("land", "permanent water", "flood")
    assert read_target(manifest.records[0])[0].tolist() == [0, 2, 1, 1]


def test_the_official_folders_are_splits(make_event: Callable[..., None], tmp_path: Path) -> None:
    make_event("rhine", folder="train/")
    make_event("elbe", folder="test/", kinds=("vv", "vh", "water_body_label"))
    notes: list[str] = []
    manifest = index(tmp_path, "etci2021", report=notes.append)
    assert {row.domain: row.split for row in manifest} == {"elbe": "test", "rhine": "train"}
    assert [row.is_labelled for row in manifest.select(domains=["elbe"])] == [False, False]
    assert any("has no flood_label: its tiles are unlabelled" in note for note in notes)
    assert any("2 of 4 tiles are unlabelled" in note for note in notes)


def test_a_tile_without_both_labels_is_unlabelled(
    make_event: Callable[..., None], tmp_path: Path
) -> None:
    make_event("rhine")
    make_event("rhine", ((2, 2),), kinds=("vv", "vh"))
    manifest = index(tmp_path, "etci2021")
    assert [row.is_labelled for row in manifest] == [True, True, False]


def test_all_gaps_are_named_together(make_event: Callable[..., None], tmp_path: Path) -> None:
    make_event("rhine")
    tiles = tmp_path / "rhine" / "tiles"
    (tiles / "vh" / "rhine_x-1_y-4_vh.png").unlink()
    (tiles / "flood_label" / "rhine_x-1_y-12.png").unlink()
    Image.new("L", (4, 4)).save(tiles / "flood_label" / "rhine_x-7_y-7.png")
    with pytest.raises(DataError) as caught:
        index(tmp_path, "etci2021")
    message = str(caught.value)
    assert "vh lacks 1 tiles: rhine_x-1_y-4" in message
    assert "flood_label lacks 1 tiles that water_body_label has: rhine_x-1_y-12" in message
    assert "flood_label has 1 labels without image: rhine_x-7_y-7" in message


def test_a_tile_that_is_there_twice_is_named(
    make_event: Callable[..., None], tmp_path: Path
) -> None:
    make_event("rhine", folder="train/")
    make_event("rhine", folder="test/")
    with pytest.raises(DataError, match="tile 'rhine_x-1_y-4' is there twice"):
        index(tmp_path, "etci2021")


def test_a_folder_without_tiles_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"EVENT/tiles/vv/EVENT_x-ROW_y-COLUMN_vv\.png"):
        index(tmp_path, "etci2021")


@pytest.mark.real_data
def test_the_tiles_of_the_real_data(real_data: Path) -> None:
    manifest = index(real_data / "etci2021", "etci2021")
    tiles = {domain: manifest.select(domains=[domain]) for domain in manifest.domains}
    counts = {d.partition("_")[0]: len(rows) for d, rows in tiles.items()}
    assert counts == {"bangladesh": 1221, "nebraska": 198, "northal": 356}
    labelled = {d.partition("_")[0]: len(rows.select(labelled=True)) for d, rows in tiles.items()}
    assert labelled == {"bangladesh": 786, "nebraska": 198, "northal": 356}


@pytest.mark.real_data
def test_the_water_of_north_alabama(real_data: Path) -> None:
    """Against a reading with PIL and the rule spelled out anew."""
    event = real_data / "etci2021" / "northal_20190302t234651"
    total = expected = 0
    for row in index(event, "etci2021"):
        chip = read_chip(row)
        assert chip.target is not None
        total += int((chip.valid & (chip.target == 1)).sum())
        vv, vh, flood, body = (gray(path) for path in (*row.images, *row.labels))
        water = (flood > 0) | (body > 0)
        outside = (vv == 255) & (vh == 255)
        zero = (vv == 0) & (vh == 0)
        while True:
            grown = outside.copy()
            grown[1:] |= outside[:-1]
            grown[:-1] |= outside[1:]
            grown[:, 1:] |= outside[:, :-1]
            grown[:, :-1] |= outside[:, 1:]
            grown = outside | (grown & zero)
            if (grown == outside).all():
                break
            outside = grown
        np.testing.assert_array_equal(chip.valid, ~outside)
        np.testing.assert_array_equal(chip.target == 1, water)
        expected += int((water & ~outside).sum())
    assert total == expected == 1_148_628


def gray(path: Path) -> AnyArray:
    with Image.open(path) as image:
        values = np.asarray(image)
    return values if values.ndim == 2 else values[..., 0]


def test_hidden_files_and_folders_are_passed_over(
    make_event: Callable[..., None], tmp_path: Path
) -> None:
    make_event("rhine_2021")
    for file in list(tmp_path.rglob("*.png")):
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\x16\7")
    make_event("rhine_2021", folder=".trash/")
    notes: list[str] = []
    manifest = index(tmp_path, "etci2021", report=notes.append)
    assert [row.id for row in manifest] == ["rhine_2021_x-1_y-4", "rhine_2021_x-1_y-12"]
    assert notes == []
