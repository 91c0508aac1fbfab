"""What a layout finds in a folder, before any file is opened."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sarwater.datasets.manifest import ChipRecord

_SHOWN = 10
"""Names that a message lists before it only counts the rest."""


@dataclass(frozen=True)
class Listing:
    """Chips found by their file names, and what a person should know about the find."""

    records: tuple[ChipRecord, ...]
    """Without size and bounds; empty ``bands`` are to be taken from the files."""
    notes: tuple[str, ...] = ()
    guess_units: bool = False
    """Whether the units are to be guessed from the values, chip by chip."""
    problems: tuple[str, ...] = ()
    """What is wrong with the find; reported together with what the files' headers show."""


def is_hidden(path: Path, folder: Path) -> bool:
    """Tell whether a name below the folder begins with a dot; ``._NAME`` lies beside many a file.

    >>> is_hidden(Path("set/._a.tif"), Path("set")), is_hidden(Path(".set/a.tif"), Path(".set"))
    (True, False)
    """
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def some(names: Iterable[object], shown: int = _SHOWN, separator: str = ", ") -> str:
    """Join the first names and count the rest.

    >>> some(["a", "b", "c"], shown=2)
    'a, b and 1 more'
    """
    listed = [str(name) for name in names]
    text = separator.join(listed[:shown])
    return text if len(listed) <= shown else f"{text} and {len(listed) - shown} more"
