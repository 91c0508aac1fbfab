"""``sarwater baseline``: score a threshold on backscatter, what a network has to beat."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sarwater.cli.choices import BASELINES
from sarwater.cli.evaluation_options import (
    add_evaluation_options,
    check_at_least,
    chosen_chips,
    evaluation_arguments,
    scored,
)
from sarwater.cli.results import Result

if TYPE_CHECKING:
    from sarwater.datasets.manifest import ChipRecord, Manifest
    from sarwater.evaluation.baselines import Baseline, BaselineOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.set_defaults(usage_error=parser.error)
    parser.add_argument(
        "method",
        choices=BASELINES,
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
        type=_finite,
        help="the threshold, in decibels, or in steps of 8-bit products: water lies at or below it",
    )
    parser.add_argument(
        "--tune",
        type=Path,
        metavar="TABLE",
        help="take the threshold with the best F1 on the labelled chips of this table",
    )
    parser.add_argument("--tune-split", default="", help="split of that table; all by default")


def run(args: argparse.Namespace) -> Result:
    """Find thresholds, score them, write the folder and return the table."""
    from sarwater.datasets.manifest import read_manifest
    from sarwater.errors import DataError
    from sarwater.evaluation.baselines import BaselineOptions, Method
    from sarwater.evaluation.chips import ModelIdentity, labelled_records
    from sarwater.report.evaluation_report import evaluate_to_folder

    given = (args.value is not None) + (args.tune is not None)
    if given != (args.method == "threshold"):
        args.usage_error(
            "the method threshold needs --value NUMBER or --tune TABLE; the others need neither"
        )
    check_at_least(args)
    options = BaselineOptions(Method(args.method), args.band, args.median, args.tile)
    tune = read_manifest(args.tune).select(split=args.tune_split or None) if args.tune else None
    manifest = chosen_chips(args, *([args.tune, *tune.files] if tune else []))
    if len(manifest.classes) != 2:
        raise DataError(
            f"{args.data} has the classes {', '.join(manifest.classes)}; a threshold tells two"
        )
    # Before a threshold is looked for.
    scored_chips = labelled_records(manifest, args.split or None)
    if tune is not None:
        _warn_of_seen(tune, scored_chips)
    baseline, criterion = _fitted(args, options, manifest, tune)
    name = f"{args.method} on {args.band}"
    name += f" after a {args.median} x {args.median} median" if args.median > 1 else ""
    summary = evaluate_to_folder(
        baseline,
        manifest,
        ModelIdentity(name, "", manifest.classes, 0.5, criterion, is_probability=False),
        args.out,
        **evaluation_arguments(args),
    )
    return scored(summary, args.out)


def _warn_of_seen(tune: "Manifest", records: "Sequence[ChipRecord]") -> None:
    """Warn where chips are scored that the threshold is tuned on."""
    import warnings

    from sarwater.errors import SarwaterWarning

    seen = {record.images for record in tune if record.is_labelled}
    known = sum(record.images in seen for record in records)
    if known:
        warnings.warn(
            f"the threshold is tuned on {known} of the {len(records)} chips that are scored: the "
            "scores are optimistic; tune on others (--tune-split, --split)",
            SarwaterWarning,
            2,
        )


def _finite(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number, found '{text}'")
    return value


def _fitted(
    args: argparse.Namespace,
    options: "BaselineOptions",
    manifest: "Manifest",
    tune: "Manifest | None",
) -> "tuple[Baseline, str]":
    from sarwater.errors import DataError
    from sarwater.evaluation.baselines import Baseline, fit, tuned
    from sarwater.types import Units

    if args.value is not None:
        kinds = {record.units == Units.BYTE for record in manifest}
        if len(kinds) > 1:
            raise DataError(
                f"{args.data} has 8-bit chips and others, which no threshold serves at once; "
                "choose by --domains"
            )
        return Baseline(options, {"": args.value}), f"given: {args.value:g}"
    if tune is not None:
        found = tuned(tune, options)
        where = f"{args.tune.name}" + (f", split '{args.tune_split}'" if args.tune_split else "")
        return found, f"best F1 on {where}: {found.thresholds['']:.2f}"
    found = fit(manifest, options)
    values = sorted(found.thresholds.values())
    middle = values[len(values) // 2]
    where = f"each of {len(values)} scenes" if len(values) > 1 else "the scene"
    text = f"of {where} itself, no label used: {middle:.2f} in the middle"
    if found.assumed:
        text += f"; {found.assumed} without two classes have the mean of the others"
    return found, text
