"""``sarwater download``: fetch a public data set."""

import argparse
from pathlib import Path

from sarwater.cli.results import Result, add_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add(
        "dataset",
        choices=("sen1floods11",),
        help="sen1floods11: hand-labelled Sentinel-1 chips, labels and splits (about 0.75 GB)",
    )
    add("--out", type=Path, required=True, help="folder to put the data set in")
    add(
        "--splits",
        default="",
        help="only chips of these splits, a comma list of train, val, test, bolivia",
    )
    add("--connections", type=int, default=4, help="files fetched at a time, 1 or more")
    add(
        "--url",
        default="https://storage.googleapis.com/sen1floods11/",
        help="address of the bucket or of a copy with the same listing",
    )
    add("--overwrite", action="store_true", help="replace files that differ from the bucket's")
    add_json(parser)


def run(args: argparse.Namespace) -> Result:
    """Fetch what is not there yet."""
    from dataclasses import asdict

    from sarwater.datasets.download import download_sen1floods11

    summary = download_sen1floods11(
        args.out,
        url=args.url,
        splits=[part.strip() for part in args.splits.split(",") if part.strip()],
        connections=args.connections,
        overwrite=args.overwrite,
    )
    return Result(
        {"folder": str(args.out), **asdict(summary)},
        lambda: (
            f"{args.out}: {summary.files} files complete, {summary.fetched} of them fetched now "
            f"({summary.bytes_fetched / 1e6:.1f} MB)\n"
            f"next: sarwater index {args.out} --layout sen1floods11 --out data.csv"
        ),
    )
