"""The hidden folder in which a scene's map is made, and from which a killed one goes on."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sarwater.errors import OutputExistsError
from sarwater.files import output_errors

_STATE = "state.json"
_LOCK = "lock"


class Work:
    """A scene's folder aside: its settings, and how many rows are done; see ``work_folder``."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Go on in a folder where the settings are the same, begin anew where they are not."""
        self.folder = folder
        self._settings = json.loads(json.dumps(settings))
        self.rows = self._known_rows()
        """Rows that are done."""
        if not self.rows:
            for file in folder.iterdir():
                if file.name != _LOCK:
                    file.unlink()

    def note(self, rows: int) -> None:
        """Note that the first ``rows`` rows are done, and on the disk.

        Raises:
            OutputError: the disk refuses.
        """
        with output_errors(self.folder):
            aside = self.folder / f"{_STATE}.part"
            with aside.open("w") as file:
                json.dump({"settings": self._settings, "rows": rows}, file)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self.folder / _STATE)

    def _known_rows(self) -> int:
        try:
            state = json.loads((self.folder / _STATE).read_text())
            return int(state["rows"]) if state["settings"] == self._settings else 0
        except (OSError, ValueError, KeyError, TypeError):  # killed before anything was noted
            return 0


@contextmanager
def work_folder(out: Path, name: str, settings: Mapping[str, Any]) -> Iterator[Work]:
    """Yield the folder aside of a scene; it is kept where the block is interrupted.

    The folder lies in ``out``, is locked against other processes, and is removed when the block
    succeeds or fails by an error, whichever; ``out`` too if it was made for it and is empty. An
    interruption (Ctrl-C, SIGTERM, a kill) leaves it, and the next call with the same settings
    goes on there.

    Args:
        out: folder of the outputs.
        name: of the scene.
        settings: everything that the map depends on, as JSON has it.

    Raises:
        OutputExistsError: ``out`` is a file, or another process makes the same map.
        OutputError: the folder cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise OutputExistsError(f"{out} is a file; name a folder for the maps")
    missing = not out.exists()
    folder = out / f".mapping-{name}"
    with output_errors(out):
        folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK)
    with output_errors(out):
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise OutputExistsError(
                f"another process is mapping {name} into {out}; wait for it, or name another folder"
            ) from error
    try:
        with output_errors(out, folder):
            yield Work(folder, settings)
    except Exception:  # what is no kill
        _remove(folder, out if missing else None)
        raise
    else:
        _remove(folder, None)
    finally:
        lock.release()


def _remove(folder: Path, made: Path | None) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if made is not None and not any(made.iterdir()):
        made.rmdir()
