from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from sarwater.evaluation.chips import GIVEN
from sarwater.evaluation.summary import summarize
from sarwater.report.evaluation_charts import (
    calibration_chart,
    domains_chart,
    precision_recall_chart,
    threshold_chart,
    write_charts,
)
from tests.evaluation_cases import random_evaluation


def test_charts_are_written(tmp_path: Path) -> None:
    names = write_charts(summarize(random_evaluation(), resamples=20), tmp_path)
    assert names == ["calibration.png", "domains.png", "precision_recall.png", "thresholds.png"]
    for name in names:
        with Image.open(tmp_path / name) as picture:
            assert np.asarray(picture.convert("L")).std() > 5


def test_without_water_there_is_no_precision_recall_chart(tmp_path: Path) -> None:
    summary = summarize(random_evaluation(chips=3, dry=3), resamples=20)
    assert write_charts(summary, tmp_path) == ["calibration.png", "thresholds.png"]


def test_the_thresholds_in_use_are_marked() -> None:
    summary = summarize(random_evaluation(), resamples=0)
    axes = precision_recall_chart(summary).axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]  # type: ignore[union-attr]
    assert labels[0].startswith("model's threshold: 0.4 (F1 0.")
    assert labels[1].startswith("fixed: 0.5 (F1 0.")
    pooled = summary["operating_points"]["chosen"]["pooled"]
    marked = [np.asarray(line.get_xydata()).tolist() for line in axes.lines]
    assert [[pooled["recall"]["value"], pooled["precision"]["value"]]] in marked


def test_a_dry_domain_has_false_alarms_in_place_of_a_bar() -> None:
    summary = summarize(random_evaluation(1, dry=6), resamples=20)
    pixels = summary["operating_points"]["chosen"]["domains"]["elbe"]["fp"]
    texts = [text.get_text() for text in domains_chart(summary).axes[0].texts]
    assert f"no water: {pixels:,} px of false alarms" in texts
    assert texts.count("undefined") == 2


def test_a_given_threshold_is_told_from_the_models() -> None:
    evaluation = replace(random_evaluation(), threshold=0.3, criterion=GIVEN)
    for chart in (precision_recall_chart, threshold_chart):
        axes = chart(summarize(evaluation, resamples=0)).axes[0]
        labels = [text.get_text() for text in axes.get_legend().get_texts()]  # type: ignore[union-attr]
        assert any(label.startswith("given threshold: 0.3") for label in labels)
        assert any(label.startswith("model's threshold: 0.4") for label in labels)


def test_the_curves_are_those_of_the_summary() -> None:
    summary = summarize(random_evaluation(), resamples=0)
    line = threshold_chart(summary).axes[0].lines[0]
    expected = np.array(summary["curve"]["precision"], np.float64)
    assert np.array_equal(line.get_ydata(), expected, equal_nan=True)
    points = calibration_chart(summary).axes[0].lines[1]
    assert np.asarray(points.get_ydata()).tolist() == [
        value for value in summary["calibration"]["observed"] if value is not None
    ]


def test_a_bar_and_an_interval_for_each_domain() -> None:
    summary = summarize(random_evaluation(), resamples=20)
    axes = domains_chart(summary).axes[0]
    assert [tick.get_text().split("\n")[0] for tick in axes.get_yticklabels()] == [
        "all chips",
        "elbe",
        "rhine",
    ]
    assert len(axes.lines) == 3 * 4
    alone = summarize(random_evaluation(chips=1, dry=0), resamples=20)
    assert len(domains_chart(alone).axes[0].get_yticklabels()) == 1
