import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    jaccard_score,
    precision_recall_curve,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
)

from sarwater.errors import DataError
from sarwater.evaluation.counts import THRESHOLDS, ThresholdCounts, confusion_matrix, count
from sarwater.evaluation.scores import (
    average_precision,
    calibration,
    choose_threshold,
    class_scores,
    curve,
    scores,
    threshold_table,
)
from sarwater.types import BoolArray, FloatArray


def case(seed: int = 0, pixels: int = 4000) -> tuple[FloatArray, BoolArray]:
    generator = np.random.default_rng(seed)
    water = generator.random(pixels) < 0.15
    logits = np.where(water, 1.2, -1.6) + generator.normal(0, 1.3, pixels)
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32), water


def rounded_down(probability: FloatArray) -> FloatArray:
    """The highest threshold that each passes, or 0."""
    passed = np.searchsorted(THRESHOLDS, probability, side="right")
    return np.asarray(np.concatenate([[0], THRESHOLDS])[passed], np.float32)


@pytest.mark.parametrize("index", [99, 299, 499, 799])
def test_scores_are_scikit_learns(index: int) -> None:
    probability, water = case()
    found = curve(count(probability, water))
    called = probability >= THRESHOLDS[index]
    assert found.precision[index] == pytest.approx(precision_score(water, called), abs=1e-12)
    assert found.recall[index] == pytest.approx(recall_score(water, called), abs=1e-12)
    assert found.f1[index] == pytest.approx(f1_score(water, called), abs=1e-12)
    assert found.iou[index] == pytest.approx(jaccard_score(water, called), abs=1e-12)


def test_the_curve_is_scikit_learns() -> None:
    probability, water = case(1)
    quantized = rounded_down(probability)
    precision, recall, thresholds = precision_recall_curve(water, quantized)
    found = curve(count(probability, water))
    places = np.searchsorted(THRESHOLDS, thresholds[thresholds > 0])
    kept = np.flatnonzero(thresholds > 0)
    assert np.allclose(found.precision[places], precision[kept], atol=1e-12)
    assert np.allclose(found.recall[places], recall[kept], atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_average_precision_is_scikit_learns(seed: int) -> None:
    probability, water = case(seed, 700)
    counts = count(probability, water)
    expected = average_precision_score(water, rounded_down(probability))
    assert average_precision(counts.positives, counts.negatives) == pytest.approx(
        expected, abs=1e-12
    )


def saturated(gain: float, pixels: int = 200_000) -> tuple[FloatArray, BoolArray]:
    """As networks trained with Dice or Tversky are: most pixels beyond all thresholds."""
    generator = np.random.default_rng(int(gain))
    water = generator.random(pixels) < 0.1
    logits = np.where(water, 1.5, -1.5) + generator.normal(0, 1.2, pixels)
    both = np.stack([np.zeros(pixels), gain * logits]).astype(np.float32)
    raised = np.exp(both - both.max(axis=0))
    return np.asarray(raised[1] / raised.sum(axis=0), np.float32), water


@pytest.mark.parametrize("gain", [1, 3, 6, 10, 20])
def test_average_precision_of_sure_networks_is_scikit_learns(gain: float) -> None:
    probability, water = saturated(gain)
    counts = count(probability, water)
    expected = average_precision_score(water, probability)
    found = float(average_precision(counts.positive_ranks, counts.negative_ranks))
    assert found == pytest.approx(expected, abs=1e-3)
    if gain == 10:  # the grid alone would not do
        coarse = float(average_precision(counts.positives, counts.negatives))
        assert coarse < expected - 0.02


def test_average_precision_of_a_stack_is_that_of_each() -> None:
    parts = [count(*case(seed, 300)) for seed in range(3)]
    stack = ThresholdCounts.stack(parts)
    found = average_precision(stack.positives, stack.negatives)
    expected = [average_precision(part.positives, part.negatives) for part in parts]
    assert np.allclose(found, expected)


def test_undefined_scores_are_nan() -> None:
    found = scores([0, 0, 0], [0, 5, 0], [0, 0, 4])
    assert np.isnan(found.precision).tolist() == [True, False, True]
    assert np.isnan(found.recall).tolist() == [True, True, False]
    assert np.isnan(found.f1).tolist() == [True, True, False]
    assert np.isnan(found.iou).tolist() == [True, True, False]
    assert found.precision[1] == found.f1[2] == found.iou[2] == 0
    assert np.isnan(average_precision(np.zeros(1000), np.ones(1000)))


def test_the_table_has_the_thresholds_of_the_report() -> None:
    probability, water = case()
    rows = threshold_table(curve(count(probability, water)))
    assert [row["threshold"] for row in rows] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    for row in rows:
        called = probability >= np.float32(row["threshold"])
        assert row["precision"] == pytest.approx(precision_score(water, called))
        assert row["iou"] == pytest.approx(jaccard_score(water, called))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000))
def test_recall_never_grows_with_the_threshold(seed: int) -> None:
    found = curve(count(*case(seed, 60)))
    defined = found.recall[np.isfinite(found.recall)]
    assert (np.diff(defined) <= 0).all()


def test_calibration_by_a_loop() -> None:
    probability, water = case(3)
    found = calibration(count(probability, water))
    expected_error = 0.0
    for number in range(10):
        low = np.float32(number / 10) if number else np.float32(-1)
        high = np.float32((number + 1) / 10) if number < 9 else np.float32(2)
        inside = (probability >= low) & (probability < high)
        assert found.pixels[number] == inside.sum()
        assert found.predicted[number] == pytest.approx(probability[inside].mean(), abs=1e-6)
        assert found.observed[number] == pytest.approx(water[inside].mean())
        gap = abs(probability[inside].mean(dtype=np.float64) - water[inside].mean())
        expected_error += gap * inside.mean()
    assert found.expected_error == pytest.approx(expected_error, abs=1e-9)
    assert found.brier == pytest.approx(brier_score_loss(water, probability), abs=3e-7)


def test_calibration_of_empty_bins_and_of_nothing() -> None:
    found = calibration(count(np.array([0.95, 0.97], np.float32), np.array([True, True])))
    assert np.isnan(found.observed[:9]).all()
    assert found.expected_error == pytest.approx(0.04, abs=1e-6)
    with pytest.raises(DataError, match="no pixel"):
        calibration(ThresholdCounts.zeros())


def test_class_scores_are_scikit_learns() -> None:
    generator = np.random.default_rng(5)
    target = generator.integers(0, 3, 500).astype(np.uint8)
    predicted = np.where(generator.random(500) < 0.6, target, 2).astype(np.uint8)
    found = class_scores(confusion_matrix(predicted, target, np.full(500, True), 3))
    precision, recall, f1, _ = precision_recall_fscore_support(target, predicted)
    assert np.allclose(found.precision, precision)
    assert np.allclose(found.recall, recall)
    assert np.allclose(found.f1, f1)
    assert np.allclose(found.iou, jaccard_score(target, predicted, average=None))


@pytest.mark.parametrize("criterion", ["f1", "iou"])
def test_the_best_threshold_is_the_best(criterion: str) -> None:
    counts = count(*case())
    threshold, text = choose_threshold(counts, criterion)
    values = getattr(curve(counts), criterion)
    assert values[round(threshold * 1000) - 1] == np.nanmax(values)
    assert text.startswith({"f1": "best F1", "iou": "best IoU"}[criterion])


def test_thresholds_by_a_bound() -> None:
    counts = count(*case())
    found = curve(counts)
    threshold, text = choose_threshold(counts, "precision >= 0.9")
    index = round(threshold * 1000) - 1
    assert found.precision[index] >= 0.9
    assert found.recall[index] == found.recall[found.precision >= 0.9].max()
    assert text.startswith("best recall of a precision of at least 0.9")
    threshold, _ = choose_threshold(counts, "recall>=.8")
    index = round(threshold * 1000) - 1
    assert found.recall[index] >= 0.8
    assert found.precision[index] == found.precision[found.recall >= 0.8].max()


def test_balanced_maps_the_labelled_area() -> None:
    counts = count(*case())
    index = round(choose_threshold(counts, "balanced")[0] * 1000) - 1
    gaps = np.abs(counts.fp - counts.fn)
    assert gaps[index] == gaps.min()


def test_equally_good_thresholds_give_the_middle_of_the_longest_run() -> None:
    perfect = count(np.array([0, 1], np.float32), np.array([False, True]))
    assert choose_threshold(perfect)[0] == 0.5
    apart = count(np.array([0.2, 0.6], np.float32), np.array([False, True]))
    assert choose_threshold(apart)[0] == pytest.approx(0.4, abs=0.001)
    # The same F1 from .101 to .2 and from .301 to .8: the longer run is taken.
    two_runs = count(
        np.array([0.2, 0.3, 0.8, 0.1], np.float32), np.array([True, False, True, False])
    )
    f1 = curve(two_runs).f1
    assert f1[149] == pytest.approx(0.8)
    assert f1[549] == pytest.approx(2 / 3)
    assert choose_threshold(two_runs)[0] == pytest.approx(0.15, abs=0.001)


def test_a_stack_is_pooled() -> None:
    parts = [count(*case(seed)) for seed in range(3)]
    pooled = parts[0] + parts[1] + parts[2]
    assert choose_threshold(ThresholdCounts.stack(parts)) == choose_threshold(pooled)


def test_no_water_is_refused() -> None:
    dry = count(np.array([0.1, 0.2], np.float32), np.array([False, False]))
    with pytest.raises(DataError, match="validation split needs chips with water"):
        choose_threshold(dry)


@pytest.mark.parametrize("criterion", ["f2", "precision>=1.5", "precision>0.5", "accuracy"])
def test_an_unknown_criterion_is_refused(criterion: str) -> None:
    with pytest.raises(DataError, match="unknown criterion"):
        choose_threshold(count(*case()), criterion)


def test_a_bound_that_cannot_be_reached_is_refused() -> None:
    counts = count(np.array([0.9, 0.8], np.float32), np.array([False, True]))
    with pytest.raises(DataError, match=r"highest is 0\.500"):
        choose_threshold(counts, "precision>=0.9")
