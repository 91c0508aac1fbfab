import gc
import re
import warnings
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sarwater.errors import DataError, OutputError, OutputExistsError, RasterError
from sarwater.raster import (
    Scene,
    border_valid,
    borders,
    check_same_grid,
    label_values,
    lonlat_bounds,
    open_writer,
    pixel_area,
    read_chip,
    read_header,
    read_target,
    write_raster,
)
from sarwater.raster.borders import Borders
from sarwater.types import IGNORE, AnyArray, BoolArray, Grid, Units
from tests.conftest import CRS, PLACE, RecordMaker, TifMaker, small_disk

PngMaker = Callable[[str, AnyArray], Path]


def decibels(height: int = 6, width: int = 8, bands: int = 2) -> AnyArray:
    generator = np.random.default_rng(3)
    return generator.uniform(-25, -1, (bands, height, width)).astype(np.float32)


# --- no data in all its kinds -------------------------------------------------------------------


def test_nan_and_infinity_in_one_band_are_not_valid(
    make_tif: TifMaker, make_record: RecordMaker
) -> None:
    values = decibels()
    values[0, 1, 2] = np.nan
    values[1, 3, 4] = -np.inf
    chip = read_chip(make_record(make_tif("a.tif", values)))
    expected = np.ones((6, 8), bool)
    expected[1, 2] = expected[3, 4] = False
    np.testing.assert_array_equal(chip.valid, expected)
    assert np.isfinite(chip.image).all()
    assert (chip.image[:, ~expected] == 0).all()
    np.testing.assert_array_equal(chip.image[:, expected], values[:, expected])


@pytest.mark.parametrize("declared", [-9999.0, 0.0, float("nan")])
def test_a_declared_value_is_not_valid(
    declared: float, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    values = decibels()
    values[:, 0] = declared
    chip = read_chip(make_record(make_tif("a.tif", values, nodata=declared)))
    assert not chip.valid[0].any()
    assert chip.valid[1:].all()


def test_a_dataset_mask_is_followed(make_tif: TifMaker, make_record: RecordMaker) -> None:
    mask = np.ones((6, 8), bool)
    mask[2:4, 5:] = False
    chip = read_chip(make_record(make_tif("a.tif", decibels(), mask=mask)))
    np.testing.assert_array_equal(chip.valid, mask)


def test_a_dataset_mask_replaces_the_border_rule(
    make_tif: TifMaker, make_record: RecordMaker
) -> None:
    values = np.full((2, 4, 4), 255, np.uint8)
    values[:, 1:] = 0
    mask = np.ones((4, 4), bool)
    mask[0] = False
    path = make_tif("a.tif", values, mask=mask)
    chip = read_chip(make_record(path, units=Units.BYTE))
    np.testing.assert_array_equal(chip.valid, mask)


@pytest.mark.parametrize("number", ["-40", "0"])
def test_a_number_in_the_manifest_is_not_valid(
    number: str, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    values = decibels()
    values[1, 5, 5] = float(number)
    chip = read_chip(make_record(make_tif("a.tif", values), nodata=number))
    assert not chip.valid[5, 5]
    assert chip.valid.sum() == chip.valid.size - 1


@pytest.mark.parametrize("number", ["300", "-1", "0.5"])
def test_a_number_that_a_byte_cannot_hold_hides_nothing(
    number: str, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    values = np.arange(2 * 4 * 64, dtype=np.uint16).reshape(2, 4, 64).astype(np.uint8)
    record = make_record(make_tif("a.tif", values), nodata=number, units=Units.BYTE)
    assert read_chip(record).valid.all()


def test_the_border_rule_is_for_bytes_unless_asked_for(
    make_tif: TifMaker, make_record: RecordMaker
) -> None:
    values = np.full((2, 4, 4), 7, np.uint8)
    values[:, 0] = 255
    values[:, 1] = 0
    path = make_tif("a.tif", values)
    assert read_chip(make_record(path, units=Units.OTHER)).valid.all()
    assert read_chip(make_record(path, units=Units.BYTE, nodata="declared")).valid.all()
    for units, nodata in ((Units.BYTE, "auto"), (Units.OTHER, "border")):
        chip = read_chip(make_record(path, units=units, nodata=nodata))
        assert not chip.valid[:2].any()
        assert chip.valid[2:].all()
    for dtype in ("float32", "uint16"):  # units are what counts, not the type that holds them
        chip = read_chip(make_record(make_tif("b.tif", values.astype(dtype)), units=Units.BYTE))
        assert not chip.valid[:2].any()
        assert chip.valid[2:].all()


@pytest.mark.parametrize(
    ("bands", "follows"),
    [
        (("vh", "angle"), True),
        (("Sigma0_VV", "Sigma0_VH"), True),
        (("VV-VH", "x"), True),
        (("band1", "band2"), True),
        (("red", "green"), False),
        (("savvy", "band1a"), False),
    ],
)
def test_white_and_black_are_no_border_in_pictures(
    bands: tuple[str, ...], follows: bool, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    values = np.full((2, 4, 4), 7, np.uint8)
    values[:, 0], values[:, 1] = 255, 0
    path = make_tif("a.tif", values)
    chip = read_chip(make_record(path, units=Units.BYTE, bands=bands))
    assert chip.valid[:2].any() != follows
    assert (
        not read_chip(make_record(path, units=Units.BYTE, bands=bands, nodata="border"))
        .valid[:2]
        .any()
    )


def test_the_darkest_water_and_bright_targets_stay_valid(
    make_tif: TifMaker, make_record: RecordMaker
) -> None:
    values = np.full((2, 5, 5), 90, np.uint8)
    values[:, 0, :] = 255
    values[:, 2, 2:4] = 0
    values[0, 4, 4] = 255
    chip = read_chip(make_record(make_tif("a.tif", values), units=Units.BYTE))
    assert not chip.valid[0].any()
    assert chip.valid[1:].all()


def flooded_border(image: AnyArray) -> BoolArray:
    """Flood from the pixels that are 255 in all bands through zeros, pixel by pixel."""
    _, height, width = image.shape
    outside = np.zeros((height, width), bool)
    queue = deque(
        (row, col)
        for row in range(height)
        for col in range(width)
        if all(value == 255 for value in image[:, row, col])
    )
    for place in queue:
        outside[place] = True
    while queue:
        row, col = queue.popleft()
        for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
            inside = 0 <= r < height and 0 <= c < width
            if inside and not outside[r, c] and all(value == 0 for value in image[:, r, c]):
                outside[r, c] = True
                queue.append((r, c))
    return np.asarray(~outside)


@given(
    st.integers(1, 3).flatmap(
        lambda bands: arrays(
            np.uint8,
            st.tuples(st.just(bands), st.integers(1, 9), st.integers(1, 9)),
            elements=st.sampled_from([0, 0, 0, 255, 90]),
        )
    )
)
def test_the_border_rule_is_a_flood_fill(image: AnyArray) -> None:
    np.testing.assert_array_equal(border_valid(image), flooded_border(image))


def lone_border(band: AnyArray) -> BoolArray:
    """Flood from the middles of squares of 255, as far as these lie within the frame."""
    half = borders._CORE // 2
    is_core = [
        [
            (band[max(r - half, 0) : r + half + 1, max(c - half, 0) : c + half + 1] == 255).all()
            for c in range(band.shape[1])
        ]
        for r in range(band.shape[0])
    ]
    marked = np.where((band == 0) | (band == 255), 0, 90)  # all that a border may run through
    return flooded_border(np.where(is_core, 255, marked)[None])


@given(
    st.tuples(st.integers(1, 14), st.integers(1, 12)).flatmap(
        lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 255, 255, 90]))
    ),
    st.lists(st.tuples(st.integers(0, 14), st.integers(0, 12)), max_size=2),
    st.integers(1, 5),
    st.sampled_from([1, 3, 5]),
)
def test_a_band_alone_needs_squares_of_no_data(
    band: AnyArray, corners: list[tuple[int, int]], strip: int, core: int
) -> None:
    for row, col in corners:
        band[row : row + 5, col : col + 5] = 255

    def read(row: int, rows: int) -> AnyArray:
        return band[None, row : row + rows]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(borders, "_CORE", core)
        patch.setattr(borders, "STRIP", strip)
        expected = lone_border(band)
        np.testing.assert_array_equal(border_valid(band[None], is_alone=True), expected)
        found = Borders(read, len(band), is_alone=True).valid(read, 0, len(band))
        np.testing.assert_array_equal(found, expected)


def test_a_bright_target_beside_dark_water_is_no_border_of_one_band(
    make_tif: TifMaker, make_record: RecordMaker
) -> None:
    values = np.full((40, 40), 90, np.uint8)
    values[:, :6] = 255  # the border, with zeros beside it
    values[:, 6] = 0
    values[20:30, 20:30] = 0  # a lake, and a ship on it
    values[24:26, 24:26] = 255
    expected = np.ones((40, 40), bool)
    expected[:, :7] = False
    path = make_tif("a.tif", values)
    chip = read_chip(make_record(path, units=Units.BYTE, bands=("VV",)))
    np.testing.assert_array_equal(chip.valid, expected)


@given(
    arrays(
        np.uint8,
        st.tuples(st.integers(1, 2), st.integers(1, 11), st.integers(1, 7)),
        elements=st.sampled_from([0, 0, 0, 0, 255, 90]),
    ),
    st.data(),
)
def test_the_border_by_strips_is_that_of_the_whole(image: AnyArray, data: st.DataObject) -> None:
    height = image.shape[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(borders, "STRIP", data.draw(st.integers(1, 5)))

        def read(row: int, rows: int) -> AnyArray:
            return image[:, row : row + rows]

        found = Borders(read, height)
        for _ in range(3):
            row = data.draw(st.integers(0, height - 1))
            rows = data.draw(st.integers(1, height - row))
            expected = flooded_border(image)[row : row + rows]
            np.testing.assert_array_equal(found.valid(read, row, rows), expected)


def test_a_border_winds_through_many_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.full((1, 41, 41), 90, np.uint8)
    image[0, 1::4] = 0
    image[0, 1:-1, 1] = image[0, 1:-1, -2] = 0
    for turn, row in enumerate(range(3, 40, 4)):  # walls that leave one passage, left and right
        image[0, row, 1 if turn % 2 else -2] = 90
    image[0, 40, 1] = 255
    image[0, 39, 1] = 0
    monkeypatch.setattr(borders, "STRIP", 4)

    def read(row: int, rows: int) -> AnyArray:
        return image[:, row : row + rows]

    found = Borders(read, 41).valid(read, 0, 41)
    np.testing.assert_array_equal(found, flooded_border(image))
    assert not found[1].any()


def test_an_8_bit_scene_knows_its_border_in_every_window(
    make_tif: TifMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = np.random.default_rng(3).choice(np.array([0, 0, 0, 90, 255], np.uint8), (2, 30, 20))
    values[1] = np.where(values[1] == 255, 255, values[0])
    monkeypatch.setattr(borders, "STRIP", 8)
    expected = flooded_border(values)
    with Scene([make_tif("a.tif", values)], units=Units.BYTE) as scene:
        for row, col, height, width in ((0, 0, 30, 20), (5, 3, 17, 11), (29, 19, 1, 1)):
            _, valid = scene.read(row, col, height, width)
            np.testing.assert_array_equal(valid, expected[row:, col:][:height, :width])
        _, thinned = scene.read(0, 0, 30, 20, out_shape=(10, 5))
    np.testing.assert_array_equal(thinned, expected[::3, ::4])


def test_an_8_bit_scene_is_given_up_with_its_last_reference(make_tif: TifMaker) -> None:
    scene = Scene([make_tif("a.tif", np.full((2, 8, 8), 255, np.uint8))], units=Units.BYTE)
    scene.read(0, 0, 8, 8)
    gone = weakref.ref(scene)
    gc.disable()
    try:
        del scene
        assert gone() is None
    finally:
        gc.enable()


def test_an_all_nan_chip_has_no_valid_pixel(make_tif: TifMaker, make_record: RecordMaker) -> None:
    path = make_tif("a.tif", np.full((2, 4, 4), np.nan, np.float32))
    chip = read_chip(make_record(path))
    assert not chip.valid.any()
    assert (chip.image == 0).all()
    with Scene([path], bands=["VV", "VH"]) as scene:
        assert scene.units == Units.OTHER


# --- files and bands ----------------------------------------------------------------------------


def test_files_of_one_band_make_one_image(make_tif: TifMaker) -> None:
    values = decibels()
    files = [make_tif(f"scene_{b}.tif", v) for b, v in zip(("vv", "vh"), values, strict=True)]
    with Scene(files) as scene:
        assert scene.bands == ("vv", "vh")
        assert scene.band_indices(["VH", "VV"]) == [1, 0]
        image, valid = scene.read(1, 2, 3, 4, bands=[1])
    np.testing.assert_array_equal(image, values[1:, 1:4, 2:6])
    assert valid.all()


def test_descriptions_name_the_bands_and_a_missing_band_is_named(make_tif: TifMaker) -> None:
    path = make_tif("a.tif", decibels(), bands=("VV", "VH"))
    with Scene([path]) as scene:
        assert scene.bands == ("VV", "VH")
        with pytest.raises(DataError, match=r"a\.tif has no band 'HH'.*VV, VH"):
            scene.band_indices(["HH"])


def test_a_gray_picture_may_have_three_equal_channels(
    make_png: PngMaker, make_record: RecordMaker
) -> None:
    gray = np.random.default_rng(1).integers(1, 250, (6, 7)).astype(np.uint8)
    vv, vh = make_png("a_vv.png", gray), make_png("a_vh.png", np.stack([gray] * 3, axis=-1))
    chip = read_chip(make_record(vv, vh, units=Units.BYTE))
    np.testing.assert_array_equal(chip.image[0], gray)
    np.testing.assert_array_equal(chip.image[1], gray)


def test_channels_that_differ_are_not_one_band(
    make_png: PngMaker, make_record: RecordMaker
) -> None:
    color = np.zeros((4, 4, 3), np.uint8)
    color[..., 2] = 9
    record = make_record(make_png("a.png", color), bands=("VV",), units=Units.BYTE)
    with pytest.raises(DataError, match=r"a\.png has 3 channels that differ"):
        read_chip(record)


def test_a_number_of_bands_that_does_not_fit_is_named(
    make_tif: TifMaker, make_record: RecordMaker
) -> None:
    record = make_record(make_tif("a.tif", decibels(bands=3)))
    with pytest.raises(DataError, match=r"2 bands are named \(VV, VH\) but the files have 3"):
        read_chip(record)


def test_a_missing_file_is_named(tmp_path: Path, make_record: RecordMaker) -> None:
    with pytest.raises(RasterError, match=r"gone\.tif: there is no such file; name one"):
        read_chip(make_record(tmp_path / "gone.tif"))


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_truncated_file_is_named(
    name: str, make_tif: TifMaker, make_png: PngMaker, make_record: RecordMaker
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    path = make_tif(name, noise) if name.endswith("tif") else make_png(name, noise)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(RasterError, match=re.escape(name)):
        read_chip(make_record(path, bands=("VV",), units=Units.BYTE))


def test_a_file_that_is_no_raster_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_text("hello")
    with pytest.raises(RasterError, match=r"a\.tif.*not a raster"):
        read_header(path)


def test_a_decimated_window_takes_every_nth_pixel(make_tif: TifMaker) -> None:
    values = decibels(8, 8)
    with Scene([make_tif("a.tif", values)]) as scene:
        image, valid = scene.read(0, 0, 8, 8, out_shape=(4, 4))
    assert image.shape == (2, 4, 4)
    assert valid.shape == (4, 4)
    assert set(image.ravel().tolist()) <= set(values.ravel().tolist())


def test_threads_may_open_files_without_georeference(make_tif: TifMaker) -> None:
    path = make_tif("a.tif", decibels())
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        headers = list(pool.map(lambda _: read_header(path), range(64)))
    assert {header.grid for header in headers} == {Grid(6, 8)}
    assert list(warnings.filters) == before


# --- labels -------------------------------------------------------------------------------------


def test_codes_become_class_indices(make_tif: TifMaker, make_record: RecordMaker) -> None:
    image = make_tif("a.tif", decibels(2, 3))
    label = make_tif("l.tif", np.array([[0, 1, -1], [2, 2, 0]], np.int16))
    classes = ("land", "permanent water", "flood")
    codes = "0=land,1=flood,2=permanent water,-1=ignore"
    chip = read_chip(make_record(image, labels=(label,), codes=codes, classes=classes))
    assert chip.target is not None
    assert chip.target.dtype == np.uint8
    assert chip.target.tolist() == [[0, 2, IGNORE], [1, 1, 0]]


def test_later_labels_lie_over_earlier_ones_and_keep_lets_through(
    make_png: PngMaker, make_record: RecordMaker
) -> None:
    flood = make_png("flood.png", np.array([[0, 255, 0, 255]]))
    body = make_png("body.png", np.array([[0, 0, 7, 9]]))
    two = make_record(labels=(flood, body), codes="0=land,*=water;0=keep,*=water")
    assert read_target(two).tolist() == [[0, 1, 1, 1]]
    three = make_record(
        labels=(flood, body),
        codes="0=land,*=flood;0=keep,*=permanent water",
        classes=("land", "permanent water", "flood"),
    )
    assert read_target(three).tolist() == [[0, 2, 1, 1]]


def test_a_first_label_that_keeps_leaves_the_pixel_unlabelled(
    make_png: PngMaker, make_record: RecordMaker
) -> None:
    label = make_png("l.png", np.array([[0, 1]]))
    assert read_target(make_record(labels=(label,), codes="0=keep,1=water")).tolist() == [
        [IGNORE, 1]
    ]


def test_codes_nobody_declared_are_counted(make_tif: TifMaker, make_record: RecordMaker) -> None:
    label = make_tif("l.tif", np.array([[0, 1, 9], [9, -3, 0]], np.int16))
    record = make_record(labels=(label,), codes="0=land,1=water")
    with pytest.raises(DataError, match=r"l\.tif.*-3 \(1 px\), 9 \(2 px\).*0=land,1=water"):
        read_target(record)
    assert label_values(label) == {-3: 1, 0: 2, 1: 1, 9: 2}


def test_a_declared_no_data_value_of_labels_is_ignored(
    make_tif: TifMaker, make_record: RecordMaker
) -> None:
    label = make_tif("l.tif", np.array([[0, 1, 77]], np.uint8), nodata=77)
    assert read_target(make_record(labels=(label,), codes="0=land,1=water")).tolist() == [
        [0, 1, IGNORE]
    ]
    assert label_values(label) == {0: 1, 1: 1}


@pytest.mark.parametrize("nodata", [None, float("nan"), -9.0])
def test_labels_may_be_floats_with_nan(
    nodata: float | None, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    values = np.array([[0, 1, np.nan]], np.float32)
    label = make_tif("l.tif", values, nodata=nodata)
    assert read_target(make_record(labels=(label,), codes="0=land,1=water")).tolist() == [
        [0, 1, IGNORE]
    ]


def test_labels_are_no_fractions(make_tif: TifMaker, make_record: RecordMaker) -> None:
    label = make_tif("l.tif", np.array([[0, 0.5]], np.float32))
    with pytest.raises(DataError, match=r"l\.tif holds fractions"):
        read_target(make_record(labels=(label,), codes="0=land,1=water"))


def test_labels_are_not_opened_unless_wanted(
    make_tif: TifMaker, make_record: RecordMaker, tmp_path: Path
) -> None:
    record = make_record(
        make_tif("a.tif", decibels()), labels=(tmp_path / "gone.tif",), codes="0=land,1=water"
    )
    assert read_chip(record, with_target=False).target is None
    with pytest.raises(RasterError, match=r"gone\.tif"):
        read_chip(record)


@pytest.mark.parametrize(
    ("shape", "crs", "moved", "message"),
    [
        ((6, 7), CRS, 0.0, r"6 x 7 px instead of 6 x 8"),
        ((6, 8), "EPSG:32632", 0.0, r"its CRS is EPSG:32632 instead of EPSG:32631"),
        ((6, 8), CRS, 3.0, r"it lies 3\.0 px away"),
    ],
)
def test_a_label_that_does_not_fit_its_image_is_named(
    shape: tuple[int, int],
    crs: str,
    moved: float,
    message: str,
    make_tif: TifMaker,
    make_record: RecordMaker,
) -> None:
    image = make_tif("a.tif", decibels(), crs=CRS)
    place = PLACE @ Affine.translation(moved, 0)
    label = make_tif("l.tif", np.zeros(shape, np.uint8), crs=crs, transform=place)
    record = make_record(image, labels=(label,), codes="0=land,1=water")
    with pytest.raises(DataError, match=rf"l\.tif does not fit .*a\.tif: {message}"):
        read_chip(record)


def test_a_label_without_crs_fits_by_size(make_tif: TifMaker, make_record: RecordMaker) -> None:
    image = make_tif("a.tif", decibels(), crs=CRS)
    label = make_tif("l.tif", np.zeros((6, 8), np.uint8))
    chip = read_chip(make_record(image, labels=(label,), codes="0=land,1=water"))
    assert chip.target is not None
    assert chip.grid.crs is not None


# --- places -------------------------------------------------------------------------------------


def test_a_tenth_of_a_pixel_is_the_same_place() -> None:
    one = Grid(4, 4, PLACE, CRS)
    near = Grid(4, 4, PLACE @ Affine.translation(0.05, -0.05), CRS)
    check_same_grid(one, near, Path("a"), Path("b"))
    stretched = Grid(4, 4, PLACE @ Affine.scale(1.1), CRS)
    with pytest.raises(DataError, match=r"b does not fit a"):
        check_same_grid(one, stretched, Path("a"), Path("b"))


def test_bounds_of_a_utm_chip_lie_where_the_zone_says() -> None:
    bounds = lonlat_bounds(Grid(100, 200, PLACE, CRS))
    assert bounds is not None
    west, south, east, north = bounds
    # Zone 31 has its middle at 3 degrees east, where its easting is 500 km.
    assert west == pytest.approx(3.0, abs=1e-9)
    assert 0.02 < east - west < 0.03
    assert 45.13 < south < north < 45.16
    assert lonlat_bounds(Grid(4, 4)) is None


@pytest.mark.parametrize(
    ("crs", "corner", "size"),
    [
        ("EPSG:32633", (1e9, 1e9), 10),  # projects to nothing
        ("EPSG:4326", (500_000, 5_780_000), 10),  # meters called degrees
        ("EPSG:4326", (10, 95), 0.001),
    ],
)
def test_a_grid_that_lies_nowhere_is_an_error(
    crs: str, corner: tuple[float, float], size: float
) -> None:
    grid = Grid(64, 64, Affine(size, 0, corner[0], 0, -size, corner[1]), crs)
    with pytest.raises(DataError, match=rf"/x/a\.tif lies nowhere on Earth: its CRS is {crs}"):
        lonlat_bounds(grid, Path("/x/a.tif"))


@pytest.mark.parametrize(
    ("west", "width", "expected"),
    [
        (350, 4, (-10, -6)),
        (179, 4, (179, -177)),
        (-181, 4, (179, -177)),
        (-10, 20, (-10, 10)),
        (0, 360, (-180, 180)),
        (176, 4, (176, 180)),
    ],
)
def test_longitudes_are_within_180_degrees(
    west: float, width: int, expected: tuple[float, float]
) -> None:
    grid = Grid(1, width, Affine(1, 0, west, 0, -1, 50), "EPSG:4326")
    assert lonlat_bounds(grid) == (expected[0], 49, expected[1], 50)


def test_heights_are_no_matter_to_the_place() -> None:
    flat = Grid(4, 4, PLACE, CRS)
    for crs in (f"{CRS}+5773", rasterio.crs.CRS.from_user_input(f"{CRS}+5773").to_wkt()):
        check_same_grid(flat, Grid(4, 4, PLACE, crs), Path("a"), Path("b"))
    with pytest.raises(DataError, match="its CRS is"):
        check_same_grid(flat, Grid(4, 4, PLACE, "EPSG:32632+5773"), Path("a"), Path("b"))


def test_the_area_of_a_pixel() -> None:
    assert pixel_area(Grid(4, 4)) is None
    assert pixel_area(Grid(4, 4, PLACE, CRS)) == pytest.approx(100)
    degrees = Affine(0.001, 0, 10, 0, -0.001, 60.0005)
    # One thousandth of a degree is 111.195 m along the meridian, half of it at 60 degrees north.
    area = pixel_area(Grid(1, 1, degrees, "EPSG:4326"))
    assert area == pytest.approx(111.195**2 * 0.5, rel=1e-4)


@pytest.mark.parametrize(
    ("crs", "x", "y", "size"),
    [
        ("EPSG:3857", 1_000_000, 8_400_000, 10),
        ("EPSG:3857", 20_037_505, -8_400_000, 10),
        ("EPSG:3413", 1_500_000, -2_000_000, 40),
    ],
)
def test_areas_are_true_where_the_crs_distorts_them(
    crs: str, x: float, y: float, size: float
) -> None:
    to_degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    lon, lat = to_degrees.transform([x, x + size, x + size, x], [y, y, y - size, y - size])
    expected, _ = pyproj.Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)
    area = pixel_area(Grid(1, 1, Affine(size, 0, x, 0, -size, y), crs))
    if abs(size**2 / abs(expected) - 1) > 0.02:
        assert area == pytest.approx(abs(expected), rel=1e-4)
    else:
        assert area == size**2


def test_a_window_of_a_grid_lies_in_place() -> None:
    window = Grid(10, 10, PLACE, CRS).window(2, 3, 4, 5)
    assert (window.height, window.width) == (4, 5)
    assert window.transform @ (0, 0) == PLACE @ (3, 2)


# --- writing ------------------------------------------------------------------------------------


def test_what_is_written_is_read(tmp_path: Path) -> None:
    values, grid = decibels(), Grid(6, 8, PLACE, CRS)
    valid = values[0] > -20
    path = tmp_path / "out" / "a.tif"
    write_raster(path, values, grid, bands=["VV", "VH"], valid=valid, tags={"UNITS": "db"})
    with Scene([path]) as scene:
        image, usable = scene.read(0, 0, 6, 8)
        assert scene.bands == ("VV", "VH")
        assert scene.units == Units.DB
        assert scene.grid.transform == PLACE
    np.testing.assert_array_equal(usable, valid)
    np.testing.assert_array_equal(image[:, valid], values[:, valid])
    with rasterio.open(path) as dataset:
        assert dataset.tags()["UNITS"] == "db"
    assert [file.name for file in path.parent.iterdir()] == ["a.tif"]


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_raster(path, decibels(), Grid(6, 8), bands=["VV", "VH"])
    before = path.read_bytes()
    with pytest.raises(OutputExistsError, match="--overwrite"):
        write_raster(path, decibels() * 2, Grid(6, 8), bands=["VV", "VH"])
    assert path.read_bytes() == before
    write_raster(path, decibels() * 2, Grid(6, 8), bands=["VV", "VH"], overwrite=True)
    assert path.read_bytes() != before


def test_probabilities_are_not_written_as_whole_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with (
        pytest.raises(RasterError, match="holds uint8 but was given float32"),
        open_writer(path, Grid(2, 2), dtype="uint8", bands=["water"]) as writer,
    ):
        writer.write(np.full((2, 2), 0.7, np.float32))
    assert list(tmp_path.iterdir()) == []


def test_complex_numbers_are_refused(make_tif: TifMaker) -> None:
    path = make_tif("slc.tif", decibels().astype(np.complex64))
    with pytest.raises(RasterError, match=r"slc\.tif holds complex numbers; compute amplitude"):
        read_header(path)


def test_what_single_precision_cannot_hold_is_not_valid(make_tif: TifMaker) -> None:
    values = decibels().astype(np.float64)
    values[0, 0, 0] = 1e300
    with Scene([make_tif("a.tif", values)]) as scene:
        image, valid = scene.read(0, 0, 6, 8)
    assert np.argwhere(~valid).tolist() == [[0, 0]]
    assert np.isfinite(image).all()


def test_a_rule_for_no_data_that_is_none_is_refused(make_tif: TifMaker) -> None:
    with pytest.raises(DataError, match=r"'autoo' \(did you mean 'auto'\?\) is neither"):
        Scene([make_tif("a.tif", decibels())], nodata="autoo")


@pytest.mark.parametrize("name", ["a" * 300, "a\udcff.tif"])
def test_names_that_no_raster_can_have(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if len(name) < 255:
        path.write_bytes(b"II")
    with pytest.raises(RasterError, match=r"cannot read '.*(File name too long|is not UTF-8)"):
        read_header(path)


def test_a_folder_is_no_raster(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match="it is a folder"):
        read_header(tmp_path)


@pytest.mark.parametrize("room", [1000, 70_000, 200_000, 1_000_000])
def test_a_raster_that_did_not_fit_on_the_disk_does_not_appear(room: int, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(size=(2, 600, 600)).astype(np.float32)
    with pytest.raises(OutputError, match=r"cannot write .*a\.tif"), small_disk(room):
        write_raster(
            tmp_path / "a.tif",
            noise,
            Grid(600, 600),
            bands=("VV", "VH"),
            valid=np.ones((600, 600), np.bool_),
        )
    assert list(tmp_path.iterdir()) == []


def test_a_raster_larger_than_a_geotiff_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="more than a GeoTIFF holds"),
        open_writer(tmp_path / "a.tif", Grid(2**31, 1), dtype="uint8", bands=("a",)),
    ):
        pytest.fail("the block must not run")


@pytest.mark.parametrize("is_tiled", [False, True])
def test_samples_lie_all_over_a_scene(is_tiled: bool, tmp_path: Path) -> None:
    """Every row and column of windows is seen, also where their number divides the spacing."""
    path, side = tmp_path / "s.tif", 8 * 512
    rows, cols = np.mgrid[0:side, 0:side].astype(np.uint16)
    profile = {"tiled": True, "blockxsize": 256, "blockysize": 256} if is_tiled else {}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=side,
        width=side,
        count=2,
        dtype="uint16",
        crs=CRS,
        transform=PLACE,
        **profile,
    ) as dataset:
        dataset.write(np.stack([rows, cols]))
    with Scene([path], bands=("row", "col"), units=Units.OTHER) as scene:
        found = list(scene.sampled(side * side // 4))
        whole = list(scene.sampled(side * side))
    seen = sum(valid.size for _, valid in found)
    assert side * side // 4 <= seen <= side * side // 2
    assert sum(valid.size for _, valid in whole) == side * side
    places = {(int(image[0, 0, 0]), int(image[1, 0, 0])) for image, _ in found}
    if is_tiled:
        assert {col for _, col in places} == set(range(0, side, 512))
        assert {row for row, _ in places} == set(range(0, side, 512))
    else:
        assert max(np.diff(sorted(row for row, _ in places))) <= 4 * 32
    image, _ = found[0]
    np.testing.assert_array_equal(image[0, :, 0], image[0, 0, 0] + np.arange(image.shape[1]))


@pytest.mark.parametrize("nodata", [float(np.finfo(np.float32).min), 1e20, np.inf, -np.inf])
def test_no_data_of_float_labels_may_be_any_number(
    nodata: float, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    """QGIS writes float32's lowest."""
    image = make_tif("i.tif", np.full((2, 2, 3), -9, np.float32))
    values = np.array([[0, 1, nodata], [1, nodata, 0]], np.float32)
    label = make_tif("l.tif", values, nodata=nodata)
    chip = read_chip(make_record(image, labels=(label,), codes="0=land,1=water"))
    assert chip.target is not None
    assert chip.target.tolist() == [[0, 1, IGNORE], [1, IGNORE, 0]]
    assert label_values(label) == {0: 2, 1: 2}


def test_a_huge_label_that_is_not_declared_is_named(make_tif: TifMaker) -> None:
    label = make_tif("l.tif", np.array([[0, 1, 1e20]], np.float32))
    with pytest.raises(DataError, match=r"a value of size 1e\+20, which is no label"):
        label_values(label)


@pytest.mark.parametrize("name", ["https://example.org/a.tif", "s3://b/a.tif", "/vsicurl/a.tif"])
def test_what_lies_elsewhere_is_to_be_downloaded(name: str) -> None:
    with pytest.raises(RasterError, match="from the disks of this machine only; download it"):
        read_header(name)


def test_a_file_that_may_not_be_read_is_not_called_damaged(
    make_tif: TifMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_tif("a.tif", decibels())
    monkeypatch.setattr("os.access", lambda path, _: path != file)  # root may read all
    with pytest.raises(RasterError, match=r"a\.tif: permission denied; ask"):
        read_header(file)
