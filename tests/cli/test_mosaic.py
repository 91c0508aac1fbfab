import json
from pathlib import Path

import numpy as np
import pytest

from sarwater.cli import main
from sarwater.datasets.manifest import Manifest, write_manifest
from sarwater.raster import read_header
from sarwater.types import Units
from tests.conftest import RecordMaker, TifMaker


@pytest.fixture
def data(make_tif: TifMaker, make_record: RecordMaker, tmp_path: Path) -> Path:
    rows = []
    for row, col in ((0, 0), (0, 1), (2, 1)):
        file = make_tif(f"{row}_{col}.tif", np.full((2, 4, 4), 50, np.uint8))
        label = make_tif(f"l{row}_{col}.tif", np.ones((4, 4), np.uint8))
        cells = {"id": f"{row}_{col}", "scene": "s", "row": row, "col": col, "units": Units.BYTE}
        rows.append(make_record(file, labels=(label,), codes="0=land,1=water", **cells))
    write_manifest(Manifest(tuple(rows)), tmp_path / "data.csv")
    return tmp_path / "data.csv"


def test_tiles_become_a_scene(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, labels = tmp_path / "s.tif", tmp_path / "l.tif"
    command = ["mosaic", str(data), "--out", str(out), "--labels", str(labels)]
    assert main([*command, "--scene", "s"]) == 0
    assert "12 x 8 px (rows x columns) from 3 tiles, 3 places" in capsys.readouterr().out
    assert (read_header(out).grid.height, read_header(labels).grid.width) == (12, 8)
    assert main(command) == 1
    assert "--overwrite" in capsys.readouterr().err


def test_figures_as_json(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    extent = ["--rows", "0-0", "--cols", "0-3", "--json"]
    assert main(["mosaic", str(data), "--out", str(tmp_path / "s.tif"), *extent]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["height"], figures["width"], figures["missing"]) == (4, 16, 2)
    assert figures["valid_share"] == 0.5


@pytest.mark.parametrize("text", ["3", "5-3", "a-b", "-4"])
def test_an_extent_has_two_ends(
    text: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "s.tif"
    assert main(["mosaic", str(data), "--out", str(out), f"--rows={text}"]) == 2
    assert "expected FIRST-LAST" in capsys.readouterr().err
    assert not out.exists()
