"""Tiles of ETCI 2021 whose flood label is a straight-edged box, which no water is.

command:  python experiments/label_boxes.py --data $SARWATER_DATA
hardware: one core, under a minute
result:   experiments/results/label_boxes.json
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from events import BOXES, EVENTS

FILLED, COVERS = 0.995, 0.3
"""Share of its bounding box that a label must fill, and share of the tile that it must cover."""


def boxes(event: Path) -> dict[str, Any]:
    """Return the tiles that are labelled by a box, and their share of what is labelled flood."""
    found, total, boxed = [], 0, 0
    for file in sorted((event / "tiles" / "flood_label").glob("*.png")):
        flood = np.asarray(Image.open(file).convert("L")) > 0
        total += int(flood.sum())
        rows, cols = np.flatnonzero(flood.any(axis=1)), np.flatnonzero(flood.any(axis=0))
        if flood.mean() < COVERS or flood.all():
            continue
        inside = flood[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
        if inside.mean() >= FILLED:
            found.append(file.stem)
            boxed += int(flood.sum())
    return {"tiles": found, "share_of_flood": round(boxed / max(total, 1), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SARWATER_DATA"))
    args = parser.parse_args()
    found = {name: boxes(args.data / "etci2021" / event) for name, event in EVENTS.items()}
    BOXES.parent.mkdir(exist_ok=True)
    BOXES.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
