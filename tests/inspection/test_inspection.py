"""The whole inspection: ratio tables, unlabelled data, and what real data give."""

from dataclasses import replace
from pathlib import Path

import pytest

from sarwater.datasets.indexing import index
from sarwater.datasets.manifest import Manifest
from sarwater.inspection import inspect_manifest
from sarwater.inspection.thumbnails import choose_chips
from tests.inspection.cases import healthy, troubled


def test_ratio_tables_count_labelled_pixels(tmp_path: Path) -> None:
    inspection = inspect_manifest(healthy(tmp_path))
    assert inspection.ratios is not None
    # 12, 1, 3 and 2 of 24 rows are water: 1, 23, 7 and 11 to one.
    assert inspection.ratios.total == (2, 2, 0, 0)
    assert inspection.ratios.by_split == {"train": (1, 1, 0, 0), "val": (1, 1, 0, 0)}
    assert inspection.ratios == inspection.ratios_valid


def test_lost_radar_shows_in_the_second_table_only(tmp_path: Path) -> None:
    inspection = inspect_manifest(troubled(tmp_path))
    assert inspection.ratios is not None
    assert inspection.ratios_valid is not None
    assert inspection.ratios.unlabelled == ("blank",)
    assert inspection.ratios_valid.unlabelled == ("nodata", "blank")
    assert sum(inspection.ratios.total) == sum(inspection.ratios_valid.total) == 9


def test_unlabelled_chips_are_in_no_ratio_table(tmp_path: Path) -> None:
    records = tuple(replace(one, labels=(), codes=()) for one in healthy(tmp_path))
    inspection = inspect_manifest(Manifest(records))
    assert inspection.ratios is None
    assert inspection.ratios_valid is None
    assert inspection.findings == ()
    assert len(inspection.domains) == 2


def test_the_contact_sheet_takes_chips_evenly_by_ratio(tmp_path: Path) -> None:
    chips = inspect_manifest(troubled(tmp_path)).chips
    everything = [chip.record.id for chip in choose_chips(chips)]
    assert len(everything) == 14
    assert everything[0] == "good"
    assert everything[-7:] == ["blank", "nodata", "unknown", "misfit", "declared", "single", "flat"]
    assert everything[-8] == "dry"
    few = [chip.record.id for chip in choose_chips(chips, 3)]
    assert (few[0], few[-1], len(few)) == (everything[0], everything[-1], 3)
    assert choose_chips(chips, 0) == ()


@pytest.mark.real_data
def test_sen1floods11_chips(real_data: Path) -> None:
    manifest = index(real_data / "sen1floods11", "sen1floods11")
    inspection = inspect_manifest(manifest)
    codes = {finding.code: finding.chips for finding in inspection.findings}
    assert codes["no-valid-pixels"] == ("Paraguay_34417",)
    assert codes["label-without-radar"] == ("Paraguay_34417",)
    assert codes["wholly-unlabelled"] == ("Ghana_83483",)
    assert len(codes["no-label-files"]) == 5
    assert not inspection.errors
    assert inspection.ratios is not None
    assert inspection.ratios.total == (4, 1, 0, 1)
