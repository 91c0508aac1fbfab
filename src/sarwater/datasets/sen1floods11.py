"""Sen1Floods11 in the layout of its public bucket: hand-labelled Sentinel-1 chips.

Bonafilia, Tellman, Anderson, Issenberg: Sen1Floods11, CVPR Workshops 2020.
"""

import csv
from pathlib import Path

from sarwater.datasets.listing import Listing, is_hidden, some
from sarwater.datasets.manifest import ChipRecord, LabelCodes
from sarwater.errors import DataError
from sarwater.types import Units

CHIPS = "data/flood_events/HandLabeled"
"""Folder of ``S1Hand`` and ``LabelHand`` under the version's folder (``v1.1``)."""
SPLITS = "splits/flood_handlabeled"
"""Folder of the split tables under the version's folder."""
SPLIT_FILES = {
    "train": "flood_train_data.csv",
    "val": "flood_valid_data.csv",
    "test": "flood_test_data.csv",
    "bolivia": "flood_bolivia_data.csv",
}
"""Official splits and their tables; Bolivia is an event that no other split has."""
CODES = LabelCodes({0: "land", 1: "water", -1: "ignore"})

_IMAGE = "_S1Hand.tif"
_LABEL = "_LabelHand.tif"
_DEPTH = 3
"""How many folders above ``v1.1`` may be given."""


def list_sen1floods11(path: Path) -> Listing:
    """List the hand-labelled chips; the event is the domain, the split comes from the tables.

    Args:
        path: ``v1.1`` itself or a folder above it.

    Raises:
        DataError: no chips there, two copies of the data set, or a table that cannot be read.
    """
    root = _find_root(path)
    found = sorted((root / CHIPS / "S1Hand").glob(f"*{_IMAGE}"))
    images = [image for image in found if not is_hidden(image, root)]
    splits, notes = _read_splits(root)
    if not images:
        raise DataError(f"{root / CHIPS / 'S1Hand'} holds no image named *{_IMAGE}")
    records = tuple(_record(image, root, splits) for image in images)
    there = {record.id for record in records}
    absent = [chip for chip in splits if chip not in there]
    if absent:
        notes.append(
            f"{len(absent)} of {len(splits)} chips in the split tables have no image here: "
            f"{some(absent, 3)}"
        )
    unlabelled = [record.id for record in records if not record.labels]
    if unlabelled:
        notes.append(f"{len(unlabelled)} chips have no label file: {some(unlabelled, 3)}")
    outside = [record.id for record in records if not record.split]
    if outside and splits:
        notes.append(f"{len(outside)} chips are in no split table: {some(outside, 3)}")
    return Listing(records, tuple(notes))


def _record(image: Path, root: Path, splits: dict[str, str]) -> ChipRecord:
    chip = image.name.removesuffix(_IMAGE)
    label = root / CHIPS / "LabelHand" / f"{chip}{_LABEL}"
    labels = (label,) if label.exists() else ()
    return ChipRecord(
        id=chip,
        domain=chip.rpartition("_")[0] or chip,
        split=splits.get(chip, ""),
        images=(image,),
        bands=("VV", "VH"),
        units=Units.DB,
        labels=labels,
        codes=(CODES,) * len(labels),
    )


def _find_root(path: Path) -> Path:
    patterns = ["/".join(["*"] * depth + [CHIPS, "S1Hand"]) for depth in range(_DEPTH + 1)]
    for pattern in patterns:
        found = sorted(place for place in path.glob(pattern) if not is_hidden(place, path))
        if len(found) > 1:
            raise DataError(f"{path} holds the data set more than once: {some(found)}; name one")
        if found:
            return found[0].parents[len(Path(CHIPS).parts)]
    raise DataError(
        f"{path} has no folder {CHIPS}/S1Hand, not {_DEPTH} levels down either: give the folder "
        "above v1.1; `sarwater download sen1floods11` makes it"
    )


def _read_splits(root: Path) -> tuple[dict[str, str], list[str]]:
    splits: dict[str, str] = {}
    notes = []
    for split, name in SPLIT_FILES.items():
        table = root / SPLITS / name
        if not table.exists():
            notes.append(f"there is no {table}: its chips are in no split")
            continue
        for chip in read_split(table):
            if splits.setdefault(chip, split) != split:
                raise DataError(f"{table}: chip '{chip}' is in split '{splits[chip]}' already")
    return splits, notes


def read_split(table: Path) -> list[str]:
    """Read the chips of a split table, rows of IMAGE,LABEL.

    Raises:
        DataError: the table cannot be read, or a row is not of that form.
    """
    try:
        rows = list(csv.reader(table.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read the split table {table}: {error}") from error
    chips = []
    for number, row in enumerate(rows, 1):
        if not row:
            continue
        if not row[0].strip().endswith(_IMAGE):
            raise DataError(f"{table}, line {number}: expected NAME{_IMAGE}, found '{row[0]}'")
        chips.append(row[0].strip().removesuffix(_IMAGE))
    return chips
