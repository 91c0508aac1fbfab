"""Small pictures: size, grey levels, what is valid."""

from pathlib import Path

import numpy as np
import pytest

from sarwater.datasets.manifest import Manifest
from sarwater.inspection import inspect_manifest
from sarwater.inspection.thumbnails import describe, read_thumbnails
from tests.inspection.cases import chip, label, speckle, troubled


def test_blocks_are_means_of_valid_pixels(tmp_path: Path) -> None:
    image = speckle(1, shape=(20, 30))
    image[:, :4, :4] = np.nan
    image[:, 8, 8] = np.nan
    manifest = Manifest((chip(tmp_path, "a", image, label(8, (20, 30))),))
    inspection = inspect_manifest(manifest)
    (found,) = read_thumbnails(inspection.chips, inspection.domains, side=8)
    assert found.gray.shape == found.valid.shape == (5, 8)
    assert found.target is not None
    assert found.target.shape == (5, 8)
    assert not found.valid[0, 0]
    assert found.valid[2, 2]
    assert found.valid[1:, 1:7].all()
    assert np.array_equal(found.target[:, 0], [1, 1, 0, 0, 0])
    histogram = inspection.domains[0].domains[0].histogram
    low, high = histogram.quantile(0.02), histogram.quantile(0.98)
    block = np.nanmean(image[0, 8:12, 8:12].astype(np.float64))
    assert found.gray[2, 2] == pytest.approx(np.clip((block - low) / (high - low), 0, 1), abs=1e-5)


def test_chips_in_trouble_are_drawn_all_the_same(tmp_path: Path) -> None:
    inspection = inspect_manifest(troubled(tmp_path))
    found = read_thumbnails([c for c in inspection.chips if c.bands], inspection.domains)
    assert len(found) == 14
    assert all(np.isfinite(one.gray).all() for one in found)
    words = {one.summary.record.id: describe(one.summary) for one in found}
    assert words["good"] == "5 : 1"
    assert words["dry"] == "no water"
    assert words["blank"] == "wholly unlabelled"
    assert words["nodata"] == "no valid radar"
    assert words["unknown"] == words["flat"] == "no labels"


def test_a_chip_that_vanished_is_left_out(tmp_path: Path) -> None:
    inspection = inspect_manifest(Manifest((chip(tmp_path, "a", speckle(1)),)))
    (tmp_path / "a.tif").unlink()
    assert read_thumbnails(inspection.chips, inspection.domains) == []
