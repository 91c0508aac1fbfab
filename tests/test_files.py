import errno
import json
import os
import stat
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sarwater.errors import DataError, OutputError, OutputExistsError
from sarwater.files import (
    atomic_folder,
    atomic_path,
    read_errors,
    refuse_existing,
    refuse_inputs,
    write_json,
    write_text,
)


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with atomic_path(path) as aside:
        aside.write_text("whole")
        assert not path.exists()
        assert aside.suffix == ".txt"
        assert aside.parent == path.parent
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_block_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_path(path, overwrite=True) as aside:
            aside.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(OutputExistsError, match=r"a\.txt exists already.*--overwrite"):
        write_text(path, "new")
    assert path.read_text() == "old"
    write_text(path, "new", overwrite=True)
    assert path.read_text() == "new"


def test_a_file_has_the_usual_permissions(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "a.txt", "")
        with atomic_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o755


def test_threads_that_write_leave_the_permissions_of_all_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    umask = os.umask

    def slow(mask: int) -> int:
        """Let another thread come in between, as happens now and then."""
        former = umask(mask)
        time.sleep(0.001)
        return former

    def write(thread: int) -> None:
        for number in range(10):
            write_text(tmp_path / f"{thread}_{number}.txt", "")

    before = umask(0o027)
    monkeypatch.setattr(os, "umask", slow)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(write, range(4)))
    finally:
        left = umask(before)
    assert left == 0o027
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o640}


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "out"

    def fail() -> None:
        with atomic_folder(folder) as aside:
            (aside / "half.txt").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(folder) as aside:
        (aside / "a.txt").write_text("a")
    with pytest.raises(OutputExistsError), atomic_folder(folder):
        pass
    assert [file.name for file in folder.glob("[!.]*")] == ["a.txt"]
    with atomic_folder(folder, overwrite=True) as aside:
        (aside / "b.txt").write_text("b")
    assert [file.name for file in folder.glob("[!.]*")] == ["b.txt"]


def test_an_empty_folder_is_free(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    refuse_existing(folder, overwrite=False)
    with atomic_folder(folder) as aside:
        (aside / "a.txt").write_text("a")
    assert (folder / "a.txt").exists()


def test_json_has_no_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"f1": float("nan")})
    assert list(tmp_path.iterdir()) == []
    write_json(path, {"f1": 0.5})
    assert json.loads(path.read_text()) == {"f1": 0.5}


def test_overwriting_spares_folders_that_sarwater_did_not_write(tmp_path: Path) -> None:
    mine = tmp_path / "photos"
    mine.mkdir()
    (mine / "a.jpg").write_text("precious")
    with (
        pytest.raises(OutputExistsError, match="did not write"),
        atomic_folder(mine, overwrite=True),
    ):
        pytest.fail("the block must not run")
    assert (mine / "a.jpg").read_text() == "precious"


def test_an_own_folder_is_replaced(tmp_path: Path) -> None:
    for text in ("old", "new"):
        with atomic_folder(tmp_path / "result", overwrite=True) as folder:
            (folder / text).write_text(text)
    assert (tmp_path / "result" / "new").exists()
    assert not (tmp_path / "result" / "old").exists()


def test_a_folder_where_a_file_is_to_be_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputExistsError, match="is a folder"),
        atomic_path(tmp_path, overwrite=True),
    ):
        pytest.fail("the block must not run")


def test_a_file_is_never_replaced_by_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("precious")
    with (
        pytest.raises(OutputExistsError, match="is a file; name a folder"),
        atomic_folder(path, overwrite=True),
    ):
        pytest.fail("the block must not run")
    assert path.read_text() == "precious"


def test_a_device_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(OutputExistsError, match="device or a pipe"):
        write_text(path, "", overwrite=True)
    assert path.is_fifo()


@pytest.mark.parametrize("open_output", [atomic_path, atomic_folder])
def test_a_place_that_cannot_be_made_is_named(open_output: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match=r"cannot write .*file/out: .*file is not a folder"),
        open_output(tmp_path / "file" / "out"),
    ):
        pytest.fail("the block must not run")


def test_a_full_disk_names_the_final_place_and_leaves_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        with atomic_folder(tmp_path / "out") as aside:
            (aside / "before").write_text("")
            with atomic_path(aside / "a.txt"):
                raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OutputError, match=r"/out/a\.txt: No space left on device; make room"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_read_is_no_trouble_of_writing(tmp_path: Path) -> None:
    def read() -> None:
        with atomic_path(tmp_path / "a.txt"):
            (tmp_path / "gone.txt").read_text()

    with pytest.raises(FileNotFoundError, match="gone"):
        read()


@pytest.mark.parametrize("open_output", [atomic_path, atomic_folder])
def test_what_another_process_wrote_meanwhile_stays(open_output: Any, tmp_path: Path) -> None:
    path = tmp_path / "out"

    def overtaken() -> None:
        with open_output(path):
            path.write_text("first")

    with pytest.raises(OutputExistsError):
        overtaken()
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def failed(error: Exception) -> None:
    with read_errors(Path("a.json"), "make it anew"):
        raise error


def test_what_cannot_be_read_is_not_called_damaged() -> None:
    for number in (errno.EACCES, errno.EIO):
        reason = os.strerror(number)
        with pytest.raises(DataError, match=rf"^cannot read a\.json: {reason}; see to its perm"):
            failed(OSError(number, reason))
    with pytest.raises(DataError, match=r"^cannot read /other: "):
        failed(PermissionError(errno.EACCES, "Permission denied", "/other"))
    for damage in (KeyError("x"), zipfile.BadZipFile("x"), OSError("x"), NotImplementedError("x")):
        with pytest.raises(DataError, match=r"^a\.json is damaged \(\w+: '?x'?\); make it anew$"):
            failed(damage)
    with pytest.raises(DataError, match=r"^says it itself$"):
        failed(DataError("says it itself"))
    with pytest.raises(MemoryError):
        failed(MemoryError())


def test_a_folder_that_is_read_is_not_replaced(tmp_path: Path) -> None:
    data = tmp_path / "data" / "a.tif"
    data.parent.mkdir()
    data.write_text("precious")
    (tmp_path / "link.tif").symlink_to(data)
    refuse_inputs(tmp_path / "new", [data])
    refuse_inputs(tmp_path / "data2", [data])
    for given in (data, tmp_path / "link.tif", tmp_path / "data" / ".." / "data" / "a.tif"):
        with pytest.raises(OutputExistsError, match=r"data would be replaced, but .* in it is to"):
            refuse_inputs(tmp_path / "data", [given])
    with pytest.raises(OutputExistsError, match=r"a\.tif would be replaced, but it is to be read"):
        refuse_inputs(data, [data])


def test_what_others_put_into_a_folder_is_not_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    with atomic_folder(folder) as aside:
        (aside / "a.tif").write_text("ours")
        (aside / "sub").mkdir()
    with atomic_folder(folder / "evaluation") as aside:  # ours too
        (aside / "scores.json").write_text("{}")
    for name in ("a.tif.aux.xml", ".DS_Store", ".writing-x"):
        (folder / name).write_text("")
    refuse_existing(folder, overwrite=True, folder=True)
    for name in ("notes.txt", "evaluation/notes.txt"):
        (folder / name).write_text("precious")
        with (
            pytest.raises(OutputExistsError, match=f"result holds {name}, which sarwater did not"),
            atomic_folder(folder, overwrite=True),
        ):
            pytest.fail("the block must not run")
        assert (folder / name).read_text() == "precious"
        (folder / name).unlink()
    with atomic_folder(folder, overwrite=True):
        pass
    assert [entry.name for entry in folder.iterdir()] == [".sarwater"]


def test_what_was_put_there_while_the_work_went_on_is_not_deleted(tmp_path: Path) -> None:
    def write() -> None:
        with atomic_folder(tmp_path / "out", overwrite=True):
            if (tmp_path / "out").exists():
                (tmp_path / "out" / "notes.txt").write_text("precious")

    write()
    with pytest.raises(OutputExistsError, match=r"holds notes\.txt"):
        write()
    assert (tmp_path / "out" / "notes.txt").read_text() == "precious"


def test_a_folder_of_a_version_that_listed_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / ".sarwater").touch()
    (tmp_path / "old" / "a.txt").touch()
    refuse_existing(tmp_path / "old", overwrite=True, folder=True)


def test_links_that_lead_nowhere_are_something(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("gone")
    for name in ("loop", "dangling"):
        with pytest.raises(OutputExistsError, match="is a link to nothing"):
            refuse_existing(tmp_path / name, overwrite=True)
        with pytest.raises(OutputExistsError, match="is a link to nothing"):
            write_text(tmp_path / name, "")
    (tmp_path / "a.txt").write_text("")
    refuse_inputs(tmp_path / "a.txt", [tmp_path / "loop", tmp_path / "loop" / "b.txt"])
