"""Options and output of every command that scores something on labelled chips."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sarwater.cli.results import Result, add_json

if TYPE_CHECKING:
    from sarwater.datasets.manifest import Manifest


def add_evaluation_options(parser: argparse.ArgumentParser) -> None:
    """Add the options: which chips, which pixels, how many resamples, where to."""
    parser.add_argument("data", type=Path, help="the manifest, a CSV table from `sarwater index`")
    parser.add_argument("--split", default="test", help="score the chips of this split; '' for all")
    parser.add_argument(
        "--domains", nargs="+", metavar="NAME", help="only the chips of these domains"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument(
        "--missing-radar",
        choices=("exclude", "as-land"),
        default="exclude",
        help="labelled pixels without data in the image: do not count, or count as mapped land",
    )
    parser.add_argument(
        "--allow-dry",
        action="store_true",
        help="go on when the chips have no water at all, to count false alarms only",
    )
    parser.add_argument(
        "--bootstrap",
        type=int,
        default=1000,
        metavar="N",
        help="resamples of the 95 %% intervals over chips; 0 leaves them out",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap, 0 or more")
    parser.add_argument(
        "--panels", type=int, default=24, help="number of worst chips to show, 0 or more"
    )
    parser.add_argument(
        "--gallery-size",
        type=int,
        default=192,
        metavar="PX",
        help="longer side of every chip's pictures for `sarwater report`, at most; 0 for none",
    )
    add_json(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace the folder")


def check_at_least(args: argparse.Namespace, **least: int) -> None:
    """Check that options are not too small; those of evaluations always.

    Raises:
        ConfigError: all that are.
    """
    from sarwater.errors import ConfigError

    wrong = [
        f"--{name.replace('_', '-')} must be {low} or more, found {getattr(args, name)}"
        for name, low in {
            "bootstrap": 0,
            "seed": 0,
            "panels": 0,
            "gallery_size": 0,
            **least,
        }.items()
        if getattr(args, name) is not None and getattr(args, name) < low
    ]
    if wrong:
        raise ConfigError("; ".join(wrong))


def chosen_chips(args: argparse.Namespace, *inputs: Path) -> "Manifest":
    """Return the chips that were asked for, once the output may be written.

    Args:
        args: of the command.
        inputs: further files that the output must not replace.

    Raises:
        OutputExistsError: the folder exists and may not be overwritten.
        ManifestError: the table is unreadable, or has no such split or domain.
    """
    from sarwater.datasets.manifest import read_manifest
    from sarwater.files import refuse_existing, refuse_inputs

    refuse_existing(args.out, overwrite=args.overwrite, folder=True)
    manifest = read_manifest(args.data)
    refuse_inputs(args.out, (*inputs, *manifest.files))
    return manifest.select(split=args.split or None, domains=args.domains)


def evaluation_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """Return what ``evaluate_to_folder`` takes of the options."""
    from sarwater.evaluation.chips import MissingRadar

    return {
        "split": args.split or None,
        "missing_radar": MissingRadar(args.missing_radar),
        "allow_dry": args.allow_dry,
        "resamples": args.bootstrap,
        "seed": args.seed,
        "panels": args.panels,
        "gallery_size": args.gallery_size,
        "overwrite": args.overwrite,
    }


def scored(summary: dict[str, Any], out: Path) -> Result:
    """Return the scores, without the curve of a thousand points that the folder has."""
    from sarwater.evaluation.files import format_result
    from sarwater.evaluation.scores import warn_of_end

    if best := summary["operating_points"].get("best"):
        warn_of_end(best["threshold"], "the best threshold of these chips")
    short = {name: value for name, value in summary.items() if name != "curve"}
    return Result(
        {"folder": str(out), **short}, lambda: f"{format_result(summary)}\n\nresults: {out}"
    )
