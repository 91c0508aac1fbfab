"""Manifests of the labelled ETCI 2021 events, and the splits by ground that experiments share.

command: python experiments/events.py TABLE.csv OUT.csv leaves out tiles that are labelled by a box
"""

import json
import sys
from pathlib import Path

from commands import sarwater
from sarwater.datasets.manifest import Manifest, read_manifest, write_manifest

EVENTS = {
    "alabama": "northal_20190302t234651",
    "nebraska": "nebraska_20170213t002121",
    "bangladesh": "bangladesh_20170314t115609",
}
"""Short names, and the folders of the data set, which are the domains too."""

BOXES = Path(__file__).parent / "results" / "label_boxes.json"
"""Tiles whose flood label is one straight-edged box over fields, two fifths of all that is labelled
flood in Nebraska (label_boxes.py finds them). They neither train nor score."""


def labelled_by_a_box() -> set[str]:
    """Return the names of those tiles."""
    found = json.loads(BOXES.read_text())
    return {tile for event in found.values() for tile in event["tiles"]}


def index_events(data: Path, tables: Path) -> None:
    """Write ``NAME_all.csv`` with the labelled tiles of each event, none by a box, once."""
    tables.mkdir(parents=True, exist_ok=True)
    for name, event in EVENTS.items():
        every = tables / f"{name}_all.csv"
        if not every.exists():
            folder = data / "etci2021" / event
            sarwater(
                "index", folder, "--layout", "etci2021", "--out", every, log=tables / f"{name}.log"
            )
            write_manifest(without_boxes(read_manifest(every)), every, overwrite=True)


def without_boxes(tiles: Manifest) -> Manifest:
    """Return the labelled tiles whose label is no box."""
    boxes = labelled_by_a_box()
    kept = (one for one in tiles.select(labelled=True) if one.id not in boxes)
    return Manifest(tuple(kept), tiles.path)


def index_sen1floods11(data: Path, table: Path) -> None:
    """Write the manifest of the Sen1Floods11 chips, once."""
    if not table.exists():
        table.parent.mkdir(parents=True, exist_ok=True)
        sarwater(
            "index",
            data / "sen1floods11",
            "--layout",
            "sen1floods11",
            "--out",
            table,
            log=table.with_suffix(".log"),
        )


if __name__ == "__main__":
    table, kept = map(Path, sys.argv[1:])
    write_manifest(without_boxes(read_manifest(table)), kept, overwrite=True)
