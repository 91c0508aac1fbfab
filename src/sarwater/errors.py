"""Errors that a user can act on: what was found, what was expected, where, and what to do."""

from collections.abc import Iterable
from typing import TypeVar


class SarwaterError(Exception):
    """Base of every error that this package raises on purpose."""


class ManifestError(SarwaterError, ValueError):
    """The table of chips is unreadable, incomplete or contradicts itself."""


class ConfigError(SarwaterError, ValueError):
    """A configuration holds unknown keys or values out of range; all of them are listed."""


class RasterError(SarwaterError, OSError):
    """A raster cannot be read or written."""


class DataError(SarwaterError, ValueError):
    """Pixels, labels, units or grids do not fit each other or the task."""


class ModelError(SarwaterError, ValueError):
    """A model file is unreadable, or does not fit the data that it is given."""


class DownloadError(SarwaterError, OSError):
    """A download failed or what arrived is not what was announced."""


class OutputError(SarwaterError, OSError):
    """An output cannot be written: its place cannot be made, is read-only, or the disk is full."""


class OutputExistsError(SarwaterError, FileExistsError):
    """An output exists already and ``--overwrite`` was not given."""


class SarwaterWarning(UserWarning):
    """What a user should know while the work goes on; the command line prints it."""


_Error = TypeVar("_Error", bound=BaseException)


def without_frames(error: _Error) -> _Error:
    """Let go of the frames that an error and its causes hold, and of all that lies in them."""
    one: BaseException | None = error
    while one is not None:
        one.__traceback__ = None
        one = one.__cause__ or one.__context__
    return error


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the nearest candidate, or an empty string.

    >>> nearest("tverski", ["dice", "tversky"])
    " (did you mean 'tversky'?)"
    >>> nearest("zzz", ["VV", "VH"])
    ''
    """
    return suggestion(closest(name, candidates))


def closest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that is spelled most like a name, whatever the case; None if none is.

    >>> closest("vh", ["VV", "VH"])
    'VH'
    """
    import difflib

    known = {candidate.lower(): candidate for candidate in candidates}
    found = difflib.get_close_matches(name.lower(), known, n=1)
    return known[found[0]] if found else None


def suggestion(name: str | None) -> str:
    """Return `` (did you mean 'x'?)``, or an empty string for None."""
    return f" (did you mean '{name}'?)" if name is not None else ""
