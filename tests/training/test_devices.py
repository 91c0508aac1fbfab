import subprocess
import sys
from pathlib import Path

import pytest

from sarwater.datasets.manifest import read_manifest
from sarwater.training.folder import RunFolder
from sarwater.training.start import train
from tests.training.lakes import assert_same_weights
from tests.training.pretended import CASES, manifests


def on_the_device(case: str, folder: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "tests.training.pretended", case, str(folder)]
    return subprocess.run(line, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("case", CASES)
def test_runs_keep_to_their_device_and_end_as_on_the_cpu(case: str, tmp_path: Path) -> None:
    done = on_the_device(case, tmp_path / "there")
    assert done.returncode == 0, done.stderr
    chips, target = map(read_manifest, manifests(tmp_path / "here"))
    other = target if CASES[case].adaptation.methods else None
    here = train(CASES[case], chips, tmp_path / "run", target=other)
    assert_same_weights(here, RunFolder(tmp_path / "there" / "whole"))
    assert_same_weights(here, RunFolder(tmp_path / "there" / "halted"))


def test_the_device_refuses_tensors_that_are_elsewhere(tmp_path: Path) -> None:
    done = on_the_device("mixed", tmp_path)
    assert "is not on the device" in done.stderr


def test_an_exported_network_stays_on_its_device(tmp_path: Path) -> None:
    done = on_the_device("export", tmp_path)
    assert (done.returncode, done.stdout) == (0, "pretended:0\n"), done.stderr
