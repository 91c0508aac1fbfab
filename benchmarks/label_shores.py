"""Where the labels of each event draw the shore: at the dark pixels, or around them.

VV below a threshold after a 5 x 5 median, as it is, grown or shrunk by a pixel, at the threshold
that is best for each on these labels. Growing helps where labelled water reaches beyond the dark.

command:  python benchmarks/label_shores.py --data $SARWATER_DATA
hardware: any; a minute on one core
result:   benchmarks/results/label_shores.json: F1, precision, recall and threshold by event
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from sarwater.datasets.etci2021 import list_etci2021
from sarwater.evaluation.scores import METRICS, scores
from sarwater.raster import read_chip
from sarwater.types import IGNORE

RESULTS = Path(__file__).parent / "results" / "label_shores.json"
BOXES = Path(__file__).parents[1] / "experiments" / "results" / "label_boxes.json"
EVENTS = ("northal_20190302t234651", "nebraska_20170213t002121", "bangladesh_20170314t115609")
THRESHOLDS = range(40, 132, 4)
CROSS, SQUARE = ndimage.generate_binary_structure(2, 1), ndimage.generate_binary_structure(2, 2)

SHAPES: dict[str, Callable[[Any], Any]] = {
    "shrunk by 4 neighbors": lambda dark: ndimage.binary_erosion(dark, CROSS),
    "as it is": lambda dark: dark,
    "grown by 4 neighbors": lambda dark: ndimage.binary_dilation(dark, CROSS),
    "grown by 8 neighbors": lambda dark: ndimage.binary_dilation(dark, SQUARE),
}


def labelled_by_a_box() -> set[str]:
    """Return the names of the tiles whose label is a straight-edged box, and no shore."""
    found = json.loads(BOXES.read_text())
    return {tile for event in found.values() for tile in event["tiles"]}


def measure(folder: Path) -> dict[str, dict[str, float]]:
    """Return the best scores of each shape over an event's chips with labels, none by a box."""
    counts = np.zeros((len(SHAPES), len(THRESHOLDS), 3), np.int64)
    boxes = labelled_by_a_box()
    for record in list_etci2021(folder).records:
        if not record.is_labelled or record.id in boxes:
            continue
        chip = read_chip(record)
        assert chip.target is not None
        quiet = ndimage.median_filter(chip.image[chip.bands.index("VV")], 5)
        counted = chip.valid & (chip.target != IGNORE)
        water = counted & (chip.target != 0)
        for column, threshold in enumerate(THRESHOLDS):
            dark = quiet < threshold
            for row, shape in enumerate(SHAPES.values()):
                called = shape(dark) & counted
                hit = int((called & water).sum())
                counts[row, column] += hit, int(called.sum()) - hit, int(water.sum()) - hit
    found = {}
    for name, by_threshold in zip(SHAPES, counts, strict=True):
        values = scores(*by_threshold.T)
        best = int(np.nanargmax(values.f1))
        found[name] = {"threshold": THRESHOLDS[best]} | {
            metric: round(float(getattr(values, metric)[best]), 4) for metric in METRICS
        }
    return found


def main() -> None:
    """Measure all events and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SARWATER_DATA"))
    args = parser.parse_args()
    found = {event: measure(args.data / "etci2021" / event) for event in EVENTS}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    for event, shapes in found.items():
        for name, one in shapes.items():
            print(f"{event:32} {name:22} F1 {one['f1']:.3f} at {one['threshold']}")


if __name__ == "__main__":
    main()
