"""The manifest: one CSV table, a row a chip, that every command reads and a person can edit.

Columns (paths are relative to the table's folder; lists are separated by ``;``):

========  =======================================================================================
id        unique name of the chip
domain    acquisition condition: event, region, date or sensor
split     ``train``, ``val``, ``test`` or any other name; empty: not used yet
images    raster files; their bands follow one another
bands     a name for each of those bands, for example ``VV;VH``
units     ``db``, ``linear``, ``amplitude``, ``8bit`` or ``other``
nodata    ``auto`` (NaN, declared value, dataset mask; and the border rule when units are 8bit),
          ``border`` (the same, whatever the units), ``declared`` (no border rule), or a number
labels    label rasters; empty: unlabelled
codes     for each label file, what its values mean: ``0=land,1=water,-1=ignore``; ``*`` stands for
          every other value; ``keep`` leaves what an earlier file said
classes   names of the classes; the first is the background
scene     the image that the chip was cut from, where ``row`` and ``col`` name its place
row, col  position of the chip in its scene, counted in chips
height    rows in pixels
width     columns in pixels
bounds    west, south, east, north in degrees (EPSG:4326); empty without a CRS
========  =======================================================================================

Further columns are kept and can be used to split by.
"""

import csv
import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sarwater.errors import ManifestError, nearest
from sarwater.files import write_text
from sarwater.types import Units

NODATA_RULES = ("auto", "border", "declared")
DEFAULT_CLASSES = ("land", "water")


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
            if value == "*":
                other = name
                continue
            try:
                table[int(value)] = name
            except ValueError:
                raise ValueError(f"'{value}' is neither a whole number nor *") from None
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
        cells = {**_cells(self, Path()), **self.extra}
        if column not in cells:
            raise ManifestError(
                f"chip '{self.id}' has no column '{column}'{nearest(column, list(cells))}; "
                f"there are {', '.join(cells)}"
            )
        return cells[column]


@dataclass(frozen=True)
class Manifest:
    """The table as read: rows in file order, and where it came from."""

    records: tuple[ChipRecord, ...]
    path: Path | None = None

    def __len__(self) -> int:
        """Return the number of chips."""
        return len(self.records)

    def __iter__(self) -> Iterator[ChipRecord]:
        """Iterate over the chips in file order."""
        return iter(self.records)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names that all chips share."""
        return self.records[0].classes if self.records else DEFAULT_CLASSES

    @property
    def domains(self) -> tuple[str, ...]:
        """Domains in order of first appearance."""
        return tuple(dict.fromkeys(record.domain for record in self.records))

    @property
    def splits(self) -> tuple[str, ...]:
        """Splits in order of first appearance, the empty one left out."""
        return tuple(dict.fromkeys(record.split for record in self.records if record.split))

    def select(
        self,
        *,
        split: str | Sequence[str] | None = None,
        domains: Sequence[str] | None = None,
        labelled: bool | None = None,
    ) -> "Manifest":
        """Return the chips of a split, of some domains, with or without labels.

        Raises:
            ManifestError: a split or a domain that no chip has; the ones that exist are named.
        """
        wanted = (split,) if isinstance(split, str) else tuple(split) if split else None
        self._known("split", wanted, self.splits)
        self._known("domain", domains, self.domains)
        kept = tuple(
            record
            for record in self.records
            if (wanted is None or record.split in wanted)
            and (domains is None or record.domain in domains)
            and (labelled is None or record.is_labelled == labelled)
        )
        return replace(self, records=kept)

    def _known(self, what: str, wanted: Sequence[str] | None, there: Sequence[str]) -> None:
        for name in wanted or ():
            if name not in there:
                raise ManifestError(
                    f"{self.path or 'the manifest'} has no chip of {what} '{name}'"
                    f"{nearest(name, list(there))}; it has {', '.join(there) or 'none'}"
                )


def read_manifest(path: str | Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        ManifestError: the file is missing, not UTF-8 CSV, lacks columns, or rows are wrong: all
            wrong rows are listed with their line numbers.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ManifestError(
            f"cannot read the manifest {path}: {error.strerror or error}; "
            "make one with `sarwater index`"
        ) from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path} is not a UTF-8 text file: expected a CSV table") from error
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in ("id", "images", "bands") if name not in (reader.fieldnames or ())]
    if missing:
        raise ManifestError(
            f"{path} has no column {', '.join(missing)}: found {reader.fieldnames or 'nothing'}; "
            "a manifest comes from `sarwater index`"
        )
    records: list[ChipRecord] = []
    problems: list[str] = []
    for row in reader:
        try:
            records.append(_record(row, path.parent))
        except ValueError as error:
            problems.append(f"line {reader.line_num}: {error}")
    problems += _contradictions(records)
    if not records and not problems:
        problems.append("it has no rows")
    if problems:
        raise ManifestError(f"{path}: " + "; ".join(problems))
    return Manifest(tuple(records), path)


def write_manifest(manifest: Manifest, path: str | Path, *, overwrite: bool = False) -> None:
    """Write the table, with paths relative to its folder.

    Raises:
        ManifestError: a name holds ``;``, which separates names.
        OutputExistsError: the file exists and ``overwrite`` is false.
    """
    path = Path(path)
    for record in manifest:
        _refuse_separator(record)
    extra = list(dict.fromkeys(name for record in manifest for name in record.extra))
    columns = [f.name for f in fields(ChipRecord) if f.name != "extra"] + extra
    order = ["id", "domain", "split"]
    columns = order + [name for name in columns if name not in order]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    folder = path.resolve().parent
    for record in manifest:
        writer.writerow({**_cells(record, folder), **record.extra})
    write_text(path, out.getvalue(), overwrite=overwrite)


def _refuse_separator(record: ChipRecord) -> None:
    for name in (*record.images, *record.labels, *record.bands, *record.classes):
        if ";" in str(name):
            raise ManifestError(
                f"chip '{record.id}': '{name}' holds ';', which separates names in a manifest; "
                "rename it"
            )


def _record(row: Mapping[str, str | None], folder: Path) -> ChipRecord:
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
    classes = _list(cells.get("classes", "")) or DEFAULT_CLASSES
    labels = _paths(cells.get("labels", ""), folder)
    extra = {k: v for k, v in cells.items() if k not in _COLUMNS}
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
        height=_integer(cells, "height"),
        width=_integer(cells, "width"),
        bounds=_bounds(cells.get("bounds", "")),
        extra=extra,
    )


_COLUMNS = frozenset(f.name for f in fields(ChipRecord)) - {"extra"}


def _cells(record: ChipRecord, folder: Path) -> dict[str, str]:
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
    return Path(os.path.relpath(file, folder)).as_posix() if folder != Path() else file.as_posix()


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _paths(text: str, folder: Path) -> tuple[Path, ...]:
    return tuple((folder / part).absolute() for part in _list(text))


def _units(text: str) -> Units:
    try:
        return Units(text or "other")
    except ValueError:
        raise ValueError(
            f"units '{text}' are unknown; expected one of {', '.join(Units)}"
        ) from None


def _nodata(text: str) -> str:
    if not text or text in NODATA_RULES:
        return text or "auto"
    try:
        float(text)
    except ValueError:
        raise ValueError(
            f"nodata '{text}' is neither a number nor one of {', '.join(NODATA_RULES)}"
        ) from None
    return text


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


def _integer(cells: Mapping[str, str], column: str) -> int | None:
    text = cells.get(column, "")
    try:
        return int(text) if text else None
    except ValueError:
        raise ValueError(f"{column} '{text}' is not a whole number") from None


def _bounds(text: str) -> tuple[float, float, float, float] | None:
    if not text:
        return None
    parts = [float(part) for part in _list(text)]
    if len(parts) != 4:
        raise ValueError(f"bounds '{text}' are not west;south;east;north")
    return (parts[0], parts[1], parts[2], parts[3])


def _contradictions(records: Sequence[ChipRecord]) -> list[str]:
    counts = Counter(record.id for record in records)
    problems = [f"id '{chip}' occurs {n} times" for chip, n in counts.items() if n > 1]
    classes = {record.classes for record in records}
    if len(classes) > 1:
        lists = " and ".join(sorted(";".join(names) for names in classes))
        problems.append(f"rows disagree about the classes: {lists}")
    return problems
