"""Ratio bins: boundaries, groups, and the table of counts."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarwater.errors import DataError
from sarwater.ratios import RATIO_BINS, LabelCount, ratio_bin, ratio_table, read_counts

HEAD = "chip,event,split,nonwater_px,water_px,ignored_px\n"


def one_bin(background: int, foreground: int) -> int:
    """Follow the names of the bins, with a division."""
    if foreground == 0:
        return 3
    ratio = background / foreground
    if ratio < 10:
        return 0
    if ratio < 100:
        return 1
    return 2 if ratio <= 1000 else 3


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**4)), min_size=1))
def test_bins_are_those_of_a_loop(pairs: list[tuple[int, int]]) -> None:
    background, foreground = zip(*pairs, strict=True)
    expected = [one_bin(b, f) for b, f in pairs]
    assert ratio_bin(background, foreground).tolist() == expected


@pytest.mark.parametrize(
    ("background", "foreground", "name"),
    [
        (0, 5, "<10"),
        (10, 1, "10-100"),
        (100, 1, "100-1000"),
        (1000, 1, "100-1000"),
        (1001, 1, ">1000 or no water"),
        (5, 0, ">1000 or no water"),
        (0, 0, ">1000 or no water"),
    ],
)
def test_boundaries(background: int, foreground: int, name: str) -> None:
    assert RATIO_BINS[int(ratio_bin(background, foreground))] == name


def test_bins_keep_the_shape() -> None:
    assert ratio_bin(np.ones((2, 3)), np.ones((2, 3))).shape == (2, 3)
    assert ratio_bin(np.zeros(0), np.zeros(0)).shape == (0,)


def test_table_groups_and_names_the_unlabelled() -> None:
    table = ratio_table(
        [
            LabelCount("a", "east", "train", 5, 1),
            LabelCount("b", "west", "train", 5000, 1),
            LabelCount("c", "east", "", 0, 0, 9),
            LabelCount("d", "west", "val", 7, 0),
        ]
    )
    assert table.total == (1, 0, 0, 3)
    assert table.by_split == {"train": (1, 0, 0, 1), "(none)": (0, 0, 0, 1), "val": (0, 0, 0, 1)}
    assert table.by_domain == {"east": (1, 0, 0, 1), "west": (0, 0, 0, 2)}
    assert table.unlabelled == ("c",)


def test_read_counts(tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(HEAD + "a,Ghana,test,12,3,4\n", encoding="utf-8")
    assert read_counts(path) == (LabelCount("a", "Ghana", "test", 12, 3, 4),)
    path.write_text("water_px,chip,nonwater_px,domain\n3,a,12,Ghana\n", encoding="utf-8")
    assert read_counts(path) == (LabelCount("a", "Ghana", "", 12, 3),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("chip,water_px\n", "no column nonwater_px"),
        (HEAD, "no rows"),
        (HEAD + "a,x,y,1,-2,0\nb,x,y,many,2,0\n", "line 2: water_px '-2'.*line 3: nonwater_px 'm"),
        (HEAD + "a,x,y,1,2,0\na,x,y,1,2,0\n", "line 3: chip 'a' occurs twice"),
        (HEAD + "a,x\n", "line 2: nonwater_px ''"),
    ],
)
def test_wrong_counts_name_their_lines(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        read_counts(path)


def test_missing_counts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the table of counts"):
        read_counts(tmp_path / "no.csv")


@pytest.mark.real_data
def test_official_label_counts(real_data: Path) -> None:
    path = real_data / "sen1floods11" / "label_counts.csv"
    table = ratio_table(read_counts(path))
    assert table.total == (123, 171, 75, 77)
    last = {split: row[-1] for split, row in table.by_split.items()}
    assert last == {"train": 50, "valid": 14, "test": 11, "bolivia": 2}
    with path.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    blank = [row["chip"] for row in rows if int(row["nonwater_px"]) + int(row["water_px"]) == 0]
    assert list(table.unlabelled) == blank
    assert all(name.startswith("Ghana_") for name in table.unlabelled)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chip;nonwater_px;water_px\na;1;2\n", "separated by semicolons"),
        (HEAD + "a,x,train," + "9" * 5000 + ",1,0\n", "nonwater_px '9+' is not a number"),
        (HEAD + "a" * 200_000 + "\n", "field larger"),
    ],
)
def test_tables_that_are_no_counts(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_counts(path)
