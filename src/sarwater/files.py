"""Files that appear whole or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sarwater.errors import OutputExistsError

_MARK = ".sarwater"
"""Hidden file in every folder that sarwater wrote; no other folder is ever replaced."""


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Raise unless ``path`` is free, an empty folder, or may be overwritten.

    Raises:
        OutputExistsError: ``path`` exists (as a file or a folder with content) and ``overwrite``
            is false, or it is a folder that sarwater did not write.
    """
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not overwrite:
        raise OutputExistsError(
            f"{path} exists already; name another place or pass --overwrite to replace it"
        )
    if path.is_dir() and not (path / _MARK).exists():
        raise OutputExistsError(
            f"{path} is a folder that sarwater did not write, so --overwrite does not replace it; "
            "name another place, or remove it yourself"
        )


def mark_as_own(folder: Path) -> None:
    """Leave the mark that lets ``--overwrite`` replace a folder."""
    (folder / _MARK).touch()


@contextmanager
def atomic_path(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    The temporary file keeps the suffix of ``path`` (drivers look at it). When the block fails
    it is removed, and whatever was at ``path`` stays as it was.

    Raises:
        OutputExistsError: ``path`` exists and ``overwrite`` is false.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputExistsError(f"{path} is a folder; name a file")
    refuse_existing(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
        aside.chmod(0o666 & ~_umask())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; rename it to ``path`` when the block succeeds.

    Raises:
        OutputExistsError: ``path`` exists with content and ``overwrite`` is false.
    """
    path = Path(path)
    refuse_existing(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        mark_as_own(aside)
        yield aside
        aside.chmod(0o777 & ~_umask())
        if path.exists():
            shutil.rmtree(path)
        aside.replace(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_text(path: str | Path, text: str, *, overwrite: bool = False) -> None:
    """Write ``text`` (UTF-8) to ``path`` whole or not at all."""
    with atomic_path(path, overwrite=overwrite) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any, *, overwrite: bool = False) -> None:
    """Write ``value`` as indented JSON; nan and infinity are refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n", overwrite=overwrite)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
