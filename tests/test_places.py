"""Places that cannot be true are none; those that can be are followed."""

import math
import warnings

import numpy as np
import pytest
import rasterio
from affine import Affine

from sarwater.raster import Scene, lonlat_bounds, pixel_area, read_header
from sarwater.types import Grid
from tests.conftest import CRS, PLACE, TifMaker

IMAGE = np.full((1, 20, 30), -10, np.float32)
DEGREES = Affine(0.001, 0, 14.9, 0, -0.001, 52.1)


@pytest.mark.parametrize(
    ("crs", "place", "said"),
    [
        (CRS, Affine.identity(), "EPSG:32631, but no coordinates"),
        ("EPSG:4326", Affine.identity(), "EPSG:4326, but no coordinates"),
        (CRS, Affine(0, 0, 5e5, 0, 0, 5e6), "no area in EPSG:32631"),
        (CRS, Affine(10, 0, math.nan, 0, -10, 5e6), "no area in EPSG:32631"),
    ],
)
def test_a_place_that_cannot_be_true_is_none(
    crs: str, place: Affine, said: str, make_tif: TifMaker
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        file = make_tif("a.tif", IMAGE, crs=crs, transform=place)
    header = read_header(file)
    assert said in header.misplaced
    assert header.grid == Grid(20, 30)
    assert lonlat_bounds(header.grid) is None
    assert pixel_area(header.grid) is None
    with Scene([file], bands=("VV",)) as scene:
        assert scene.misplaced == header.misplaced


@pytest.mark.parametrize(
    ("crs", "place"),
    [
        (CRS, PLACE),
        (CRS, PLACE @ Affine.rotation(30)),
        (CRS, Affine(10, 0, 1.2e6, 0, -10, 5e6)),  # far out of its zone, as wide swaths reach
        ("EPSG:4326", DEGREES),
        ("EPSG:4326", Affine(12, 0, -180 - 6, 0, -9.5, 90 + 4.75)),  # the globe by pixel centers
        ("EPSG:4326", Affine(0.001, 0, 359.9, 0, -0.001, 10)),  # degrees from 0 to 360
        ("EPSG:3413", Affine(500, 0, -1e4, 0, -500, 1e4)),  # over the pole
    ],
)
def test_a_place_on_earth_is_followed(crs: str, place: Affine, make_tif: TifMaker) -> None:
    header = read_header(make_tif("a.tif", IMAGE, crs=crs, transform=place))
    assert header.misplaced == ""
    assert header.grid.transform == place
    area = pixel_area(header.grid)
    assert area is not None
    assert area >= 0


def test_without_a_crs_nothing_is_wrong(make_tif: TifMaker) -> None:
    header = read_header(make_tif("a.tif", IMAGE))
    assert (header.misplaced, header.grid.crs) == ("", None)


def test_the_row_at_a_pole_has_no_negative_area() -> None:
    beyond = Grid(1, 2, Affine(1, 0, 0, 0, -1, 91), "EPSG:4326")
    assert pixel_area(beyond) == 0
