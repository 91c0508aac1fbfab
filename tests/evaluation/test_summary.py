import json
from dataclasses import replace

import numpy as np
import pytest

from sarwater.evaluation.bands import score_bands
from sarwater.evaluation.chips import GIVEN, Evaluation, MissingRadar
from sarwater.evaluation.files import format_result
from sarwater.evaluation.scores import METRICS
from sarwater.evaluation.summary import chip_rows, summarize
from tests.evaluation_cases import random_evaluation


def test_a_summary_is_plain_data() -> None:
    summary = summarize(random_evaluation(), resamples=50)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert set(summary["operating_points"]) == {"chosen", "half", "best"}
    assert len(summary["curve"]["f1"]) == len(summary["curve"]["threshold"]) == 999
    assert summary["rules"]["counted"] == MissingRadar.EXCLUDE.sentence


def test_pooled_domain_and_chip_scores_by_a_loop() -> None:
    evaluation = random_evaluation(1)
    summary = summarize(evaluation, resamples=20)
    for name, index in (("chosen", 399), ("half", 499)):
        point = summary["operating_points"][name]
        tp, fp, fn = (getattr(evaluation.counts, part)[:, index] for part in ("tp", "fp", "fn"))
        assert point["pooled"]["iou"]["value"] == pytest.approx(
            tp.sum() / (tp.sum() + fp.sum() + fn.sum())
        )
        chips = [2 * t / (2 * t + p + n) for t, p, n in zip(tp, fp, fn, strict=True) if t + n]
        assert point["per_chip"]["f1"]["value"] == pytest.approx(np.mean(chips))
        assert point["per_chip"]["chips"] == len(chips) == 10
        assert point["domains"]["elbe"]["recall"]["value"] == pytest.approx(
            tp[:6].sum() / (tp[:6].sum() + fn[:6].sum())
        )
        alarms = point["false_alarms"]
        assert alarms["chips_without_water"] == 2
        assert alarms["pixels"] == fp[:2].sum()
        assert alarms["share"] == pytest.approx(fp[:2].sum() / 800)
        assert alarms["area_m2"] is None  # one of the two has no CRS


def test_intervals_hold_the_estimate_and_are_repeated() -> None:
    evaluation = random_evaluation(2)
    one, two = (summarize(evaluation, resamples=300, seed=5) for _ in range(2))
    assert one == two
    assert one != summarize(evaluation, resamples=300, seed=6)
    for point in one["operating_points"].values():
        for group in (point["pooled"], point["per_chip"], *point["domains"].values()):
            for metric in METRICS:
                low, high = group[metric]["interval"]
                assert low < group[metric]["value"] < high
    low, high = one["average_precision"]["interval"]
    assert low < one["average_precision"]["value"] < high


def test_no_interval_without_resamples_or_of_one_chip() -> None:
    evaluation = random_evaluation(0)
    summary = summarize(evaluation, resamples=0)
    assert summary["operating_points"]["half"]["pooled"]["f1"]["interval"] is None
    assert summary["average_precision"]["interval"] is None
    alone = replace(
        evaluation,
        chips=evaluation.chips[3:4],
        counts=evaluation.counts[3:4],
        confusion=evaluation.confusion[3:4],
    )
    point = summarize(alone, resamples=10)["operating_points"]["half"]
    assert point["pooled"]["f1"]["interval"] is None
    assert point["domains"]["elbe"]["f1"]["interval"] is None


def test_the_best_threshold_is_said_to_be_optimistic() -> None:
    points = summarize(random_evaluation(3), resamples=0)["operating_points"]
    assert points["best"]["criterion"].startswith("optimistic: best F1")
    f1 = {name: point["pooled"]["f1"]["value"] for name, point in points.items()}
    assert f1["best"] >= max(f1["chosen"], f1["half"])


def test_only_dry_chips() -> None:
    evaluation = random_evaluation(0, chips=3, dry=3)
    summary = summarize(evaluation, resamples=10)
    assert set(summary["operating_points"]) == {"chosen", "half"}
    assert summary["operating_points"]["half"]["pooled"]["recall"]["value"] is None
    assert summary["operating_points"]["half"]["false_alarms"]["chips_without_water"] == 3
    assert summary["average_precision"]["value"] is None


def dry_domain() -> Evaluation:
    """The first half of the chips, domain elbe, has no water, and false alarms at .4."""
    return random_evaluation(1, dry=6)


def test_a_dry_domain_has_false_alarms_in_place_of_an_f1() -> None:
    evaluation = dry_domain()
    summary = summarize(evaluation, resamples=30)
    point = summary["operating_points"]["chosen"]
    dry, wet = point["domains"]["elbe"], point["domains"]["rhine"]
    assert dry["fp"] > 0
    for metric in ("f1", "iou", "recall"):
        assert dry[metric] == {"value": None, "interval": None}
        assert wet[metric]["value"] > 0
    assert dry["precision"]["value"] == 0
    assert dry["false_alarms"]["pixels"] == dry["fp"] == point["false_alarms"]["pixels"]
    assert wet["false_alarms"]["chips_without_water"] == 0
    text = format_result(summary)
    assert f"  elbe: 6 chips without water: {dry['fp']:,} pixels of false alarms" in text
    assert "  rhine: F1 0." in text
    bands = score_bands(evaluation, resamples=30)
    group = bands.bounds[bands.groups.index("elbe")]
    assert np.isnan(group[[METRICS.index(name) for name in ("recall", "f1", "iou")]]).all()


def test_rows_of_chips() -> None:
    evaluation = random_evaluation(4)
    rows = chip_rows(evaluation)
    dry, wet = rows[0], rows[5]
    assert dry["f1"] is None
    assert dry["precision"] is None
    assert dry["false_alarm_px"] == dry["fp"] == evaluation.counts.fp[0, 399]
    assert dry["false_alarm_m2"] == dry["fp"] * 100
    assert rows[1]["false_alarm_px"] == rows[1]["fp"]
    assert rows[1]["false_alarm_m2"] is None
    assert wet["false_alarm_px"] is None
    assert wet["f1"] == pytest.approx(2 * wet["tp"] / (2 * wet["tp"] + wet["fp"] + wet["fn"]))
    assert wet["water_share"] == pytest.approx((wet["tp"] + wet["fn"]) / 400)
    assert sum(wet[name] for name in ("tp", "fp", "fn", "tn")) == wet["counted"] == 400


def test_rows_of_chips_have_scores_at_a_half() -> None:
    evaluation = random_evaluation(4)
    rows, half = chip_rows(evaluation), chip_rows(replace(evaluation, threshold=0.5))
    for row, expected in zip(rows, half, strict=True):
        for name in (*METRICS, "false_alarm_px", "false_alarm_m2"):
            assert row[f"{name}_half"] == expected[name]
    assert any(row["f1"] != row["f1_half"] for row in rows)


def test_what_map_would_do_with_the_threshold_is_said() -> None:
    evaluation = random_evaluation()
    plain = summarize(evaluation, resamples=0)
    assert plain["rules"]["threshold"] == "the same for all chips"
    assert "sarwater map" not in format_result(plain)
    boxed = replace(evaluation, model=replace(evaluation.model, scene_threshold=True))
    moved = summarize(boxed, resamples=0)
    assert "`sarwater map` lets each scene move" in moved["rules"]["threshold"]
    assert format_result(moved).count("`sarwater map` lets each scene move") == 1
    given = summarize(replace(boxed, criterion=GIVEN), resamples=0)
    assert given["rules"]["threshold"] == "the same for all chips"


def test_water_without_radar_is_stated() -> None:
    evaluation = random_evaluation(0)
    water = int(evaluation.counts.water.sum())
    blind = replace(evaluation.chips[0], id="blind", without_radar=90, water_without_radar=60)
    found = replace(evaluation, left_out=(blind,), not_counted={"blind": "no data"})
    pixels = summarize(found, resamples=0)["pixels"]
    assert pixels["water_without_radar"] == 60
    assert pixels["water_without_radar_share"] == pytest.approx(60 / (water + 60))


def test_class_scores_follow_the_confusion_matrix() -> None:
    evaluation = random_evaluation(0)
    summary = summarize(evaluation, resamples=0)
    water = summary["classes"]["scores"]["water"]
    assert water["f1"] == pytest.approx(
        summary["operating_points"]["chosen"]["pooled"]["f1"]["value"]
    )
    land = summary["classes"]["scores"]["land"]
    assert summary["classes"]["mean_iou"] == pytest.approx((water["iou"] + land["iou"]) / 2)
