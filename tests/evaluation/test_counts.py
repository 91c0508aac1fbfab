import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import confusion_matrix as sklearn_confusion

from sarwater.errors import DataError
from sarwater.evaluation.counts import (
    BINS,
    RANKS,
    THRESHOLDS,
    ThresholdCounts,
    confusion_matrix,
    count,
    threshold_at,
    threshold_index,
)
from sarwater.types import BoolArray, FloatArray


def at_and_around_the_thresholds() -> FloatArray:
    """Every threshold, the two float32 numbers next to it, 0 and 1."""
    zero, two = np.float32(0), np.float32(2)
    ends = np.array([0, 1, 1e-30], np.float32)
    return np.concatenate(
        [THRESHOLDS, np.nextafter(THRESHOLDS, zero), np.nextafter(THRESHOLDS, two), ends]
    )


def assert_exact(probability: FloatArray, water: BoolArray) -> None:
    counts = count(probability, water)
    for index, threshold in enumerate(THRESHOLDS):
        called = probability >= threshold
        assert counts.tp[index] == np.count_nonzero(called & water)
        assert counts.fp[index] == np.count_nonzero(called & ~water)
        assert counts.fn[index] == np.count_nonzero(~called & water)
        assert counts.tn[index] == np.count_nonzero(~called & ~water)


def equal(one: ThresholdCounts, other: ThresholdCounts) -> bool:
    return (
        np.array_equal(one.positives, other.positives)
        and np.array_equal(one.negatives, other.negatives)
        and np.array_equal(one.positive_ranks, other.positive_ranks)
        and np.array_equal(one.negative_ranks, other.negative_ranks)
        and np.allclose(one.positive_sums, other.positive_sums, rtol=1e-12)
        and np.allclose(one.negative_sums, other.negative_sums, rtol=1e-12)
    )


def test_thresholds_are_thousandths_as_float32() -> None:
    assert THRESHOLDS.dtype == np.float32
    assert [np.float32(i / 1000) for i in range(1, 1000)] == list(THRESHOLDS)


def test_counts_are_those_of_the_comparison_at_every_threshold() -> None:
    generator = np.random.default_rng(0)
    assert_exact(generator.random(5000, dtype=np.float32), generator.random(5000) < 0.2)


def test_counts_are_exact_for_probabilities_at_and_next_to_a_threshold() -> None:
    values = at_and_around_the_thresholds()
    assert_exact(values, np.arange(values.size) % 3 == 0)


def test_more_pixels_than_a_chunk() -> None:
    generator = np.random.default_rng(1)
    probability = generator.random((300, 400), dtype=np.float32)
    water = generator.random((300, 400)) < 0.3
    counts = count(probability, water)
    for index in (0, 499, 998):
        called = probability >= THRESHOLDS[index]
        assert counts.tp[index] == np.count_nonzero(called & water)
        assert counts.fp[index] == np.count_nonzero(called & ~water)


probabilities = st.one_of(
    st.floats(0, 1, width=32), st.sampled_from(at_and_around_the_thresholds().tolist())
)
chips = hnp.arrays(np.float32, (4, 5), elements=probabilities)
flags = hnp.arrays(np.bool_, (4, 5))


@settings(max_examples=50, deadline=None)
@given(chips, flags)
def test_any_probabilities_are_counted_exactly(probability: FloatArray, water: BoolArray) -> None:
    counts = count(probability, water)
    called = probability[..., None] >= THRESHOLDS
    assert np.array_equal(counts.tp, (called & water[..., None]).sum(axis=(0, 1)))
    assert np.array_equal(counts.fp, (called & ~water[..., None]).sum(axis=(0, 1)))


@settings(max_examples=50, deadline=None)
@given(chips, flags, chips, flags)
def test_counts_add_up(
    one: FloatArray, one_water: BoolArray, other: FloatArray, other_water: BoolArray
) -> None:
    both = count(np.concatenate([one, other]), np.concatenate([one_water, other_water]))
    parts = count(one, one_water), count(other, other_water)
    assert equal(parts[0] + parts[1], both)
    assert equal(ThresholdCounts.stack(parts).pooled(), both)
    assert equal(parts[0] + ThresholdCounts.zeros(), parts[0])


@settings(max_examples=50, deadline=None)
@given(chips, flags, flags, chips, flags)
def test_pixels_that_do_not_count_change_nothing(
    probability: FloatArray,
    water: BoolArray,
    counted: BoolArray,
    other: FloatArray,
    other_water: BoolArray,
) -> None:
    changed = count(
        np.where(counted, probability, other), np.where(counted, water, other_water), counted
    )
    missing = count(np.where(counted, probability, np.float32(np.nan)), water, counted)
    expected = count(probability[counted], water[counted])
    assert equal(changed, expected)
    assert equal(missing, expected)


@settings(max_examples=50, deadline=None)
@given(chips, flags)
def test_hits_and_false_alarms_never_grow_with_the_threshold(
    probability: FloatArray, water: BoolArray
) -> None:
    counts = count(probability, water)
    assert (np.diff(counts.tp) <= 0).all()
    assert (np.diff(counts.fp) <= 0).all()
    total = counts.tp + counts.fp + counts.fn + counts.tn
    assert (total == probability.size).all()


def test_sums_are_those_of_the_probabilities() -> None:
    generator = np.random.default_rng(2)
    probability = generator.random(1000, dtype=np.float32)
    water = generator.random(1000) < 0.5
    counts = count(probability, water)
    assert counts.positive_sums.sum() == pytest.approx(probability[water].sum(dtype=np.float64))
    assert counts.negative_sums.sum() == pytest.approx(probability[~water].sum(dtype=np.float64))


def places(probability: FloatArray) -> list[int]:
    """The finer bin of each probability."""
    found = [count(probability[i : i + 1], np.array([True])) for i in range(len(probability))]
    assert all(one.positive_ranks.sum() == 1 for one in found)
    return [int(one.positive_ranks.argmax()) for one in found]


def test_finer_bins_rank_what_no_threshold_tells_apart() -> None:
    low = [0, 1e-11, 3e-8, 1e-7, 1e-6, 1e-5, 1e-4, 8e-4, 9e-4]
    high = [0.999, 0.9991, 0.9995, 0.9999, 1 - 1e-5, 1 - 1e-6, 1 - 1.2e-7, 1]
    found = places(np.array(low + high, np.float32))
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (0, RANKS - 1)


def test_finer_bins_follow_the_probability() -> None:
    """None holds pixels of two bins, and a higher probability never has a lower one."""
    ends = np.geomspace(1e-14, 0.02, 300).astype(np.float32)
    probability = np.sort(np.concatenate([at_and_around_the_thresholds(), ends, 1 - ends]))
    found = places(probability)
    assert found == sorted(found)
    bins = np.searchsorted(THRESHOLDS, probability, side="right")
    assert len(set(zip(found, bins.tolist(), strict=True))) == len(set(found))


@settings(max_examples=50, deadline=None)
@given(chips, flags)
def test_finer_bins_hold_the_same_pixels(probability: FloatArray, water: BoolArray) -> None:
    counts = count(probability, water)
    assert counts.positive_ranks.sum() == counts.water
    assert counts.negative_ranks.sum() == counts.land


def test_counts_of_earlier_versions_have_ties() -> None:
    probability = np.concatenate([np.geomspace(1e-7, 0.5, 50), 1 - np.geomspace(1e-7, 0.4, 50)])
    counts = count(probability.astype(np.float32), np.arange(100) % 3 == 0)
    arrays = counts.positives, counts.negatives, counts.positive_sums, counts.negative_sums
    found = ThresholdCounts.from_arrays(*arrays)
    for ranks, bins in zip((found.positive_ranks, found.negative_ranks), arrays, strict=False):
        np.testing.assert_array_equal(ranks[ranks > 0], bins[bins > 0])


def test_a_stack_keeps_its_chips_apart() -> None:
    parts = [count(np.array([0.1 * n, 0.9], np.float32), np.array([False, True])) for n in range(3)]
    stack = ThresholdCounts.stack(parts)
    assert stack.positives.shape == (3, BINS)
    assert equal(stack[1], parts[1])
    assert equal(stack[np.array([2, 0])].pooled(), parts[0] + parts[2])
    assert stack.water.tolist() == [1, 1, 1]
    assert stack.land.tolist() == [1, 1, 1]
    assert ThresholdCounts.stack([]).positives.shape == (0, BINS)


@pytest.mark.parametrize("value", [np.nan, 1.5, -0.5, np.inf])
def test_what_is_no_probability_is_refused(value: float) -> None:
    with pytest.raises(DataError, match=r"within 0 \.\.\. 1"):
        count(np.array([0.5, value], np.float32), np.array([True, False]))


def test_rounding_beyond_one_is_not_refused() -> None:
    beyond = np.array([1.0000001, 1.0009, -1e-7, -9e-4], np.float32)
    counts = count(beyond, np.array([True, True, False, False]))
    assert counts.tp[-1] == 2
    assert counts.fp[0] == 0
    assert counts.positive_sums.sum() == 2


def test_shapes_must_agree() -> None:
    with pytest.raises(DataError, match="one shape"):
        count(np.zeros((2, 2), np.float32), np.zeros(4, np.bool_))


@pytest.mark.parametrize("threshold", [0.001, 0.3, 0.42, 0.999, float(np.float32(0.7))])
def test_a_threshold_finds_its_place(threshold: float) -> None:
    assert THRESHOLDS[threshold_index(threshold)] == np.float32(round(threshold, 3))
    assert threshold_at(threshold_index(threshold)) == round(threshold, 3)


@pytest.mark.parametrize("threshold", [0.0, 1.0, 0.4237, -0.1, np.nan, np.inf])
def test_a_threshold_off_the_grid_is_refused(threshold: float) -> None:
    with pytest.raises(DataError, match=r"multiple of 0\.001"):
        threshold_index(threshold)


@pytest.mark.parametrize("classes", [2, 3])
def test_confusion_matrix_is_scikit_learns(classes: int) -> None:
    generator = np.random.default_rng(classes)
    target = generator.integers(0, classes, (30, 30)).astype(np.uint8)
    predicted = generator.integers(0, classes, (30, 30)).astype(np.uint8)
    counted = generator.random((30, 30)) < 0.7
    target[~counted] = 255
    expected = sklearn_confusion(target[counted], predicted[counted], labels=list(range(classes)))
    found = confusion_matrix(predicted, target, counted, classes)
    assert np.array_equal(found, expected)
    for true, called in itertools.product(range(classes), repeat=2):
        both = (target == true) & (predicted == called) & counted
        assert found[true, called] == both.sum()
