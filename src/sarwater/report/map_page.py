"""The page of a mapped scene."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sarwater.raster import short_crs
from sarwater.report.section import BlobStore, Section


def map_section(path: Path, result: Any, _: BlobStore) -> Section:
    """Return the section of a scene's ``_summary.json``."""
    name = path.name.removesuffix("_summary.json")
    if isinstance(result.get("crs"), str):
        result = {**result, "crs": short_crs(result["crs"])}
    facts = [(key.replace("_", " "), _fact(value)) for key, value in _flat(result)]
    return Section("map", name, facts=facts)


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
