import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarwater.tables import csv_rows


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
def test_any_line_ends_and_empty_lines(end: str) -> None:
    rows = [row for _, row in csv_rows(end.join(["id,split", "a,train", "b,val", ""]), ["id"])]
    assert rows == [{"id": "a", "split": "train"}, {"id": "b", "split": "val"}]


def test_columns_without_a_name_are_kept_where_they_have_text() -> None:
    text = "id,, split ,,\na,note,train,,,\nb,,val, ,, \nc,,val,,,surplus\n"
    assert [row for _, row in csv_rows(text, ["id"])] == [
        {"id": "a", "column 2": "note", "split": "train"},
        {"id": "b", "column 2": "", "split": "val"},
        {"id": "c", "column 2": "", "split": "val", None: ["surplus"]},
    ]


def test_columns_that_are_known_may_be_in_any_case() -> None:
    rows = list(csv_rows("ID, Split,Note\na,x,y\n", ["id"], ["split"]))
    assert rows == [(2, {"id": "a", "split": "x", "Note": "y"})]
    with pytest.raises(ValueError, match="names split twice"):
        list(csv_rows("id,split,Split\n", ["id"], ["split"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column id: found nothing"),
        ("idd,b\n1,2\n", r"no column id \(did you mean 'idd'\?\): found 'idd', 'b'"),
        ("id;b\n1;2\n", "separated by semicolons; save it with commas"),
        ("id\tb\n1\t2\n", "separated by tabs"),
        ("id,b,b\n1,2,3\n", "names b twice"),
        ("id\n" + "x" * 200_000, "line 1: field larger than field limit"),
        ("id\na\0b\n", "zero bytes"),
    ],
)
def test_what_is_no_table_says_why(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(csv_rows(text, ["id"]))


@given(st.text())
def test_any_text_gives_rows_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert all(isinstance(row, dict) for _, row in csv_rows(text))
