import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, jaccard_score

from sarwater.errors import DataError
from sarwater.evaluation.bootstrap import (
    average_precision_samples,
    interval,
    mean_samples,
    pooled_samples,
    resample_weights,
    with_interval,
)
from sarwater.evaluation.counts import THRESHOLDS, ThresholdCounts, count


def test_weights_are_draws_with_replacement() -> None:
    weights = resample_weights(7, 2000, 0)
    assert weights.shape == (2000, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert (weights == np.round(weights)).all()
    assert weights.mean() == 1
    assert weights.var() == pytest.approx(1 - 1 / 7, rel=0.05)
    assert np.array_equal(weights, resample_weights(7, 2000, 0))
    assert not np.array_equal(weights, resample_weights(7, 2000, 1))


@pytest.mark.parametrize(("chips", "resamples"), [(0, 10), (3, -1)])
def test_nothing_to_draw(chips: int, resamples: int) -> None:
    with pytest.raises(DataError, match="cannot draw"):
        resample_weights(chips, resamples, 0)


def test_scores_of_a_resample_are_those_of_the_drawn_pixels() -> None:
    generator = np.random.default_rng(0)
    water = generator.random((5, 200)) < 0.3
    probability = np.asarray(
        np.clip(water * 0.3 + generator.random((5, 200)) * 0.7, 0, 1), np.float32
    )
    stack = ThresholdCounts.stack(map(count, probability, water))
    weights = resample_weights(5, 20, 3)
    found = pooled_samples(stack, weights, 419)
    precision = average_precision_samples(stack, weights)
    quantized = np.searchsorted(THRESHOLDS, probability, side="right")
    for row, drawn in enumerate(weights.astype(int)):
        chosen = np.repeat(np.arange(5), drawn)
        truth = water[chosen].ravel()
        called = probability[chosen].ravel() >= np.float32(0.42)
        assert found["f1"][row] == pytest.approx(f1_score(truth, called))
        assert found["iou"][row] == pytest.approx(jaccard_score(truth, called))
        expected = average_precision_score(truth, quantized[chosen].ravel())
        assert precision[row] == pytest.approx(expected)


def test_resamples_without_water_are_left_out() -> None:
    """Whether they have false alarms or none: there is no F1 to draw."""
    water = np.array([[True, False], [False, False], [False, False]])
    probability = np.array([[0.9, 0.1], [0.1, 0.1], [0.9, 0.1]], np.float32)
    stack = ThresholdCounts.stack(map(count, probability, water))
    weights = np.array([[1.0, 1, 1], [0, 3, 0], [0, 0, 3], [3, 0, 0], [1, 0, 2]])
    found = pooled_samples(stack, weights, 499)
    for name, expected in (("f1", [2 / 3, 1, 0.5]), ("iou", [0.5, 1, 1 / 3])):
        assert np.isnan(found[name]).tolist() == [False, True, True, False, False]
        assert found[name][[0, 3, 4]].tolist() == pytest.approx(expected)
        bounds = interval(found[name])
        assert bounds is not None
        assert bounds[0] > 0.3


def test_means_leave_undefined_chips_out() -> None:
    values = np.array([0.2, np.nan, 0.8])
    weights = np.array([[1.0, 1, 1], [2, 1, 0], [0, 3, 0]])
    found = mean_samples(values, weights)
    assert found[:2].tolist() == pytest.approx([0.5, 0.2])
    assert np.isnan(found[2])


def test_an_interval_is_the_middle_95_percent() -> None:
    samples = np.arange(1001) / 1000
    assert interval(samples) == pytest.approx([0.025, 0.975])
    assert interval(np.append(samples, np.nan)) == pytest.approx([0.025, 0.975])
    assert interval(np.array([np.nan, 1.0])) is None
    assert with_interval(np.nan, samples)["value"] is None


def test_the_interval_of_a_mean_has_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    bounds = interval(mean_samples(values, resample_weights(400, 4000, 0)))
    assert bounds is not None
    width = 2 * 1.96 * values.std() / np.sqrt(400)
    assert bounds[1] - bounds[0] == pytest.approx(width, rel=0.08)
