"""The programs of the pages run as they stand, one after the other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sarwater.cli import main
from sarwater.evaluation.files import read_evaluation
from tests.docs.reading import ROOT, blocks, commands

HOW_TO = ROOT / "docs" / "howto"


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data that the programs run on, where they run."""
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", "--out", "pair", "--size", "384", "--chip-size", "96"]) == 0
    monkeypatch.chdir(tmp_path / "pair")
    return tmp_path / "pair"


@pytest.mark.usefixtures("pair")
def test_programs_that_extend() -> None:
    page = (HOW_TO / "extend.md").read_text()
    programs = blocks(page, "python")
    assert len(programs) == 3
    printed = [run(program) for program in programs]
    assert printed[0] == "16 chips of north\n"
    assert "train_area" in printed[1].split(",")
    assert printed[2].startswith("entropy 0.")
    for words in commands(page):
        assert main([*words, "--bootstrap", "50"]) == 0
    before, after = (read_evaluation(name) for name in ("before", "after"))
    assert before.model.hash != after.model.hash
    assert [chip.id for chip in before.chips] == [chip.id for chip in after.chips]


def test_programs_that_use(pair: Path) -> None:
    mapping, predicting, training = blocks((HOW_TO / "python.md").read_text(), "python")
    assert "unseen_VV_VH_water.tif" in run(mapping)
    assert (pair / "maps" / "unseen_VV_VH_water.tif").exists()
    assert run(predicting) == "(96, 96) True\n"
    assert run(training).startswith("4 chips at 0.")


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
