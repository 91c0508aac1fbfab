"""How a scene's bands are read from files of all kinds of storage."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from sarwater.errors import RasterError
from sarwater.raster import Scene, block_cache, opening
from sarwater.types import AnyArray, Units
from tests.conftest import CRS, PLACE


def saved(path: Path, values: AnyArray, **profile: object) -> Path:
    """Write bands [band, row, col] as a tiled GeoTIFF."""
    count, height, width = values.shape
    shape = {"height": height, "width": width, "count": count, "dtype": values.dtype.name}
    tiles = {"tiled": True, "blockxsize": 64, "blockysize": 64}
    place = {"crs": CRS, "transform": PLACE}
    with rasterio.open(path, "w", driver="GTiff", **shape, **tiles, **place, **profile) as dataset:
        dataset.write(values)
    return path


def decibels(bands: int = 3, height: int = 192, width: int = 320) -> AnyArray:
    return np.random.default_rng(7).normal(-15, 5, (bands, height, width)).astype(np.float32)


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "uint8"])
@pytest.mark.parametrize("bands", [[0, 1, 2], [2, 0], [1, 2], [1, 1], [1]])
def test_bands_come_in_any_order_from_any_storage(
    bands: list[int], dtype: str, interleave: str, tmp_path: Path
) -> None:
    values = (decibels() * 4 + 128).astype(dtype)
    path = saved(tmp_path / "a.tif", values, interleave=interleave)
    with Scene([path], bands=("a", "b", "c"), nodata="declared") as scene:
        image, valid = scene.read(30, 50, 100, 200, bands=bands)
    assert valid.all()
    np.testing.assert_array_equal(image, values[bands, 30:130, 50:250].astype(np.float32))


def test_files_of_other_types_make_one_image(tmp_path: Path) -> None:
    values = decibels(4)
    one = saved(tmp_path / "one.tif", values[:2])
    other = saved(tmp_path / "other.tif", values[2:].astype(np.float64))
    with Scene([one, other], bands=("a", "b", "c", "d")) as scene:
        image, _ = scene.read(0, 0, 192, 320, bands=[3, 0, 2])
    np.testing.assert_array_equal(image, values[[3, 0, 2]])


def test_bands_of_one_file_may_differ_in_type(tmp_path: Path) -> None:
    values = decibels(2)
    one = saved(tmp_path / "one.tif", values[:1])
    other = saved(tmp_path / "other.tif", values[1:].astype(np.float64))
    band = """<VRTRasterBand dataType="{}" band="{}"><SimpleSource>
        <SourceFilename relativeToVRT="1">{}</SourceFilename><SourceBand>1</SourceBand>
        </SimpleSource></VRTRasterBand>"""
    both = tmp_path / "both.vrt"
    both.write_text(
        '<VRTDataset rasterXSize="320" rasterYSize="192">'
        f"<SRS>{CRS}</SRS><GeoTransform>{', '.join(map(str, PLACE.to_gdal()))}</GeoTransform>"
        + band.format("Float32", 1, one.name)
        + band.format("Float64", 2, other.name)
        + "</VRTDataset>"
    )
    with Scene([both], bands=("VV", "VH")) as scene:
        image, _ = scene.read(0, 0, 192, 320)
    np.testing.assert_array_equal(image, values)


@pytest.mark.parametrize("declared", [-9999.0, -1.0, 0.0, 1e-30, -1e30, 32767.0, float("nan")])
def test_a_declared_value_reaches_as_far_as_gdal_says(declared: float, tmp_path: Path) -> None:
    up = down = np.float32(declared)
    around = [up]
    for _ in range(12):
        up, down = np.nextafter(up, np.float32(np.inf)), np.nextafter(down, np.float32(-np.inf))
        around += [up, down]
    values = decibels(2, 64, 64)
    values[1, 5, : len(around)] = around
    path = saved(tmp_path / "a.tif", values, nodata=declared)
    with Scene([path], bands=("VV", "VH")) as scene, rasterio.open(path) as dataset:
        _, valid = scene.read(0, 0, 64, 64)
        np.testing.assert_array_equal(valid, (dataset.read_masks() > 0).all(axis=0))


def test_the_least_float_may_be_declared(tmp_path: Path) -> None:
    values = decibels(1, 64, 64)
    values[0, 5, 6] = np.finfo(np.float32).min
    path = saved(tmp_path / "a.tif", values, nodata=float(values[0, 5, 6]))
    with Scene([path], bands=("VV",)) as scene:
        _, valid = scene.read(0, 0, 64, 64)
    assert not valid[5, 6]
    assert valid.sum() == valid.size - 1


def test_whole_numbers_are_compared_as_they_are(tmp_path: Path) -> None:
    values = np.full((1, 64, 64), 2**24, np.int32)
    values[0, 3, 4] += 1  # the same in single precision
    path = saved(tmp_path / "a.tif", values, nodata=2**24 + 1)
    with Scene([path], bands=("VV",)) as scene:
        _, valid = scene.read(0, 0, 64, 64)
    assert not valid[3, 4]
    assert valid.sum() == valid.size - 1


@pytest.mark.parametrize("storage", ["pixel", "band", "files"])
def test_reading_row_by_row_decompresses_each_block_once(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks that were read are damaged in the file: whatever reads them again, fails."""
    monkeypatch.setattr(opening, "_LEAST_CACHE", 1)
    values, rows = decibels(2, 256, 2048), 60
    if storage == "files":
        files = [
            saved(tmp_path / f"{i}.tif", values[i : i + 1], compress="deflate") for i in (0, 1)
        ]
    else:
        files = [saved(tmp_path / "a.tif", values, compress="deflate", interleave=storage)]
    with Scene(files, bands=("VV", "VH")) as scene, block_cache(scene.shared_bytes):
        for row in range(0, 250, 50):
            count = min(rows, 256 - row)
            image, _ = scene.read(row, 0, count, 2048)
            np.testing.assert_array_equal(image, values[:, row : row + count])
            for file in files:
                damage(file, (row + count - 1) // 64)


def damage(path: Path, block_row: int) -> None:
    """Overwrite the blocks of the rows of blocks up to this one."""
    with rasterio.open(path) as dataset:
        places = [
            (int(dataset.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=band)))
            for band in range(1, dataset.count + 1)
            for row in range(block_row + 1)
            for col in range(-(-dataset.width // 64))
            for what in ("OFFSET", "SIZE")
        ]
    with path.open("r+b") as file:
        for offset, size in zip(places[::2], places[1::2], strict=True):
            file.seek(offset)
            file.write(b"\xff" * size)


@pytest.mark.parametrize("keep_bytes", [True, False])
@pytest.mark.parametrize("dtype", ["int16", "uint8"])
def test_a_declared_scale_and_offset_are_applied(
    dtype: str, keep_bytes: bool, tmp_path: Path
) -> None:
    """Packed decibels: what is stored times the scale, and the offset; no data as it is stored."""
    stored = np.random.default_rng(1).integers(1, 200, (2, 64, 64)).astype(dtype)
    stored[:, :3] = 0
    path = saved(tmp_path / "a.tif", stored, nodata=0)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (0.1, 0.2), (-25, -30)
    with Scene([path], bands=("VV", "VH")) as scene:
        image, valid = scene.read(0, 0, 64, 64, keep_bytes=keep_bytes)
        assert scene.units is Units.DB
    expected = stored * np.array([0.1, 0.2])[:, None, None] + np.array([-25, -30])[:, None, None]
    np.testing.assert_array_equal(valid, stored[0] != 0)
    np.testing.assert_allclose(image[:, valid], expected[:, valid], rtol=1e-5)
    assert image.dtype == np.float32


def test_bytes_beside_decibels_do_not_cut_them(tmp_path: Path) -> None:
    values = decibels(1, 64, 64)
    one = saved(tmp_path / "one.tif", np.full((1, 64, 64), 7, np.uint8))
    other = saved(tmp_path / "other.tif", values)
    with Scene([one, other], bands=("angle", "VV"), units=Units.DB, nodata="declared") as scene:
        image, _ = scene.read(0, 0, 64, 64, keep_bytes=True)
    np.testing.assert_array_equal(image, np.concatenate([np.full_like(values, 7), values]))


def test_a_file_of_several_rasters_says_which(tmp_path: Path) -> None:
    """As NetCDF and HDF5 have them; here a GeoPackage of two."""
    path = tmp_path / "both.gpkg"
    for name in ("VV", "VH"):
        values = np.full((4, 8, 8), 200, np.uint8)
        options = {"RASTER_TABLE": name, "APPEND_SUBDATASET": name != "VV", "BAND_COUNT": 4}
        shape = {"height": 8, "width": 8, "count": 4, "dtype": "uint8"}
        place = {"crs": CRS, "transform": PLACE}
        with rasterio.open(path, "w", driver="GPKG", **shape, **place, **options) as dataset:
            dataset.write(values)
    with pytest.raises(RasterError, match=r"no band of its own; it holds GPKG:.*VV, GPKG:.*VH"):
        Scene([path])


def test_a_crs_that_is_no_place_on_earth_is_none(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tif", decibels(1, 64, 64))
    local = 'LOCAL_CS["a field of ours",UNIT["metre",1]]'
    with rasterio.open(path, "r+") as dataset:
        dataset.crs = rasterio.crs.CRS.from_wkt(local)
    with Scene([path]) as scene:
        assert scene.grid.crs is None
