"""One VV threshold after a 5 x 5 median on North Alabama's test rows, chosen on those rows.

command:  python experiments/baseline.py MANIFEST --json docs/results/baseline.json
hardware: any; under a minute
score:    F1 .906
"""

import argparse
import json
from pathlib import Path

import numpy as np
from scipy import ndimage

from sarwater.datasets.manifest import read_manifest
from sarwater.raster import read_chip
from sarwater.types import IGNORE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    water, land = np.zeros(256, np.int64), np.zeros(256, np.int64)
    for record in read_manifest(args.manifest).select(split="test"):
        chip = read_chip(record)
        assert chip.target is not None
        median = ndimage.median_filter(chip.image[0], 5).astype(np.uint8)
        counted = chip.valid & (chip.target != IGNORE)
        water += np.bincount(median[counted & (chip.target == 1)], minlength=256)
        land += np.bincount(median[counted & (chip.target == 0)], minlength=256)
    hit, false = water.cumsum(), land.cumsum()
    f1 = 2 * hit / (hit + false + water.sum())
    best = int(f1.argmax())
    text = json.dumps({"vv_at_most": best, "f1": float(f1[best])}, indent=2) + "\n"
    print(text, end="")
    if args.json is not None:
        args.json.write_text(text)


if __name__ == "__main__":
    main()
