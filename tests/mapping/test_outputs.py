import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from sarwater.errors import OutputExistsError
from sarwater.mapping.outputs import (
    STEPS,
    MappedRows,
    Tally,
    Thumbnail,
    map_layers,
    mapped_rows,
    open_map,
    output_paths,
    publish,
)
from sarwater.stitching import Strip
from sarwater.types import Grid, Units
from tests.conftest import CRS, PLACE


def rows(height: int, width: int = 3) -> MappedRows:
    numbers = np.arange(height * width).reshape(height, width)
    return MappedRows(0, (numbers % 2).astype(np.uint8), (numbers / 1e4).astype(np.float32))


def part(whole: MappedRows, first: int, end: int) -> MappedRows:
    return MappedRows(whole.row + first, whole.classes[first:end], whole.water[first:end])


def test_no_data_is_255_and_nan() -> None:
    water = np.array([[0.2, 0.7, 0.0]], np.float32)
    strip = Strip(4, water[None], np.array([[True, True, False]]))
    (mapped,) = mapped_rows([strip], 0.5)
    assert mapped.row == 4
    assert mapped.classes.tolist() == [[0, 1, 255]]
    np.testing.assert_array_equal(mapped.water, np.array([[0.2, 0.7, np.nan]], np.float32))


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20))
def test_a_byte_holds_the_probability_to_half_a_step(values: list[float]) -> None:
    water = np.array([values], np.float32)
    strip = Strip(0, water[None], np.ones(water.shape, np.bool_))
    (mapped,) = mapped_rows([strip], 0.5, "uint8")
    assert mapped.water.dtype == np.uint8
    assert mapped.water.max() <= STEPS
    np.testing.assert_allclose(mapped.water * 0.004, water, rtol=0, atol=0.0021)
    hidden = Strip(0, strip.foreground, ~strip.valid)
    (mapped,) = mapped_rows([hidden], 0.5, "uint8")
    assert (mapped.water == 255).all()


def test_written_rasters_are_what_rasterio_reads(tmp_path: Path) -> None:
    paths = output_paths(tmp_path, "a")
    grid = Grid(3, 2, PLACE, CRS)
    classes = np.array([[0, 1], [2, 255], [1, 1]], np.uint8)
    water = np.array([[0.1, 0.9], [0.8, np.nan], [0.75, 1]], np.float32)
    layers = map_layers(("land", "river", "flood"), {"MODEL": "m"})
    with open_map(paths, grid, layers) as raster:
        raster.write(MappedRows(0, classes[:2], water[:2]))
        raster.write(MappedRows(2, classes[2:], water[2:]))
    with rasterio.open(paths["water"]) as dataset:
        np.testing.assert_array_equal(dataset.read(1), classes)
        assert dataset.nodata == 255
        assert dataset.crs.to_epsg() == 32631
        assert dataset.transform == PLACE
        colors = dataset.colormap(1)
        assert colors[0] == (0xD9, 0xD2, 0xC5, 255)
        assert colors[1] == (0x00, 0x72, 0xB2, 255)
        assert len({colors[0], colors[1], colors[2]}) == 3
        tags = dataset.tags()
        assert tags["MODEL"] == "m"
        assert tags["CLASS_NAMES"] == "0=land,1=river,2=flood,255=no data"
        assert tags["CLASS_2"] == "flood"
        assert dataset.dtypes == ("uint8",)
    with rasterio.open(paths["probability"]) as dataset:
        np.testing.assert_array_equal(dataset.read(1), water)
        assert np.isnan(dataset.nodata)
        assert dataset.dtypes == ("float32",)
        assert dataset.descriptions == ("water probability",)


def test_areas_on_a_metric_grid() -> None:
    tally = Tally(Grid(4, 3, PLACE, CRS), ("land", "water"))
    tally.add(MappedRows(0, np.array([[0, 1, 1], [255, 1, 0]], np.uint8), np.zeros((2, 3), "f4")))
    tally.add(MappedRows(2, np.array([[0, 0, 0], [255, 1, 0]], np.uint8), np.zeros((2, 3), "f4")))
    result = tally.result()
    assert result["water"] == {"pixels": 4, "km2": pytest.approx(4 * 100 / 1e6)}
    assert result["classes"] == {
        "land": {"pixels": 6, "km2": pytest.approx(6e-4)},
        "water": {"pixels": 4, "km2": pytest.approx(4e-4)},
    }
    assert result["no_data"] == {"pixels": 2, "km2": pytest.approx(2e-4)}
    assert result["valid"] == {"pixels": 10, "km2": pytest.approx(1e-3)}
    assert result["water_share"] == pytest.approx(0.4)


def test_areas_in_degrees_follow_the_latitude_of_the_rows() -> None:
    grid = Grid(60, 1, rasterio.Affine(1, 0, 10, 0, -1, 60), "EPSG:4326")
    tally = Tally(grid, ("land", "water"))
    for row in range(60):
        tally.add(MappedRows(row, np.ones((1, 1), np.uint8), np.ones((1, 1), np.float32)))
    # A lune of one degree between the equator and 60 degrees north, on a sphere.
    exact = np.radians(1) * 6371.009**2 * np.sin(np.radians(60))
    area = tally.result()["water"]
    assert isinstance(area, dict)
    assert area["km2"] == pytest.approx(exact, rel=1e-4)


def test_areas_without_a_place_are_pixels() -> None:
    tally = Tally(Grid(1, 2), ("land", "water"))
    tally.add(MappedRows(0, np.array([[255, 255]], np.uint8), np.zeros((1, 2), np.float32)))
    result = tally.result()
    assert result["no_data"] == {"pixels": 2, "km2": None}
    assert result["water_share"] is None


@pytest.mark.parametrize(("height", "width"), [(6000, 7), (5, 5000), (2048, 1), (4097, 30)])
def test_a_thumbnail_is_every_nth_pixel(height: int, width: int) -> None:
    image = np.arange(2 * height * width, dtype=np.float32).reshape(2, height, width)
    whole = rows(height, width)
    look = Thumbnail("a", Grid(height, width), ("VV", "VH"), Units.DB, ("land", "water"), 0.5)
    for row in range(0, height, 100):
        look.add_image(row, image[:, row : row + 130])
        look.add_map(part(whole, row, min(row + 100, height)))
    n = look.step
    assert max(look.classes.shape) <= 2048
    np.testing.assert_array_equal(look.image, image[:, ::n, ::n])
    np.testing.assert_array_equal(look.classes, whole.classes[::n, ::n])
    np.testing.assert_array_equal(look.water, whole.water[::n, ::n])


def test_a_map_without_a_place_opens(tmp_path: Path) -> None:
    paths = output_paths(tmp_path, "a")
    with open_map(paths, Grid(1, 1), map_layers(("land", "water"), {})) as raster:
        raster.write(MappedRows(0, np.ones((1, 1), np.uint8), np.ones((1, 1), np.float32)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(paths["water"]) as dataset:
            assert dataset.crs is None


def test_finished_files_are_moved_and_others_let_be(tmp_path: Path) -> None:
    made, paths = output_paths(tmp_path / "aside", "a"), output_paths(tmp_path, "a")
    made["water"].parent.mkdir()
    made["water"].write_text("w")
    publish({"water": made["water"]}, paths, overwrite=False)
    assert paths["water"].read_text() == "w"
    assert not paths["probability"].exists()


def test_what_another_process_mapped_meanwhile_stays(tmp_path: Path) -> None:
    made, paths = output_paths(tmp_path / "aside", "a"), output_paths(tmp_path, "a")
    made["water"].parent.mkdir()
    made["water"].write_text("second")
    paths["water"].write_text("first")
    with pytest.raises(OutputExistsError, match=r"another process wrote .*a_water\.tif"):
        publish(made, paths, overwrite=False)
    assert paths["water"].read_text() == "first"
