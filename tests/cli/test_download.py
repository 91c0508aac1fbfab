from pathlib import Path
from typing import Any

import pytest

from sarwater.cli import main
from sarwater.datasets import download


def test_options_reach_the_library_and_the_next_step_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {}

    def fake(folder: Path, **options: Any) -> download.DownloadSummary:
        asked.update(options, folder=folder)
        return download.DownloadSummary(12, 5, 2_500_000)

    monkeypatch.setattr(download, "download_sen1floods11", fake)
    command = ["download", "sen1floods11", "--out", str(tmp_path), "--splits", "test, bolivia"]
    assert main([*command, "--connections", "2"]) == 0
    assert asked == {
        "folder": tmp_path,
        "url": download.SEN1FLOODS11_URL,
        "splits": ["test", "bolivia"],
        "connections": 2,
        "overwrite": False,
    }
    printed = capsys.readouterr().out
    assert "12 files complete, 5 of them fetched now (2.5 MB)" in printed
    assert "sarwater index" in printed


def test_an_unknown_split_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["download", "sen1floods11", "--out", str(tmp_path / "new"), "--splits", "tests"]
    assert main(command) == 2
    assert "unknown split 'tests' (did you mean 'test'?)" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
