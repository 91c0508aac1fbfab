"""How rare water is: the ratio of background to foreground pixels, in four bins.

One definition for the inspection (what is in the data) and the sampler (what the network sees).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sarwater.errors import DataError
from sarwater.tables import csv_rows

RATIO_BINS = ("<10", "10-100", "100-1000", ">1000 or no water")
"""Names of the bins of background : foreground.

A ratio of exactly 10 lies in ``10-100``, one of exactly 100 in ``100-1000`` and one of exactly
1000 in ``100-1000``: the outer bins are strictly below 10 and strictly above 1000.
"""

UNASSIGNED = "(none)"
"""Group of the chips whose split or domain is empty."""

_DOMAIN_COLUMNS = ("domain", "event")
_REQUIRED = ("chip", "nonwater_px", "water_px")


def ratio_bin(background_px: ArrayLike, foreground_px: ArrayLike) -> NDArray[np.intp]:
    """Return the index into ``RATIO_BINS`` of each pair of pixel counts.

    Without foreground the bin is the last, also when there is no background either (a chip whose
    every pixel is unlabelled). Counts are compared as integers, without a division.

    Args:
        background_px: pixels of class 0, not negative; any shape.
        foreground_px: pixels of all other classes, not negative; a shape that fits.

    >>> ratio_bin([9, 10, 99, 100, 1000, 1001, 7, 0], [1, 1, 1, 1, 1, 1, 0, 0]).tolist()
    [0, 1, 1, 2, 2, 3, 3, 3]
    """
    background = np.asarray(background_px, np.int64)
    foreground = np.asarray(foreground_px, np.int64)
    index = (
        (background >= 10 * foreground).astype(np.intp)
        + (background >= 100 * foreground)
        + (background > 1000 * foreground)
    )
    return np.asarray(np.where(foreground == 0, len(RATIO_BINS) - 1, index), dtype=np.intp)


@dataclass(frozen=True)
class LabelCount:
    """How many labelled pixels a chip has."""

    chip: str
    domain: str
    split: str
    background: int
    """Pixels of class 0."""
    foreground: int
    """Pixels of all other classes."""
    ignored: int = 0
    """Pixels without a label."""

    @property
    def ratio(self) -> float | None:
        """Background pixels for each foreground pixel; None without foreground."""
        return self.background / self.foreground if self.foreground else None

    @property
    def bin(self) -> int:
        """Index into ``RATIO_BINS``."""
        return int(ratio_bin(self.background, self.foreground))


@dataclass(frozen=True)
class RatioTable:
    """Chips in each of ``RATIO_BINS``: all of them, by split and by domain."""

    total: tuple[int, ...]
    by_split: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    by_domain: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    unlabelled: tuple[str, ...] = ()
    """Chips whose every pixel is unlabelled; they are counted in the last bin."""

    def as_dict(self) -> dict[str, object]:
        """Return plain lists and dictionaries, as written to JSON."""
        return {
            "bins": list(RATIO_BINS),
            "total": list(self.total),
            "by_split": {name: list(row) for name, row in self.by_split.items()},
            "by_domain": {name: list(row) for name, row in self.by_domain.items()},
            "unlabelled_chips": list(self.unlabelled),
        }


def ratio_table(counts: Iterable[LabelCount]) -> RatioTable:
    """Count the chips in each bin; groups in order of first appearance.

    >>> chips = [LabelCount("a", "x", "train", 5, 1), LabelCount("b", "x", "test", 0, 0, 6)]
    >>> table = ratio_table(chips)
    >>> table.total, table.by_split["test"], table.unlabelled
    ((1, 0, 0, 1), (0, 0, 0, 1), ('b',))
    """
    chips = list(counts)
    return RatioTable(
        _tally(chips),
        _grouped((chip.split or UNASSIGNED, chip) for chip in chips),
        _grouped((chip.domain or UNASSIGNED, chip) for chip in chips),
        tuple(chip.chip for chip in chips if chip.background + chip.foreground == 0),
    )


def read_counts(path: str | Path) -> tuple[LabelCount, ...]:
    """Read a table of label counts.

    Columns: ``chip``, ``nonwater_px`` and ``water_px``; where there are such, ``domain`` (or
    ``event``), ``split`` and ``ignored_px``.

    Raises:
        DataError: the file is missing or no such table; all wrong lines are named.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"cannot read the table of counts {path}: {error}; expected CSV in UTF-8"
        ) from error
    try:
        rows = list(csv_rows(text, _REQUIRED))
    except ValueError as error:
        raise DataError(
            f"{path}: {error}; a table of counts has {', '.join(_REQUIRED)} and may have event, "
            "split, ignored_px"
        ) from error
    counts: list[LabelCount] = []
    problems: list[str] = []
    seen: set[str] = set()
    for line, row in rows:
        try:
            count = _label_count({name: value or "" for name, value in row.items() if name})
            if count.chip in seen:
                raise ValueError(f"chip '{count.chip}' occurs twice")
        except ValueError as error:
            problems.append(f"line {line}: {error}")
            continue
        seen.add(count.chip)
        counts.append(count)
    if not counts and not problems:
        problems.append("it has no rows")
    if problems:
        raise DataError(f"{path}: " + "; ".join(problems))
    return tuple(counts)


def _label_count(row: Mapping[str, str]) -> LabelCount:
    domain = next((row[name] for name in _DOMAIN_COLUMNS if row.get(name)), "")
    return LabelCount(
        chip=row["chip"].strip(),
        domain=domain.strip(),
        split=row.get("split", "").strip(),
        background=_pixels(row, "nonwater_px"),
        foreground=_pixels(row, "water_px"),
        ignored=_pixels(row, "ignored_px") if row.get("ignored_px") else 0,
    )


def _pixels(row: Mapping[str, str], column: str) -> int:
    text = row[column].strip()
    if not text.isdecimal() or len(text) > 18:
        raise ValueError(f"{column} '{text[:40]}' is not a number of pixels")
    return int(text)


def _tally(chips: Iterable[LabelCount]) -> tuple[int, ...]:
    bins = [chip.bin for chip in chips]
    return tuple(bins.count(index) for index in range(len(RATIO_BINS)))


def _grouped(pairs: Iterable[tuple[str, LabelCount]]) -> dict[str, tuple[int, ...]]:
    groups: dict[str, list[LabelCount]] = {}
    for name, chip in pairs:
        groups.setdefault(name, []).append(chip)
    return {name: _tally(chips) for name, chips in groups.items()}
