from pathlib import Path

import numpy as np
from PIL import Image

from sarwater.evaluation.comparison import compare
from sarwater.report.comparison_charts import (
    compared_precision_recall,
    compared_thresholds,
    differences_chart,
    write_comparison_charts,
)
from tests.evaluation_cases import random_evaluation


def test_charts_are_written(tmp_path: Path) -> None:
    runs = {f"run{n}": random_evaluation(shift=n / 4) for n in range(9)}
    names = write_comparison_charts(compare(runs, resamples=10), tmp_path)
    assert names == ["differences.png", "precision_recall.png", "thresholds.png"]
    for name in names:
        with Image.open(tmp_path / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 5


def test_every_run_is_drawn() -> None:
    runs = {"none": random_evaluation(), "[1,8]": random_evaluation(shift=2)}
    found = compare(runs, resamples=10)
    legend = compared_precision_recall(found).legends[0]
    texts = [text.get_text() for text in legend.get_texts()]
    assert [text.split(" (")[0] for text in texts] == [
        "none own 0.4",
        "none at 0.5",
        "[1,8] own 0.4",
        "[1,8] at 0.5",
    ]
    panels = compared_thresholds(found).axes
    assert len(panels) == 3
    drawn = np.asarray(panels[2].lines[2].get_ydata(), np.float64)
    assert drawn[499] == found["runs"]["[1,8]"]["curve"]["f1"][499]


def test_differences_of_one_chip_have_no_interval() -> None:
    runs = {name: random_evaluation(chips=1, dry=0, shift=n) for n, name in enumerate("ab")}
    axes = differences_chart(compare(runs, resamples=5)).axes[0]
    assert len(axes.lines) == 1 + 2
