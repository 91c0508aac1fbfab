"""The manifest: one CSV table, a row a chip, that every command reads and a person can edit.

Columns (paths are relative to the table's folder; lists are separated by ``;``):

========  =======================================================================================
id        unique name of the chip
domain    acquisition condition: event, region, date or sensor
split     ``train``, ``val``, ``test`` or any other name; empty: not used yet
images    raster files; their bands follow one another
bands     a name for each of those bands, for example ``VV;VH``
units     ``db``, ``linear``, ``amplitude``, ``8bit`` or ``other``
nodata    ``auto`` (NaN, declared value, mask, alpha band; and the border rule when units are
          8bit and bands a radar's), ``border`` (the same, whatever units and bands), ``declared``
          (no border rule), or a number
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
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sarwater.datasets.records import COLUMNS, cells_of, record_of
from sarwater.datasets.records import DEFAULT_CLASSES as DEFAULT_CLASSES
from sarwater.datasets.records import ChipRecord as ChipRecord
from sarwater.datasets.records import LabelCodes as LabelCodes
from sarwater.errors import ManifestError, nearest
from sarwater.files import write_text
from sarwater.tables import csv_rows

_SHOWN = 30
"""Problems that a message lists before it only counts the rest."""


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

    @property
    def files(self) -> tuple[Path, ...]:
        """The manifest's own file, and all images and labels that it names."""
        own = (self.path,) if self.path else ()
        return own + tuple(f for record in self for f in (*record.images, *record.labels))

    def select(
        self,
        *,
        split: str | Sequence[str] | None = None,
        domains: Sequence[str] | None = None,
        labelled: bool | None = None,
    ) -> "Manifest":
        """Return the chips of a split, of some domains, with or without labels.

        None alone stands for all: of an empty list of splits or domains there is no chip.

        Raises:
            ManifestError: a split or a domain that no chip has; the ones that exist are named.
        """
        wanted = (split,) if isinstance(split, str) else split
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
                    + ("; assign some with `sarwater split`" if what == "split" else "")
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
        raise ManifestError(
            f"{path} is not a UTF-8 text file: expected a CSV table; a spreadsheet saves one as "
            "'CSV UTF-8'"
        ) from error
    try:
        rows = list(csv_rows(text, ("id", "images", "bands"), COLUMNS))
    except ValueError as error:
        raise ManifestError(f"{path}: {error}; a manifest comes from `sarwater index`") from error
    records: list[ChipRecord] = []
    problems: list[str] = []
    for line, row in rows:
        try:
            records.append(record_of(row, path.parent))
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    problems += _contradictions(records)
    if not records and not problems:
        problems.append("it has no rows")
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise ManifestError(f"{path}: " + "; ".join(problems[:_SHOWN]) + more)
    return Manifest(tuple(records), path)


def write_manifest(manifest: Manifest, path: str | Path, *, overwrite: bool = False) -> None:
    """Write the table, with paths relative to its folder.

    Raises:
        ManifestError: a name holds ``;``, which separates names.
        OutputExistsError: the file exists and ``overwrite`` is false.
    """
    path = Path(path)
    for record in manifest:
        _refuse_unwritable(record)
    extra = list(dict.fromkeys(name for record in manifest for name in record.extra))
    order = ["id", "domain", "split"]
    columns = order + [name for name in (*COLUMNS, *extra) if name not in order]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    folder = path.parent.resolve()
    for record in manifest:
        writer.writerow({**cells_of(record, folder), **record.extra})
    write_text(path, out.getvalue(), overwrite=overwrite)


def _refuse_unwritable(record: ChipRecord) -> None:
    for name in (*record.images, *record.labels, *record.bands, *record.classes):
        if any("\ud800" <= letter <= "\udfff" for letter in str(name)):
            raise ManifestError(
                f"chip {record.id!a}: the name {str(name)!a} is not UTF-8; rename it"
            )
        if ";" in str(name):
            raise ManifestError(
                f"chip '{record.id}': '{name}' holds ';', which separates names in a manifest; "
                "rename it"
            )


def _contradictions(records: Sequence[ChipRecord]) -> list[str]:
    counts = Counter(record.id for record in records)
    problems = [f"id '{chip}' occurs {n} times" for chip, n in counts.items() if n > 1]
    classes = {record.classes for record in records}
    if len(classes) > 1:
        lists = " and ".join(sorted(";".join(names) for names in classes))
        problems.append(f"rows disagree about the classes: {lists}")
    spellings: dict[str, set[str]] = {}
    for record in records:
        spellings.setdefault(record.split.lower(), set()).add(record.split)
    for several in (sorted(names) for names in spellings.values() if len(names) > 1):
        problems.append(f"splits are called {' and '.join(several)}; write them alike")
    return problems
