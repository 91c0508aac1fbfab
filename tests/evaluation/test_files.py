import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sarwater.errors import DataError
from sarwater.evaluation.files import (
    csv_text,
    format_points,
    format_result,
    format_table,
    read_evaluation,
    write_evaluation,
)
from sarwater.evaluation.scores import average_precision
from sarwater.evaluation.summary import chip_rows, summarize
from sarwater.types import AnyArray
from tests.evaluation_cases import random_evaluation


def written(folder: Path) -> None:
    evaluation = random_evaluation()
    write_evaluation(folder, evaluation, summarize(evaluation, resamples=20))


def test_counts_are_read_back_exactly(tmp_path: Path) -> None:
    written(tmp_path)
    one, two = random_evaluation(), read_evaluation(tmp_path)
    for name in vars(one.counts):
        assert np.array_equal(getattr(one.counts, name), getattr(two.counts, name))
        assert getattr(one.counts, name).dtype == getattr(two.counts, name).dtype
    assert np.array_equal(one.confusion, two.confusion)
    assert (one.model, one.chips, one.missing_radar) == (two.model, two.chips, two.missing_radar)
    assert summarize(one, resamples=20) == summarize(two, resamples=20)


def test_a_folder_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It has no finer bins, and the average precision that the grid gives."""
    written(tmp_path)
    with np.load(tmp_path / "counts.npz") as arrays:
        old = {name: arrays[name] for name in arrays.files if "ranks" not in name}
    np.savez_compressed(tmp_path / "counts.npz", **old)
    counts = read_evaluation(tmp_path).counts
    np.testing.assert_array_equal(counts.tp, random_evaluation().counts.tp)
    pooled = counts.pooled()
    assert float(average_precision(pooled.positive_ranks, pooled.negative_ranks)) == pytest.approx(
        float(average_precision(pooled.positives, pooled.negatives)), abs=1e-12
    )


def test_a_folder_for_people_and_programs(tmp_path: Path) -> None:
    written(tmp_path)
    summary = json.loads((tmp_path / "evaluation.json").read_text())
    assert (tmp_path / "table.txt").read_text() == format_table(summary["table"]) + "\n"
    with (tmp_path / "chips.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [f"chip{n:02d}" for n in range(12)]
    assert rows[0]["f1"] == ""
    expected = chip_rows(random_evaluation())[5]["f1"]
    assert float(rows[5]["f1"]) == pytest.approx(expected, abs=1e-5)


def test_no_pickles(tmp_path: Path) -> None:
    written(tmp_path)
    with np.load(tmp_path / "counts.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "iuf" for name in arrays.files)


def test_no_folder_and_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no evaluation"):
        read_evaluation(tmp_path / "nowhere")
    written(tmp_path)
    file = tmp_path / "counts.npz"
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(DataError, match="is damaged"):
        read_evaluation(tmp_path)
    np.savez(file, positives=np.zeros((1, 1000), np.int64))
    with pytest.raises(DataError, match="is damaged"):
        read_evaluation(tmp_path)


def test_the_table_is_as_the_report_prints_it() -> None:
    lines = format_table(summarize(random_evaluation(), resamples=0)["table"]).splitlines()
    assert lines[0].split() == ["threshold", "precision", "recall", "F1", "IoU"]
    assert [line.split()[0] for line in lines[1:]] == [f"0.{n}" for n in range(1, 9)]
    assert {len(line) for line in lines} == {len(lines[0])}


def test_the_text_says_scores_at_both_thresholds_and_what_counts() -> None:
    summary = summarize(random_evaluation(), resamples=20)
    text = format_result(summary)
    assert "model's threshold           0.400" in format_points(summary)
    assert "at .5                       0.500" in text
    old = json.loads(json.dumps(summary))
    for point in old["operating_points"].values():
        del point["title"]  # of an earlier version
    assert format_points(old) == format_points(summary)
    assert "best here (optimistic)" in text
    assert "counted: labelled pixels where every band" in text
    points = summary["operating_points"]
    for name in ("elbe", "rhine"):
        half = points["half"]["domains"][name]
        (line,) = (one for one in text.splitlines() if one.startswith(f"  {name}: F1 0."))
        scores = f"F1 {half['f1']['value']:.3f}, IoU {half['iou']['value']:.3f}"
        assert line.endswith(f"; at .5: {scores}")
    mean = points["half"]["per_chip"]["f1"]["value"]
    assert f"; at .5: F1 {mean:.3f}" in text.splitlines()[-3]
    assert "2 chips without water" in text
    dry = format_result(summarize(random_evaluation(chips=2, dry=2), resamples=0))
    assert "best here" not in dry
    assert "every chip has water" not in dry


def test_csv_cells() -> None:
    assert csv_text([{"a": None, "b": 1 / 3, "c": "x"}]) == "a,b,c\n,0.333333,x\n"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positives": np.array(["a"] * 12)}, "something else than numbers"),
        ({"negatives": np.zeros((12, 10))}, "counts of shapes"),
        ({"positive_ranks": np.zeros((12, 10))}, "counts of shapes"),
        ({"confusion": np.zeros(3)}, "confusion matrices of shape"),
    ],
)
def test_arrays_of_another_form_are_damage(
    changes: dict[str, AnyArray], message: str, tmp_path: Path
) -> None:
    written(tmp_path)
    arrays = {**np.load(tmp_path / "counts.npz"), **changes}
    np.savez_compressed(tmp_path / "counts.npz", **arrays)
    with pytest.raises(DataError, match=f"is damaged .*{message}"):
        read_evaluation(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": None}, "threshold: "),
        ({"threshold": 1.5}, "threshold: "),
        ({"format": 2}, "format: "),
        ({"chips": None}, "chips: "),
        ({"chips": [{"id": None}]}, "chips.0.id: "),
        ({"model": []}, "model: "),
        ({"more": 1}, "more: "),
        (None, "the header: "),
    ],
)
def test_headers_of_another_form_are_damage(
    changes: dict[str, Any] | None, message: str, tmp_path: Path
) -> None:
    written(tmp_path)
    arrays = dict(np.load(tmp_path / "counts.npz"))
    header = json.loads(arrays["evaluation"].tobytes())
    changed = None if changes is None else {**header, **changes}
    arrays["evaluation"] = np.frombuffer(json.dumps(changed).encode(), np.uint8)
    np.savez_compressed(tmp_path / "counts.npz", **arrays)
    with pytest.raises(DataError, match=f"is damaged .*{message}") as caught:
        read_evaluation(tmp_path)
    assert "\n" not in str(caught.value)


def test_an_empty_file_is_damage(tmp_path: Path) -> None:
    (tmp_path / "counts.npz").touch()
    with pytest.raises(DataError, match="is damaged"):
        read_evaluation(tmp_path)
