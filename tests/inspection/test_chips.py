"""One chip's summary against NumPy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sarwater.inspection.chips import PERCENTILES, count_labels, summarize_chip
from sarwater.types import Units
from tests.conftest import RecordMaker, TifMaker
from tests.inspection.cases import chip, label, speckle


def test_statistics_are_numpys_over_valid_pixels(tmp_path: Path) -> None:
    image = speckle(1)
    image[0, :3] = np.nan
    image[1, 20, 5] = np.inf
    found = summarize_chip(chip(tmp_path, "a", image, label(6)))
    valid = np.isfinite(image).all(axis=0)
    assert found.valid_share == pytest.approx(valid.mean())
    assert (found.height, found.width) == (24, 32)
    for band, values in zip(found.bands, image[:, valid].astype(np.float64), strict=True):
        assert band.minimum == values.min()
        assert band.maximum == values.max()
        assert band.mean == pytest.approx(values.mean(), abs=1e-12)
        assert band.std == pytest.approx(values.std(), abs=1e-12)
        ordered = np.sort(values)
        for percent, value in zip(PERCENTILES, band.percentiles, strict=True):
            place = percent / 100 * (len(ordered) - 1)
            low = int(place)
            high = min(low + 1, len(ordered) - 1)
            expected = ordered[low] + (place - low) * (ordered[high] - ordered[low])
            assert value == pytest.approx(expected, abs=1e-9)
        assert band.histogram is not None
        assert band.histogram.total == valid.sum()


def test_labels_are_counted_with_and_without_radar(tmp_path: Path) -> None:
    image, codes = speckle(1), label(6)
    codes[10] = -1
    image[:, :2] = np.nan
    found = summarize_chip(chip(tmp_path, "a", image, codes))
    assert found.labels is not None
    assert found.labels.classes == (17 * 32, 6 * 32)
    assert found.labels.classes_valid == (17 * 32, 4 * 32)
    assert found.labels.ignored == 32
    every, seen = found.label_count(), found.label_count(valid_only=True)
    assert every is not None
    assert seen is not None
    assert (every.background, every.foreground, every.ignored) == (544, 192, 32)
    assert (seen.background, seen.foreground, seen.ignored) == (544, 128, 96)


def test_all_foreground_classes_count_together() -> None:
    target = np.array([[0, 1, 2, 255], [2, 2, 1, 0]], np.uint8)
    valid = np.array([[True] * 4, [False] * 4])
    found = count_labels(target, valid, 3)
    assert (found.classes, found.classes_valid, found.ignored) == ((2, 2, 3), (1, 1, 1), 1)


def test_a_chip_without_radar_has_no_figures(tmp_path: Path) -> None:
    found = summarize_chip(chip(tmp_path, "a", np.full((2, 24, 32), np.nan, np.float32)))
    assert found.valid_share == 0
    assert found.guessed_units is None
    assert found.digest == ""
    assert all(np.isnan(band.mean) and band.histogram is None for band in found.bands)


def test_bytes_stored_as_floats_are_bytes(make_tif: TifMaker, make_record: RecordMaker) -> None:
    values = np.random.default_rng(0).integers(1, 255, (2, 20, 20)).astype(np.float32)
    record = make_record(make_tif("a.tif", values), units=Units.BYTE)
    assert summarize_chip(record).guessed_units == Units.BYTE


def test_the_digest_is_of_pixels_not_of_files(tmp_path: Path) -> None:
    one = summarize_chip(chip(tmp_path, "a", speckle(1)))
    same = summarize_chip(chip(tmp_path, "b", speckle(1), label(2), domain="there"))
    other = summarize_chip(chip(tmp_path, "c", speckle(2)))
    assert one.digest == same.digest != other.digest


def test_any_bands_any_units(make_tif: TifMaker, make_record: RecordMaker) -> None:
    values = np.random.default_rng(0).random((4, 20, 20)).astype(np.float32) * 1e4
    bands = ("B2", "B3", "B4", "ndvi")
    record = make_record(make_tif("a.tif", values), bands=bands, units=Units.OTHER)
    found = summarize_chip(record)
    assert tuple(band.band for band in found.bands) == bands
    assert found.problem == ""


def test_a_chip_that_lies_nowhere_on_earth_is_told_of(tmp_path: Path, make_tif: TifMaker) -> None:
    record = chip(tmp_path, "lost", speckle(1))
    path = make_tif("metres.tif", speckle(1), crs="EPSG:4326", bands=("VV", "VH"))
    found = summarize_chip(replace(record, images=(path,)))
    assert found.problem == "bad-image"
    assert f"{path} lies nowhere on Earth" in found.message
