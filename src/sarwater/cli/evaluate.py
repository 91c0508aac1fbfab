"""``sarwater evaluate``: score a model on labelled chips."""

import argparse
from pathlib import Path

from sarwater.cli.estimates import add_dry_run, evaluating
from sarwater.cli.evaluation_options import (
    add_evaluation_options,
    check_at_least,
    chosen_chips,
    evaluation_arguments,
    scored,
)
from sarwater.cli.prediction_options import add_prediction_options, prediction_options
from sarwater.cli.results import Result


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", type=Path, help="the model, a .safetensors file; never altered")
    add_evaluation_options(parser)
    parser.add_argument(
        "--threshold",
        type=float,
        help="use this threshold (.001 to .999, steps of .001) in place of the model's",
    )
    add_prediction_options(parser, precision="float32")
    add_dry_run(parser)


def run(args: argparse.Namespace) -> Result:
    """Evaluate, write the folder and return the table."""
    from sarwater.evaluation.counts import threshold_index
    from sarwater.evaluation.models import identity_of, predictor_for
    from sarwater.models.bundle import load_bundle
    from sarwater.report.evaluation_report import evaluate_to_folder

    check_at_least(args, batch_size=1)
    if args.threshold is not None:
        threshold_index(args.threshold)
    manifest = chosen_chips(args, args.model)
    bundle = load_bundle(args.model)
    predictor = predictor_for(bundle, manifest, prediction_options(args))
    identity = identity_of(bundle, args.model.name)
    options = {
        "normalizer": predictor.info.normalization,
        "threshold": args.threshold,
        **evaluation_arguments(args),
    }
    if args.dry_run:
        from sarwater.report.estimating import estimate_evaluation

        engine = predictor.engine.name
        return evaluating(estimate_evaluation(predictor, manifest, identity, engine, **options))
    summary = evaluate_to_folder(predictor, manifest, identity, args.out, **options)
    return scored(summary, args.out)
