"""Alpha bands and masks: which channels are bands, and what they hide."""

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

from sarwater.datasets.indexing import index
from sarwater.errors import DataError
from sarwater.raster import Scene, label_values, read_chip, read_header, read_target
from sarwater.types import IGNORE, AnyArray, Units
from tests.conftest import CRS, RecordMaker, TifMaker

PngMaker = Callable[[str, AnyArray], Path]

SEEN = np.ones((6, 8), np.bool_)
SEEN[:2, 3:] = False
"""What is opaque in the files below."""


def decibels(bands: int = 2) -> AnyArray:
    generator = np.random.default_rng(5)
    return generator.uniform(-25, -1, (bands, 6, 8)).astype(np.float32)


def with_alpha(path: Path, kinds: Sequence[ColorInterp] = ()) -> Path:
    """Tell of a file's channels what they are; the last is alpha by default."""
    with rasterio.open(path, "r+") as dataset:
        rest = dataset.count - 1
        first = [ColorInterp.gray] + [ColorInterp.undefined] * (rest - 1)
        dataset.colorinterp = list(kinds) or [*first, ColorInterp.alpha]
    return path


def opaque(dtype: str) -> AnyArray:
    return np.where(SEEN, 255, 0).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "int16", "uint8"])
@pytest.mark.parametrize("bands", [("VV", "VH"), ()])
def test_an_alpha_band_says_what_is_valid_and_is_no_band(
    bands: tuple[str, ...], dtype: str, make_tif: TifMaker
) -> None:
    values = np.abs(decibels()).astype(dtype)
    path = with_alpha(make_tif("a.tif", np.concatenate([values, opaque(dtype)[None]]), crs=CRS))
    with Scene([path], bands=bands) as scene:
        image, valid = scene.read(0, 0, 6, 8)
        assert scene.declares_nodata
        assert scene.bands == (bands or ("band1", "band2"))
        _, part = scene.read(1, 2, 2, 5, bands=[1])
    np.testing.assert_array_equal(valid, SEEN)
    np.testing.assert_array_equal(part, SEEN[1:3, 2:7])
    np.testing.assert_array_equal(image, np.where(SEEN, values, 0))
    assert read_header(path).count == 2


def test_files_of_a_band_each_may_have_their_own_alpha(make_png: PngMaker, tmp_path: Path) -> None:
    gray = np.full((6, 8), 40)
    make_png("set/a_vv.png", np.stack([gray, opaque("uint8")], axis=2))
    make_png("set/a_vh.png", np.stack([gray + 1, np.full((6, 8), 255)], axis=2))
    (record,) = index(tmp_path / "set", "folder")
    assert (record.bands, record.units) == (("VV", "VH"), Units.BYTE)
    chip = read_chip(record)
    np.testing.assert_array_equal(chip.valid, SEEN)
    assert chip.image[:, 5, 5].tolist() == [40, 41]


def test_an_alpha_channel_that_is_named_is_a_band(make_tif: TifMaker) -> None:
    # GDAL takes the fourth of four bands of bytes for alpha, whatever it was written as.
    values = np.stack([np.full((6, 8), 9), opaque("uint8"), opaque("uint8"), opaque("uint8")])
    path = make_tif("a.tif", values.astype(np.uint8), crs=CRS)
    with rasterio.open(path) as dataset:
        assert dataset.colorinterp[3] == ColorInterp.alpha
    with Scene([path], bands=("VV", "VH", "HH", "HV"), nodata="declared") as scene:
        image, valid = scene.read(0, 0, 6, 8)
    assert valid.all()
    np.testing.assert_array_equal(image, values)
    described = make_tif("b.tif", values.astype(np.uint8), crs=CRS, bands=("VV", "VH", "HH", "HV"))
    with Scene([described]) as scene:
        assert scene.bands == ("VV", "VH", "HH", "HV")
        assert not scene.declares_nodata
    with pytest.raises(DataError, match="5 bands are named"):
        Scene([path], bands=("a", "b", "c", "d", "e"))


def test_what_gdalwarp_adds_outside_is_no_data(make_tif: TifMaker, tmp_path: Path) -> None:
    source, out = make_tif("a.tif", decibels(), crs=CRS), tmp_path / "warped.tif"
    command = ["gdalwarp", "-q", "-t_srs", "EPSG:3857", "-dstalpha", str(source), str(out)]
    try:
        subprocess.run(command, check=True)
    except FileNotFoundError:
        pytest.skip("there is no gdalwarp")
    with rasterio.open(out) as dataset:
        assert dataset.count == 3
        inside = dataset.read(3) > 0
    with Scene([out], bands=("VV", "VH")) as scene:
        _, valid = scene.read(0, 0, *inside.shape)
    np.testing.assert_array_equal(valid, inside)


# --- labels -------------------------------------------------------------------------------------

WATER = np.tile(np.array([0, 1], np.uint8), (6, 4))


def label_file(kind: str, make_tif: TifMaker, make_png: PngMaker) -> Path:
    """Write ``WATER`` where ``SEEN``, and land that nobody saw elsewhere."""
    values = np.where(SEEN, WATER, 0).astype(np.uint8)
    if kind == "mask":
        return make_tif("label.tif", values, mask=SEEN)
    if kind == "mask of floats":
        return make_tif("label.tif", np.where(SEEN, values, 0.5).astype(np.float32), mask=SEEN)
    if kind == "gray and alpha":
        return with_alpha(make_tif("label.tif", np.stack([values, opaque("uint8")]), crs=CRS))
    return make_png("label.png", np.stack([values, values, values, opaque("uint8")], axis=2))


@pytest.mark.parametrize("kind", ["mask", "mask of floats", "gray and alpha", "picture"])
def test_what_a_label_hides_is_ignored(
    kind: str, make_tif: TifMaker, make_png: PngMaker, make_record: RecordMaker
) -> None:
    label = label_file(kind, make_tif, make_png)
    record = make_record(make_tif("a.tif", decibels()), labels=(label,), codes="0=land,1=water")
    np.testing.assert_array_equal(read_target(record), np.where(SEEN, WATER, IGNORE))
    counts = np.bincount(WATER[SEEN])
    assert label_values(label) == dict(enumerate(counts.tolist()))
