"""``sarwater evaluate``: score a model on labelled chips."""

import argparse
from pathlib import Path

from sarwater.cli.prediction_options import add_prediction_options, prediction_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", type=Path, help="the model, a .safetensors file; never altered")
    parser.add_argument("data", type=Path, help="the manifest, a CSV table from `sarwater index`")
    parser.add_argument("--split", default="test", help="score the chips of this split; '' for all")
    parser.add_argument(
        "--domains", nargs="+", metavar="NAME", help="only the chips of these domains"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument(
        "--threshold",
        type=float,
        help="use this threshold (.001 to .999, steps of .001) in place of the model's",
    )
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
    add_prediction_options(parser, precision="float32")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")
    parser.add_argument("--overwrite", action="store_true", help="replace the folder")


def run(args: argparse.Namespace) -> None:
    """Evaluate, write the folder and print the table."""
    from sarwater.datasets.manifest import read_manifest
    from sarwater.evaluation.chips import MissingRadar, ModelIdentity
    from sarwater.files import refuse_existing, refuse_inputs
    from sarwater.models.bundle import load_bundle
    from sarwater.prediction import Predictor
    from sarwater.report.evaluation_report import evaluate_to_folder

    _check(args)
    refuse_existing(args.out, overwrite=args.overwrite, folder=True)
    manifest = read_manifest(args.data)
    refuse_inputs(args.out, (args.model, *manifest.files))
    manifest = manifest.select(split=args.split or None, domains=args.domains)
    bundle = load_bundle(args.model)
    info = bundle.info
    predictor = Predictor(bundle, prediction_options(args))
    summary = evaluate_to_folder(
        predictor,
        manifest,
        ModelIdentity(
            args.model.name, bundle.hash, info.classes, info.threshold, info.threshold_criterion
        ),
        args.out,
        split=args.split or None,
        normalizer=predictor.info.normalization,
        missing_radar=MissingRadar(args.missing_radar),
        threshold=args.threshold,
        allow_dry=args.allow_dry,
        resamples=args.bootstrap,
        seed=args.seed,
        panels=args.panels,
        overwrite=args.overwrite,
    )
    _print(summary, args.out, as_json=args.json)


def _check(args: argparse.Namespace) -> None:
    from sarwater.errors import ConfigError
    from sarwater.evaluation.counts import threshold_index

    wrong = [
        f"--{name.replace('_', '-')} must be {least} or more, found {getattr(args, name)}"
        for name, least in (("bootstrap", 0), ("seed", 0), ("panels", 0), ("batch_size", 1))
        if getattr(args, name) is not None and getattr(args, name) < least
    ]
    if wrong:
        raise ConfigError("; ".join(wrong))
    if args.threshold is not None:
        threshold_index(args.threshold)


def _print(summary: dict[str, object], out: Path, *, as_json: bool) -> None:
    import json

    from sarwater.evaluation.files import format_result

    if as_json:
        short = {name: value for name, value in summary.items() if name != "curve"}
        print(json.dumps({"folder": str(out), **short}, indent=2, allow_nan=False))
        return
    print(format_result(summary))
    print(f"\nresults: {out}")
