"""``sarwater simulate``: make a pair of radar regions with known water."""

import argparse
from pathlib import Path
from typing import Any

from sarwater.cli.results import Result, add_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder to make: scenes, chips, data.csv (chips) and scenes.csv (unseen scenes)",
    )
    parser.add_argument(
        "--size",
        type=int,
        default=1536,
        help="rows and columns of each scene in pixels of 10 m, at least 3 chips and 128",
    )
    parser.add_argument(
        "--chip-size", type=int, default=256, help="rows and columns of a chip, 16 or more"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="number of the pair, 0 or more; equal seeds, equal files",
    )
    parser.add_argument(
        "--looks",
        type=float,
        default=4.4,
        help="equivalent number of looks of the speckle, above 0 (Sentinel-1 IW GRDH has 4.4)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the folder if it exists")
    add_json(parser)


def run(args: argparse.Namespace) -> Result:
    """Simulate both regions, write them, and say what there is."""
    from sarwater.datasets.simulated import write_pair

    manifest = write_pair(
        args.out,
        size=args.size,
        chip_size=args.chip_size,
        seed=args.seed,
        looks=args.looks,
        overwrite=args.overwrite,
    )
    regions: list[dict[str, Any]] = []
    for domain in manifest.domains:
        chips = manifest.select(domains=[domain])
        water = sum(int(chip.extra["water_px"]) for chip in chips)
        land = sum(int(chip.extra["land_px"]) for chip in chips)
        splits = {split: len(chips.select(split=split)) for split in chips.splits}
        share = water / (land + water)
        regions.append({"region": domain, "splits": splits, "water_share": round(share, 4)})
    result = {
        "manifest": str(args.out / "data.csv"),
        "scenes": str(args.out / "scenes.csv"),
        "regions": regions,
    }
    return Result(result, lambda: _text(result))


def _text(result: dict[str, Any]) -> str:
    lines = []
    for region in result["regions"]:
        counts = region["splits"]
        parts = ", ".join(f"{count} {split}" for split, count in counts.items())
        wet = f"{region['water_share']:.1%}"
        lines.append(f"{region['region']}: {sum(counts.values())} chips ({parts}), water {wet}")
    lines.append(f"manifest: {result['manifest']}")
    lines.append(f"unseen scenes: {result['scenes']}")
    return "\n".join(lines)
