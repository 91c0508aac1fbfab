"""One row of the manifest: a chip with its files, and the text of its cells."""

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from sarwater.errors import ManifestError, nearest
from sarwater.types import IGNORE, Units

NODATA_RULES = ("auto", "border", "declared")
DEFAULT_CLASSES = ("land", "water")


_ELSEWHERE = re.compile(
    r"[a-z][a-z0-9+.-]*://|~[/\\]|~$" + ("" if os.name == "nt" else r"|[a-z]:[/\\]"), re.I
)
"""Addresses, a home folder that no shell has written out, and paths of another system."""

_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
"""A whole number as text; spreadsheets write 1.0 for 1."""


@dataclass(frozen=True)
class LabelCodes:
    """What the values of one label file mean.

    ``table`` maps a value to a class name, ``ignore`` or ``keep``; ``other`` is the meaning of
    every value that is not in the table, or None where such a value is an error.

    >>> LabelCodes.parse("0=land,1=water,-1=ignore").table[-1]
    'ignore'
    """

    table: Mapping[int, str]
    other: str | None = None

    @classmethod
    def parse(cls, text: str) -> "LabelCodes":
        """Read ``0=land,*=water``; raises ValueError with the part that cannot be read."""
        table: dict[int, str] = {}
        other: str | None = None
        for part in text.split(","):
            value, equals, name = (piece.strip() for piece in part.partition("="))
            if not equals or not name:
                raise ValueError(f"'{part}' is not of the form VALUE=CLASS")
            try:
                code = None if value == "*" else int(value)
            except ValueError:
                raise ValueError(f"'{value}' is neither a whole number nor *") from None
            if code in table or (code is None and other is not None):
                raise ValueError(f"'{text}' says twice what {value} means")
            if code is None:
                other = name
            else:
                table[code] = name
        return cls(table, other)

    def __str__(self) -> str:
        """Return the text that ``parse`` reads."""
        parts = [f"{value}={name}" for value, name in self.table.items()]
        return ",".join(parts + ([f"*={self.other}"] if self.other else []))

    def names(self) -> set[str]:
        """Return every meaning that is named, ``ignore`` and ``keep`` included."""
        return set(self.table.values()) | ({self.other} if self.other else set())


@dataclass(frozen=True)
class ChipRecord:
    """One row of the manifest; paths are absolute here."""

    id: str
    domain: str
    images: tuple[Path, ...]
    bands: tuple[str, ...]
    units: Units
    split: str = ""
    nodata: str = "auto"
    labels: tuple[Path, ...] = ()
    codes: tuple[LabelCodes, ...] = ()
    classes: tuple[str, ...] = DEFAULT_CLASSES
    scene: str = ""
    row: int | None = None
    col: int | None = None
    height: int | None = None
    width: int | None = None
    bounds: tuple[float, float, float, float] | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_labelled(self) -> bool:
        """Whether the chip has label files."""
        return bool(self.labels)

    def value(self, column: str) -> str:
        """Return the cell of any column as text (for splitting and grouping).

        Raises:
            ManifestError: no such column.
        """
        cells = {**cells_of(self, Path()), **self.extra}
        if column not in cells:
            raise ManifestError(
                f"chip '{self.id}' has no column '{column}'{nearest(column, list(cells))}; "
                f"there are {', '.join(cells)}"
            )
        return cells[column]


COLUMNS = tuple(f.name for f in fields(ChipRecord) if f.name != "extra")
"""Names of the columns that a manifest knows."""


def record_of(row: Mapping[str, str | None], folder: Path) -> ChipRecord:
    """Read a row.

    Args:
        row: text by column; what lies beyond the last column under None.
        folder: what paths are relative to.

    Raises:
        ValueError: the first thing that is wrong.
    """
    cells = {name: (value or "").strip() for name, value in row.items() if name}
    if None in row:
        raise ValueError(f"more cells than columns: {row[None]!r}")  # type: ignore[index]
    chip = cells.get("id", "")
    if not chip:
        raise ValueError("empty id")
    images = _paths(cells["images"], folder)
    bands = _list(cells["bands"])
    if not images or not bands:
        raise ValueError(f"chip '{chip}' names no image or no band")
    check_names("bands", bands)
    twice = next((file for file in images if images.count(file) > 1), None)
    if twice:
        raise ValueError(f"chip '{chip}' names {twice} twice: each band's file once")
    classes = _list(cells.get("classes", "")) or DEFAULT_CLASSES
    check_names("classes", classes)
    labels = _paths(cells.get("labels", ""), folder)
    extra = {k: v for k, v in cells.items() if k not in COLUMNS}
    return ChipRecord(
        id=chip,
        domain=cells.get("domain") or "default",
        split=cells.get("split", ""),
        images=images,
        bands=bands,
        units=_units(cells.get("units", "")),
        nodata=_nodata(cells.get("nodata", "")),
        labels=labels,
        codes=_codes(cells.get("codes", ""), labels, classes),
        classes=classes,
        scene=cells.get("scene", ""),
        row=_integer(cells, "row"),
        col=_integer(cells, "col"),
        height=_integer(cells, "height", least=1),
        width=_integer(cells, "width", least=1),
        bounds=_bounds(cells.get("bounds", "")),
        extra=extra,
    )


def check_names(what: str, names: Sequence[str]) -> None:
    """Check the names of a chip's ``bands`` or ``classes``.

    Raises:
        ValueError: a name occurs twice, in any case of letters for bands; or classes are fewer
            than two, more than 255, or called as codes are: ``ignore``, ``keep``.
    """
    keys = [name.lower() for name in names] if what == "bands" else list(names)
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"{what} {', '.join(names)}: '{twice[0]}' is there twice")
    if what != "classes":
        return
    if not 2 <= len(names) <= IGNORE:
        raise ValueError(
            f"{len(names)} classes ({', '.join(names[:10])}): expected 2 to {IGNORE}, the "
            "background first"
        )
    for name in ("ignore", "keep"):
        if name in names:
            raise ValueError(f"a class cannot be called '{name}', which is a meaning of codes")


def check_nodata(rule: str) -> None:
    """Check a rule for no data: one of ``NODATA_RULES``, or a number.

    Raises:
        ValueError: it is neither.
    """
    if rule in NODATA_RULES:
        return
    try:
        float(rule)
    except ValueError:
        raise ValueError(
            f"nodata '{rule}'{nearest(rule, NODATA_RULES)} is neither a number nor one of "
            f"{', '.join(NODATA_RULES)}"
        ) from None


def cells_of(record: ChipRecord, folder: Path) -> dict[str, str]:
    """Return the text of every column but extra ones.

    Args:
        record: of a chip.
        folder: what paths are made relative to, free of symbolic links; ``Path()`` leaves them.
    """

    def paths(files: Iterable[Path]) -> str:
        return ";".join(_relative(file, folder) for file in files)

    def text(value: Any) -> str:
        return "" if value is None else str(value)

    return {
        "id": record.id,
        "domain": record.domain,
        "split": record.split,
        "images": paths(record.images),
        "bands": ";".join(record.bands),
        "units": record.units.value,
        "nodata": record.nodata,
        "labels": paths(record.labels),
        "codes": ";".join(map(str, record.codes)),
        "classes": ";".join(record.classes),
        "scene": record.scene,
        "row": text(record.row),
        "col": text(record.col),
        "height": text(record.height),
        "width": text(record.width),
        "bounds": ";".join(f"{value:.9g}" for value in record.bounds or ()),
    }


def _relative(file: Path, folder: Path) -> str:
    if folder == Path():
        return file.as_posix()
    # Without symbolic links, beyond which ".." is another folder than it looks.
    return Path(os.path.relpath(file.parent.resolve() / file.name, folder)).as_posix()


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _paths(text: str, folder: Path) -> tuple[Path, ...]:
    parts = _list(text)
    for part in parts:
        if _ELSEWHERE.match(part):
            raise ValueError(
                f"'{part}' is no path on this machine: download or mount the file, and write its "
                "path in full, or relative to the table's folder"
            )
    return tuple((folder / part).absolute() for part in parts)


def _units(text: str) -> Units:
    try:
        return Units(text.lower() or "other")
    except ValueError:
        raise ValueError(
            f"units '{text}' are unknown; expected one of {', '.join(Units)}"
        ) from None


def _nodata(text: str) -> str:
    check_nodata(text or "auto")
    return text or "auto"


def _codes(text: str, labels: Sequence[Path], classes: Sequence[str]) -> tuple[LabelCodes, ...]:
    if labels and not text:
        default = dict(enumerate(classes))
        return (LabelCodes(default),) * len(labels)
    codes = tuple(LabelCodes.parse(part) for part in _list(text))
    if len(codes) != len(labels):
        raise ValueError(f"{len(labels)} label files but {len(codes)} tables of codes: '{text}'")
    for table in codes:
        for name in table.names() - {"ignore", "keep", *classes}:
            raise ValueError(
                f"the codes name a class '{name}'{nearest(name, list(classes))} "
                f"that is not among the classes {', '.join(classes)}"
            )
    return codes


def _integer(cells: Mapping[str, str], column: str, least: int | None = None) -> int | None:
    text = cells.get(column, "")
    if not text:
        return None
    if not _WHOLE.fullmatch(text) or len(text) > 40:
        raise ValueError(f"{column} '{text[:40]}' is not a whole number")
    value = int(text.partition(".")[0])
    if least is not None and value < least:
        raise ValueError(f"{column} is {value}: expected {least} or more")
    return value


def _bounds(text: str) -> tuple[float, float, float, float] | None:
    if not text:
        return None
    try:
        parts = [float(part) for part in _list(text)]
    except ValueError:
        parts = []
    if len(parts) != 4 or not all(map(math.isfinite, parts)):
        raise ValueError(f"bounds '{text}' are not west;south;east;north in degrees")
    if parts[1] > parts[3]:
        raise ValueError(
            f"bounds '{text}' are from {parts[1]:g} to {parts[3]:g} degrees north: expected "
            "west;south;east;north, the south first"
        )
    return (parts[0], parts[1], parts[2], parts[3])
