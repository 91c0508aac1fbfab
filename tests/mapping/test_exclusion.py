"""What is left out of a map."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from sarwater.errors import DataError, RasterError
from sarwater.mapping.exclusion import Exclusion
from sarwater.mapping.outputs import MappedRows
from sarwater.types import AnyArray, Grid
from tests.conftest import CRS, PLACE, TifMaker

GRID = Grid(6, 4, PLACE, CRS)


def rows(row: int = 0, count: int = 6, dtype: str = "uint8") -> MappedRows:
    classes = np.tile(np.array([0, 1, 1, 255], np.uint8), (count, 1))
    missing = 255 if dtype == "uint8" else np.nan
    water = np.tile(np.array([10, 200, 240, missing], dtype), (count, 1))
    return MappedRows(row, classes, water)


def shadow() -> AnyArray:
    image = np.zeros((1, 6, 4), np.float32)
    image[0, 2, 1] = 1
    image[0, 3, :] = -7
    image[0, 4, 0] = np.nan
    return image


def test_pixels_become_no_data(make_tif: TifMaker) -> None:
    file = make_tif("shadow.tif", shadow(), crs=CRS)
    for dtype in ("uint8", "float32"):
        with Exclusion([file], GRID) as exclusion:
            found = exclusion.applied(rows(dtype=dtype))
        out = np.isfinite(shadow()[0]) & (shadow()[0] != 0)
        np.testing.assert_array_equal(found.classes, np.where(out, 255, rows().classes))
        missing = 255 if dtype == "uint8" else np.nan
        np.testing.assert_array_equal(found.water, np.where(out, missing, rows(dtype=dtype).water))


def test_pixels_become_a_class_but_for_no_data(make_tif: TifMaker) -> None:
    file = make_tif("shadow.tif", shadow(), crs=CRS)
    with Exclusion([file], GRID, 2) as exclusion:
        found = exclusion.applied(rows())
    assert found.classes[2].tolist() == [0, 2, 1, 255]
    assert found.classes[3].tolist() == [2, 2, 2, 255]
    np.testing.assert_array_equal(found.water, rows().water)


def test_rows_are_those_of_the_strip(make_tif: TifMaker) -> None:
    file = make_tif("shadow.tif", shadow(), crs=CRS)
    with Exclusion([file], GRID) as exclusion:
        assert exclusion.applied(rows(2, 1)).classes[0].tolist() == [0, 255, 1, 255]
        assert exclusion.applied(rows(5, 1)).classes[0].tolist() == [0, 1, 1, 255]


def test_several_files_add_up_and_none_changes_nothing(make_tif: TifMaker) -> None:
    other = np.zeros((1, 6, 4), np.uint8)
    other[0, 0, 0] = 9
    files = [make_tif("a.tif", shadow(), crs=CRS), make_tif("b.tif", other, crs=CRS)]
    with Exclusion(files, GRID) as exclusion:
        found = exclusion.applied(rows())
    assert found.classes[0, 0] == found.classes[2, 1] == 255
    with Exclusion([], GRID) as nothing:
        assert nothing.applied(rows()).classes is not None
        np.testing.assert_array_equal(nothing.applied(rows()).classes, rows().classes)


def test_another_grid_is_laid_on_the_scenes(make_tif: TifMaker) -> None:
    """Pixels twice as wide, begun two columns to the left; what it does not cover stays."""
    wide = np.zeros((1, 2, 3), np.uint8)
    wide[0, 1, 1] = 1
    transform = PLACE @ rasterio.Affine.translation(-2, 0) @ rasterio.Affine.scale(2)
    file = make_tif("wide.tif", wide, crs=CRS, transform=transform)
    with Exclusion([file], GRID) as exclusion:
        found = exclusion.applied(rows())
    expected = rows().classes.copy()
    expected[2:4, 0:2] = 255
    np.testing.assert_array_equal(found.classes, expected)


def test_another_crs_is_laid_on_the_scenes(make_tif: TifMaker) -> None:
    west, south, east, north = rasterio.warp.transform_bounds(
        CRS, "EPSG:4326", *rasterio.transform.array_bounds(6, 4, PLACE)
    )
    step_x, step_y = (east - west + 0.2) / 10, (north - south + 0.2) / 10
    everything = rasterio.Affine(step_x, 0, west - 0.1, 0, -step_y, north + 0.1)
    file = make_tif(
        "degrees.tif", np.ones((1, 10, 10), np.uint8), crs="EPSG:4326", transform=everything
    )
    with Exclusion([file], GRID) as exclusion:
        assert (exclusion.applied(rows()).classes == 255).all()


def test_what_does_not_fit_is_named(make_tif: TifMaker, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"two\.tif has 2 bands"):
        Exclusion([make_tif("two.tif", np.ones((2, 6, 4), np.uint8), crs=CRS)], GRID)
    with pytest.raises(DataError, match=r"bare\.tif \(5 x 4 px\) cannot be laid"):
        Exclusion([make_tif("bare.tif", np.ones((1, 5, 4), np.uint8))], GRID)
    with pytest.raises(RasterError, match="no such file"):
        Exclusion([tmp_path / "gone.tif"], GRID)
