"""``sarwater export``: a model as ONNX, for QGIS and other programs."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sarwater.cli.choices import UNITS
from sarwater.cli.results import Result, add_json

if TYPE_CHECKING:
    from sarwater.models.bundle import Bundle, ModelInfo
    from sarwater.types import Units


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("model", type=Path, help="a .safetensors file from `sarwater train`")
    parser.add_argument("--out", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument(
        "--scene",
        type=Path,
        help="a scene whose statistics become part of the export, where the model normalizes by "
        "those of the scene or domain; by default those of its training chips",
    )
    parser.add_argument(
        "--bands", nargs="+", metavar="NAME", help="names of the scene's bands in the file's order"
    )
    parser.add_argument(
        "--units",
        choices=UNITS,
        help="of the images that will be given, where the model takes several (`sarwater model "
        "show`); by default those of the scene, or what the model was trained on",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=255.0,
        help="what the program that runs the model divides values by: 255 in QGIS's Deepness "
        "plugin; 1 for nothing",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    add_json(parser)


def run(args: argparse.Namespace) -> Result:
    """Write the file, and say how to use it."""
    from sarwater.errors import ConfigError
    from sarwater.files import atomic_path, refuse_existing, refuse_inputs
    from sarwater.models.bundle import load_bundle
    from sarwater.models.exporting import export_bundle
    from sarwater.types import Units

    if not 0 < args.scale < float("inf"):
        raise ConfigError(f"--scale: above 0, found {args.scale}")
    refuse_existing(args.out, overwrite=args.overwrite)
    refuse_inputs(args.out, [args.model, *([args.scene] if args.scene else [])])
    bundle = load_bundle(args.model)
    if args.units is not None:
        bundle = _for_units(bundle, Units(args.units))
    with atomic_path(args.out, overwrite=args.overwrite) as aside:
        statistics = None
        if args.scene is not None:
            from sarwater.mapping.inputs import SceneSource, open_for_model
            from sarwater.prediction import PredictionOptions, Predictor

            predictor = Predictor(bundle, PredictionOptions(engine="torch", device="cpu"))
            source = SceneSource((args.scene,), tuple(args.bands or ()))
            with open_for_model(source, predictor) as scene:
                statistics = scene.statistics()
                bundle = replace(bundle, info=scene.predictor.info)
        aside.write_bytes(export_bundle(bundle, statistics, scale=args.scale))
    info = bundle.info
    data = {
        "file": str(args.out),
        "bands": list(info.bands),
        "units": info.units.value,
        "scale": args.scale,
        "patch_size": info.window_size,
        "classes": list(info.classes),
        "threshold": info.threshold if len(info.classes) == 2 else None,
    }
    return Result(data, lambda: _described(info, args.out, args.scale))


def _for_units(bundle: "Bundle", units: "Units") -> "Bundle":
    from sarwater.errors import ModelError

    info = bundle.info.for_units(units)
    # Linear power would have to be converted, which an exported network does not do.
    if info.units != units:
        raise ModelError(
            f"{bundle.path} takes values in units '{info.units.value}' and cannot be exported for "
            f"'{units.value}'; convert the images, or name the units that `sarwater model show` "
            "lists"
        )
    return replace(bundle, info=info)


def _described(info: "ModelInfo", out: Path, scale: float) -> str:
    described = (
        f"{out}: input image [patch, {len(info.bands)}, {info.window_size}, {info.window_size}] "
        f"of {', '.join(info.bands)} in units '{info.units.value}', divided by {scale:g}\n"
    )
    if len(info.classes) > 2:
        return f"{described}output: scores of {', '.join(info.classes)}; the largest is the class"
    water = info.classes[1]
    return f"{described}output: probability of {water}, {info.threshold:.3g} or more of it"
