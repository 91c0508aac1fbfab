"""A map as a STAC item, so that catalogues and browsers find it."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyproj
import pystac

from sarwater import __version__
from sarwater.raster import lonlat_bounds
from sarwater.types import Grid

_TIME = re.compile(r"(?<!\d)(\d{8})[Tt_]?(\d{6})(?!\d)")
"""An acquisition time in a name, such as that of a Sentinel-1 product."""

_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)-?(\d\d)-?(\d\d)(?!\d)")

_MEDIA = {
    ".tif": pystac.MediaType.COG,
    ".png": pystac.MediaType.PNG,
    ".json": pystac.MediaType.JSON,
    ".gpkg": pystac.MediaType.GEOPACKAGE,
    ".fgb": pystac.MediaType.FLATGEOBUF,
    ".parquet": pystac.MediaType.PARQUET,
    ".zip": "application/zip",
    ".qml": "application/xml",
}

_ROLES = {
    "water": ["data"],
    "probability": ["data"],
    "polygons": ["data"],
    "water_style": ["style"],
    "probability_style": ["style"],
    "quicklook": ["thumbnail"],
    "pictures": ["overview"],
    "summary": ["metadata"],
}


def acquired(names: Sequence[str]) -> datetime | None:
    """Return the first time that stands in a file's name, or None.

    >>> acquired(["S1A_IW_GRDH_1SDV_20170314T115609_20170314T115634_015690.tif"]).isoformat()
    '2017-03-14T11:56:09+00:00'
    >>> acquired(["flood_2021-07-15.tif"]).isoformat()
    '2021-07-15T00:00:00+00:00'
    >>> acquired(["scene_00000001.tif"]) is None
    True
    """
    for name in names:
        for pattern, form in ((_TIME, "%Y%m%d%H%M%S"), (_DAY, "%Y%m%d")):
            for found in pattern.finditer(name):
                try:
                    return datetime.strptime("".join(found.groups()), form).replace(tzinfo=UTC)
                except ValueError:  # digits that are no date
                    continue
    return None


def map_item(
    name: str,
    grid: Grid,
    assets: Mapping[str, Path],
    tags: Mapping[str, str],
    summary: Mapping[str, Any],
    when: datetime | None,
) -> dict[str, Any]:
    """Describe a map as a STAC item (1.1, with the projection extension).

    Args:
        name: of the scene; the item's id.
        grid: of the map.
        assets: files by kind; the item stands beside them.
        tags: of provenance.
        summary: of the map: ``threshold``, ``water_share`` and when it was ``created``.
        when: the scene was taken; None leaves the time of mapping, and says so.

    Returns:
        A GeoJSON feature. Without a CRS it has no geometry.
    """
    bounds = lonlat_bounds(grid)
    properties: dict[str, Any] = {
        "created": summary["created"],
        "sarwater:model": tags["MODEL"],
        "sarwater:model_sha256": tags["MODEL_HASH"],
        "sarwater:threshold": summary["threshold"],
        "sarwater:water_share": summary["water_share"],
        "sarwater:version": __version__,
        "proj:shape": [grid.height, grid.width],
        "proj:transform": list(grid.transform)[:6],
        **_projection(grid),
    }
    if when is None:
        properties["sarwater:datetime_is"] = "when the map was made: the scene's is not known"
    item = pystac.Item(
        name,
        None if bounds is None else _box(*bounds),
        None if bounds is None else list(bounds),
        when or datetime.fromisoformat(summary["created"]),
        properties,
        stac_extensions=["https://stac-extensions.github.io/projection/v2.0.0/schema.json"],
    )
    for kind, path in assets.items():
        item.add_asset(
            kind,
            pystac.Asset(
                f"./{path.name}",
                title=kind,
                media_type=_MEDIA.get(path.suffix),
                roles=_ROLES.get(kind),
            ),
        )
    item_dict: dict[str, Any] = item.to_dict(include_self_link=False, transform_hrefs=False)
    return item_dict


def utc_text(when: datetime) -> str:
    """Return a time as STAC and RFC 3339 write it, in whole seconds.

    >>> utc_text(datetime(2017, 8, 12, 6, 13, 30, 500_000, tzinfo=UTC))
    '2017-08-12T06:13:30Z'
    """
    return when.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _projection(grid: Grid) -> dict[str, Any]:
    if grid.crs is None:
        return {"proj:code": None}
    crs = pyproj.CRS.from_user_input(grid.crs)
    authority = crs.to_authority()
    if authority:
        return {"proj:code": ":".join(authority)}
    return {"proj:code": None, "proj:wkt2": crs.to_wkt("WKT2_2019")}


def _box(west: float, south: float, east: float, north: float) -> dict[str, Any]:
    """Return a box as GeoJSON has it, cut in two where it lies across 180 degrees."""
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    rings = [
        [[[left, south], [right, south], [right, north], [left, north], [left, south]]]
        for left, right in spans
    ]
    if len(rings) > 1:
        return {"type": "MultiPolygon", "coordinates": rings}
    return {"type": "Polygon", "coordinates": rings[0]}
