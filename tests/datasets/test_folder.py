from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sarwater.datasets.indexing import index
from sarwater.errors import ConfigError, DataError
from sarwater.raster import read_chip
from sarwater.types import IGNORE, AnyArray, Units
from tests.conftest import CRS, TifMaker

PngMaker = Callable[[str, AnyArray], Path]
IMAGE = np.linspace(-25, -1, 48, dtype=np.float32).reshape(2, 4, 6)
LABEL = np.array([[0, 1, 255, 0, 0, 1]] * 4, np.uint8)


def test_images_and_labels_are_paired_by_name(make_tif: TifMaker, tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_tif(f"images/{name}.tif", IMAGE, crs=CRS, bands=("VH", "VV"))
    make_tif("labels/a.tif", LABEL, crs=CRS)
    notes: list[str] = []
    manifest = index(
        tmp_path, "folder", codes="0=land,1=water,255=ignore", domain="rhine", report=notes.append
    )
    first, second = manifest.records
    assert (first.id, first.domain, first.bands, first.units) == (
        "a",
        "rhine",
        ("VH", "VV"),
        Units.DB,
    )
    assert first.bounds is not None
    target = read_chip(first).target
    assert target is not None
    assert target[0].tolist() == [0, 1, IGNORE, 0, 0, 1]
    assert not second.is_labelled
    assert notes == ["1 of 2 images have no label: b"]


def test_optical_pictures_of_any_classes(make_png: PngMaker, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    make_png("images/a.png", generator.integers(0, 255, (4, 6, 3)))
    make_png("labels/a.png", np.array([[0, 1, 2, 0, 0, 1]] * 4))
    manifest = index(
        tmp_path,
        "folder",
        bands=["red", "green", "blue"],
        classes=["ground", "ice", "snow"],
        units=Units.OTHER,
    )
    chip = read_chip(manifest.records[0])
    assert chip.bands == ("red", "green", "blue")
    assert chip.units == Units.OTHER
    assert chip.target is not None
    assert chip.target[0].tolist() == [0, 1, 2, 0, 0, 1]


def test_suffixes_may_tell_images_from_labels(make_tif: TifMaker, tmp_path: Path) -> None:
    make_tif("x/Ghana_1_S1Hand.tif", IMAGE)
    make_tif("y/Ghana_1_LabelHand.tif", LABEL[:, :2])
    options: dict[str, Any] = {"images": "x/*.tif", "labels": "y/*.tif", "image_suffix": "_S1Hand"}
    with pytest.raises(DataError, match=r"4 x 2 px instead of 4 x 6"):
        index(tmp_path, "folder", label_suffix="_LabelHand", **options)
    make_tif("y/Ghana_1_LabelHand.tif", LABEL)
    (row,) = index(tmp_path, "folder", label_suffix="_LabelHand", **options)
    assert row.id == "Ghana_1"
    assert row.is_labelled
    with pytest.raises(DataError, match=r"1 labels have no image: .*see --image-suffix"):
        index(tmp_path, "folder", **options)


def test_polarizations_in_files_of_their_own_make_one_image(
    make_tif: TifMaker, tmp_path: Path
) -> None:
    make_tif("a_vv.tif", IMAGE[0])
    make_tif("a_vh.tif", IMAGE[1])
    make_tif("deep/S1A_IW_2020-VH.tiff", IMAGE[1])
    make_tif("deep/S1A_IW_2020-VV.tiff", IMAGE[0])
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.tif").write_text("no image")
    manifest = index(tmp_path, "folder")
    assert [(row.id, row.bands) for row in manifest] == [
        ("a", ("VV", "VH")),
        ("S1A_IW_2020", ("VV", "VH")),
    ]
    np.testing.assert_array_equal(read_chip(manifest.records[1]).image, IMAGE)
    assert not any(row.is_labelled for row in manifest)
    assert manifest.domains == (tmp_path.name,)


def test_polarized_images_have_labels_too(make_tif: TifMaker, tmp_path: Path) -> None:
    make_tif("images/a_vv.tif", IMAGE[0])
    make_tif("images/a_vh.tif", IMAGE[1])
    make_tif("labels/a.tif", np.zeros((4, 6), np.uint8))
    (row,) = index(tmp_path, "folder")
    assert row.is_labelled


def test_one_polarization_alone_is_an_image_of_one_band(make_tif: TifMaker, tmp_path: Path) -> None:
    make_tif("a_vv.tif", IMAGE[0])
    (row,) = index(tmp_path, "folder")
    assert [band.upper() for band in row.bands] == ["VV"]


def test_a_missing_polarization_is_named(make_tif: TifMaker, tmp_path: Path) -> None:
    make_tif("a_vv.tif", IMAGE[0])
    make_tif("a_vh.tif", IMAGE[1])
    make_tif("b_vv.tif", IMAGE[0])
    with pytest.raises(DataError, match=r"image 'b' lacks VH: found b_vv\.tif"):
        index(tmp_path, "folder")


def test_domains_from_folders(make_tif: TifMaker, tmp_path: Path) -> None:
    for region in ("rhine", "elbe"):
        make_tif(f"images/{region}/2021/a.tif", IMAGE)
        make_tif(f"labels/{region}/2021/a.tif", np.zeros((4, 6), np.uint8))
    make_tif("images/b.tif", IMAGE)
    manifest = index(tmp_path, "folder", domain_from_folder=True)
    assert {row.id: row.domain for row in manifest} == {
        "b": tmp_path.name,
        "elbe/2021/a": "elbe",
        "rhine/2021/a": "rhine",
    }
    assert {row.id: row.labels[0].parts[-3] for row in manifest if row.labels} == {
        "elbe/2021/a": "elbe",
        "rhine/2021/a": "rhine",
    }


def test_labels_in_one_folder_pair_with_images_in_several(
    make_tif: TifMaker, tmp_path: Path
) -> None:
    make_tif("images/rhine/a.tif", IMAGE)
    make_tif("images/elbe/b.tif", IMAGE)
    for name in ("a", "b"):
        make_tif(f"labels/{name}.tif", np.zeros((4, 6), np.uint8))
    assert all(row.is_labelled for row in index(tmp_path, "folder"))


def test_all_problems_of_matching_are_reported_together(
    make_tif: TifMaker, make_png: PngMaker, tmp_path: Path
) -> None:
    make_tif("images/a.tif", IMAGE)
    make_png("images/a.png", np.zeros((4, 6)))
    make_tif("images/b.tif", IMAGE)
    make_tif("labels/a.tif", LABEL)
    make_tif("labels/b.tif", LABEL)
    make_png("labels/b.png", LABEL)
    make_tif("labels/c.tif", LABEL)
    with pytest.raises(DataError) as caught:
        index(tmp_path, "folder")
    message = str(caught.value)
    assert message.startswith("3 problems")
    assert "several files make an image named 'a'" in message
    assert "two labels for 'b'" in message
    assert "1 labels have no image" in message
    assert "c.tif" in message


def test_units_are_guessed_and_a_blank_chip_takes_those_of_the_others(
    make_tif: TifMaker, tmp_path: Path
) -> None:
    linear = (10 ** (IMAGE / 10)).astype(np.float32)
    make_tif("a.tif", linear)
    make_tif("b.tif", np.full((2, 4, 6), np.nan, np.float32))
    assert {row.units for row in index(tmp_path, "folder")} == {Units.LINEAR}
    make_tif("c.tif", IMAGE)
    units = {row.id: row.units for row in index(tmp_path, "folder")}
    assert units == {"a": Units.LINEAR, "b": Units.OTHER, "c": Units.DB}
    assert {row.units for row in index(tmp_path, "folder", units=Units.DB)} == {Units.DB}


def test_bytes_are_guessed_without_the_border_rule(make_png: PngMaker, tmp_path: Path) -> None:
    make_png("a.png", np.full((4, 6), 255))
    (row,) = index(tmp_path, "folder", bands=["VV"])
    assert row.units == Units.BYTE
    assert row.nodata == "auto"
    assert not read_chip(row).valid.any()


@pytest.mark.parametrize(
    ("codes", "message"),
    [("0=lnd", r"'lnd'|lnd \(did you mean 'land'\?\)"), ("nought=land", "neither a whole number")],
)
def test_codes_that_cannot_be_read(
    codes: str, message: str, make_tif: TifMaker, tmp_path: Path
) -> None:
    make_tif("a.tif", IMAGE)
    with pytest.raises(ConfigError, match=message):
        index(tmp_path, "folder", codes=codes)


def test_a_rule_for_no_data_that_is_none(make_tif: TifMaker, tmp_path: Path) -> None:
    make_tif("a.tif", IMAGE)
    with pytest.raises(ConfigError, match=r"nodata 'boarder' \(did you mean 'border'\?\)"):
        index(tmp_path, "folder", nodata="boarder")
    assert index(tmp_path, "folder", nodata="-9999").records[0].nodata == "-9999"


def test_bands_that_do_not_fit_are_named(make_tif: TifMaker, tmp_path: Path) -> None:
    make_tif("a.tif", np.zeros((3, 4, 6), np.float32))
    with pytest.raises(DataError, match=r"2 bands are named \(VV, VH\) but the files have 3"):
        index(tmp_path, "folder", bands=["VV", "VH"], units=Units.DB)


def test_a_folder_without_images_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no image that matches '\*\*/\*'"):
        index(tmp_path, "folder")


@pytest.mark.real_data
def test_unlabelled_pairs_of_the_real_data(real_data: Path) -> None:
    manifest = index(real_data / "stac_overflow", "folder")
    assert [row.id for row in manifest] == ["awc01", "ayt12"]
    assert {row.bands for row in manifest} == {("VV", "VH")}
    assert {row.units for row in manifest} == {Units.DB}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": ["land"]}, "expected 2 to 255"),
        ({"classes": ["land", "land"]}, "'land' is there twice"),
        ({"bands": ["VV", "vv"]}, "'vv' is there twice"),
        ({"images": "/etc/*"}, "the pattern '/etc/\\*' cannot be used"),
        ({"images": "**x/*"}, "x/"),  # Python 3.13 takes such a pattern, and finds nothing
    ],
)
def test_options_that_cannot_be(
    options: dict[str, Any], message: str, make_tif: TifMaker, tmp_path: Path
) -> None:
    make_tif("images/a.tif", IMAGE)
    with pytest.raises((ConfigError, DataError), match=message):
        index(tmp_path, "folder", **options)


def test_numbers_at_the_end_of_a_name_are_no_bands(make_tif: TifMaker, tmp_path: Path) -> None:
    for number in (1, 2):
        make_tif(f"images/tile_000{number}.tif", np.full((5, 5), -9, np.float32))
    make_tif("images/lone_vh.tif", np.full((5, 5), -9, np.float32))
    found = {record.id: record.bands for record in index(tmp_path / "images", "folder")}
    assert found == {"tile_0001": ("band1",), "tile_0002": ("band1",), "lone": ("vh",)}


def test_linked_folders_are_looked_into_and_circles_end(make_tif: TifMaker, tmp_path: Path) -> None:
    make_tif("disk/rhine/deep/a.tif", IMAGE)
    make_tif("disk/labels/a.tif", LABEL)
    make_tif("set/images/elbe/b.tif", IMAGE)
    (tmp_path / "set/images/rhine").symlink_to(tmp_path / "disk/rhine")
    (tmp_path / "set/labels").symlink_to(tmp_path / "disk/labels")
    (tmp_path / "disk/rhine/deep/again").symlink_to(tmp_path / "disk/rhine")
    (tmp_path / "disk/rhine/up").symlink_to(tmp_path / "set/images")
    (tmp_path / "set/images/gone").symlink_to(tmp_path / "nowhere")
    manifest = index(tmp_path / "set", "folder", domain_from_folder=True)
    rows = {row.id: (row.domain, row.is_labelled) for row in manifest}
    assert rows == {"a": ("rhine", True), "b": ("elbe", False)}
    named = index(tmp_path / "set", "folder", images="images/*/deep/*.tif")
    assert {row.id for row in named} == {"a"}


@pytest.mark.parametrize("pattern", ["/**/*.tif", "images/**.tif"])
def test_patterns_that_cannot_be_used_are_named(
    pattern: str, make_tif: TifMaker, tmp_path: Path
) -> None:
    make_tif("images/a.tif", IMAGE)
    with pytest.raises(ConfigError, match="cannot be used"):
        index(tmp_path, "folder", images=pattern)
