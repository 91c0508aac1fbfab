"""The page of a mapped scene."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sarwater.evaluation.files import three_digits
from sarwater.palette import class_color
from sarwater.raster import short_crs
from sarwater.report.gallery import STEPS, Gallery
from sarwater.report.map_polygons import read_polygons
from sarwater.report.section import BlobStore, Section

_NO_PICTURES = (
    "The map has no pictures for a report: map the scene with `sarwater map`, or from Python with "
    "draw=draw_map."
)


def map_section(path: Path, result: Any, store: BlobStore) -> Section:
    """Return the section of a scene's ``_summary.json`` and what lies beside it."""
    name = path.name.removesuffix("_summary.json")
    if isinstance(result.get("crs"), str):
        result = {**result, "crs": short_crs(result["crs"])}
    picture = _picture(path.with_name(f"{name}_pictures.zip"), store)
    classes = list(result.get("classes") or {})
    return Section(
        "map",
        name,
        summary=_summary(result),
        facts=_facts(result),
        remarks=[
            *result.get("notes", []),
            *([] if picture else [_NO_PICTURES]),
        ],
        data={
            "details": [(key.replace("_", " "), _fact(value)) for key, value in _flat(result)],
            "areas": _areas(result),
            "classes": [{"name": one, "color": class_color(i)} for i, one in enumerate(classes)],
            "threshold": result.get("threshold"),
            "steps": STEPS,
            "picture": picture,
            "polygons": _polygons(path.parent, name, result, picture),
        },
    )


def _polygons(
    folder: Path, name: str, result: Mapping[str, Any], picture: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    if picture is None:
        return None
    return read_polygons(folder, name, result.get("outputs", []), picture["step"])


def _picture(path: Path, store: BlobStore) -> dict[str, Any] | None:
    """Return the layers of the scene; None where a map of an earlier version has none."""
    if not path.is_file():
        return None
    with Gallery(path) as gallery:
        (one,) = gallery.chips
        image, maps = gallery.pictures(0)
    return {**one, "image": store.add(image), "maps": store.add(maps)}


def _summary(result: Any) -> str:
    if not {"width", "height"} <= set(result):
        return ""
    place = f", {result['crs']}" if result.get("crs") else ""
    return f"{result['width']:,} × {result['height']:,} pixels{place}"


def _facts(result: Any) -> list[tuple[str, str]]:
    facts = []
    water = result.get("water")
    if isinstance(water, Mapping):
        if water.get("km2") is not None:
            facts.append(("water", f"{water['km2']:,.2f} km²"))
        elif water.get("pixels") is not None:
            facts.append(("water", f"{water['pixels']:,} px"))
    if result.get("water_share") is not None:
        facts.append(("share of the valid area", f"{result['water_share']:.1%}"))
    if result.get("threshold") is not None:
        facts.append(("threshold", three_digits(result["threshold"])))
    if result.get("seconds") is not None:
        facts.append(("time", f"{result['seconds']:.1f} s"))
    return facts


def _areas(result: Any) -> list[tuple[str, str, str]]:
    """Return name, pixels and square kilometres of each class, of all valid and of no data."""
    parts = {**(result.get("classes") or {})}
    parts |= {
        name.replace("_", " "): result[name] for name in ("valid", "no_data") if name in result
    }
    return [
        (
            name,
            f"{part['pixels']:,}",
            "-" if part.get("km2") is None else f"{part['km2']:,.3f}",
        )
        for name, part in parts.items()
    ]


def _flat(result: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in result.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{key} ")
        elif isinstance(value, str | int | float) or value is None:
            pairs.append((prefix + key, value))
    return pairs


def _fact(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)
