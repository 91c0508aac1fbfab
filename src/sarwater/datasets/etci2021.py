"""The ETCI 2021 flood detection set: 8-bit Sentinel-1 tiles, a PNG a band.

NASA-IMPACT: Emerging Techniques in Computational Intelligence, flood detection, 2021.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from sarwater.datasets.listing import Listing, is_hidden, some
from sarwater.datasets.manifest import ChipRecord, LabelCodes
from sarwater.errors import DataError
from sarwater.types import Units

_TILE = re.compile(r"(?P<tile>(?P<scene>.+)_x-(?P<row>\d+)_y-(?P<col>\d+))")
_BANDS = ("vv", "vh")
_LABELS = ("flood_label", "water_body_label")
_SPLITS = ("train", "val", "test")
_DEPTH = 5
"""Folders between the given one and ``tiles``."""

_WATER = (LabelCodes({0: "land"}, "water"), LabelCodes({0: "keep"}, "water"))
_THREE = (LabelCodes({0: "land"}, "flood"), LabelCodes({0: "keep"}, "permanent water"))


def list_etci2021(path: Path, *, three_classes: bool = False) -> Listing:
    """List the tiles of every event; the event is scene and domain.

    ``NAME_x-R_y-C``: R is the tile's row in the scene, C its column. Tiles wholly without signal
    stay in. An event that lacks one kind of label altogether is unlabelled, as is a tile that
    has neither.

    Args:
        path: a folder of ``EVENT/tiles/{vv,vh,flood_label,water_body_label}``, one event, or the
            official folder, where what lies under ``train``, ``val`` or ``test`` gets that split.
        three_classes: land, permanent water and flood in place of land and water.

    Raises:
        DataError: no tiles there.
    """
    records: list[ChipRecord] = []
    notes: list[str] = []
    problems: list[str] = []
    for tiles in _tile_folders(path):
        _list_event(tiles, path, three_classes, records, notes, problems)
    if not records and not problems:
        raise DataError(
            f"{path} holds no tiles: expected EVENT/tiles/vv/EVENT_x-ROW_y-COLUMN_vv.png"
        )
    seen: dict[str, ChipRecord] = {}
    for record in records:
        first = seen.setdefault(record.id, record)
        if first is not record:
            problems.append(
                f"tile '{record.id}' is there twice: {first.images[0]} and {record.images[0]}"
            )
    unlabelled = sum(not record.labels for record in records)
    if unlabelled:
        notes.append(f"{unlabelled} of {len(records)} tiles are unlabelled")
    return Listing(tuple(records), tuple(notes), problems=tuple(problems))


def _list_event(
    tiles: Path,
    path: Path,
    three_classes: bool,
    records: list[ChipRecord],
    notes: list[str],
    problems: list[str],
) -> None:
    bands = {band: _files(tiles / band, f"_{band}") for band in _BANDS}
    labels = {kind: _files(tiles / kind, "") for kind in _LABELS}
    names = sorted(bands["vv"].keys() | bands["vh"].keys(), key=_place)
    for band, files in bands.items():
        missing = [name for name in names if name not in files]
        if missing:
            problems.append(f"{tiles / band} lacks {len(missing)} tiles: {some(missing)}")
    absent = [kind for kind, files in labels.items() if not files]
    if len(absent) == 1:
        notes.append(f"{tiles} has no {absent[0]}: its tiles are unlabelled")
        labels = {kind: {} for kind in _LABELS}
    for kind, other in zip(_LABELS, reversed(_LABELS), strict=True):
        missing = [name for name in names if name in labels[other] and name not in labels[kind]]
        if missing:
            problems.append(
                f"{tiles / kind} lacks {len(missing)} tiles that {other} has: {some(missing)}; "
                f"add them, or remove both labels of such a tile"
            )
        lost = [name for name in labels[kind] if name not in names]
        if lost:
            problems.append(f"{tiles / kind} has {len(lost)} labels without image: {some(lost)}")
    split = _split(tiles, path)
    for name in names:
        if all(name in files for files in bands.values()):
            found = tuple(labels[kind][name] for kind in _LABELS if name in labels[kind])
            images = tuple(bands[band][name] for band in _BANDS)
            records.append(_record(name, images, found, split, three_classes))


def _record(
    name: str, images: tuple[Path, ...], labels: tuple[Path, ...], split: str, three_classes: bool
) -> ChipRecord:
    match = _TILE.fullmatch(name)
    assert match is not None
    both = len(labels) == len(_LABELS)
    return ChipRecord(
        id=name,
        domain=match["scene"],
        split=split,
        images=images,
        bands=tuple(band.upper() for band in _BANDS),
        units=Units.BYTE,
        labels=labels if both else (),
        codes=(_THREE if three_classes else _WATER) if both else (),
        classes=("land", "permanent water", "flood") if three_classes else ("land", "water"),
        scene=match["scene"],
        row=int(match["row"]),
        col=int(match["col"]),
    )


def _files(folder: Path, suffix: str) -> Mapping[str, Path]:
    files = (file for file in folder.glob(f"*{suffix}.png") if not is_hidden(file, folder))
    names = ((file.stem.removesuffix(suffix), file) for file in files)
    return {name: file for name, file in names if _TILE.fullmatch(name)}


def _place(name: str) -> tuple[str, int, int]:
    match = _TILE.fullmatch(name)
    assert match is not None
    return (match["scene"], int(match["row"]), int(match["col"]))


def _tile_folders(path: Path, depth: int = _DEPTH) -> Iterator[Path]:
    if any((path / band).is_dir() for band in _BANDS):
        yield path
    elif depth > 0:
        for folder in sorted(path.iterdir()):
            if folder.is_dir() and not is_hidden(folder, path):
                yield from _tile_folders(folder, depth - 1)


def _split(tiles: Path, path: Path) -> str:
    within = tiles.relative_to(path).parts
    return next((part for part in within if part in _SPLITS), "")
