"""Polygons against the pixels they came from, SciPy's labels, and areas known otherwise."""

import contextlib
import sqlite3
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from sarwater.errors import ConfigError
from sarwater.mapping import polygons
from sarwater.mapping.options import FORMATS, PolygonOptions
from sarwater.mapping.polygons import trace, water_polygons, write_polygons
from sarwater.types import ByteArray, Grid
from tests.conftest import CRS, PLACE

CLASSES = ("land", "river", "flood")


def reader(classes: ByteArray) -> polygons.ReadClasses:
    return lambda row, rows: classes[row : row + rows]


def random_classes(seed: int, height: int, width: int) -> ByteArray:
    """Blobs of all sizes, of two classes that touch each other, and no data."""
    random = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(random.normal(size=(height, width)), random.uniform(0, 2))
    classes: ByteArray = (smooth > 0).astype(np.uint8)
    classes += ((random.random((height, width)) > 0.7) & (classes > 0)).astype(np.uint8)
    classes[random.random((height, width)) > 0.97] = 255
    return classes


@given(st.integers(0, 10_000), st.integers(1, 45), st.integers(1, 30), st.integers(1, 12))
def test_bodies_are_the_connected_pixels_however_they_are_cut(
    seed: int, height: int, width: int, rows: int
) -> None:
    classes = random_classes(seed, height, width)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(polygons, "_ROWS", rows)
        found = list(trace(reader(classes), height, (1, 2)))
    expected = sorted(
        (code, int(size))
        for code in (1, 2)
        for size in np.bincount(ndimage.label(classes == code)[0].ravel())[1:]
    )
    assert sorted((code, pixels) for code, pixels, _ in found) == expected
    again = np.zeros_like(classes)
    for code, pixels, outline in found:
        assert outline.is_valid
        assert outline.area == pytest.approx(pixels)
        again[rasterio.features.rasterize([outline], (height, width)) > 0] = code
    np.testing.assert_array_equal(again, np.where(classes == 255, 0, classes))


def test_seams_leave_no_vertices() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(polygons, "_ROWS", 3)
        ((_, _, outline),) = trace(reader(np.ones((10, 4), np.uint8)), 10, (1,))
    assert len(outline.exterior.coords) == 5


def test_small_bodies_are_left_out_by_their_whole_area() -> None:
    classes = np.zeros((9, 5), np.uint8)
    classes[:, 1] = 1  # 9 px over three strips
    classes[4, 3:] = 1  # 2 px
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(polygons, "_ROWS", 3)
        found = water_polygons(
            reader(classes), Grid(9, 5, PLACE, CRS), ("land", "water"), PolygonOptions("gpkg", 900)
        )
    assert found["pixels"].tolist() == [9]


def test_areas_are_those_on_the_ellipsoid() -> None:
    """One degree by one degree at the equator, and a utm square near its central meridian."""
    degree = rasterio.Affine(0.1, 0, 10, 0, -0.1, 1)
    classes = np.ones((10, 10), np.uint8)
    found = water_polygons(
        reader(classes), Grid(10, 10, degree, "EPSG:4326"), CLASSES, PolygonOptions()
    )
    assert found["area_m2"][0] == pytest.approx(12_308.8e6, rel=1e-4)  # published for this cell
    utm = rasterio.Affine(10, 0, 500_000, 0, -10, 4_000_000)
    found = water_polygons(
        reader(classes), Grid(10, 10, utm, "EPSG:32631"), CLASSES, PolygonOptions()
    )
    # The scale is .9996 on the central meridian, in both directions.
    assert found["area_m2"][0] == pytest.approx(100 * 100 / 0.9996**2, rel=1e-5)


def test_the_largest_comes_first_and_classes_are_named() -> None:
    classes = np.array([[1, 1, 0, 2, 2, 2]], np.uint8)
    found = water_polygons(reader(classes), Grid(1, 6, PLACE, CRS), CLASSES, PolygonOptions())
    assert found["class"].tolist() == ["flood", "river"]
    assert found.crs.to_epsg() == 32631
    corner = PLACE @ (3, 1)
    assert found.geometry[0].bounds[:2] == corner


def test_simplifying_moves_shores_by_no_more_than_that() -> None:
    classes = random_classes(3, 60, 60)
    grid = Grid(60, 60, PLACE, CRS)
    exact = water_polygons(reader(classes), grid, CLASSES, PolygonOptions("gpkg", 2000))
    rough = water_polygons(reader(classes), grid, CLASSES, PolygonOptions("gpkg", 2000, 25))
    assert rough["area_m2"].tolist() == exact["area_m2"].tolist()
    vertices = shapely.get_num_coordinates
    assert vertices(rough.geometry.to_numpy()).sum() < vertices(exact.geometry.to_numpy()).sum()
    for one, other in zip(exact.geometry, rough.geometry, strict=True):
        assert other.is_valid
        assert one.boundary.hausdorff_distance(other.boundary) <= 25 + 1e-6


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("crs", [CRS, None])
@pytest.mark.parametrize("is_empty", [False, True])
def test_files_hold_what_was_found(
    suffix: str, crs: str | None, is_empty: bool, tmp_path: Path
) -> None:
    classes = np.zeros((30, 40), np.uint8) if is_empty else random_classes(1, 30, 40)
    grid = Grid(30, 40, PLACE, CRS) if crs else Grid(30, 40)
    found = water_polygons(reader(classes), grid, CLASSES, PolygonOptions(suffix))
    path = tmp_path / f"a_water.{suffix}"
    write_polygons(path, found)
    read = geopandas.read_parquet if suffix == "parquet" else geopandas.read_file
    again = read(path)
    assert len(again) == len(found)
    assert (len(again) == 0) == is_empty
    assert (again.crs is None) == (crs is None)
    assert sorted(again["pixels"]) == sorted(found["pixels"])
    if crs and not is_empty:
        assert sorted(again["area_m2"]) == pytest.approx(sorted(found["area_m2"]))
    assert again.area.sum() == pytest.approx(found.area.sum())


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("name", ["semi;colon", "a!b", "C:x", "#h&", "a?b", "100%s %d", "\u6c34"])
def test_files_of_any_name_are_written(name: str, suffix: str, tmp_path: Path) -> None:
    grid = Grid(30, 40, PLACE, CRS)
    found = water_polygons(reader(random_classes(1, 30, 40)), grid, CLASSES, PolygonOptions())
    folder = tmp_path / name
    folder.mkdir()
    write_polygons(folder / f"{name}.{suffix}", found)
    assert [file.name for file in folder.iterdir()] == [f"{name}.{suffix}"]
    plain = (folder / f"{name}.{suffix}").rename(tmp_path / f"plain.{suffix}")
    read = geopandas.read_parquet if suffix == "parquet" else geopandas.read_file
    assert len(read(plain)) == len(found)


def test_a_geopackage_is_of_a_version_that_older_programs_know(tmp_path: Path) -> None:
    """GDAL before 3.7, as in QGIS 3.22, warns of version 1.4."""
    path = tmp_path / "a.gpkg"
    grid = Grid(30, 40, PLACE, CRS)
    found = water_polygons(reader(random_classes(1, 30, 40)), grid, CLASSES, PolygonOptions())
    write_polygons(path, found)
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (10200,)


def test_everything_wrong_with_the_options_is_named() -> None:
    with pytest.raises(ConfigError, match=r"found 'shp'; min_area: .* -1; simplify: .* nan"):
        PolygonOptions("shp", -1, float("nan"))
