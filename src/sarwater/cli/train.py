"""``sarwater train``."""

import argparse
from pathlib import Path

from sarwater.cli.estimates import add_dry_run, estimated
from sarwater.cli.results import Result, add_json
from sarwater.cli.settings_flags import add_settings, given_settings, read_settings
from sarwater.config import TrainSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.set_defaults(usage_error=parser.error)
    parser.add_argument("manifest", type=Path, help="table of chips (sarwater index)")
    parser.add_argument("--out", type=Path, metavar="RUN", help="folder to write")
    parser.add_argument(
        "--resume", type=Path, metavar="RUN", help="go on with this run from its last checkpoint"
    )
    parser.add_argument(
        "--init",
        type=Path,
        metavar="MODEL",
        help="fine-tune this model: start from its weights, with its network and, unless others "
        "are named, its normalization and size of patches; `sarwater model path` names the one in "
        "the box",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing run")
    add_dry_run(parser)
    add_json(parser)
    add_settings(parser, TrainSettings)


def run(args: argparse.Namespace) -> Result | None:
    """Train, or go on with a run."""
    if (args.out is None) == (args.resume is None):
        args.usage_error("give --out RUN to start a run, or --resume RUN to go on with one")
    if args.resume is not None and (args.config or given_settings(args) or args.init):
        args.usage_error("a run goes on with its own settings: give none with --resume")
    if args.resume is not None and args.dry_run:
        args.usage_error("--dry-run is of a run that begins; leave out --resume")
    settings = read_settings(args, TrainSettings)
    from sarwater.datasets.manifest import read_manifest
    from sarwater.files import refuse_inputs
    from sarwater.ranks import is_first_process
    from sarwater.training.start import fine_tuning, resume, train

    manifest = read_manifest(args.manifest)
    if args.resume is not None:
        folder = resume(manifest, args.resume)
    else:
        if args.init is not None:
            settings = fine_tuning(settings, args.init, manifest)
        refuse_inputs(args.out, (*args.config, *settings.model.files, *manifest.files))
        if args.dry_run:
            from sarwater.training.estimating import estimate_training

            one = estimate_training(settings, manifest, args.out, overwrite=args.overwrite)
            return estimated([one]) if is_first_process() else None
        folder = train(settings, manifest, args.out, overwrite=args.overwrite)
    if not is_first_process():
        return None
    return Result({"folder": str(folder.path), **folder.read_summary()}, folder.describe)
