"""``sarwater train``."""

import argparse
from pathlib import Path

from sarwater.cli.settings_flags import add_settings, read_settings
from sarwater.config import TrainSettings
from sarwater.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("manifest", type=Path, nargs="?", help="table of chips (sarwater index)")
    parser.add_argument("--out", type=Path, metavar="RUN", help="folder to write")
    parser.add_argument(
        "--resume", type=Path, metavar="RUN", help="go on with this run from its last checkpoint"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing run")
    add_settings(parser, TrainSettings)


def run(args: argparse.Namespace) -> None:
    """Train, or go on with a run."""
    settings = read_settings(args, TrainSettings)
    if args.manifest is None or (args.out is None) == (args.resume is None):
        raise ConfigError(
            "expected `sarwater train MANIFEST --out RUN` to start, or "
            "`sarwater train MANIFEST --resume RUN` to go on"
        )
    from sarwater.datasets.manifest import read_manifest
    from sarwater.training import resume, train

    manifest = read_manifest(args.manifest)
    if args.resume is not None:
        folder = resume(manifest, args.resume)
    else:
        folder = train(settings, manifest, args.out, overwrite=args.overwrite)
    print(folder.describe())
