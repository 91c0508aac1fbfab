"""Assign chips to splits, and check that no split shares ground with another."""

import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sarwater.datasets.headers import located
from sarwater.datasets.listing import some
from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.datasets.shared_ground import shared_ground as shared_ground
from sarwater.errors import ConfigError, DataError, nearest

_RANGE = re.compile(r"(\d{0,18})-(\d{0,18})")


@dataclass(frozen=True)
class Values:
    """A choice of a column's values: texts, and ranges of whole numbers with both ends.

    >>> chosen = Values.parse("-3,13-,7")
    >>> [cell for cell in ("0", "5", "7", "12", "13", "x") if cell in chosen]
    ['0', '7', '13']
    """

    parts: tuple[str, ...]
    whole: str
    """The text as it was given, which may be one value that has commas."""

    @classmethod
    def parse(cls, text: str) -> "Values":
        """Read a comma list; ``13-`` is 13 and up, ``-10`` up to 10, ``11-12`` both.

        Raises:
            ConfigError: nothing is named.
        """
        parts = tuple(part.strip() for part in text.split(",") if part.strip())
        if not parts or "-" in parts:
            raise ConfigError(f"'{text}' names no value; expected for example '13-' or 'a,b'")
        return cls(parts, text.strip())

    def among(self, cells: Iterable[str]) -> "Values":
        """Return the choice as it is meant where these are the values there are.

        >>> Values.parse("Mekong, 2018").among(["Mekong, 2018", "Rhine"]).parts
        ('Mekong, 2018',)
        """
        return Values((self.whole,), self.whole) if self.whole in cells else self

    def __contains__(self, cell: str) -> bool:
        """Whether a cell's text is among the values."""
        return any(_matches(part, cell) for part in self.parts)

    def unused(self, cells: Iterable[str]) -> list[str]:
        """Return the parts that no cell matches."""
        distinct = set(cells)
        return [part for part in self.parts if not any(_matches(part, c) for c in distinct)]


def _matches(part: str, cell: str) -> bool:
    if part == cell:
        return True
    match = _RANGE.fullmatch(part)
    if match is None or not cell.isdecimal():
        return False
    low, high = match.groups()
    return (not low or int(low) <= int(cell)) and (not high or int(cell) <= int(high))


def choose(manifest: Manifest, where: Mapping[str, Values]) -> list[bool]:
    """Return for each chip whether it has the named values in all of the columns.

    Raises:
        ConfigError: a value that no chip has.
        ManifestError: no such column.
    """
    chosen = [True] * len(manifest)
    for column, values in where.items():
        cells, meant = _cells(manifest, column, values)
        chosen = [yes and cell in meant for yes, cell in zip(chosen, cells, strict=True)]
    if not any(chosen):
        raise ConfigError(f"no chip has {' and '.join(where)} as named")
    return chosen


def split_by_fractions(
    manifest: Manifest,
    fractions: Mapping[str, float],
    *,
    seed: int = 0,
    where: Mapping[str, Values] | None = None,
) -> Manifest:
    """Assign chips at random, stratified by domain: each domain is divided by the fractions.

    In shuffled order every chip goes to the split that lacks most, so the counts are within one
    of their share after any number of chips.

    Args:
        manifest: the chips.
        fractions: share of each split, in [0, 1]; their sum is 1.
        seed: of the shuffle; a domain's order does not depend on the other domains.
        where: assign only the chips with these values; the others keep their split.

    Raises:
        ConfigError: fractions that are negative or do not sum to 1; a negative seed.
    """
    if seed < 0:
        raise ConfigError(f"the seed is {seed}: expected 0 or more")
    # In this form NaN is refused too.
    if not (min(fractions.values()) >= 0 and abs(sum(fractions.values()) - 1) <= 1e-6):
        listed = ", ".join(f"{name} {share:g}" for name, share in fractions.items())
        raise ConfigError(f"the fractions are {listed}: expected shares that sum to 1")
    chosen = choose(manifest, where or {})
    by_domain: dict[str, list[int]] = defaultdict(list)
    for position, record in enumerate(manifest):
        if chosen[position]:
            by_domain[record.domain].append(position)
    splits: dict[int, str] = {}
    counts = dict.fromkeys(fractions, 0)
    for domain, positions in by_domain.items():
        generator = np.random.default_rng([seed, zlib.crc32(domain.encode())])
        for position in generator.permutation(positions).tolist():
            total = len(splits) + 1
            split = max(fractions, key=lambda name: fractions[name] * total - counts[name])
            counts[split] += 1
            splits[position] = split
    return _assigned(manifest, splits)


def split_by_column(
    manifest: Manifest,
    column: str,
    values: Mapping[str, Values],
    *,
    where: Mapping[str, Values] | None = None,
) -> Manifest:
    """Assign chips by a column: ``{"test": Values.parse("13-")}`` tests on rows 13 and up.

    Chips that no split names become ``train``; where ``train`` is named itself, they leave every
    split.

    Raises:
        ConfigError: a value that no chip has, or that two splits name.
        ManifestError: no such column.
    """
    chosen = choose(manifest, where or {})
    kept = replace(manifest, records=_where(manifest.records, chosen))
    found = {split: _cells(kept, column, choice) for split, choice in values.items()}
    rest = "" if "train" in values else "train"
    splits: dict[int, str] = {}
    positions = [position for position, yes in enumerate(chosen) if yes]
    for order, position in enumerate(positions):
        names = [split for split, (cells, meant) in found.items() if cells[order] in meant]
        if len(names) > 1:
            raise ConfigError(
                f"{column} '{found[names[0]][0][order]}' is named for {' and '.join(names)}; "
                "name it for one split"
            )
        splits[position] = names[0] if names else rest
    return _assigned(manifest, splits)


def check_splits(
    manifest: Manifest, *, allow_shared_ground: bool = False, allow_empty: bool = False
) -> None:
    """Check that there is something to train and to validate on, and no ground is shared.

    Where the table has no bounds they are read from the files.

    Raises:
        DataError: ``train`` or ``val`` is empty, or splits share ground; chips are named.
    """
    empty = [name for name in ("train", "val") if name not in manifest.splits]
    if empty and not allow_empty:
        there = ", ".join(manifest.splits) or "none"
        raise DataError(
            f"no chip is left for {' and '.join(empty)} (splits: {there}); training needs both: "
            "change the fractions or the values named, or pass --allow-empty"
        )
    if allow_shared_ground:
        return
    pairs = shared_ground(located(manifest))
    if pairs:
        lines = (f"{p.chip} ({p.split}) and {p.other_chip} ({p.other_split})" for p in pairs)
        raise DataError(
            f"{len(pairs)} pairs of chips in different splits show the same ground: "
            f"{some(lines, 5, '; ')}; split by a column that keeps them together (domain, "
            "scene), or pass --allow-shared-ground"
        )


def _cells(manifest: Manifest, column: str, values: Values) -> tuple[list[str], Values]:
    cells = [record.value(column) for record in manifest]
    values = values.among(cells)
    unused = values.unused(cells)
    if unused:
        there = list(dict.fromkeys(cell for cell in cells if cell))
        raise ConfigError(
            f"no chip has {column} {', '.join(unused)}{nearest(unused[0], there)}; "
            f"there are {some(there, 20) or 'none'}"
        )
    return cells, values


def _where(records: Sequence[ChipRecord], chosen: Sequence[bool]) -> tuple[ChipRecord, ...]:
    return tuple(record for record, yes in zip(records, chosen, strict=True) if yes)


def _assigned(manifest: Manifest, splits: Mapping[int, str]) -> Manifest:
    records = tuple(
        replace(record, split=splits.get(position, record.split))
        for position, record in enumerate(manifest)
    )
    return replace(manifest, records=records)
