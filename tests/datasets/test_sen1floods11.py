from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from sarwater.datasets.indexing import index
from sarwater.datasets.manifest import LabelCodes
from sarwater.errors import DataError
from sarwater.raster import read_target
from sarwater.types import IGNORE, Units
from tests.conftest import TifMaker

HAND = "sen1/v1.1/data/flood_events/HandLabeled"
TABLES = "sen1/v1.1/splits/flood_handlabeled"
DEGREES = Affine(0.001, 0, 10.0, 0, -0.001, 45.0)


@pytest.fixture
def bucket(make_tif: TifMaker, tmp_path: Path) -> Path:
    image = np.full((2, 4, 4), -12, np.float32)
    label = np.array([[-1, 0, 1, 1]] * 4, np.int16)
    for place, chip in enumerate(("Ghana_1", "Ghana_2", "Sri-Lanka_3", "Bolivia_4")):
        transform = Affine.translation(place, 0) @ DEGREES
        make_tif(
            f"{HAND}/S1Hand/{chip}_S1Hand.tif",
            image,
            crs="EPSG:4326",
            transform=transform,
            bands=("VV", "VH"),
        )
        if chip != "Ghana_2":
            name = f"{HAND}/LabelHand/{chip}_LabelHand.tif"
            make_tif(name, label, crs="EPSG:4326", transform=transform)
    chips = {
        "train": ["Ghana_1", "Ghana_2", "India_9"],
        "valid": [],
        "test": ["India_8"],
        "bolivia": ["Bolivia_4"],
    }
    (tmp_path / TABLES).mkdir(parents=True)
    for split, members in chips.items():
        rows = "".join(f"{chip}_S1Hand.tif,{chip}_LabelHand.tif\n" for chip in members)
        (tmp_path / TABLES / f"flood_{split}_data.csv").write_text(rows)
    return tmp_path / "sen1"


@pytest.mark.parametrize("above", ["", "v1.1", ".."])
def test_the_bucket_is_found_from_several_folders(bucket: Path, above: str) -> None:
    notes: list[str] = []
    manifest = index(bucket / above, "sen1floods11", report=notes.append)
    rows = {row.id: row for row in manifest}
    assert sorted(rows) == ["Bolivia_4", "Ghana_1", "Ghana_2", "Sri-Lanka_3"]
    assert {row.id: row.split for row in manifest} == {
        "Ghana_1": "train",
        "Ghana_2": "train",
        "Sri-Lanka_3": "",
        "Bolivia_4": "bolivia",
    }
    assert rows["Sri-Lanka_3"].domain == "Sri-Lanka"
    ghana = rows["Ghana_1"]
    assert (ghana.bands, ghana.units, ghana.height, ghana.width) == (("VV", "VH"), Units.DB, 4, 4)
    assert ghana.bounds == pytest.approx((10.0, 44.996, 10.004, 45.0))
    assert ghana.codes == (LabelCodes({0: "land", 1: "water", -1: "ignore"}),)
    assert read_target(ghana)[0].tolist() == [IGNORE, 0, 1, 1]
    assert not rows["Ghana_2"].is_labelled
    assert any("2 of 5 chips in the split tables have no image here: India_9" in n for n in notes)
    assert any("1 chips have no label file: Ghana_2" in note for note in notes)
    assert any("1 chips are in no split table: Sri-Lanka_3" in note for note in notes)


def test_missing_tables_leave_the_split_open(bucket: Path) -> None:
    for table in (bucket.parent / TABLES).iterdir():
        table.unlink()
    notes: list[str] = []
    manifest = index(bucket, "sen1floods11", report=notes.append)
    assert manifest.splits == ()
    assert sum("is in no split" in note or "in no split" in note for note in notes) == 4


def test_a_chip_in_two_tables_is_named(bucket: Path) -> None:
    row = "Ghana_1_S1Hand.tif,Ghana_1_LabelHand.tif\n"
    (bucket.parent / TABLES / "flood_test_data.csv").write_text(row)
    with pytest.raises(DataError, match=r"flood_test_data\.csv.*'Ghana_1' is in split 'train'"):
        index(bucket, "sen1floods11")


def test_a_table_of_something_else_is_named(bucket: Path) -> None:
    (bucket.parent / TABLES / "flood_test_data.csv").write_text("chip,label\n")
    with pytest.raises(DataError, match=r"flood_test_data\.csv, line 1: expected NAME_S1Hand\.tif"):
        index(bucket, "sen1floods11")


def test_all_labels_that_do_not_fit_are_named(bucket: Path, make_tif: TifMaker) -> None:
    for chip in ("Ghana_1", "Bolivia_4"):
        make_tif(f"{HAND}/LabelHand/{chip}_LabelHand.tif", np.zeros((4, 5), np.int16))
    (bucket.parent / HAND / "S1Hand" / "Sri-Lanka_3_S1Hand.tif").write_text("cut")
    with pytest.raises(DataError) as caught:
        index(bucket, "sen1floods11")
    message = str(caught.value)
    assert message.startswith("3 problems")
    assert "Ghana_1_LabelHand.tif does not fit" in message
    assert "Bolivia_4_LabelHand.tif does not fit" in message
    assert "Sri-Lanka_3_S1Hand.tif" in message


def test_a_folder_without_chips_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"HandLabeled/S1Hand.*sarwater download"):
        index(tmp_path, "sen1floods11")


def test_two_copies_are_one_too_many(bucket: Path) -> None:
    (bucket.parent / "other" / "v1.1" / "data/flood_events/HandLabeled/S1Hand").mkdir(parents=True)
    with pytest.raises(DataError, match="more than once"):
        index(bucket.parent, "sen1floods11")


@pytest.mark.real_data
def test_the_chips_of_the_real_data(real_data: Path) -> None:
    notes: list[str] = []
    manifest = index(real_data / "sen1floods11", "sen1floods11", report=notes.append)
    assert len(manifest) == 11
    assert sum(row.is_labelled for row in manifest) == 6
    assert len(manifest.select(split="train", labelled=False)) == 5
    assert "Sri-Lanka" in manifest.domains
    assert any(note.startswith("435 of 446 chips") for note in notes)
    ghana = next(row for row in manifest if row.id == "Ghana_83483")
    assert set(np.unique(read_target(ghana)).tolist()) == {IGNORE}
    spain = next(row for row in manifest if row.id == "Spain_7370579")
    counts = np.bincount(read_target(spain).ravel(), minlength=256)
    table = (real_data / "sen1floods11" / "label_counts.csv").read_text().splitlines()
    line = next(line for line in table if line.startswith("Spain_7370579,"))
    assert [counts[0], counts[1], counts[IGNORE]] == [int(cell) for cell in line.split(",")[3:]]


def test_hidden_files_and_folders_are_passed_over(bucket: Path) -> None:
    for file in list(bucket.rglob("*.tif")):
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\x16\7")
    (bucket / ".trash").symlink_to(bucket / "v1.1")
    manifest = index(bucket, "sen1floods11")
    assert sorted(row.id for row in manifest) == ["Bolivia_4", "Ghana_1", "Ghana_2", "Sri-Lanka_3"]
