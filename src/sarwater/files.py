"""Files that appear whole or not at all."""

import errno
import json
import os
import secrets
import shutil
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from sarwater.errors import DataError, OutputError, OutputExistsError, SarwaterError

_MARK = ".sarwater"
"""Hidden file in every folder that sarwater wrote; no other folder is ever replaced. It lists, as
JSON, the names of what sarwater wrote there; one without content is of a version that did not.
"""

_ASIDE = ".writing-"
"""Begins the names of what is being written."""


def refuse_existing(path: Path, *, overwrite: bool, folder: bool = False) -> None:
    """Raise unless ``path`` is free, an empty folder, or may be overwritten.

    Args:
        path: where an output is to appear.
        overwrite: whether a former output may be replaced.
        folder: whether the output is a folder, which never replaces a file.

    Raises:
        OutputExistsError: ``path`` exists (as a file or a folder with content) and ``overwrite``
            is false, or it is a folder that sarwater did not write, or one in which something else
            lies, or neither file nor folder.
        OutputError: the place cannot be looked at.
    """
    with output_errors(path):
        _refuse_existing(path, overwrite=overwrite, folder=folder)


def _refuse_existing(path: Path, *, overwrite: bool, folder: bool) -> None:
    if not os.path.lexists(path) or (path.is_dir() and not any(path.iterdir())):
        return
    if folder and not path.is_dir():
        raise OutputExistsError(f"{path} is a file; name a folder")
    if not path.exists():
        raise OutputExistsError(f"{path} is a link to nothing; remove it, or name another place")
    if not path.is_dir() and not path.is_file():
        raise OutputExistsError(f"{path} is a device or a pipe; name a file")
    if not overwrite:
        raise OutputExistsError(
            f"{path} exists already; name another place or pass --overwrite to replace it"
        )
    if path.is_dir() and not (path / _MARK).exists():
        raise OutputExistsError(
            f"{path} is a folder that sarwater did not write, so --overwrite does not replace it; "
            "name another place, or remove it yourself"
        )
    foreign = _foreign(path) if path.is_dir() else None
    if foreign is not None:
        raise OutputExistsError(
            f"{path} holds {foreign}, which sarwater did not write there, so --overwrite does not "
            "replace the folder; move that elsewhere, or name another place"
        )


def _foreign(folder: Path) -> str | None:
    """Return the first that lies in a folder and is not sarwater's; other results of it are."""
    try:
        own = set(json.loads((folder / _MARK).read_text(encoding="utf-8")))
    except ValueError:  # of a version that listed nothing
        return None
    for entry in sorted(folder.iterdir()):
        if (entry / _MARK).is_file() and not entry.is_symlink():
            within = _foreign(entry)
            if within is not None:
                return f"{entry.name}/{within}"
        elif (
            entry.name not in (_MARK, ".DS_Store")
            and not entry.name.startswith(_ASIDE)  # of a process that was killed
            and entry.name.removesuffix(".aux.xml") not in own  # GDAL's notes on a raster
        ):
            return entry.name
    return None


def refuse_inputs(path: Path, inputs: Iterable[Path]) -> None:
    """Raise when what is to be read is, or lies in, ``path``, which is to be replaced.

    Raises:
        OutputExistsError: one of ``inputs`` is ``path`` or lies in it; the first is named.
    """
    if not path.exists():
        return
    place = real(path)
    folders: dict[Path, Path] = {}
    for one in inputs:
        if one.parent not in folders:
            folders[one.parent] = real(one.parent)
        read = real(one) if one.is_symlink() else folders[one.parent] / one.name
        if read.is_relative_to(place):
            found = "it" if read == place else f"{one} in it"
            raise OutputExistsError(
                f"{path} would be replaced, but {found} is to be read; name another place"
            )


def real(path: Path) -> Path:
    """Return where a path leads; ``Path.resolve`` fails where links lead in a circle."""
    return Path(os.path.realpath(path))


def mark_as_own(folder: Path, names: Iterable[str]) -> None:
    """Leave the mark that lets ``--overwrite`` replace a folder.

    Args:
        folder: made by sarwater.
        names: of all that sarwater writes there; a folder that holds something else is not
            replaced.
    """
    (folder / _MARK).write_text(json.dumps(sorted(names)), encoding="utf-8")


@contextmanager
def output_errors(path: Path, aside: Path | None = None) -> Iterator[None]:
    """Turn what the file system refuses into an ``OutputError`` that names ``path``.

    Args:
        path: the output as the user knows it.
        aside: where it is being written. Where given, errors that name another place pass.
    """
    try:
        yield
    except OutputError as error:  # of a file within: name the place that was asked for
        raise OutputError(str(error).replace(str(aside), str(path))) from error
    except SarwaterError:
        raise
    except OSError as error:
        named = error.filename
        if aside is not None and named is not None and not str(named).startswith(str(aside)):
            raise
        raise OutputError(_explain(path, error)) from error


def _explain(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"cannot write {path}: {error.strerror}; make room, or name a place on another disk"
    blocking = next((str(p) for p in path.parents if p.exists() and not p.is_dir()), None)
    reason = f"{blocking} is not a folder" if blocking else error.strerror or str(error)
    return f"cannot write {path}: {reason}; name a place where files can be written"


DAMAGE = (
    EOFError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError,
    SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What JSON, NumPy and zip raise of content that is not what it should be; not `MemoryError`."""


@contextmanager
def read_errors(path: Path, advice: str, kind: type[SarwaterError] = DataError) -> Iterator[None]:
    """Turn what a file raises that is damaged, or cannot be read, into one line that names it.

    Args:
        path: of the file.
        advice: what to do where it is damaged.
        kind: of the error.
    """
    try:
        yield
    except SarwaterError:  # it says itself what is wrong with which file
        raise
    except (OSError, *DAMAGE) as error:
        refused = read_refusal(path, error)
        raise kind(refused or f"{path} is damaged ({in_a_line(error)}); {advice}") from error


def in_a_line(error: BaseException) -> str:
    """Say what an error of another library says, in one line that is not too long."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def read_refusal(path: Path, error: BaseException) -> str | None:
    """Say in a line why a file system does not let a file be read; None of any other error."""
    # Without a number, or with this one, it is of a library that did not like the content.
    if not isinstance(error, OSError) or error.errno in (None, errno.EINVAL):
        return None
    named = error.filename or path
    return f"cannot read {named}: {error.strerror}; see to its permissions and its disk"


def remove_unfinished(path: Path) -> None:
    """Remove what processes that were killed while they wrote ``path`` left beside it."""
    for aside in path.parent.glob(f"{_ASIDE}*{path.suffix}"):
        aside.unlink(missing_ok=True)


def _place_aside(path: Path, suffix: str = "") -> Path:
    """Name a place beside ``path``; made as usual, so that the kernel applies the umask.

    A umask cannot be looked at without setting it, which other threads would write by.
    """
    return path.parent / f"{_ASIDE}{secrets.token_hex(8)}{suffix}"


@contextmanager
def atomic_path(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    The temporary file keeps the suffix of ``path`` (drivers look at it). When the block fails
    it is removed, and whatever was at ``path`` stays as it was.

    Raises:
        OutputExistsError: ``path`` exists and ``overwrite`` is false.
        OutputError: the file cannot be written there.
    """
    path = Path(path)
    with output_errors(path):
        if path.is_dir():
            raise OutputExistsError(f"{path} is a folder; name a file")
        refuse_existing(path, overwrite=overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = _place_aside(path, path.suffix)
        aside.touch(exist_ok=False)
    try:
        with output_errors(path, aside):
            yield aside
            # Another process may have written there in the meantime.
            refuse_existing(path, overwrite=overwrite)
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; rename it to ``path`` when the block succeeds.

    Raises:
        OutputExistsError: ``path`` exists with content and ``overwrite`` is false, or is a file.
        OutputError: the folder cannot be written there.
    """
    path = Path(path)
    refuse_existing(path, overwrite=overwrite, folder=True)
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = _place_aside(path)
        aside.mkdir()
    try:
        with output_errors(path, aside):
            yield aside
            mark_as_own(aside, (entry.name for entry in aside.iterdir()))
            _put_in_place(aside, path, overwrite=overwrite)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put_in_place(aside: Path, path: Path, *, overwrite: bool) -> None:
    """Rename a finished folder; a former one is moved away first, and back when that fails."""
    # Another process may have written there in the meantime.
    refuse_existing(path, overwrite=overwrite, folder=True)
    if not path.exists():
        aside.replace(path)
        return
    former = aside.with_name(aside.name + "-former")
    path.replace(former)
    try:
        aside.replace(path)
    except OSError:
        former.replace(path)
        raise
    if former.is_symlink():
        former.unlink()
    else:
        shutil.rmtree(former, ignore_errors=True)


def write_text(path: str | Path, text: str, *, overwrite: bool = False) -> None:
    """Write ``text`` (UTF-8) to ``path`` whole or not at all."""
    with atomic_path(path, overwrite=overwrite) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any, *, overwrite: bool = False) -> None:
    """Write ``value`` as indented JSON; nan and infinity are refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n", overwrite=overwrite)


CACHE_VARIABLE = "SARWATER_CACHE"
"""Environment variable that names the folder of what is kept; empty: nothing is kept."""


def cache_folder() -> Path | None:
    """Return the folder of what is kept between runs; None where nothing is to be kept."""
    named = os.environ.get(CACHE_VARIABLE)
    if named == "":
        return None
    return Path(named) if named else user_cache_path("sarwater", appauthor=False)
