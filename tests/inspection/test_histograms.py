"""Histograms against NumPy's, their sums, and their distances against SciPy's."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from sarwater.inspection.histograms import (
    Histogram,
    Scale,
    add,
    align,
    histogram,
    jensen_shannon,
    scale_of,
    to_scale,
    wasserstein,
)
from sarwater.types import Units

VALUES = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60)


def counted(values: list[float] | np.ndarray, scale: Scale = Scale.DECIBEL) -> Histogram:
    found = histogram(np.asarray(values, np.float64), scale)
    assert found is not None
    return found


def test_decibel_bins_are_fixed() -> None:
    values = np.random.default_rng(0).normal(-12, 6, 5000).astype(np.float32)
    found = counted(values)
    expected, edges = np.histogram(values, bins=np.arange(-50, 20.5, 0.5))
    assert np.array_equal(found.edges, edges)
    assert np.array_equal(found.counts, expected)


def test_bytes_have_a_bin_each() -> None:
    values = np.random.default_rng(0).integers(0, 256, 2000)
    found = counted(values, Scale.BYTE)
    assert np.array_equal(found.counts, np.bincount(values, minlength=256))
    assert (found.below, found.above) == (0, 0)


def test_values_outside_are_counted_apart() -> None:
    found = counted([-9999.0, -12.0, 20.0, 55.0])
    assert (found.below, int(found.counts.sum()), found.above, found.total) == (1, 1, 2, 4)


def test_nothing_has_no_histogram() -> None:
    assert histogram(np.zeros(0), Scale.PLAIN) is None


@given(VALUES)
def test_adaptive_bins_hold_all_values(values: list[float]) -> None:
    found = counted(values, Scale.PLAIN)
    assert found.total == len(values)
    assert len(found.counts) <= 140
    assert math.log2(found.width).is_integer()


def test_one_wild_value_does_not_blur_the_others() -> None:
    values = np.append(np.random.default_rng(0).random(1000), 1e9)
    found = counted(values, Scale.PLAIN)
    assert found.above == 1
    assert np.count_nonzero(found.counts) > 30


@given(st.lists(VALUES, min_size=1, max_size=4))
def test_sums_keep_every_count_in_its_place(parts: list[list[float]]) -> None:
    histograms = [counted(part, Scale.PLAIN) for part in parts]
    whole = add(histograms)
    assert whole.total == sum(len(part) for part in parts)
    assert len(whole.counts) <= 512
    assert all(len(one.counts) == len(whole.counts) for one in align(histograms))
    inside = [
        value
        for part, one in zip(parts, histograms, strict=True)
        for value in part
        if one.edges[0] <= value < one.edges[-1]
    ]
    expected, _ = np.histogram(inside, bins=whole.edges)
    # NumPy's last bin takes its upper end too; no value lies there.
    assert np.array_equal(whole.counts, expected)


def test_scales() -> None:
    assert scale_of(Units.LINEAR) == scale_of(Units.DB) == Scale.DECIBEL
    assert to_scale(np.array([1e-9, 0.1, 1]), Units.LINEAR).tolist() == [-50, -10, 0]
    assert to_scale(np.array([0, 1, 100]), Units.AMPLITUDE).tolist() == [-50, 0, 40]
    assert to_scale(np.array([7]), Units.BYTE).tolist() == [7]


def test_quantile_is_the_bin_of_the_median() -> None:
    values = np.random.default_rng(1).normal(-12, 4, 4001)
    assert counted(values).quantile(0.5) == pytest.approx(np.median(values), abs=0.5)


@given(VALUES, VALUES)
def test_distances_are_those_of_scipy(first: list[float], second: list[float]) -> None:
    one, other = counted(first, Scale.PLAIN), counted(second, Scale.PLAIN)
    a, b = align((one, other))
    p, q = (np.concatenate([[x.below], x.counts, [x.above]]) for x in (a, b))
    divergence = jensenshannon(p / p.sum(), q / q.sum(), base=2) ** 2
    assert jensen_shannon(one, other) == pytest.approx(divergence, abs=1e-7)
    centers = (a.start - 0.5 + np.arange(len(p))) * a.width
    moved = wasserstein_distance(centers, centers, p, q)
    assert wasserstein(one, other) == pytest.approx(moved, rel=1e-6, abs=1e-9)


def test_distances_of_shifted_copies() -> None:
    values = np.random.default_rng(2).normal(-15, 1, 3000)
    one, other = counted(values), counted(values + 20)
    assert jensen_shannon(one, one) == 0
    assert jensen_shannon(one, other) == pytest.approx(1)
    assert wasserstein(one, other) == pytest.approx(20)


def test_calibrated_amplitude_has_the_histogram_of_its_power() -> None:
    """Backscatter as sqrt(sigma0) lies below 1 nearly everywhere, -30 ... 0 dB."""
    power = 10 ** (np.random.default_rng(0).uniform(-30, 0, 3000) / 10)
    amplitude = to_scale(np.sqrt(power), Units.AMPLITUDE)
    np.testing.assert_allclose(amplitude, to_scale(power, Units.LINEAR), atol=1e-9)
    found = counted(amplitude, scale_of(Units.AMPLITUDE))
    assert (found.below, found.above) == (0, 0)
    assert np.count_nonzero(found.counts) == 60
