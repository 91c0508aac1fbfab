from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from sarwater.datasets.indexing import index
from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.datasets.mosaic import mosaic
from sarwater.errors import DataError, OutputError, OutputExistsError, RasterError
from sarwater.raster import Scene, border_valid, writing
from sarwater.types import IGNORE, AnyArray, Units
from tests.conftest import CRS, PLACE, RecordMaker, TifMaker, small_disk

SIDE = 4


@pytest.fixture
def cut(make_tif: TifMaker, make_record: RecordMaker) -> Callable[..., Manifest]:
    """Cut a scene into tiles of 4 x 4 px, the first of them at row 5, column 7."""

    def make(
        image: AnyArray,
        *,
        target: AnyArray | None = None,
        missing: tuple[tuple[int, int], ...] = (),
        crs: str | None = None,
        **cells: object,
    ) -> Manifest:
        rows = []
        _, height, width = image.shape
        for row in range(height // SIDE):
            for col in range(width // SIDE):
                if (row, col) in missing:
                    continue
                window = np.s_[row * SIDE :, col * SIDE :][0:2]
                part = image[:, window[0], window[1]][:, :SIDE, :SIDE]
                place = PLACE @ Affine.translation(col * SIDE, row * SIDE)
                file = make_tif(f"t{row}_{col}.tif", part, crs=crs, transform=place)
                changes: dict[str, object] = dict(cells)
                if target is not None:
                    label = target[window][:SIDE, :SIDE]
                    changes["labels"] = (make_tif(f"l{row}_{col}.tif", label),)
                    changes["codes"] = "0=land,1=water"
                name = {"id": f"t{row}_{col}", "scene": "s", "row": row + 5, "col": col + 7}
                rows.append(make_record(file, **{**name, **changes}))
        return Manifest(tuple(rows))

    return make


def read(path: Path) -> tuple[AnyArray, AnyArray]:
    with rasterio.open(path) as dataset:
        return dataset.read(), dataset.dataset_mask() > 0


@pytest.fixture(autouse=True)
def georeference_may_be_missing(recwarn: pytest.WarningsRecorder) -> None:
    """Take up what rasterio says of such files where the tests themselves open them."""


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_zeros_connected_across_tiles_are_found(
    dtype: str, cut: Callable[..., Manifest], tmp_path: Path
) -> None:
    image = np.full((2, 12, 12), 90, dtype)
    image[:, 0] = 255
    image[:, 1:10, 1] = 0  # from the border through three tiles
    image[:, 6:8, 6:8] = 0  # water
    image[0, 10, 10] = 255  # a bright target
    out = tmp_path / "s.tif"
    summary = mosaic(cut(image, units=Units.BYTE), out)
    values, valid = read(out)
    assert values.dtype == dtype
    np.testing.assert_array_equal(values, image)
    expected = np.ones((12, 12), bool)
    expected[0] = False
    expected[1:10, 1] = False
    np.testing.assert_array_equal(valid, expected)
    assert (summary.height, summary.width, summary.tiles, summary.missing) == (12, 12, 9, 0)
    assert summary.valid_share == pytest.approx(expected.mean())
    with rasterio.open(out) as dataset:
        assert dataset.descriptions == ("VV", "VH")
        tags = dataset.tags()
    assert (tags["UNITS"], tags["FIRST_ROW"], tags["FIRST_COL"]) == ("8bit", "5", "7")
    with Scene([out], units=Units.BYTE) as scene:
        usable = scene.read(0, 0, 12, 12)[1]
    np.testing.assert_array_equal(usable, expected)


def test_a_border_of_one_band_is_wide(cut: Callable[..., Manifest], tmp_path: Path) -> None:
    image = np.full((1, 20, 20), 90, np.uint8)
    image[:, :5] = 255
    image[:, 5, 3:9] = 0
    image[:, 12:16, 12:16] = 0  # a lake across tiles, with a ship
    image[:, 14, 14] = 255
    out = tmp_path / "s.tif"
    mosaic(cut(image, units=Units.BYTE, bands=("VH",)), out)
    expected = np.ones((20, 20), bool)
    expected[:5] = False
    expected[5, 3:9] = False
    np.testing.assert_array_equal(read(out)[1], expected)


def test_a_missing_tile_is_no_data_and_spares_the_water_beside_it(
    cut: Callable[..., Manifest], tmp_path: Path
) -> None:
    image = np.full((2, 8, 12), 90, np.uint8)
    image[:, 1:3, 2:4] = 0
    out = tmp_path / "s.tif"
    summary = mosaic(cut(image, units=Units.BYTE, missing=((0, 1),)), out)
    values, valid = read(out)
    expected = np.ones((8, 12), bool)
    expected[:4, 4:8] = False
    np.testing.assert_array_equal(valid, expected)
    assert (values[:, ~expected] == 255).all()
    assert (summary.tiles, summary.missing) == (5, 1)


def test_decibels_keep_their_place_and_type(cut: Callable[..., Manifest], tmp_path: Path) -> None:
    image = np.random.default_rng(0).uniform(-25, 0, (2, 8, 8)).astype(np.float32)
    image[0, 3, 3] = np.nan
    out = tmp_path / "s.tif"
    mosaic(cut(image, crs=CRS, missing=((0, 0),)), out)
    with rasterio.open(out) as dataset:
        assert dataset.crs == rasterio.crs.CRS.from_user_input(CRS)
        assert dataset.transform.almost_equals(PLACE)
        assert dataset.dtypes == ("float32", "float32")
    values, valid = read(out)
    expected = np.asarray(np.isfinite(image).all(axis=0))
    expected[:4, :4] = False
    np.testing.assert_array_equal(valid, expected)
    np.testing.assert_array_equal(values[:, expected], image[:, expected])
    assert np.isnan(values[:, ~expected]).all()


def test_labels_are_joined_too(cut: Callable[..., Manifest], tmp_path: Path) -> None:
    image = np.full((2, 8, 8), 90, np.uint8)
    target = np.random.default_rng(0).integers(0, 2, (8, 8)).astype(np.uint8)
    manifest = cut(image, target=target, units=Units.BYTE, missing=((1, 1),))
    labels = tmp_path / "labels.tif"
    mosaic(manifest, tmp_path / "s.tif", labels=labels)
    values, _ = read(labels)
    expected = target.copy()
    expected[4:, 4:] = IGNORE
    np.testing.assert_array_equal(values[0], expected)
    with rasterio.open(labels) as dataset:
        assert dataset.nodata == IGNORE
        assert dataset.tags()["CLASSES"] == "land;water"


def test_rows_and_columns_may_be_named(cut: Callable[..., Manifest], tmp_path: Path) -> None:
    image = np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 8, 8)
    manifest = cut(image, units=Units.OTHER)
    out = tmp_path / "s.tif"
    summary = mosaic(manifest, out, rows=(6, 6), cols=(6, 9))
    values, valid = read(out)
    assert (summary.height, summary.width, summary.tiles, summary.missing) == (4, 16, 2, 2)
    np.testing.assert_array_equal(values[:, :, 4:12], image[:, 4:])
    np.testing.assert_array_equal(valid.any(axis=0), [False] * 4 + [True] * 8 + [False] * 4)
    with pytest.raises(DataError, match="no tile within the rows and columns"):
        mosaic(manifest, tmp_path / "t.tif", rows=(0, 1))


def test_scenes_are_chosen_by_name(cut: Callable[..., Manifest], tmp_path: Path) -> None:
    one = cut(np.full((2, 4, 4), 9, np.uint8), units=Units.BYTE)
    other = Manifest(tuple(_renamed(row) for row in one))
    both = Manifest(one.records + other.records)
    with pytest.raises(DataError, match=r"not one scene alone.*s, other; name one"):
        mosaic(both, tmp_path / "s.tif")
    with pytest.raises(DataError, match=r"no scene 'othr' \(did you mean 'other'\?\)"):
        mosaic(both, tmp_path / "s.tif", scene="othr")
    assert mosaic(both, tmp_path / "s.tif", scene="other").scene == "other"
    assert mosaic(both, tmp_path / "t.tif", domain="here2").scene == "other"


def _renamed(row: ChipRecord) -> ChipRecord:
    return replace(row, id=f"{row.id}-other", scene="other", domain="here2")


def test_tiles_that_do_not_fit_are_named(
    cut: Callable[..., Manifest], make_tif: TifMaker, make_record: RecordMaker, tmp_path: Path
) -> None:
    manifest = cut(np.full((2, 4, 8), 9, np.uint8), units=Units.BYTE)
    first, second = manifest.records
    place = {"scene": "s", "row": 5, "col": 8, "units": Units.BYTE}
    wide = make_tif("wide.tif", np.zeros((2, 4, 5), np.uint8))
    words = make_tif("words.tif", np.zeros((2, 4, 4), np.uint16))
    cases = [
        (make_record(wide, id="w", **place), r"wide\.tif does not fit .*4 x 5 px instead of 4 x 4"),
        (make_record(words, id="w", **place), r"words\.tif holds uint16, but .* uint8"),
        (make_record(*second.images, id="w", **{**place, "units": Units.DB}), r"'w' has bands"),
        (make_record(*second.images, id="w", **{**place, "col": 7}), r"'t0_0' and 'w'.*both row 5"),
        (make_record(*second.images, id="w", **{**place, "col": None}), r"no row or no column: w"),
        (make_record(tmp_path / "gone.tif", id="w", **place), r"gone\.tif: there is no such file"),
    ]
    out = tmp_path / "s.tif"
    for record, message in cases:
        with pytest.raises((DataError, RasterError), match=message):
            mosaic(Manifest((first, record)), out)
        assert not out.exists()


def test_a_tile_in_the_wrong_place_is_named(cut: Callable[..., Manifest], tmp_path: Path) -> None:
    manifest = cut(np.full((2, 4, 8), -9, np.float32), crs=CRS)
    first, second = manifest.records
    moved = replace(second, col=9)
    with pytest.raises(DataError, match=r"t0_1\.tif does not fit .* px away"):
        mosaic(Manifest((first, moved)), tmp_path / "s.tif")


def test_nothing_is_overwritten_unasked(cut: Callable[..., Manifest], tmp_path: Path) -> None:
    manifest = cut(np.full((2, 4, 4), 9, np.uint8), units=Units.BYTE)
    out, labels = tmp_path / "s.tif", tmp_path / "l.tif"
    labels.write_text("mine")
    with pytest.raises(OutputExistsError, match=r"l\.tif"):
        mosaic(manifest, out, labels=labels)
    assert not out.exists()
    mosaic(manifest, out, labels=labels, overwrite=True)
    mosaic(manifest, out, overwrite=True)


def test_on_a_full_disk_neither_file_appears(cut: Callable[..., Manifest], tmp_path: Path) -> None:
    generator = np.random.default_rng(4)
    image = generator.uniform(-30, 0, (32, 32, 32)).astype(np.float32)  # the labels are smaller
    bands = tuple(f"b{number}" for number in range(32))
    manifest = cut(image, target=np.zeros((32, 32), np.uint8), bands=bands)
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*s\.tif"), small_disk(1 << 16):
        mosaic(manifest, out / "s.tif", labels=out / "labels.tif")
    assert list(out.iterdir()) == []


def test_labels_that_do_not_fit_are_named_as_they_were_asked_for(
    cut: Callable[..., Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = cut(np.zeros((2, 4, 4), np.float32), target=np.zeros((4, 4), np.uint8))

    def full(*_: object) -> None:
        raise OutputError(f"cannot write {_[1]}")

    monkeypatch.setattr(writing, "_check_whole", full)
    with pytest.raises(OutputError, match=r"^cannot write \S*/out/labels\.tif$"):
        mosaic(manifest, tmp_path / "out" / "s.tif", labels=tmp_path / "out" / "labels.tif")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.real_data
def test_the_whole_bangladesh_scene(real_data: Path, tmp_path: Path) -> None:
    manifest = index(real_data / "etci2021" / "bangladesh_20170314t115609", "etci2021")
    out = tmp_path / "scene.tif"
    summary = mosaic(manifest, out, rows=(0, 35), cols=(0, 43))
    assert (summary.height, summary.width) == (9216, 11264)
    assert (summary.tiles, summary.missing) == (1221, 36 * 44 - 1221)
    with rasterio.open(out) as dataset:
        window = rasterio.windows.Window(30 * 256, 0, 512, 512)
        values = dataset.read(window=window)
        valid = dataset.read_masks(1, window=window) > 0
    np.testing.assert_array_equal(valid, valid & border_valid(values))
    with Scene([out]) as scene:
        assert scene.bands == ("VV", "VH")
        assert scene.read(0, 0, 9216, 11264, out_shape=(90, 110))[1].any()


def test_a_label_of_another_size_is_named(cut: Callable[..., Manifest], tmp_path: Path) -> None:
    image = np.zeros((2, 8, 8), np.float32)
    tiles = cut(image, target=np.zeros((8, 8), np.uint8))
    other = cut(image[:, :4, :4], target=np.zeros((3, 4), np.uint8))
    wrong = replace(tiles.records[0], labels=other.records[0].labels)
    with pytest.raises(DataError, match="3 x 4 px instead of 4 x 4"):
        mosaic(Manifest((wrong, *tiles.records[1:])), tmp_path / "s.tif", labels=tmp_path / "l.tif")


def test_a_mistyped_place_does_not_make_a_huge_scene(
    cut: Callable[..., Manifest], tmp_path: Path
) -> None:
    manifest = cut(np.full((2, 8, 8), -9, np.float32))
    rows = list(manifest.records)
    rows[2] = replace(rows[2], row=2_000_000)
    with pytest.raises(DataError, match=r"'s' has 4 tiles.*farthest.*'t1_0', row 2000000, column"):
        mosaic(Manifest(tuple(rows)), tmp_path / "s.tif")
    assert not (tmp_path / "s.tif").exists()
    mosaic(Manifest(tuple(rows)), tmp_path / "s.tif", rows=(5, 6))
    rows[2] = replace(rows[2], row=5_000 // 2)  # sparse, and not large
    assert mosaic(Manifest(tuple(rows)), tmp_path / "t.tif").missing > 4_000
