"""What looks like no data that nobody declared is said, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from sarwater.mapping.plausibility import undeclared_nodata
from sarwater.raster import Scene
from sarwater.types import FloatArray, Units
from tests.conftest import CRS, TifMaker

BANDS = ("VV", "VH")


def backscatter(units: Units = Units.DB) -> FloatArray:
    values = np.random.default_rng(2).uniform(-25, 0, (2, 80, 100))
    return (values if units == Units.DB else 10 ** (values / 10)).astype(np.float32)


def said(file: Path, units: Units = Units.DB, nodata: str = "auto") -> list[str]:
    with Scene([file], bands=BANDS, units=units, nodata=nodata) as scene:
        return list(undeclared_nodata(scene, units, [0, 1]))


@pytest.mark.parametrize(
    ("value", "units"), [(0, Units.DB), (0, Units.LINEAR), (-30.5, Units.DB), (0, Units.AMPLITUDE)]
)
def test_one_value_over_much_of_a_scene_is_named_with_its_rule(
    value: float, units: Units, make_tif: TifMaker
) -> None:
    image = backscatter(units)
    image[:, :, :20] = value
    file = make_tif("s.tif", image)
    (note,) = said(file, units)
    assert note.startswith(f"20% of the pixels are exactly {float(value)} in all bands")
    rule = note.rpartition("--nodata=")[2].rstrip(")")
    assert said(file, units, rule) == []


@pytest.mark.parametrize("value", [-9999, -3.4028234663852886e38, -9999.9, 1e20])
def test_values_that_the_units_cannot_hold_are_named_with_their_rule(
    value: float, make_tif: TifMaker
) -> None:
    image = backscatter()
    image[1, :, :4] = value
    file = make_tif("s.tif", image)
    (note,) = said(file)
    assert note.startswith("2.0% of the values lie outside -80 ... 50")
    rule = note.rpartition("--nodata=")[2].rstrip(")")
    assert said(file, nodata=rule) == []


def test_values_of_other_units_are_not_taken_for_no_data(make_tif: TifMaker) -> None:
    (note,) = said(make_tif("s.tif", backscatter() * 10))
    assert "--units" in note
    assert "--nodata" not in note


@pytest.mark.parametrize("kind", ["one band", "few", "declared", "bytes", "backscatter"])
def test_what_is_backscatter_is_not(kind: str, make_tif: TifMaker) -> None:
    image, nodata, units = backscatter(), None, Units.DB
    if kind == "one band":  # noise that was taken off
        image[1, :, :20] = -50
    elif kind == "few":
        image[:, :, :4] = 0
        image[0, :4, 4] = -9999
    elif kind == "declared":
        image[:, :, :20] = nodata = -9999
    elif kind == "bytes":  # dark water
        image, units = np.zeros((2, 80, 100), np.uint8), Units.BYTE
        image[:, :, 20:] = 40
    assert said(make_tif("s.tif", image, nodata=nodata), units) == []


def test_stored_numbers_are_asked_for_where_a_scale_is_declared(make_tif: TifMaker) -> None:
    image = (backscatter() * 100).astype(np.int16)
    image[:, :, :20] = -32768
    file = make_tif("s.tif", image, crs=CRS)
    with rasterio.open(file, "r+") as dataset:
        dataset.scales = (0.01, 0.01)
    (note,) = said(file)
    assert "--nodata and the number that is stored" in note


def test_a_scene_without_a_valid_pixel_is_silent(make_tif: TifMaker) -> None:
    assert said(make_tif("s.tif", np.full((2, 8, 8), np.nan, np.float32))) == []
