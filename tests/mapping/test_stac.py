"""STAC items against the published schema and the files they describe."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pystac.validation
import pytest
import rasterio

from sarwater.mapping.stac import acquired, map_item
from sarwater.types import Grid
from tests.conftest import CRS, PLACE

WHEN = datetime(2017, 3, 14, 11, 56, 9, tzinfo=UTC)


def item(grid: Grid, when: datetime | None = WHEN) -> dict[str, Any]:
    names = {"water": "a_water.tif", "polygons": "a_water.gpkg", "quicklook": "a_quicklook.png"}
    assets = {kind: Path(name) for kind, name in names.items()}
    tags = {"MODEL": "m.safetensors", "MODEL_HASH": "ab"}
    summary = {"threshold": 0.4, "water_share": None, "created": "2026-01-02T03:04:05Z"}
    return map_item("a", grid, assets, tags, summary, when)


def validate(found: dict[str, Any]) -> None:
    """By the schema of the core that pystac brings; those of extensions lie on the net."""
    core = copy.deepcopy(found) | {"stac_extensions": []}
    assert pystac.validation.validate_dict(core)


@pytest.mark.parametrize("grid", [Grid(30, 20, PLACE, CRS), Grid(30, 20)])
@pytest.mark.parametrize("when", [WHEN, None])
def test_items_are_valid(grid: Grid, when: datetime | None) -> None:
    found = item(grid, when)
    validate(found)
    assert json.loads(json.dumps(found)) == found


def test_an_invalid_item_would_be_found() -> None:
    with pytest.raises(pystac.errors.STACValidationError):
        validate(item(Grid(30, 20, PLACE, CRS)) | {"bbox": None})


def test_place_and_time_are_those_of_the_scene() -> None:
    found = item(Grid(30, 20, PLACE, CRS))
    expected = rasterio.warp.transform_bounds(
        CRS, "EPSG:4326", *rasterio.transform.array_bounds(30, 20, PLACE)
    )
    assert found["bbox"] == pytest.approx(list(expected), abs=1e-6)
    assert found["properties"]["datetime"] == "2017-03-14T11:56:09Z"
    assert found["properties"]["proj:code"] == "EPSG:32631"
    assert found["properties"]["proj:shape"] == [30, 20]
    assert rasterio.Affine(*found["properties"]["proj:transform"]) == PLACE
    assert found["assets"]["water"]["href"] == "./a_water.tif"
    assert "profile=cloud-optimized" in found["assets"]["water"]["type"]


def test_an_unknown_time_is_said() -> None:
    found = item(Grid(30, 20, PLACE, CRS), None)
    assert "not known" in found["properties"]["sarwater:datetime_is"]
    assert found["properties"]["datetime"] == found["properties"]["created"]


def test_a_crs_without_a_code_is_written_out() -> None:
    own = "+proj=laea +lat_0=10 +lon_0=20 +datum=WGS84 +units=m"
    found = item(Grid(30, 20, PLACE, rasterio.crs.CRS.from_string(own).to_wkt()))
    assert found["properties"]["proj:code"] is None
    assert found["properties"]["proj:wkt2"].startswith("PROJCRS")
    validate(found)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["s1_20190302t234651.tif"], datetime(2019, 3, 2, 23, 46, 51, tzinfo=UTC)),
        (["a.tif", "S1B_20190302T234651_vv.tif"], datetime(2019, 3, 2, 23, 46, 51, tzinfo=UTC)),
        (["x_20191302T234651_20190303T000000.tif"], datetime(2019, 3, 3, tzinfo=UTC)),
        (["tile_12345678901234567.tif"], None),
    ],
)
def test_times_in_names(names: list[str], expected: datetime | None) -> None:
    assert acquired(names) == expected


def test_a_scene_across_180_degrees_is_cut_there() -> None:
    """As RFC 7946 asks: the box goes from west to east, and so does each part."""
    place = rasterio.Affine(1000, 0, 160_000, 0, -1000, 8_200_000)
    found = item(Grid(200, 120, place, "EPSG:32701"))
    west, south, east, north = found["bbox"]
    assert west > 170
    assert east < -170
    assert found["geometry"]["type"] == "MultiPolygon"
    parts = [np.array(part[0]) for part in found["geometry"]["coordinates"]]
    assert [(p[:, 0].min(), p[:, 0].max()) for p in parts] == [(west, 180), (-180, east)]
    assert all((p[:, 1].min(), p[:, 1].max()) == (south, north) for p in parts)
    validate(found)
