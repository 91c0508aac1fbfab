"""``sarwater baseline``: score a threshold on backscatter, what a network has to beat."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sarwater.cli.evaluation_options import (
    add_evaluation_options,
    check_at_least,
    chosen_chips,
    evaluation_arguments,
    print_summary,
)

if TYPE_CHECKING:
    from sarwater.datasets.manifest import Manifest
    from sarwater.evaluation.baselines import Baseline, BaselineOptions

_METHODS = ("otsu", "threshold", "minimum-error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.set_defaults(usage_error=parser.error)
    parser.add_argument(
        "method",
        choices=_METHODS,
        help="otsu: the largest variance between two classes, scene by scene; threshold: the same "
        "for all; minimum-error: Kittler and Illingworth's on the tiles of each scene that hold "
        "both classes",
    )
    add_evaluation_options(parser)
    parser.add_argument("--band", default="VH", help="name of the band that is thresholded")
    parser.add_argument(
        "--median", type=int, default=1, metavar="PX", help="side of a median filter; 1: none"
    )
    parser.add_argument(
        "--tile", type=int, default=200, metavar="PX", help="side of the tiles of minimum-error"
    )
    parser.add_argument(
        "--value",
        type=float,
        help="the threshold, in decibels, or in steps of 8-bit products: water lies at or below it",
    )
    parser.add_argument(
        "--tune",
        type=Path,
        metavar="TABLE",
        help="take the threshold with the best F1 on the labelled chips of this table",
    )
    parser.add_argument("--tune-split", default="", help="split of that table; all by default")


def run(args: argparse.Namespace) -> None:
    """Find thresholds, score them, write the folder and print the table."""
    from sarwater.evaluation.baselines import BaselineOptions, Method
    from sarwater.evaluation.chips import ModelIdentity
    from sarwater.report.evaluation_report import evaluate_to_folder

    is_fixed = args.method == "threshold"
    if is_fixed != ((args.value is None) != (args.tune is None)):
        args.usage_error(
            "the method threshold needs --value NUMBER or --tune TABLE; the others need neither"
        )
    check_at_least(args)
    options = BaselineOptions(Method(args.method), args.band, args.median, args.tile)
    manifest = chosen_chips(args, *([args.tune] if args.tune else []))
    baseline, criterion = _fitted(args, options, manifest)
    name = f"{args.method} on {args.band}"
    name += f" after a {args.median} x {args.median} median" if args.median > 1 else ""
    summary = evaluate_to_folder(
        baseline,
        manifest,
        ModelIdentity(name, "", manifest.classes, 0.5, criterion),
        args.out,
        **evaluation_arguments(args),
    )
    print_summary(summary, args.out, as_json=args.json)


def _fitted(
    args: argparse.Namespace, options: "BaselineOptions", manifest: "Manifest"
) -> "tuple[Baseline, str]":
    from sarwater.datasets.manifest import read_manifest
    from sarwater.evaluation.baselines import Baseline, fit, tuned

    if args.value is not None:
        return Baseline(options, {"": args.value}), f"given: {args.value:g}"
    if args.tune is not None:
        value = tuned(read_manifest(args.tune).select(split=args.tune_split or None), options)
        return Baseline(options, {"": value}), f"best F1 on {args.tune.name}: {value:.2f}"
    found = fit(manifest, options)
    values = sorted(found.thresholds.values())
    middle = values[len(values) // 2]
    where = f"{len(values)} scenes" if len(values) > 1 else "the scene"
    return found, f"of {where} itself, no label used: {middle:.2f} in the middle"
