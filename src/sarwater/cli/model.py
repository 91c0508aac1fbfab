"""``sarwater model``: what a model is, and where the one in the box lies."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sarwater.cli.results import Result, add_json

if TYPE_CHECKING:
    from sarwater.models.bundle import Bundle


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "what",
        choices=("show", "path"),
        help="show: print what a model takes, how it was trained and scored, and its card; path: "
        "print where the file of the model in the box lies, for commands that want a model",
    )
    parser.add_argument(
        "model",
        nargs="?",
        type=Path,
        help="a .safetensors file from `sarwater train`; by default the one in the box",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> Result:
    """Describe it."""
    from sarwater.models.boxed import boxed_model
    from sarwater.models.bundle import load_bundle

    path = args.model or boxed_model()
    if args.what == "path":
        return Result({"path": str(path.resolve())}, lambda: str(path.resolve()))
    bundle = load_bundle(path)
    known = {"path": str(path.resolve()), "sha256": bundle.hash}
    return Result({**known, **bundle.info.model_dump(mode="json")}, lambda: _described(bundle))


def _described(bundle: "Bundle") -> str:
    info = bundle.info
    units = [info.units.value]
    units += [one.value for one in type(info.units) if info.for_units(one) is not info]
    facts: dict[str, Any] = {
        "file": bundle.path,
        "SHA-256": bundle.hash,
        "classes": ", ".join(info.classes),
        "bands": ", ".join(info.bands),
        "units": ", ".join(units),
        "normalization": info.normalization.kind.value,
        "network": f"DeepLabV3+ on {info.architecture.encoder}",
        "window": f"{info.window_size} px",
        "pixel size": "not known" if info.pixel_size is None else f"{info.pixel_size:.3g} m",
        "threshold": f"{info.threshold:.3f} ({info.threshold_criterion})",
        "maps scenes at": "a threshold of their own near it" if info.scene_threshold else "it",
        "trained by": f"sarwater {info.version}",
    }
    if "domains" in info.data:
        facts["trained on"] = ", ".join(info.data["domains"])
    if isinstance(info.scores.get("f1"), float):
        facts["validation F1"] = f"{info.scores['f1']:.3f}"
    width = max(map(len, facts)) + 2
    lines = [f"{name:{width}}{value}" for name, value in facts.items()]
    return "\n".join([*lines, "", info.card] if info.card else lines)
