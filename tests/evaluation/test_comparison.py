import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from sarwater.errors import DataError
from sarwater.evaluation.chips import Evaluation, MissingRadar
from sarwater.evaluation.comparison import align, compare, comparison_rows
from sarwater.evaluation.summary import summarize
from tests.evaluation_cases import random_evaluation


def shuffled(run: Evaluation, order: list[int]) -> Evaluation:
    return replace(
        run,
        chips=tuple(run.chips[i] for i in order),
        counts=run.counts[np.array(order)],
        confusion=run.confusion[np.array(order)],
    )


def test_scores_are_those_of_each_evaluation() -> None:
    runs = {"a": random_evaluation(), "b": random_evaluation(shift=0.5)}
    found = compare(runs, resamples=50)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    for name, run in runs.items():
        summary = summarize(run, resamples=0)
        for point, other in (("own", "chosen"), ("half", "half"), ("best", "best")):
            expected = summary["operating_points"][other]
            assert found["runs"][name]["points"][point]["threshold"] == expected["threshold"]
            for metric in ("precision", "recall", "f1", "iou"):
                assert found["runs"][name]["points"][point][metric]["value"] == pytest.approx(
                    expected["pooled"][metric]["value"]
                )
        assert found["runs"][name]["table"] == summary["table"]


def test_differences_are_paired_by_a_loop() -> None:
    one, two = random_evaluation(), random_evaluation(shift=0.8)
    found = compare({"a": one, "b": two}, resamples=200, seed=3)
    generator = np.random.default_rng(3)
    differences = []
    for _ in range(200):
        drawn = generator.multinomial(12, np.full(12, 1 / 12))
        f1 = []
        for run in (one, two):
            tp, fp, fn = (drawn @ getattr(run.counts, p)[:, 499] for p in ("tp", "fp", "fn"))
            truth = np.repeat([True, False, True], [tp, fp, fn])
            called = np.repeat([True, True, False], [tp, fp, fn])
            f1.append(f1_score(truth, called))
        differences.append(f1[1] - f1[0])
    score = found["differences"][0]["points"]["half"]["f1"]
    assert score["interval"] == pytest.approx(list(np.quantile(differences, [0.025, 0.975])))
    agree = np.sign(differences) == np.sign(score["value"])
    assert score["same_sign"] == pytest.approx(agree.mean())


def test_the_same_evaluation_twice_differs_by_nothing() -> None:
    found = compare({"a": random_evaluation(), "b": random_evaluation()}, resamples=30)
    score = found["differences"][0]["points"]["own"]["iou"]
    assert score["value"] == 0
    assert score["interval"] == [0, 0]


def test_paired_intervals_are_narrower() -> None:
    runs = {"a": random_evaluation(0), "b": random_evaluation(0, shift=0.1)}
    found = compare(runs, resamples=400)
    low, high = found["differences"][0]["points"]["half"]["f1"]["interval"]
    alone = found["runs"]["a"]["points"]["half"]["f1"]["interval"]
    assert high - low < (alone[1] - alone[0]) / 2


def test_the_order_of_chips_does_not_matter() -> None:
    one, two = random_evaluation(), random_evaluation(shift=0.5)
    order = list(np.random.default_rng(0).permutation(12))
    assert compare({"a": one, "b": two}, resamples=30) == compare(
        {"a": one, "b": shuffled(two, order)}, resamples=30
    )


def test_weights_move_precision_into_recall() -> None:
    found = compare({"none": random_evaluation(), "8": random_evaluation(shift=2)}, resamples=50)
    points = found["differences"][0]["points"]["half"]
    assert points["recall"]["value"] > 0
    assert points["recall"]["interval"][0] > 0
    assert points["precision"]["value"] < 0


def test_each_pair_is_compared() -> None:
    runs = {name: random_evaluation(shift=n) for n, name in enumerate("abc")}
    found = compare(runs, resamples=10)
    pairs = [(pair["minus"], pair["run"]) for pair in found["differences"]]
    assert pairs == [("a", "b"), ("a", "c"), ("b", "c")]
    rows = comparison_rows(found)
    assert len(rows) == 2 * 3 * (3 * 4 + 1)
    assert rows[0]["run"] == "a"
    assert {row["kind"] for row in rows} == {"score", "difference"}


def test_one_is_not_compared() -> None:
    with pytest.raises(DataError, match="two or more"):
        compare({"a": random_evaluation()})


def test_other_chips_are_named() -> None:
    run = random_evaluation()
    with pytest.raises(DataError, match=r"2 chips only in the first \(chip10, chip11\)"):
        align({"a": run, "b": shuffled(run, list(range(10)))})


def test_other_labels_are_named() -> None:
    run = random_evaluation()
    counts = run.counts
    positives = counts.positives.copy()
    positives[4, 0] += 1
    changed = replace(counts, positives=positives)
    with pytest.raises(DataError, match=r"labelled pixels in 1 chips \(chip04\)"):
        align({"a": run, "b": replace(run, counts=changed)})


def test_other_rules_and_classes_are_named() -> None:
    run = random_evaluation()
    with pytest.raises(DataError, match="--missing-radar exclude and as-land"):
        align({"a": run, "b": replace(run, missing_radar=MissingRadar.AS_LAND)})
    model = replace(run.model, classes=("land", "flood"))
    with pytest.raises(DataError, match="classes land, water and land, flood"):
        align({"a": run, "b": replace(run, model=model)})


def test_dry_chips_only_are_refused() -> None:
    run = random_evaluation(chips=2, dry=2)
    with pytest.raises(DataError, match="no water"):
        compare({"a": run, "b": run}, resamples=5)
