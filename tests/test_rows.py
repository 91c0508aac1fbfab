"""Rasters written by rows, and the cloud-optimized ones that they become."""

import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rio_cogeo.cogeo import cog_validate

from sarwater.errors import OutputError
from sarwater.raster import Layer, create_rows, opened_rows, write_cog
from sarwater.types import AnyArray, Grid
from tests.conftest import CRS, PLACE, small_disk

CLASSES = Layer(
    "class",
    "uint8",
    255,
    "nearest",
    colors={0: (1, 2, 3, 255), 1: (4, 5, 6, 255), 255: (0, 0, 0, 0)},
    tags={"MODEL": "m"},
)
BYTES = Layer("water probability", "uint8", 255, "average", scale=0.004)
FLOATS = Layer("water probability", "float32", math.nan, "average")
LAYERS = {"classes": CLASSES, "bytes": BYTES, "floats": FLOATS}


def content(layer: Layer, height: int, width: int) -> AnyArray:
    values = np.random.default_rng(height).integers(0, 2, (height, width))
    return (values * (1 if layer is CLASSES else 200)).astype(layer.dtype)


@pytest.mark.parametrize("name", LAYERS)
def test_rows_are_written_in_any_order_and_the_file_is_whole_at_any_moment(
    name: str, tmp_path: Path
) -> None:
    layer, path = LAYERS[name], tmp_path / "rows.tif"
    create_rows(path, Grid(50, 30, PLACE, CRS), layer)
    expected = np.full((50, 30), layer.nodata).astype(layer.dtype)
    values = content(layer, 50, 30)
    with opened_rows(path) as rows:
        for first, end in ((20, 33), (0, 1), (49, 50), (5, 20)):
            rows.write(first, values[first:end])
            expected[first:end] = values[first:end]
            rows.sync()
            with rasterio.open(path) as dataset:
                np.testing.assert_array_equal(dataset.read(1), expected)
        np.testing.assert_array_equal(rows.read(3, 40), expected[3:43])


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (512, 512), (513, 40), (1300, 2100)])
@pytest.mark.parametrize("crs", [CRS, None])
def test_cloud_optimized_files_are_valid_and_hold_the_rows(
    name: str, height: int, width: int, crs: str | None, tmp_path: Path
) -> None:
    layer = LAYERS[name]
    grid = Grid(height, width, PLACE, crs) if crs else Grid(height, width)
    values = content(layer, height, width)
    outputs = [tmp_path / "a.tif", tmp_path / "b.tif"]
    for number, path in enumerate(outputs):
        source = tmp_path / f"rows{number}.tif"
        create_rows(source, grid, layer)
        with opened_rows(source) as rows:
            rows.write(0, values)
        write_cog(source, path, layer)
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        is_valid, errors, remarks = cog_validate(outputs[0], strict=True, quiet=True)
        assert (is_valid, errors, remarks) == (True, [], [])
        with rasterio.open(outputs[0]) as dataset:
            np.testing.assert_array_equal(dataset.read(1), values)
            assert dataset.descriptions == (layer.name,)
            assert dataset.nodata == pytest.approx(layer.nodata, nan_ok=True)
            assert dataset.scales == (layer.scale,)
            assert (dataset.crs is None) == (crs is None)
            assert bool(dataset.overviews(1)) == (max(height, width) > 512)
            if layer is CLASSES:
                assert dataset.colormap(1)[1] == (4, 5, 6, 255)
                assert dataset.tags()["MODEL"] == "m"


def test_overviews_of_classes_hold_classes_and_no_data_does_not_count(tmp_path: Path) -> None:
    values = np.zeros((1024, 1024), np.uint8)
    values[:, ::2] = 200
    values[:512] = 255
    for name, layer in (("c", CLASSES), ("p", BYTES)):
        source = tmp_path / f"{name}_rows.tif"
        create_rows(source, Grid(1024, 1024, PLACE, CRS), layer)
        with opened_rows(source) as rows:
            rows.write(0, values if layer is BYTES else np.minimum(values, 1))
        write_cog(source, tmp_path / f"{name}.tif", layer)
    with rasterio.open(tmp_path / "c.tif", overview_level=0) as dataset:
        assert set(np.unique(dataset.read(1))) <= {0, 1, 255}
    with rasterio.open(tmp_path / "p.tif", overview_level=0) as dataset:
        assert (dataset.read(1)[:250] == 255).all()
        assert (dataset.read(1)[260:] == 100).all()


@pytest.mark.parametrize("room", [1000, 200_000, 800_000])
def test_rows_that_do_not_fit_on_the_disk_are_refused_at_once(room: int, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*rows\.tif"), small_disk(room):
        create_rows(tmp_path / "rows.tif", Grid(1000, 1000, PLACE, CRS), CLASSES)


@pytest.mark.parametrize("room", [1000, 30_000, 200_000])
def test_a_cloud_optimized_file_that_does_not_fit_is_named(room: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 250, (900, 900)).astype(np.uint8)
    create_rows(tmp_path / "rows.tif", Grid(900, 900, PLACE, CRS), BYTES)
    with opened_rows(tmp_path / "rows.tif") as rows:
        rows.write(0, values)
    with pytest.raises(OutputError, match=r"cannot write .*a\.tif"), small_disk(room):
        write_cog(tmp_path / "rows.tif", tmp_path / "a.tif", BYTES)


def test_a_damaged_file_of_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.tif"
    create_rows(path, Grid(100, 100, PLACE, CRS), CLASSES)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(OutputError, match="it is not whole"), opened_rows(path):
        pass


def test_more_than_a_geotiff_holds_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="more than a GeoTIFF holds"):
        create_rows(tmp_path / "rows.tif", Grid(2**31, 1, PLACE, CRS), CLASSES)
