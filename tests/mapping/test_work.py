"""The folder aside: what is kept, what is removed, and who may use it."""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sarwater.errors import OutputError, OutputExistsError, RasterError
from sarwater.mapping.work import work_folder

SETTINGS: dict[str, Any] = {"model": "abc", "threshold": 0.5, "bands": ("VV", "VH")}


def interrupted(out: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt), work_folder(out, "a", SETTINGS) as work:
        (work.folder / "rows.tif").write_text("half")
        work.note(448)
        raise KeyboardInterrupt


def test_an_interrupted_one_goes_on(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with work_folder(tmp_path, "a", SETTINGS) as work:
        assert work.rows == 448
        assert (work.folder / "rows.tif").read_text() == "half"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("changed", [{"threshold": 0.4}, {"model": "abd"}, {"new": 1}])
def test_other_settings_begin_anew(tmp_path: Path, changed: dict[str, Any]) -> None:
    interrupted(tmp_path)
    with work_folder(tmp_path, "a", SETTINGS | changed) as work:
        assert work.rows == 0
        assert not (work.folder / "rows.tif").exists()


@pytest.mark.parametrize("text", ['{"settings": ', "[]", "{}"])
def test_a_damaged_note_begins_anew(text: str, tmp_path: Path) -> None:
    interrupted(tmp_path)
    (tmp_path / ".mapping-a" / "state.json").write_text(text)
    with work_folder(tmp_path, "a", SETTINGS) as work:
        assert work.rows == 0
        assert not (work.folder / "rows.tif").exists()


def test_scenes_do_not_share_their_work(tmp_path: Path) -> None:
    interrupted(tmp_path)
    with work_folder(tmp_path, "b", SETTINGS) as work:
        assert work.rows == 0


def fail(out: Path) -> None:
    with work_folder(out, "a", SETTINGS) as work:
        (work.folder / "rows.tif").write_text("half")
        raise RasterError("the scene is truncated")


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "maps"
    with pytest.raises(RasterError, match="truncated"):
        fail(out)
    assert not out.exists()


def test_what_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "a_water.tif").write_text("old")
    with pytest.raises(RasterError, match="truncated"):
        fail(tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize(("name", "words"), [("f", "f is a file"), ("f/maps", "f is not a folder")])
def test_a_file_in_the_way_is_named(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "f").write_text("a file")
    with pytest.raises((OutputExistsError, OutputError), match=words):
        fail(tmp_path / name)
    assert (tmp_path / "f").read_text() == "a file"


HOLDING = """
import sys
from pathlib import Path
from sarwater.mapping.work import work_folder

with work_folder(Path(sys.argv[1]), "a", {}) as work:
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_processes_do_not_make_the_same_map(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDING, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(OutputExistsError, match="another process is mapping a into"):
            fail(tmp_path)
        other.stdin.close()
    assert other.returncode == 0


@pytest.mark.parametrize("error", [ValueError("inf"), RuntimeError("a bug"), MemoryError()])
def test_errors_of_no_kind_leave_nothing_either(error: Exception, tmp_path: Path) -> None:
    def fail() -> None:
        with work_folder(tmp_path / "maps", "a", SETTINGS) as work:
            work.note(448)
            raise error

    with pytest.raises(type(error)):
        fail()
    assert not (tmp_path / "maps").exists()
