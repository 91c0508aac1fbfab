"""Lists of scenes: a CSV table, or a STAC ItemCollection."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from sarwater.datasets.records import check_nodata
from sarwater.errors import DataError, nearest
from sarwater.mapping.inputs import SceneSource
from sarwater.tables import csv_rows
from sarwater.types import Units

SUFFIXES = (".csv", ".json", ".geojson")
"""Of files that list scenes."""

_COLUMNS = ("file", "vv", "vh", "name", "bands", "units", "nodata", "when")
_IMAGES = ("data", "image", "scene")
_RADAR = ("vv", "vh")


def read_scenes(path: Path) -> tuple[SceneSource, ...]:
    """Read a list of scenes; relative paths start at the list's folder.

    A CSV table has a row a scene and the columns ``file``, or ``vv`` and ``vh``; others are
    ``name``, ``bands`` (separated by spaces), ``units``, ``nodata``, ``when`` (ISO 8601). Of a STAC
    ItemCollection each item is a scene: its assets ``vv`` and ``vh`` (in any case of letters), or
    else the one named ``data``, ``image`` or ``scene``, or its only GeoTIFF.

    Raises:
        DataError: the list cannot be read, or names no scene; all wrong rows are named.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {error}; expected a list of scenes") from error
    wrong: list[str] = []
    read = _of_rows if path.suffix.lower() == ".csv" else _of_items
    scenes = list(read(path, text, wrong))
    if wrong:
        raise DataError(f"{path}: " + "; ".join(wrong[:20]))
    if not scenes:
        raise DataError(f"{path} lists no scene")
    return tuple(scenes)


def _of_rows(path: Path, text: str, wrong: list[str]) -> Iterator[SceneSource]:
    try:
        rows = list(csv_rows(text, known=_COLUMNS))
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    for line, row in rows:
        if None in row:
            wrong.append(
                f"line {line}: more cells than columns (separate bands by spaces): {row[None]!r}"  # type: ignore[index]
            )
            continue
        unknown = [name for name in row if name not in _COLUMNS]
        if unknown:
            raise DataError(
                f"{path}: column '{unknown[0]}' is unknown{nearest(unknown[0], _COLUMNS)}; "
                f"expected some of {', '.join(_COLUMNS)}"
            )
        cells = {name: text for name, text in row.items() if text}
        try:
            yield _of_cells(path.parent, cells)
        except ValueError as error:
            wrong.append(f"line {line}: {error}")


def _of_cells(folder: Path, cells: Mapping[str, str]) -> SceneSource:
    radar = [name for name in _RADAR if name in cells]
    if ("file" in cells) == bool(radar):
        raise ValueError("name a file, or one by vv and one by vh")
    if "file" in cells:
        files: tuple[Path, ...] = (folder / cells["file"],)
        bands = tuple(cells.get("bands", "").split())
    else:
        files = tuple(folder / cells[name] for name in radar)
        bands = tuple(name.upper() for name in radar)
    units = cells.get("units")
    if units and units not in {one.value for one in Units}:
        raise ValueError(f"units '{units}'{nearest(units, tuple(Units))} are unknown")
    nodata = cells.get("nodata", "auto")
    check_nodata(nodata)
    return SceneSource(
        files,
        bands,
        Units(units) if units else None,
        nodata,
        cells.get("name", ""),
        _time(cells.get("when")),
    )


def _of_items(path: Path, text: str, wrong: list[str]) -> Iterator[SceneSource]:
    try:
        content = json.loads(text)
        features = content["features"] if content["type"] == "FeatureCollection" else [content]
        items = [(item["id"], item["assets"], item["properties"]) for item in features]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is neither a STAC item nor an ItemCollection ({error!r}); expected a "
            "FeatureCollection whose features have id, assets and properties"
        ) from error
    for name, assets, properties in items:
        try:
            files, bands = _assets(path.parent, assets)
            when = _time(properties.get("datetime") or properties.get("start_datetime"))
            yield SceneSource(files, bands, name=str(name), when=when)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            wrong.append(f"item '{name}': {error}")


def _assets(
    folder: Path, assets: Mapping[str, Mapping[str, Any]]
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    hrefs = {name.lower(): str(asset["href"]) for name, asset in assets.items()}
    radar = [name for name in _RADAR if name in hrefs]
    if radar:
        return tuple(_local(folder, hrefs[name]) for name in radar), tuple(map(str.upper, radar))
    images = [name for name in _IMAGES if name in hrefs]
    images = images or [n for n, href in hrefs.items() if href.lower().endswith((".tif", ".tiff"))]
    if len(images) != 1:
        raise ValueError(
            f"expected assets vv and vh, or one image, found {', '.join(hrefs) or 'none'}"
        )
    return (_local(folder, hrefs[images[0]]),), ()


def _local(folder: Path, href: str) -> Path:
    parts = urlparse(href)
    if parts.scheme not in ("", "file"):
        raise ValueError(f"{href} is not on this machine; download it first")
    return folder / unquote(parts.path)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)
