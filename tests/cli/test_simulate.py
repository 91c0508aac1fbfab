import json
from pathlib import Path

import pytest
import rasterio

from sarwater.cli import main
from sarwater.datasets.manifest import read_manifest

SMALL = ["--size", "144", "--chip-size", "48"]


def test_a_pair_is_made_and_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "pair"
    assert main(["simulate", "--out", str(out), *SMALL]) == 0
    printed = capsys.readouterr().out
    assert "north: 9 chips (3 train, 3 val, 3 test), water 1" in printed
    assert "south: 9 chips (6 adapt, 3 test), water 1" in printed
    assert str(out / "data.csv") in printed
    assert len(read_manifest(out / "data.csv")) == 18
    with rasterio.open(out / "south" / "unseen_VV_VH.tif") as scene:
        assert scene.descriptions == ("VV", "VH")
        assert scene.shape == (144, 144)


def test_json_names_what_was_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "pair"
    assert main(["simulate", "--out", str(out), *SMALL, "--seed", "3", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert Path(made["manifest"]) == out / "data.csv"
    assert Path(made["scenes"]).is_file()
    assert [region["region"] for region in made["regions"]] == ["north", "south"]
    assert made["regions"][0]["splits"] == {"train": 3, "val": 3, "test": 3}
    assert 0.05 < made["regions"][0]["water_share"] < 0.35


def test_an_existing_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["simulate", "--out", str(tmp_path), *SMALL]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_wrong_size_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--out", str(tmp_path / "pair"), "--size", "300"]) == 2
    printed = capsys.readouterr().err
    assert "sarwater simulate: error: chip size 256 does not fit scene size 300" in printed
    assert not (tmp_path / "pair").exists()
