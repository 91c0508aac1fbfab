from pathlib import Path

import pytest

from sarwater.cli import main
from sarwater.evaluation.files import write_evaluation
from sarwater.evaluation.summary import summarize
from tests.evaluation_cases import random_evaluation


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    made = []
    for name, chips in (("a", 12), ("b", 12), ("c", 10)):
        evaluation = random_evaluation(chips=chips)
        folder = tmp_path / name
        folder.mkdir()
        write_evaluation(folder, evaluation, summarize(evaluation, resamples=0))
        made.append(str(folder))
    return made


def test_names_are_those_of_the_folders(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["compare", *folders[:2], "--out", str(out), "--bootstrap", "10"]) == 0
    assert "b - a" in capsys.readouterr().out
    assert sorted(path.name for path in out.glob("[!.]*")) == [
        "comparison.csv",
        "comparison.json",
        "comparison.txt",
        "differences.png",
        "precision_recall.png",
        "thresholds.png",
    ]


@pytest.mark.parametrize(
    ("which", "options", "message"),
    [
        ([0], [], "two or more"),
        ([0, 2], [], "'a' and 'c' are not evaluations of the same pixels: 2 chips only"),
        ([0, 1], ["--names", "x"], "2 evaluations need as many different names, found x"),
        ([0, 1], ["--names", "x,x"], "as many different names"),
        ([0, 0], ["--seed", "1"], "as many different names"),
        ([0, 1], ["--bootstrap", "0"], "--bootstrap must be 1 or more"),
    ],
)
def test_what_cannot_be_compared(
    folders: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    which: list[int],
    options: list[str],
    message: str,
) -> None:
    out = tmp_path / "out"
    chosen = [folders[place] for place in which]
    code = 2 if options else 1
    assert main(["compare", *chosen, "--out", str(out), *options]) == code
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("*out*"))


def test_a_folder_without_an_evaluation_is_named(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["compare", folders[0], str(tmp_path), "--out", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert f"{tmp_path} holds no evaluation" in capsys.readouterr().err
