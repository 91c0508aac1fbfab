import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from sarwater.errors import OutputError, OutputExistsError, RasterError
from sarwater.mapping.outputs import (
    MappedRows,
    Tally,
    Thumbnail,
    in_blocks,
    mapped_rows,
    open_map,
    output_paths,
    staged,
)
from sarwater.stitching import Strip
from sarwater.types import Grid, Units
from tests.conftest import CRS, PLACE


def rows(height: int, width: int = 3) -> MappedRows:
    numbers = np.arange(height * width).reshape(height, width)
    return MappedRows(0, (numbers % 2).astype(np.uint8), (numbers / 1e4).astype(np.float32))


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 25))
def test_blocks_hold_the_same_rows_and_end_at_multiples(heights: list[int], block: int) -> None:
    height = sum(heights)
    whole, parts, row = rows(height), [], 0
    for part in heights:
        parts.append(whole.part(row, row + part))
        row += part
    blocks = list(in_blocks(parts, height, block))
    at = 0
    for piece in blocks:
        assert piece.row == at
        at += piece.classes.shape[0]
        assert at % block == 0 or at == height
    assert at == height
    np.testing.assert_array_equal(np.concatenate([b.classes for b in blocks]), whole.classes)
    np.testing.assert_array_equal(np.concatenate([b.water for b in blocks]), whole.water)


def test_no_data_is_255_and_nan() -> None:
    water = np.array([[0.2, 0.7, 0.0]], np.float32)
    strip = Strip(4, np.stack([1 - water, water]), np.array([[True, True, False]]))
    (mapped,) = mapped_rows([strip], 0.5)
    assert mapped.row == 4
    assert mapped.classes.tolist() == [[0, 1, 255]]
    np.testing.assert_array_equal(mapped.water, np.array([[0.2, 0.7, np.nan]], np.float32))


def test_written_rasters_are_what_rasterio_reads(tmp_path: Path) -> None:
    paths = output_paths(tmp_path, "a")
    grid = Grid(3, 2, PLACE, CRS)
    classes = np.array([[0, 1], [2, 255], [1, 1]], np.uint8)
    water = np.array([[0.1, 0.9], [0.8, np.nan], [0.75, 1]], np.float32)
    with open_map(paths, grid, ("land", "river", "flood"), {"MODEL": "m"}) as write:
        write(MappedRows(0, classes[:2], water[:2]))
        write(MappedRows(2, classes[2:], water[2:]))
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


@pytest.mark.parametrize(("height", "width"), [(3000, 7), (5, 2500), (1024, 1), (2049, 30)])
def test_a_thumbnail_is_every_nth_pixel(height: int, width: int) -> None:
    image = np.arange(2 * height * width, dtype=np.float32).reshape(2, height, width)
    whole = rows(height, width)
    look = Thumbnail("a", Grid(height, width), ("VV", "VH"), Units.DB, ("land", "water"), 0.5)
    for row in range(0, height, 100):
        look.add_image(row, image[:, row : row + 130])
        look.add_map(whole.part(row, min(row + 100, height)))
    n = look.step
    assert max(look.classes.shape) <= 1024
    np.testing.assert_array_equal(look.image, image[:, ::n, ::n])
    np.testing.assert_array_equal(look.classes, whole.classes[::n, ::n])
    np.testing.assert_array_equal(look.water, whole.water[::n, ::n])


def test_staged_files_appear_at_the_end(tmp_path: Path) -> None:
    out = tmp_path / "maps" / "deep"
    paths = output_paths(out, "a")
    with staged(paths, out) as aside:
        aside["water"].write_text("w")
        assert not paths["water"].exists()
    assert [path.name for path in out.iterdir()] == ["a_water.tif"]


def fill_the_disk(out: Path) -> None:
    with staged(output_paths(out, "a"), out) as aside:
        aside["water"].write_text("new")
        raise RasterError("the disk is full")


def test_staged_files_vanish_on_failure(tmp_path: Path) -> None:
    out = tmp_path / "maps"
    with pytest.raises(RasterError, match="full"):
        fill_the_disk(out)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_stays_on_failure(tmp_path: Path) -> None:
    (tmp_path / "a_water.tif").write_text("old")
    with pytest.raises(RasterError, match="full"):
        fill_the_disk(tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    out = tmp_path / "maps"
    out.write_text("a file")
    with pytest.raises(OutputExistsError, match="is a file"), staged({}, out):
        pass
    assert out.read_text() == "a file"


def test_a_map_without_a_place_opens(tmp_path: Path) -> None:
    paths = output_paths(tmp_path, "a")
    with open_map(paths, Grid(1, 1), ("land", "water"), {}) as write:
        write(MappedRows(0, np.ones((1, 1), np.uint8), np.ones((1, 1), np.float32)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(paths["water"]) as dataset:
            assert dataset.crs is None


def test_a_folder_in_the_place_of_an_output_is_named(tmp_path: Path) -> None:
    paths = output_paths(tmp_path / "maps", "a")
    paths["water"].mkdir(parents=True)
    with (
        pytest.raises(OutputExistsError, match=r"a_water\.tif is a folder"),
        staged(paths, tmp_path / "maps"),
    ):
        pytest.fail("the block must not run")
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["a_water.tif"]


def test_a_place_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_text("")
    folder = tmp_path / "a.tif" / "maps"
    with (
        pytest.raises(OutputError, match=r"a\.tif is not a folder"),
        staged(output_paths(folder, "a"), folder),
    ):
        pytest.fail("the block must not run")


def test_what_another_process_mapped_meanwhile_stays(tmp_path: Path) -> None:
    paths = output_paths(tmp_path, "a")

    def overtaken() -> None:
        with staged(paths, tmp_path) as aside:
            aside["water"].write_text("second")
            paths["water"].write_text("first")

    with pytest.raises(OutputExistsError, match=r"another process wrote .*a_water\.tif"):
        overtaken()
    assert paths["water"].read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["a_water.tif"]
