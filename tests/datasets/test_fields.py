import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from sarwater.datasets.fields import (
    Parcels,
    distance_to_points,
    double,
    fractal_field,
    meander,
    top_share,
)


@pytest.mark.parametrize("slope", [2.0, 2.6, 3.5])
def test_fractal_fields_have_mean_zero_and_variance_one(slope: float) -> None:
    rng = np.random.default_rng(3)
    fields = np.stack([fractal_field((101, 130), 30, slope, rng) for _ in range(40)])
    assert fields.dtype == np.float32
    assert fields.shape == (40, 101, 130)
    assert abs(fields.mean()) < 0.05
    assert 0.85 < fields.var() < 1.1


def test_fractal_fields_are_smoother_with_a_steeper_slope() -> None:
    def jump(slope: float) -> float:
        field = fractal_field((256, 256), 100, slope, np.random.default_rng(0))
        return float(np.abs(np.diff(field, axis=0)).mean())

    assert jump(2.0) > 2 * jump(2.9) > 2 * jump(4.0)


def test_doubling_interpolates_between_the_points() -> None:
    coarse = np.arange(12, dtype=np.float32).reshape(3, 4)
    fine = double(coarse, (4, 6))
    assert fine.shape == (4, 6)
    np.testing.assert_array_equal(fine[::2, ::2], coarse[:2, :3])
    np.testing.assert_allclose(fine[1, 1], coarse[:2, :2].mean())


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 100))
def test_the_best_free_pixels_are_chosen(share: float, free_share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = rng.standard_normal((9, 11)).astype(np.float32)
    free = rng.random((9, 11)) < free_share
    chosen = top_share(score, free, share)
    assert not (chosen & ~free).any()
    assert chosen.sum() == min(round(share * score.size), free.sum())
    left = free & ~chosen
    if chosen.any() and left.any():
        assert score[chosen].min() >= score[left].max()


def test_distances_agree_with_a_search_tree() -> None:
    points = np.random.default_rng(5).uniform(0, 50, (25, 2))
    distance = distance_to_points((50, 61), points)
    pixels = np.argwhere(np.ones((50, 61), bool))
    expected = cKDTree(points).query(pixels)[0].reshape(50, 61)
    assert np.abs(distance - expected).max() < 2.5


def test_without_points_everything_is_far() -> None:
    assert distance_to_points((20, 30), np.empty((0, 2))).min() > 30


def test_meanders_cross_the_scene_and_wind() -> None:
    for seed in range(8):
        path = meander((300, 300), 60, np.random.default_rng(seed))
        steps = np.hypot(*np.diff(path, axis=0).T)
        np.testing.assert_allclose(steps, 0.5)
        span = np.linalg.norm(path[-1] - path[0])
        assert 1.05 < steps.sum() / span < 6


def test_parcels_are_uniform_inside_and_differ_between_them() -> None:
    rng = np.random.default_rng(1)
    parcels = Parcels((120, 90), (30, 12), rng)
    values = parcels.uniform(rng)
    field = rng.standard_normal((120, 90)).astype(np.float32)
    mean = parcels.mean(field)
    for label in np.unique(parcels.labels):
        inside = parcels.labels == label
        assert np.ptp(values[inside]) == 0
        np.testing.assert_allclose(mean[inside], field[inside].mean(), atol=1e-5)
    assert len(np.unique(values)) == len(np.unique(parcels.labels)) > 20
