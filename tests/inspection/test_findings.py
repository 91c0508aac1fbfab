"""Every kind of finding names its chips, and healthy data have none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine

from sarwater.datasets.manifest import LabelCodes, Manifest
from sarwater.datasets.splits import check_splits
from sarwater.errors import DataError
from sarwater.inspection import Finding, Severity, inspect_manifest
from sarwater.raster import write_raster
from sarwater.types import Grid, Units
from tests.inspection.cases import chip, healthy, label, speckle, troubled


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Finding]]:
    inspection = inspect_manifest(troubled(tmp_path_factory.mktemp("troubled")))
    by_code: dict[str, list[Finding]] = {}
    for finding in inspection.findings:
        by_code.setdefault(finding.code, []).append(finding)
    return by_code


@pytest.mark.parametrize(
    ("code", "severity", "chips"),
    [
        ("unknown-label", Severity.ERROR, ("unknown",)),
        ("bad-label", Severity.ERROR, ("misfit",)),
        ("duplicate-chips", Severity.ERROR, ("good", "twin")),
        ("units-guessed", Severity.WARNING, ("linear",)),
        ("mixed-units-in-domain", Severity.ERROR, ("declared",)),
        ("mixed-units", Severity.WARNING, ("declared",)),
        ("implausible-values", Severity.WARNING, ("wild",)),
        ("no-valid-pixels", Severity.WARNING, ("nodata",)),
        ("label-without-radar", Severity.WARNING, ("nodata",)),
        ("foreground-without-radar", Severity.NOTE, ("partly",)),
        ("constant-band", Severity.WARNING, ("flat",)),
        ("wholly-unlabelled", Severity.WARNING, ("blank",)),
        ("no-label-files", Severity.NOTE, ("declared", "single", "flat")),
        ("split-without-foreground", Severity.ERROR, ("blank", "dry")),
        ("sizes-differ", Severity.NOTE, ("large",)),
        ("bands-differ", Severity.NOTE, ("single",)),
    ],
)
def test_each_finding_names_its_chips(
    found: dict[str, list[Finding]], code: str, severity: Severity, chips: tuple[str, ...]
) -> None:
    (finding,) = found[code]
    assert finding.severity == severity
    assert finding.chips == chips
    assert finding.message


def test_unreadable_files_are_named_each(found: dict[str, list[Finding]]) -> None:
    assert [one.chips for one in found["unreadable"]] == [("broken",), ("gone",)]
    assert "broken.tif" in found["unreadable"][0].message
    assert "no such file" in found["unreadable"][1].message


def test_nothing_else_is_found(found: dict[str, list[Finding]]) -> None:
    assert len(found) == 17


def test_messages_say_how_much(found: dict[str, list[Finding]]) -> None:
    assert "7 (1 px)" in found["unknown-label"][0].message
    assert "64 px" in found["foreground-without-radar"][0].message
    assert "-9999" in found["implausible-values"][0].message
    assert "train, val" in found["duplicate-chips"][0].message
    assert "'linear'" in found["units-guessed"][0].message


def test_healthy_chips_have_no_finding(tmp_path: Path) -> None:
    assert inspect_manifest(healthy(tmp_path)).findings == ()


def test_shared_ground_is_an_error(tmp_path: Path) -> None:
    manifest = healthy(tmp_path)
    records = [
        replace(one, domain="here", scene="s", row=0, col=i % 2) for i, one in enumerate(manifest)
    ]
    (finding,) = inspect_manifest(Manifest(tuple(records))).findings
    assert (finding.severity, finding.code) == (Severity.ERROR, "shared-ground")
    assert finding.chips == ("a", "c", "b", "d")
    assert "'train' and 'val'" in finding.message


def test_shared_ground_is_found_by_the_files_where_the_table_says_nothing(tmp_path: Path) -> None:
    """A chip over its neighbor's last columns; the table has no bounds, scene, row or column."""
    records = []
    for name, split, east in (("a", "train", 0), ("b", "val", 24 * 10), ("c", "val", 100 * 10)):
        grid = Grid(24, 32, Affine(10, 0, 500_000 + east, 0, -10, 5_500_000), "EPSG:32633")
        one = chip(tmp_path, name, speckle(east), label(5), split=split)
        write_raster(one.images[0], speckle(east), grid, bands=one.bands, overwrite=True)
        records.append(one)
    manifest = Manifest(tuple(records))
    (finding,) = inspect_manifest(manifest).findings
    assert (finding.code, finding.chips) == ("shared-ground", ("a", "b"))
    with pytest.raises(DataError, match=r"1 pairs .*a \(train\) and b \(val\)"):
        check_splits(manifest)
    check_splits(Manifest((records[0], records[2])))


def test_bands_in_another_order_make_no_other_chip(tmp_path: Path) -> None:
    records = list(healthy(tmp_path))
    image = speckle(1)
    records.append(chip(tmp_path, "x", image, label(3), split="train"))
    records.append(
        chip(tmp_path, "y", image[::-1].copy(), label(3), split="train", bands=("VH", "VV"))
    )
    codes = {one.code: one for one in inspect_manifest(Manifest(tuple(records))).findings}
    assert {"x", "y"} <= set(codes["duplicate-chips"].chips)


@pytest.mark.parametrize(("value", "rows"), [(0.0, 5), (-30.0, 14)])
def test_a_value_that_fills_a_chip_is_no_data_perhaps(
    value: float, rows: int, tmp_path: Path
) -> None:
    image = speckle(9)
    image[:, :rows] = value
    records = (*healthy(tmp_path).records, chip(tmp_path, "e", image, label(20), split="train"))
    (finding,) = inspect_manifest(Manifest(records)).findings
    assert (finding.severity, finding.code) == (Severity.WARNING, "filled")
    assert finding.chips == ("e",)
    assert f"the one value {value:g} dB fills up to {rows / 24:.0%} of 1 chip" in finding.message


def test_one_kind_of_units_a_domain_is_a_warning(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (2, 24, 32)).astype(np.uint8)
    other = chip(tmp_path, "e", grey, label(3), domain="elsewhere", units=Units.BYTE)
    manifest = Manifest((*healthy(tmp_path).records, other))
    (finding,) = inspect_manifest(manifest).findings
    assert (finding.severity, finding.code) == (Severity.WARNING, "mixed-units")
    assert finding.chips == ("e",)


def test_undeclared_units_that_look_different(tmp_path: Path) -> None:
    power = (10 ** (speckle(6) / 10)).astype(np.float32)
    records = [replace(one, units=Units.OTHER) for one in healthy(tmp_path)]
    records.append(chip(tmp_path, "e", power, label(3), units=Units.OTHER))
    (finding,) = inspect_manifest(Manifest(tuple(records))).findings
    assert (finding.code, finding.chips) == ("mixed-guesses", ("e",))


def test_a_split_that_lacks_one_of_several_classes(tmp_path: Path) -> None:
    classes = ("land", "permanent", "flood")
    codes = (LabelCodes.parse("0=land,1=permanent,2=flood"),)
    both = label(4)
    both[6] = 2
    records = [
        chip(tmp_path, "a", speckle(1), both, split="train"),
        chip(tmp_path, "b", speckle(2), label(3), split="val"),
    ]
    manifest = Manifest(tuple(replace(one, classes=classes, codes=codes) for one in records))
    (finding,) = inspect_manifest(manifest).findings
    assert (finding.severity, finding.code) == (Severity.WARNING, "split-without-class")
    assert "'val' has a pixel of flood" in finding.message
