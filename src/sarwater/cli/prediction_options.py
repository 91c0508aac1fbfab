"""Options that every command has that runs a model."""

import argparse
from typing import TYPE_CHECKING

from sarwater.engine_kinds import ENGINES, PRECISIONS
from sarwater.normalization_kinds import Normalization

if TYPE_CHECKING:
    from sarwater.prediction import PredictionOptions


def add_prediction_options(parser: argparse.ArgumentParser, *, precision: str) -> None:
    """Add the options; ``precision`` is the command's default."""
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="what runs the network: auto is torch on a GPU and OpenVINO on a CPU",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=precision,
        help="auto is bfloat16 where the hardware multiplies in it: about twice as fast, and up to "
        f"one pixel in a thousand changes its class (default: {precision})",
    )
    parser.add_argument(
        "--batch-size", type=int, help="windows at once, 1 or more; by default the engine's best"
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="let torch compile the network: a minute at the beginning, faster then (OpenVINO "
        "always compiles)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--normalization",
        choices=[kind.value for kind in Normalization],
        help="normalize so in place of the model's own way; 'domain' takes the statistics of what "
        "is given, which carries a model to another sensor or processing chain",
    )
    parser.add_argument(
        "--accept-units",
        action="store_true",
        help="take values in units that cannot become the model's as they are; sensible only with "
        "domain, scene or patch normalization",
    )


def prediction_options(args: argparse.Namespace, overlap: int | None = None) -> "PredictionOptions":
    """Return how a model is run, as the options say."""
    from sarwater.prediction import PredictionOptions

    return PredictionOptions(
        engine=args.engine,
        precision=args.precision,
        device=args.device,
        batch_size=args.batch_size,
        overlap=overlap,
        normalization=Normalization(args.normalization) if args.normalization else None,
        accept_units=args.accept_units,
        compiled=args.compile,
    )
