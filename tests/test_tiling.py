import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarwater.errors import ConfigError
from sarwater.tiling import Axis, blend_weights, default_overlap, window_starts


@st.composite
def axes(draw: st.DrawFn) -> tuple[int, int, int]:
    patch = draw(st.integers(1, 70))
    return draw(st.integers(1, 400)), patch, draw(st.integers(0, patch - 1))


def _sums(length: int, patch: int, overlap: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum weights and count windows by a plain loop."""
    total, count = np.zeros(length), np.zeros(length, int)
    starts = window_starts(length, patch, overlap)
    for start, weights in zip(starts, blend_weights(length, patch, overlap), strict=True):
        for i, weight in enumerate(weights.tolist()):
            total[start + i] += weight
            count[start + i] += 1
    return total, count


@given(axes())
def test_weights_add_up_to_one_everywhere(axis: tuple[int, int, int]) -> None:
    total, count = _sums(*axis)
    assert count.min() >= 1
    assert np.abs(total - 1).max() <= 6e-8 * count.max()


@given(axes())
def test_a_pixel_of_a_single_window_weighs_exactly_one(axis: tuple[int, int, int]) -> None:
    total, count = _sums(*axis)
    assert (total[count == 1] == 1.0).all()


@given(axes())
def test_weights_are_positive(axis: tuple[int, int, int]) -> None:
    for weights in blend_weights(*axis):
        assert weights.dtype == np.float32
        assert weights.min() > 0
        assert weights.max() <= 1


@given(axes())
def test_windows_cover_the_axis_and_stay_inside(axis: tuple[int, int, int]) -> None:
    length, patch, overlap = axis
    starts = window_starts(length, patch, overlap)
    assert starts[0] == 0
    assert starts[-1] + min(patch, length) == length
    steps = np.diff(starts)
    assert (steps > 0).all()
    assert (steps[:-1] == patch - overlap).all()
    assert (steps <= patch - overlap).all()


@given(axes())
def test_finished_ranges_follow_one_another(axis: tuple[int, int, int]) -> None:
    windows = Axis.of(*axis)
    ranges = list(windows.finished())
    assert [r for first, end in ranges for r in range(first, end)] == list(range(axis[0]))
    for (_, end), start in zip(ranges[:-1], windows.starts[1:], strict=True):
        assert end <= start


@pytest.mark.parametrize("length", [64, 65, 100, 127, 512, 513, 1000, 1537])
def test_half_the_patch_or_less_of_overlap_blends_to_1e_7(length: int) -> None:
    for overlap in (0, 1, 8, 31, 32):
        total, _ = _sums(length, 64, overlap)
        np.testing.assert_allclose(total, 1, rtol=0, atol=1.2e-7)


def test_the_ramp_is_a_raised_cosine_over_the_overlap() -> None:
    left, right = blend_weights(14, 8, 2)[0], blend_weights(12, 8, 4)[1]
    np.testing.assert_array_equal(left[:6], 1)
    expected = [0.5 - 0.5 * np.cos(np.pi * (d + 0.5) / 4) for d in range(4)]
    np.testing.assert_allclose(right[:4], expected, atol=1e-7)
    np.testing.assert_array_equal(right[4:], 1)


def test_an_axis_shorter_than_the_patch_has_one_window() -> None:
    axis = Axis.of(3, 16, 4)
    assert axis.starts == (0,)
    assert axis.size == 3
    np.testing.assert_array_equal(axis.weights[0], np.ones(3, np.float32))


@pytest.mark.parametrize(
    ("length", "patch", "overlap"), [(0, 4, 1), (5, 0, 0), (5, 4, 4), (5, 4, -1)]
)
def test_impossible_windows_are_refused(length: int, patch: int, overlap: int) -> None:
    with pytest.raises(ConfigError, match=f"windows of {patch} px with an overlap of {overlap} px"):
        window_starts(length, patch, overlap)


@given(st.integers(1, 5000))
def test_default_overlap_is_always_possible(patch: int) -> None:
    assert 0 <= default_overlap(patch) < patch
