"""The programs of the page on extending run as they stand, one after the other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sarwater.cli import main
from sarwater.evaluation.files import read_evaluation
from tests.docs.reading import ROOT, blocks, commands

PAGE = (ROOT / "docs" / "howto" / "extend.md").read_text()


def test_the_programs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["simulate", "--out", "pair", "--size", "384", "--chip-size", "96"]) == 0
    monkeypatch.chdir(tmp_path / "pair")
    programs = blocks(PAGE, "python")
    assert len(programs) == 3
    printed = [run(program) for program in programs]
    assert printed[0] == "16 chips of north\n"
    assert "train_area" in printed[1].split(",")
    assert printed[2].startswith("entropy 0.")
    for words in commands(PAGE):
        assert main([*words, "--bootstrap", "50"]) == 0
    before, after = (read_evaluation(name) for name in ("before", "after"))
    assert before.model.hash != after.model.hash
    assert [chip.id for chip in before.chips] == [chip.id for chip in after.chips]


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
