"""``sarwater adapt``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sarwater.cli.estimates import add_dry_run, estimated
from sarwater.cli.results import Result, add_json
from sarwater.cli.settings_flags import add_settings, given_settings, read_settings
from sarwater.config import TrainSettings

if TYPE_CHECKING:
    from sarwater.datasets.manifest import Manifest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.set_defaults(usage_error=parser.error)
    parser.add_argument("source", type=Path, help="table of labelled chips (sarwater index)")
    parser.add_argument(
        "--target",
        type=Path,
        required=True,
        metavar="TABLE",
        help="table of chips or whole scenes to adapt to; their labels are not read",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--resume", type=Path, metavar="DIR", help="go on where this folder was left"
    )
    parser.add_argument(
        "--model",
        type=Path,
        help="a source-only model (.safetensors) to begin with, in place of training one",
    )
    parser.add_argument(
        "--test",
        type=Path,
        metavar="TABLE",
        help="table of labelled target chips that score both models; nothing learns from them",
    )
    parser.add_argument(
        "--test-split", default="", help="split of that table; all labelled chips by default"
    )
    parser.add_argument(
        "--oracle",
        type=Path,
        metavar="MODEL",
        help="a model trained on target labels: the share of the gap that adapting recovers "
        "is reported; needs --test",
    )
    add_dry_run(parser)
    add_json(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing folder")
    add_settings(parser, TrainSettings)


def run(args: argparse.Namespace) -> Result | None:
    """Adapt, or go on with it, and say what came out."""
    if (args.out is None) == (args.resume is None):
        args.usage_error("give --out DIR to start, or --resume DIR to go on")
    if args.resume is not None and (args.config or given_settings(args) or args.model):
        args.usage_error("a folder goes on with its own settings: give none with --resume")
    if args.resume is not None and args.dry_run:
        args.usage_error("--dry-run is of a run that begins; leave out --resume")
    if args.oracle is not None and args.test is None:
        args.usage_error("--oracle is scored on labelled chips: give them with --test")
    settings = read_settings(args, TrainSettings)
    from sarwater.datasets.manifest import read_manifest
    from sarwater.files import refuse_inputs
    from sarwater.ranks import is_first_process
    from sarwater.training.adapting import resume_adapting, start_adapting

    source, target = read_manifest(args.source), read_manifest(args.target)
    test = _test_chips(args)
    if args.resume is not None:
        out, found = args.resume, resume_adapting(source, target, args.resume)
    else:
        out = args.out
        given = [*args.config, args.model, args.oracle, *settings.model.files]
        tables = [*source.files, *target.files, *(test.files if test else ())]
        refuse_inputs(out, (*(path for path in given if path is not None), *tables))
        options = {"model": args.model, "overwrite": args.overwrite}
        if args.dry_run:
            from sarwater.training.estimating import estimate_adapting

            both = estimate_adapting(settings, source, target, out, **options)
            return estimated(both) if is_first_process() else None
        found = start_adapting(settings, source, target, out, **options)
    if not found:  # not the first process
        return None
    if test is not None:
        from sarwater.training.adapting_scores import score_sides

        found = score_sides(out, test, args.oracle, split=args.test_split)
    return Result({"folder": str(out), **found}, lambda: _text(found, out))


def _test_chips(args: argparse.Namespace) -> "Manifest | None":
    from sarwater.datasets.manifest import read_manifest
    from sarwater.errors import DataError

    if args.test is None:
        return None
    chips = read_manifest(args.test).select(split=args.test_split or None, labelled=True)
    if not chips.records:
        raise DataError(
            f"{args.test} has no labelled chip to score on; name another table or split"
        )
    return chips


def _text(found: dict[str, Any], out: Path) -> str:
    from sarwater.evaluation.files import three_digits

    columns = ("threshold", "water_share", "entropy", "agreement_flips", "agreement_gain")
    lines = [f"{'on the target, without labels':30}" + "".join(f"{n:>16}" for n in columns)]
    for name in ("source_only", "adapted"):
        cells = "".join(f"{three_digits(found[name][column]):>16}" for column in columns)
        lines.append(f"{name.replace('_', ' '):30}{cells}")
    lines.append(
        f"the maps differ in {found['disagreement']:.1%} of the pixels; their water overlaps by "
        f"{three_digits(found['overlap'])}"
    )
    lines += [f"warning: adapting looks harmful: {warning}" for warning in found["warnings"]]
    lines += [f"note: {note}" for note in found["notes"]]
    for name, score in found.get("scores", {}).items():
        if isinstance(score, dict):
            f1, iou = three_digits(score["f1"]), three_digits(score["iou"])
            lines.append(
                f"{name.replace('_', ' '):14} F1 {f1}, IoU {iou} "
                f"at threshold {score['threshold']:.3f}"
            )
    recovered = found.get("scores", {}).get("gap_recovered")
    if recovered is not None:
        lines.append(f"of the gap between source only and oracle {recovered:.0%} is recovered")
    if found["recommended"] == "adapted":
        lines.append(
            "the adapted model is recommended: its map agrees more with itself than before"
        )
    else:
        lines.append("the source-only model is recommended: its map agrees more with itself")
    lines.append(f"model: {out / found['recommended'] / 'model.safetensors'}")
    return "\n".join(lines)
