"""``sarwater mosaic``: join tiles named by row and column into one scene."""

import argparse
from pathlib import Path

from sarwater.cli.results import Result, add_json
from sarwater.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add("manifest", type=Path, help="manifest whose chips have scene, row and col (CSV)")
    add("--out", type=Path, required=True, help="GeoTIFF to write")
    add("--scene", default="", help="scene to join; may be left out when there is only one")
    add("--domain", default="", help="only chips of this domain")
    add(
        "--rows",
        metavar="FIRST-LAST",
        help="rows of tiles, both ends included; those that are there by default",
    )
    add(
        "--cols",
        metavar="FIRST-LAST",
        help="columns of tiles, both ends included; those that are there by default",
    )
    add("--labels", type=Path, help="GeoTIFF to write the labels to: class index, 255 unlabelled")
    add("--overwrite", action="store_true", help="replace the outputs if they exist")
    add_json(parser)


def run(args: argparse.Namespace) -> Result:
    """Write the scene and say its size."""
    from dataclasses import asdict

    rows, cols = _extent(args.rows, "--rows"), _extent(args.cols, "--cols")
    from sarwater.datasets.manifest import read_manifest
    from sarwater.datasets.mosaic import mosaic

    summary = mosaic(
        read_manifest(args.manifest),
        args.out,
        scene=args.scene,
        domain=args.domain,
        rows=rows,
        cols=cols,
        labels=args.labels,
        overwrite=args.overwrite,
    )
    return Result(
        {"file": str(args.out), **asdict(summary)},
        lambda: (
            f"{args.out}: {summary.height} x {summary.width} px (rows x columns) from "
            f"{summary.tiles} tiles, {summary.missing} places without a tile, "
            f"{summary.valid_share:.1%} valid"
        ),
    )


def _extent(text: str | None, option: str) -> tuple[int, int] | None:
    if text is None:
        return None
    first, _, last = text.partition("-")
    if not first.isdecimal() or not last.isdecimal() or int(last) < int(first):
        raise ConfigError(f"{option} '{text}': expected FIRST-LAST, such as 0-35")
    return int(first), int(last)
