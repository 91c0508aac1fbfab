"""Files of an inspection: strict JSON, a row a chip and band, histograms that add up."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sarwater.datasets.manifest import Manifest
from sarwater.inspection import Inspection, inspect_manifest
from sarwater.inspection.tables import SCHEMA, inspection_dict, save_tables
from tests.inspection.cases import chip, speckle, troubled


@pytest.fixture(scope="module")
def inspection(tmp_path_factory: pytest.TempPathFactory) -> Inspection:
    return inspect_manifest(troubled(tmp_path_factory.mktemp("troubled")))


@pytest.fixture(scope="module")
def folder(inspection: Inspection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tables")
    save_tables(inspection, out)
    return out


def refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def test_json_is_strict_and_complete(inspection: Inspection, folder: Path) -> None:
    text = (folder / "inspection.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    assert found["schema"] == SCHEMA
    assert found["chip_count"] == len(found["chips"]) == 16
    assert inspection.ratios is not None
    assert found["ratio_bins"]["total"] == list(inspection.ratios.total)
    assert found["ratio_bins_valid"]["unlabelled_chips"] == ["nodata", "blank"]
    by_id = {chip["id"]: chip for chip in found["chips"]}
    assert by_id["nodata"]["bands"][0]["mean"] is None
    assert by_id["nodata"]["nodata_share"] == 1
    assert by_id["broken"]["bands"] == []
    assert by_id["broken"]["problem"] == "unreadable"
    assert by_id["dry"]["labels"]["ratio"] is None
    assert by_id["good"]["labels"] == {
        "labelled": {"land": 640, "water": 128},
        "labelled_valid": {"land": 640, "water": 128},
        "ignored": 0,
        "ratio": 5.0,
        "ratio_bin": "<10",
        "ratio_valid": 5.0,
        "ratio_bin_valid": "<10",
    }
    (decibel, _) = (found["domains"][0], found["domains"][1])
    assert sum(decibel["domains"][0]["histogram"]["counts"]) > 0
    assert {finding["code"] for finding in found["findings"]} >= {"unreadable", "unknown-label"}


def test_chips_have_a_row_a_band(inspection: Inspection, folder: Path) -> None:
    with (folder / "chips.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert all(None not in row for row in rows)
    found = {(row["chip"], row["band"]): row for row in rows}
    for summary in inspection.chips:
        for band in summary.bands:
            row = found[summary.record.id, band.band]
            if np.isfinite(band.mean):
                assert float(row["mean"]) == pytest.approx(band.mean, rel=1e-6)
                assert float(row["p50"]) == pytest.approx(band.percentiles[3], rel=1e-6)
            else:
                assert row["mean"] == ""
    assert found["broken", ""]["problem"] == "unreadable"
    assert found["good", "VH"]["water_px"] == "128"
    assert found["partly", "VV"]["water_valid_px"] == "32"
    assert len(rows) == 2 + 2 * 13 + 1


def test_histograms_are_plain_arrays(inspection: Inspection, folder: Path) -> None:
    with np.load(folder / "histograms.npz", allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    expected = [
        (summary.record.id, band.band, band.histogram)
        for summary in inspection.chips
        for band in summary.bands
        if band.histogram is not None
    ]
    assert len(arrays["chip"]) == len(expected) == len(arrays["offset"]) - 1
    for i, (name, band, histogram) in enumerate(expected):
        assert (arrays["chip"][i], arrays["band"][i]) == (name, band)
        counts = arrays["counts"][arrays["offset"][i] : arrays["offset"][i + 1]]
        assert np.array_equal(counts, histogram.counts)
        assert arrays["start_value"][i] == histogram.edges[0]
        assert arrays["below"][i] + arrays["above"][i] + counts.sum() == histogram.total


def test_without_labels_the_ratio_bins_are_empty(tmp_path: Path) -> None:
    found = inspection_dict(inspect_manifest(Manifest((chip(tmp_path, "a", speckle(1)),))))
    assert found["ratio_bins"]["total"] == [0, 0, 0, 0]
    assert found["ratio_bins"]["by_split"] == {}
