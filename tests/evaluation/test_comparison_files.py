import csv
import json
from pathlib import Path

from sarwater.evaluation.comparison import compare
from sarwater.evaluation.comparison_files import format_comparison, write_comparison
from tests.evaluation_cases import random_evaluation


def test_three_files(tmp_path: Path) -> None:
    found = compare(
        {"none": random_evaluation(), "[1,8]": random_evaluation(shift=2)}, resamples=20
    )
    folders = {name: tmp_path.parent / name for name in found["runs"]}
    write_comparison(tmp_path, found, folders)
    written = json.loads((tmp_path / "comparison.json").read_text())
    folders_found = [run.pop("folder") for run in written["runs"].values()]
    assert folders_found == ["../none", "../[1,8]"]
    assert written == found
    assert (tmp_path / "comparison.txt").read_text() == format_comparison(found) + "\n"
    with (tmp_path / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[-1]["run"] == "[1,8] - none"
    assert rows[-1]["score"] == "average_precision"
    assert float(rows[-1]["low"]) <= float(rows[-1]["value"]) <= float(rows[-1]["high"])


def test_text_has_every_run_at_every_threshold() -> None:
    found = compare(
        {"none": random_evaluation(), "[1,8]": random_evaluation(shift=2)}, resamples=20
    )
    lines = format_comparison(found).splitlines()
    table = lines.index(next(line for line in lines if line.startswith("threshold ")))
    assert lines[table].split() == ["threshold", "none", "[1,8]"]
    assert lines[table + 1].split() == ["P", "R", "F1", "IoU"] * 2
    assert [line.split()[0] for line in lines[table + 2 : table + 10]] == [
        f"0.{n}" for n in range(1, 9)
    ]
    assert all(len(line.split()) == 9 for line in lines[table + 2 : table + 10])
    assert "[1,8] - none" in lines


def test_one_chip_has_no_interval() -> None:
    runs = {name: random_evaluation(chips=1, dry=0, shift=n) for n, name in enumerate("ab")}
    found = compare(runs, resamples=5)
    assert found["differences"][0]["points"]["own"]["f1"]["interval"] is None
    assert "%]" not in format_comparison(found).replace("[95 % interval]", "")
