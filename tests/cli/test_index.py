from pathlib import Path

import numpy as np
import pytest

from sarwater.cli import main
from sarwater.cli.index import _OWN
from sarwater.datasets.indexing import LAYOUTS
from sarwater.datasets.manifest import read_manifest
from sarwater.types import Units
from tests.conftest import TifMaker


@pytest.fixture
def folder(make_tif: TifMaker, tmp_path: Path) -> Path:
    for name in ("a", "b"):
        make_tif(f"set/images/{name}.tif", np.full((2, 4, 4), -9, np.float32))
    make_tif("set/labels/a.tif", np.zeros((4, 4), np.uint8))
    return tmp_path / "set"


def test_a_manifest_is_written_and_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data.csv"
    command = ["index", str(folder), "--layout", "folder", "--out", str(out)]
    options = ["--bands", "VV,VH", "--classes", "land,ice,water", "--codes", "0=land,1=ice,2=water"]
    assert main([*command, *options, "--units", "db", "--domain", "rhine"]) == 0
    manifest = read_manifest(out)
    assert [row.id for row in manifest] == ["a", "b"]
    assert manifest.classes == ("land", "ice", "water")
    assert {row.units for row in manifest} == {Units.DB}
    assert {row.bands for row in manifest} == {("VV", "VH")}
    printed = capsys.readouterr()
    assert "2 chips, 1 labelled" in printed.out
    assert "rhine 2" in printed.out
    assert printed.err == "1 of 2 images have no label: b\n"


def test_an_existing_manifest_stays(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "data.csv"
    out.write_text("mine")
    command = ["index", str(folder), "--layout", "folder", "--out", str(out)]
    assert main(command) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert main([*command, "--overwrite"]) == 0


def test_problems_are_one_message_and_nothing_is_written(
    folder: Path, tmp_path: Path, make_tif: TifMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    make_tif("set/labels/a.tif", np.zeros((4, 5), np.uint8))
    (folder / "images" / "b.tif").write_text("cut")
    out = tmp_path / "data.csv"
    assert main(["index", str(folder), "--layout", "folder", "--out", str(out)]) == 1
    message = capsys.readouterr().err
    assert "2 problems" in message
    assert "a.tif" in message
    assert "b.tif" in message
    assert not out.exists()


def test_options_of_another_layout_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["index", str(folder), "--out", str(tmp_path / "data.csv"), "--layout"]
    assert main([*command, "folder", "--three-classes"]) == 2
    assert "layout folder does not take --three-classes" in capsys.readouterr().err
    assert main([*command, "etci2021", "--image-suffix", "x", "--domain-from", "folder"]) == 2
    assert "does not take --image-suffix, --domain-from" in capsys.readouterr().err


def test_the_layouts_of_the_command_are_those_of_the_library(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["index", "x", "--layout", "nonsense", "--out", "y"])
    assert left.value.code == 2
    message = capsys.readouterr().err
    assert all(f"'{layout}'" in message or layout in message for layout in LAYOUTS)
    assert set(_OWN.values()) <= set(LAYOUTS)
