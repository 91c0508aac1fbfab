"""``sarwater baseline``, on chips with dark lakes."""

import json
import shutil
from pathlib import Path

import pytest

from sarwater.cli import main
from sarwater.datasets.manifest import read_manifest, write_manifest
from sarwater.evaluation.files import read_evaluation
from sarwater.training.target import without_labels
from tests.training.lakes import write_chips


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_chips(tmp_path_factory.mktemp("chips")))


FAST = ("--split", "train", "--bootstrap", "0", "--panels", "1")


@pytest.mark.parametrize(
    "options",
    [
        ("otsu", "--median", "3"),
        ("minimum-error", "--median", "3", "--tile", "32", "--band", "VV"),
        ("threshold", "--value", "-14.5", "--median", "3"),
    ],
)
def test_every_method_finds_the_lakes(
    options: tuple[str, ...], table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    method, *more = options
    out = tmp_path / "out"
    assert main(["baseline", method, table, *more, *FAST, "--out", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == str(out)
    summary = json.loads((out / "evaluation.json").read_text())
    assert summary["operating_points"]["chosen"]["pooled"]["f1"]["value"] > 0.95
    assert summary["model"]["name"].startswith(method)
    assert summary["operating_points"]["chosen"]["title"] == "method's threshold"


def test_scores_of_a_threshold_are_no_probabilities(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no calibration of them, in the files, in print or on a page."""
    out = tmp_path / "out"
    assert main(["baseline", "otsu", table, *FAST, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "method's threshold" in printed
    assert "model's threshold" not in printed
    summary = json.loads((out / "evaluation.json").read_text())
    assert summary["model"]["gives"] == "scores"
    assert summary["calibration"] is None
    assert not (out / "calibration.png").exists()
    assert not read_evaluation(out).model.is_probability
    assert main(["report", str(out), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text()
    assert "method's threshold" in page.replace("&#39;", "'")
    assert "<h3>Calibration</h3>" not in page


def test_a_threshold_is_tuned_on_other_chips(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    tune = ["--tune", table, "--tune-split", "train"]
    assert main(["baseline", "threshold", table, *tune, "--split", "val", "--out", out]) == 0
    printed = capsys.readouterr()
    assert "best F1 on data.csv, split 'train': -1" in printed.out
    assert printed.err == ""


def test_a_threshold_tuned_on_the_chips_that_are_scored_is_warned_of(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    chips = len(read_manifest(table).select(split="val", labelled=True))
    tune = ["--tune", table, "--split", "val", "--bootstrap", "0", "--panels", "0"]
    assert main(["baseline", "threshold", table, *tune, "--out", out]) == 0
    printed = capsys.readouterr()
    assert f"tuned on {chips} of the {chips} chips that are scored" in printed.err
    assert printed.err.count("\n") == 1
    assert "best F1 on data.csv: -1" in printed.out


def test_baselines_are_compared_like_models(table: str, tmp_path: Path) -> None:
    for method in ("otsu", "minimum-error"):
        out = str(tmp_path / method)
        assert main(["baseline", method, table, *FAST, "--tile", "32", "--out", out]) == 0
    folders = [str(tmp_path / method) for method in ("otsu", "minimum-error")]
    assert main(["compare", *folders, "--out", str(tmp_path / "both")]) == 0


@pytest.mark.parametrize(
    "options",
    [["threshold"], ["otsu", "--value", "3"], ["otsu", "--value", "3", "--tune", "a.csv"]],
)
def test_a_threshold_is_given_where_it_is_needed(
    options: list[str], table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    method, *more = options
    with pytest.raises(SystemExit) as error:
        main(["baseline", method, table, *more, "--out", str(tmp_path / "out")])
    assert error.value.code == 2
    assert "--value NUMBER or --tune TABLE" in capsys.readouterr().err


def test_chips_that_tune_are_not_overwritten(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "chips"
    shutil.copytree(Path(table).parent, folder)
    (folder / ".sarwater").touch()
    (tmp_path / "tune.csv").write_text((folder / "data.csv").read_text())
    files = sorted(folder.iterdir())
    tune = ["--tune", str(folder / "data.csv"), "--overwrite"]
    command = ["baseline", "threshold", table, *tune, *FAST, "--out", str(folder)]
    assert main(command) == 1
    assert "would" in capsys.readouterr().err
    assert sorted(folder.iterdir()) == files


@pytest.mark.parametrize("value", ["nan", "inf", "dark"])
def test_a_threshold_is_a_number(
    value: str, table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["baseline", "threshold", table, "--value", value, "--out", str(tmp_path / "out")])
    assert f"expected a number, found '{value}'" in capsys.readouterr().err


def test_chips_without_labels_are_named_before_thresholds_are_looked_for(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare.csv"
    write_manifest(without_labels(read_manifest(table)), bare)
    assert main(["baseline", "otsu", str(bare), "--split=", "--out", str(tmp_path / "out")]) == 1
    assert "none of them with labels" in capsys.readouterr().err
