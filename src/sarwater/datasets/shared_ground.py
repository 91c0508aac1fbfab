"""Which chips of different splits show the same ground."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.errors import SarwaterError
from sarwater.files import real
from sarwater.raster import read_header, shared_share
from sarwater.types import Grid

OVERLAP = 0.01
"""Share of the smaller chip's area above which two chips share ground."""


class SharedGround(NamedTuple):
    """Two chips of different splits that show the same ground."""

    split: str
    chip: str
    other_split: str
    other_chip: str


def shared_ground(manifest: Manifest) -> list[SharedGround]:
    """Find chips in different splits that show the same ground; chips without split are free.

    Chips share ground when they overlap by more than 1 % of the smaller one's area, when they are
    the same row and column of one scene, when they read the same image file, or when they come
    from one scene and a row or column is unknown. Scenes of one name in two domains are two. Of
    chips that share a file, place or scene, each is paired with one of another split.

    What overlaps is looked for by the manifest's bounds, boxes in degrees, and then seen in the
    files' headers; the boxes decide where these cannot be read or have no CRS.
    """
    records = [record for record in manifest if record.split]
    pairs: dict[frozenset[int], tuple[int, int]] = {}
    for members in _same_ground(records):
        for one, other in _representative(records, members):
            pairs.setdefault(frozenset((one, other)), (one, other))
    grids = _Grids(records)
    for one, other, of_boxes in _overlapping(records):
        if records[one].split == records[other].split or frozenset((one, other)) in pairs:
            continue
        share = grids.shared_share(one, other)
        if (of_boxes if share is None else share) > OVERLAP:
            pairs[frozenset((one, other))] = (one, other)
    return [
        SharedGround(records[one].split, records[one].id, records[other].split, records[other].id)
        for one, other in sorted(pairs.values())
    ]


def _same_ground(records: Sequence[ChipRecord]) -> Iterator[list[int]]:
    files: dict[object, list[int]] = defaultdict(list)
    places: dict[object, list[int]] = defaultdict(list)
    scenes: dict[tuple[str, str], list[int]] = defaultdict(list)
    whole = set()
    real_folder = cache(real)
    for position, record in enumerate(records):
        for file in record.images:
            # Without links and "..", a folder at a time: most files are no links themselves.
            plain = real_folder(file.parent) / file.name
            files[real(plain) if plain.is_symlink() else plain].append(position)
        if not record.scene:
            continue
        scene = (record.domain, record.scene)
        scenes[scene].append(position)
        if record.row is None or record.col is None:
            whole.add(scene)
        places[scene, record.row, record.col].append(position)
    yield from files.values()
    yield from places.values()
    yield from (scenes[scene] for scene in sorted(whole))


def _representative(
    records: Sequence[ChipRecord], members: Sequence[int]
) -> Iterator[tuple[int, int]]:
    first = members[0]
    for member in members[1:]:
        if records[member].split != records[first].split:
            yield first, member


class _Grids:
    """Where chips lie by their first files, each of which is opened once, when it is asked for."""

    def __init__(self, records: Sequence[ChipRecord]) -> None:
        self._records = records
        self._of = cache(self._read)

    def shared_share(self, one: int, other: int) -> float | None:
        first, second = self._of(one), self._of(other)
        return None if first is None or second is None else shared_share(first, second)

    def _read(self, position: int) -> Grid | None:
        try:
            return read_header(self._records[position].images[0]).grid
        except SarwaterError:
            return None


def _overlapping(records: Sequence[ChipRecord]) -> Iterator[tuple[int, int, float]]:
    """Sweep from west to east over the bounds; yield pairs, and their share of the smaller box.

    A chip over the antimeridian is there twice. Boxes are larger than the chips within, so pairs
    come from a tenth of ``OVERLAP`` on.
    """
    boxes: list[tuple[float, float, float, float]] = []
    owners: list[int] = []
    for position, record in enumerate(records):
        if record.bounds is None:
            continue
        west, south, east, north = record.bounds
        width = east - west if west <= east else east - west + 360
        west = (west + 180) % 360 - 180  # some count longitudes from 0 to 360
        for shift in (0,) if west + width <= 180 else (0, -360):
            boxes.append((west + shift, south, west + width + shift, north))
            owners.append(position)
    if not boxes:
        return
    table = np.asarray(boxes)
    order = np.argsort(table[:, 0], kind="stable")
    west, south, east, north = table[order].T
    area = (east - west) * (north - south)
    ends = np.searchsorted(west, east, side="left")
    for here in range(len(order)):
        later = slice(here + 1, int(ends[here]))
        wide = np.minimum(east[later], east[here]) - west[later]
        high = np.minimum(north[later], north[here]) - np.maximum(south[later], south[here])
        shared = np.clip(wide, 0, None) * np.clip(high, 0, None)
        smaller = np.minimum(area[later], area[here])
        for hit in np.flatnonzero(shared > OVERLAP / 10 * smaller).tolist():
            one, other = sorted((owners[order[here]], owners[order[here + 1 + hit]]))
            yield one, other, float(shared[hit] / smaller[hit])
