import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sarwater.errors import DataError
from sarwater.evaluation.files import read_evaluation
from sarwater.evaluation.summary import chip_rows
from sarwater.report.evaluation_page import evaluation_section, worst_chips
from sarwater.report.section import BlobStore, Section
from tests.evaluation_cases import random_evaluation


def section(folder: Path, store: BlobStore) -> Section:
    path = folder / "evaluation.json"
    return evaluation_section(path, json.loads(path.read_text()), store)


def with_pictures(found: Section) -> list[dict[str, Any]]:
    return [chip for chip in found.data["chips"] if "image" in chip]


def test_the_worst_chips_come_first() -> None:
    evaluation = random_evaluation(chips=12, dry=3)
    rows = chip_rows(evaluation)
    wet = sorted((row for row in rows if row["f1"] is not None), key=lambda row: row["f1"])
    dry = sorted((row for row in rows if row["f1"] is None), key=lambda row: -row["fp"])
    ordered = [row["id"] for row in (*wet, *dry)]
    for most in (0, 1, 5, 10, 12, 50):
        assert worst_chips(evaluation, most) == set(ordered[:most])


def test_pictures_are_of_the_worst_chips_only(evaluated: Path) -> None:
    found = section(evaluated, BlobStore(most_chips=5))
    chips = len(read_evaluation(evaluated).chips)
    assert len(found.data["chips"]) == chips
    shown = {chip["id"] for chip in with_pictures(found)}
    assert shown == worst_chips(read_evaluation(evaluated), 5)
    assert any(f"5 worst of {chips} chips" in remark for remark in found.remarks)


def test_equal_pictures_are_stored_once(evaluated: Path) -> None:
    store = BlobStore()
    section(evaluated, store)
    once = len(store.lengths)
    section(evaluated, store)
    assert len(store.lengths) == once


def test_a_gallery_of_other_chips_is_refused(evaluated: Path, tmp_path: Path) -> None:
    from sarwater.report.gallery import GalleryWriter

    shutil.copytree(evaluated, tmp_path / "e")
    with GalleryWriter(tmp_path / "e" / "gallery.zip"):
        pass
    with pytest.raises(DataError, match="shows other chips"):
        section(tmp_path / "e", BlobStore())


def test_damaged_intervals_are_named(evaluated: Path, tmp_path: Path) -> None:
    shutil.copytree(evaluated, tmp_path / "e")
    (tmp_path / "e" / "intervals.npz").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"intervals\.npz is damaged"):
        section(tmp_path / "e", BlobStore())
