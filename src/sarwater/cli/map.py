"""``sarwater map``: map the water of whole scenes."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sarwater.cli.choices import UNITS
from sarwater.cli.prediction_options import add_prediction_options, prediction_options
from sarwater.cli.results import Result, add_json, in_words
from sarwater.errors import nearest
from sarwater.mapping.options import FORMATS

if TYPE_CHECKING:
    from sarwater.errors import SarwaterError
    from sarwater.mapping.estimating import Estimate
    from sarwater.mapping.inputs import SceneSource
    from sarwater.mapping.options import MapOptions, PolygonOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.set_defaults(usage_error=parser.error)
    _add_inputs(parser)
    model = "from `sarwater train`; by default the one in the box (`sarwater model show`)"
    parser.add_argument("--model", type=Path, help=model)
    parser.add_argument(
        "--overlap",
        type=int,
        metavar="PX",
        help="pixels that neighboring windows share, from 0 to below the model's patch size; by "
        "default 64, at most a quarter of the patch",
    )
    parser.add_argument(
        "--threshold",
        type=_threshold,
        metavar="P",
        help="map water from this probability on (0 to 1); model: from the model's; scene: near "
        "that, where each scene's own backscatter falls into two classes; by default what the "
        "model asks for",
    )
    parser.add_argument(
        "--adapt",
        action="store_true",
        help="take the statistics of the model's batch norm from the scene itself (AdaBN); helps "
        "where the scene differs from the training data, and may do harm where it does not",
    )
    add_prediction_options(parser, precision="auto")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="map scenes in N processes, which share the cores of this machine",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="map scenes on the workers of a Dask scheduler, such as tcp://host:8786; they must "
        "see the same folders",
    )
    _add_outputs(parser)


def _add_inputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "scenes",
        nargs="*",
        type=Path,
        metavar="SCENE",
        help="rasters, each with all its bands; or lists of scenes: a CSV table (columns file, or "
        "vv and vh; name, bands, units, nodata, when) or a STAC ItemCollection (.json)",
    )
    parser.add_argument("--vv", type=Path, metavar="FILE", help="one scene's VV band")
    parser.add_argument("--vh", type=Path, metavar="FILE", help="one scene's VH band")
    parser.add_argument(
        "--bands",
        type=_names,
        metavar="NAME,NAME",
        help="names of the scenes' bands in the files' order, such as VV,VH; by default the "
        "files' own band descriptions",
    )
    parser.add_argument("--units", choices=UNITS, help="of the values; guessed by default")
    parser.add_argument(
        "--nodata",
        default="auto",
        metavar="RULE",
        help="auto (NaN, declared value, dataset mask; borders of 8-bit products), border, "
        "declared, or a number",
    )
    parser.add_argument(
        "--exclude",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="rasters whose pixels that are not 0 (layover and shadow, terrain, permanent water) "
        "are left out; any grid and CRS",
    )
    add = parser.add_argument
    kinds = ("nodata", "class")
    add("--exclude-as", choices=kinds, default="nodata", help="what those pixels become")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder of the outputs: SCENE_water.tif (class, 255 no data), SCENE_probability.tif, "
        "SCENE_summary.json (areas), SCENE_item.json (STAC), SCENE_quicklook.png and "
        "SCENE_pictures.zip (for `sarwater report`); a run that was killed goes on there",
    )
    parser.add_argument(
        "--probability",
        choices=("uint8", "float32"),
        default="uint8",
        help="how probabilities are stored: in steps of .004, with the file's scale and 255 for no "
        "data (default), or as they are, with NaN",
    )
    parser.add_argument(
        "--polygons",
        choices=tuple(FORMATS),
        help="write water as polygons too, to SCENE_water with this suffix: GeoPackage, "
        "FlatGeobuf or GeoParquet",
    )
    parser.add_argument(
        "--min-area",
        type=float,
        default=0.0,
        metavar="M2",
        help="leave out polygons of fewer square metres (pixels without a CRS)",
    )
    parser.add_argument(
        "--simplify",
        type=float,
        default=0.0,
        metavar="M",
        help="metres (pixels without a CRS) that a polygon's shore may move",
    )
    parser.add_argument("--name", default="", help="begins the outputs' names; of one scene")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check that the scenes fit the model, say what mapping them takes, and write nothing",
    )
    add_json(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")


def run(args: argparse.Namespace) -> Result:
    """Map the scenes, and say what was found."""
    sources = _sources(args)

    from sarwater.mapping.options import MapOptions
    from sarwater.mapping.scenes import check_outputs, map_scenes
    from sarwater.models.boxed import boxed_model
    from sarwater.models.bundle import load_bundle
    from sarwater.prediction import Predictor
    from sarwater.report.map_charts import draw_map

    options = MapOptions(
        args.threshold,
        overwrite=args.overwrite,
        adapt=args.adapt,
        probability=args.probability,
        polygons=_polygons(args),
        exclude=tuple(args.exclude),
        exclude_as=args.exclude_as,
    )
    check_outputs(sources, args.out, options)
    args.model = args.model or boxed_model()
    if args.dry_run:
        return _estimated(args, sources, options)
    if args.workers is not None or args.scheduler is not None:
        from sarwater.mapping.fleet import map_fleet

        result = map_fleet(
            sources,
            args.model,
            prediction_options(args, args.overlap),
            args.out,
            options,
            workers=1 if args.workers is None else args.workers,
            scheduler=args.scheduler,
            draw=draw_map,
            say=_say,
        )
    else:
        predictor = Predictor(load_bundle(args.model), prediction_options(args, args.overlap))
        result = map_scenes(sources, predictor, args.out, options, draw=draw_map, say=_say)
    summaries = list(result.summaries)
    return Result(
        summaries, lambda: _text(summaries, args.out), _failure(result.failures, len(sources))
    )


def _estimated(
    args: argparse.Namespace, sources: "list[SceneSource]", options: "MapOptions"
) -> Result:
    from sarwater.mapping.estimating import as_json, estimate_scenes
    from sarwater.models.bundle import load_bundle
    from sarwater.prediction import Predictor

    predictor = Predictor(load_bundle(args.model), prediction_options(args, args.overlap))
    found, failures = estimate_scenes(sources, predictor, options)
    return Result(
        as_json(found),
        lambda: _each(found, predictor.engine.name),
        _failure(tuple(failures), len(sources)),
    )


def _each(found: "list[Estimate]", engine: str) -> str:
    lines = []
    for one in found:
        lines.append(
            f"{one.scene}: {one.height} x {one.width} px, {one.windows} windows, about "
            f"{in_words(one.seconds)}, {one.memory_gb:.1f} GB of memory and {one.disk_gb:.2g} GB "
            "of disk while it is mapped"
        )
        lines += [f"  {note}" for note in one.notes]
    total = sum(one.seconds for one in found)
    lines.append(f"all: about {in_words(total)} with {engine}; nothing was written")
    return "\n".join(lines)


def _sources(args: argparse.Namespace) -> "list[SceneSource]":
    from sarwater.mapping.inputs import SceneSource
    from sarwater.mapping.listing import SUFFIXES, read_scenes
    from sarwater.types import Units

    pair = [(name, file) for name, file in (("VV", args.vv), ("VH", args.vh)) if file is not None]
    if bool(pair) == bool(args.scenes):
        args.usage_error("name scenes, or one scene by --vv FILE and --vh FILE")
    if pair and args.bands:
        args.usage_error("--bands names the bands of SCENE; --vv and --vh have names already")
    units = Units(args.units) if args.units else None
    if pair:
        bands, files = zip(*pair, strict=True)
        return [SceneSource(files, bands, units, args.nodata, args.name)]
    bands, sources = args.bands or (), []
    for file in args.scenes:
        if file.suffix.lower() not in SUFFIXES:
            sources.append(SceneSource((file,), bands, units, args.nodata))
            continue
        for one in read_scenes(file):  # which may leave open what the options say
            nodata = args.nodata if one.nodata == "auto" else one.nodata
            named, known = one.bands or bands, one.units or units
            sources.append(replace(one, bands=named, units=known, nodata=nodata))
    if args.name and len(sources) > 1:
        args.usage_error(f"--name is for one scene, found {len(sources)}")
    return [replace(sources[0], name=args.name)] if args.name else sources


def _polygons(args: argparse.Namespace) -> "PolygonOptions | None":
    from sarwater.mapping.options import PolygonOptions

    if args.polygons is None:
        if args.min_area or args.simplify:
            args.usage_error("--min-area and --simplify are of polygons; name --polygons too")
        return None
    return PolygonOptions(args.polygons, args.min_area, args.simplify)


def _threshold(text: str) -> float | str:
    words = ("scene", "model")
    if text in words:
        return text
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a number from 0 to 1, scene or model, found '{text}'{nearest(text, words)}"
        ) from None


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(","))
    if not all(names) or len({name.lower() for name in names}) < len(names):
        raise argparse.ArgumentTypeError(f"expected different names such as VV,VH, found '{text}'")
    return names


def _say(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


def _text(summaries: list[dict[str, Any]], out: Path) -> str:
    if len(summaries) > 1:
        return f"{_table(summaries)}\nin {out}, each with its _summary.json"
    lines = []
    for summary in summaries:
        share = summary["water_share"]
        seen = "no valid pixel" if share is None else f"{share:.1%} of {_area(summary['valid'])}"
        lines.append(
            f"{summary['scene']}: water {_area(summary['water'])} ({seen}), "
            f"no data {_area(summary['no_data'])}, threshold {summary['threshold']:.3g}"
        )
    for summary in summaries:
        lines += [f"  {out / name}" for name in summary["outputs"]]
    return "\n".join(lines)


def _table(summaries: list[dict[str, Any]]) -> str:
    """Set the scenes as a table, and their sum."""
    head = ("scene", "water", "of what was seen", "seen", "no data", "s")
    rows = [
        (
            one["scene"],
            _area(one["water"]),
            "-" if one["water_share"] is None else f"{one['water_share']:.1%}",
            _area(one["valid"]),
            _area(one["no_data"]),
            f"{one['seconds']:.0f}",
        )
        for one in summaries
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = []
    for row in (head, *rows):
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _area(area: dict[str, Any]) -> str:
    return f"{area['pixels']:,} px" if area["km2"] is None else f"{area['km2']:,.2f} km2"


def _failure(
    failures: "tuple[tuple[str, SarwaterError], ...]", scenes: int
) -> "SarwaterError | None":
    """Return the only scene's error, or print each and return one for all."""
    from sarwater.errors import SarwaterError

    if not failures or scenes == 1:
        return failures[0][1] if failures else None
    for title, error in failures:
        print(f"{title}: failed: {error}", file=sys.stderr)
    names = ", ".join(title for title, _ in failures)
    return SarwaterError(
        f"{len(failures)} of {scenes} scenes could not be mapped: {names}; the messages are above"
    )
