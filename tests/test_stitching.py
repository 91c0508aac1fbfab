import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sarwater.errors import ConfigError, ModelError
from sarwater.stitching import Strip, Windows, predict_strips, weigh
from sarwater.tiling import blend_weights, window_starts
from sarwater.types import AnyArray, BoolArray, FloatArray
from tests.tiny_models import FakeEngine, PointwiseEngine, SmoothEngine, engine


def noise(height: int, width: int, bands: int = 2) -> FloatArray:
    return np.random.default_rng(2).normal(size=(bands, height, width)).astype(np.float32)


def strips(
    image: FloatArray, runner: object, windows: Windows, valid: BoolArray | None = None
) -> list[Strip]:
    seen = np.ones(image.shape[1:], np.bool_) if valid is None else valid
    return list(
        predict_strips(
            lambda row, rows: (image[:, row : row + rows], seen[row : row + rows]),
            (image.shape[1], image.shape[2]),
            runner,  # type: ignore[arg-type]
            windows,
        )
    )


def whole(parts: list[Strip]) -> FloatArray:
    return np.concatenate([part.foreground for part in parts], axis=1)


def slow_blend(image: FloatArray, runner: object, windows: Windows) -> FloatArray:
    """Blend window by window over the whole image in float64."""
    _, height, width = image.shape
    patch, overlap = windows.patch_size, windows.overlap
    sums = np.zeros((2, height, width))
    rows = zip(
        window_starts(height, patch, overlap), blend_weights(height, patch, overlap), strict=True
    )
    for row, down in rows:
        cols = zip(
            window_starts(width, patch, overlap), blend_weights(width, patch, overlap), strict=True
        )
        for col, across in cols:
            cut = np.zeros((1, image.shape[0], patch, patch), np.float32)
            part = image[:, row : row + patch, col : col + patch]
            cut[0, :, : part.shape[1], : part.shape[2]] = part
            said = runner.predict(cut)[0, :, : part.shape[1], : part.shape[2]]  # type: ignore[attr-defined]
            for i in range(part.shape[1]):
                for j in range(part.shape[2]):
                    sums[:, row + i, col + j] += said[:, i, j] * float(down[i]) * float(across[j])
    return sums[1:].astype(np.float32)


@pytest.mark.parametrize(("height", "width"), [(40, 50), (16, 61), (5, 33), (1, 70), (31, 1)])
@pytest.mark.parametrize("overlap", [0, 5, 11])
def test_blending_by_strips_is_blending_of_the_whole(height: int, width: int, overlap: int) -> None:
    image, windows = noise(height, width), Windows(16, overlap, 3)
    found = whole(strips(image, engine(), windows))
    np.testing.assert_allclose(found, slow_blend(image, engine(), windows), rtol=0, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 15), st.integers(1, 9))
def test_a_pointwise_network_is_blended_into_itself(
    height: int, width: int, overlap: int, batch: int
) -> None:
    image = noise(height, width)
    found = whole(strips(image, PointwiseEngine(), Windows(16, overlap, batch)))
    expected = PointwiseEngine().predict(image[None])[0, 1:]
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def test_strips_follow_one_another_and_hold_what_no_window_changes_any_more() -> None:
    parts = strips(noise(50, 20), engine(), Windows(16, 4, 2))
    assert [part.row for part in parts] == [0, 12, 24, 34]
    assert [part.foreground.shape for part in parts] == [
        (1, 12, 20),
        (1, 12, 20),
        (1, 10, 20),
        (1, 16, 20),
    ]


def test_rows_are_read_a_window_high_and_never_the_whole_image() -> None:
    asked: list[tuple[int, int]] = []
    image = noise(100, 20)

    def read(row: int, rows: int) -> tuple[FloatArray, BoolArray]:
        asked.append((row, rows))
        return image[:, row : row + rows], np.ones((rows, 20), np.bool_)

    list(predict_strips(read, (100, 20), engine(), Windows(16, 4)))
    assert {rows for _, rows in asked} == {16}
    assert [row for row, _ in asked] == list(window_starts(100, 16, 4))


def test_windows_without_a_valid_pixel_are_not_run() -> None:
    valid = np.zeros((48, 48), np.bool_)
    valid[20, 20] = True
    runner = PointwiseEngine()
    found = strips(noise(48, 48), runner, Windows(16, 0, 8), valid)
    assert runner.batches == [1]
    assert whole(found)[:, ~valid].max() == 0
    alone = PointwiseEngine().predict(noise(48, 48)[None])
    assert whole(found)[0, 20, 20] == pytest.approx(alone[0, 1, 20, 20], abs=1e-6)


def test_nothing_is_run_where_nothing_is_valid() -> None:
    runner = PointwiseEngine()
    found = strips(noise(40, 40), runner, Windows(16, 4), np.zeros((40, 40), np.bool_))
    assert runner.batches == []
    assert not whole(found).any()


def test_batches_have_the_size_that_was_asked_for() -> None:
    runner = PointwiseEngine()
    strips(noise(16, 100), runner, Windows(16, 0, 3))
    assert sorted(runner.batches) == [1, 3, 3]  # two threads, in either order


@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_batch_size_does_not_matter(batch: int) -> None:
    image = noise(90, 75)
    one = whole(strips(image, engine(), Windows(32, 8, 1)))
    np.testing.assert_allclose(
        whole(strips(image, engine(), Windows(32, 8, batch))), one, rtol=0, atol=1e-4
    )


def test_an_image_shifted_by_whole_strides_has_the_same_map() -> None:
    image, windows = noise(32 + 24 * 3, 32 + 24 * 3), Windows(32, 8, 4)
    first = whole(strips(image, SmoothEngine(), windows))
    shifted = whole(strips(image[:, 24:, 24:], SmoothEngine(), windows))
    inner = slice(8, None)
    np.testing.assert_allclose(
        first[:, 24:, 24:][:, inner, inner], shifted[:, inner, inner], rtol=0, atol=1e-6
    )


def test_overlap_blends_the_seams_away() -> None:
    image = noise(128, 128) + 2
    exact = SmoothEngine().predict(image[None])[0, 1]

    def steps(overlap: int) -> AnyArray:
        error = whole(strips(image, SmoothEngine(), Windows(32, overlap, 4)))[0] - exact
        return np.asarray(np.abs(np.diff(error[4:-4], axis=0)))

    assert steps(0).max() > 0.05
    assert steps(16).max() < 0.2 * steps(0).max()


def test_normalization_is_applied_window_by_window() -> None:
    seen: list[tuple[int, ...]] = []

    def normalize(image: FloatArray, valid: BoolArray) -> FloatArray:
        seen.append(image.shape)
        assert image.shape[1:] == valid.shape
        return np.asarray(image - image.mean(), np.float32)

    runner = PointwiseEngine()
    image, valid = noise(16, 28), np.ones((16, 28), np.bool_)
    found = whole(
        list(
            predict_strips(
                lambda row, rows: (image[:, row : row + rows], valid[row : row + rows]),
                (16, 28),
                runner,
                Windows(16, 0),
                normalize=normalize,
            )
        )
    )
    assert seen == [(2, 16, 16), (2, 16, 16)]
    first = image[:, :, :16]
    expected = PointwiseEngine().predict((first - first.mean())[None])[0, 1:]
    np.testing.assert_array_equal(found[:, :, :12], expected[:, :, :12])


def test_values_that_are_not_finite_are_refused() -> None:
    class Broken(FakeEngine):
        def predict(self, patches: FloatArray) -> FloatArray:
            return np.full((len(patches), 2, 16, 16), np.nan, np.float32)

    with pytest.raises(ModelError, match="not finite"):
        strips(noise(16, 16), Broken(), Windows(16, 0))


def test_another_number_of_classes_is_refused() -> None:
    with pytest.raises(ModelError, match=r"shape \(1, 3, 16, 16\), expected \(1, 2, 16, 16\)"):
        strips(noise(16, 16), PointwiseEngine(3), Windows(16, 0))


def test_windows_name_all_that_is_wrong() -> None:
    with pytest.raises(ConfigError, match=r"overlap: 0 to 15 .* found 16; batch_size: .* found 0"):
        Windows(16, 16, 0)
    with pytest.raises(ConfigError, match="patch_size: at least 1"):
        Windows(0, 0)


@pytest.mark.parametrize("overlap", [0, 4, 11])
def test_strips_from_any_beginning_are_bitwise_those_of_the_whole(overlap: int) -> None:
    image, seen = noise(60, 30), np.ones((60, 30), np.bool_)

    def from_row(begin: int) -> list[Strip]:
        return list(
            predict_strips(
                lambda row, rows: (image[:, row : row + rows], seen[row : row + rows]),
                (60, 30),
                SmoothEngine(),
                Windows(16, overlap, 2),
                begin=begin,
            )
        )

    parts = from_row(0)
    for number, part in enumerate(parts):
        again = from_row(part.row)
        assert [one.row for one in again] == [one.row for one in parts[number:]]
        np.testing.assert_array_equal(whole(again), whole(parts)[:, part.row :])
    assert from_row(60) == []
    with pytest.raises(ConfigError, match="no strip of these windows begins at row 1"):
        from_row(1)


@given(
    arrays(np.float32, 9, elements=st.sampled_from([0.25, 0.5, 1.0])),
    arrays(np.float32, 7, elements=st.sampled_from([0.25, 0.5, 1.0])),
)
def test_weights_are_multiplied_wherever_they_are_not_one(
    down: FloatArray, across: FloatArray
) -> None:
    values = np.random.default_rng(0).random((2, 9, 7)).astype(np.float32)
    expected = values * (down[:, None] * across)
    weigh(values, down, across)
    np.testing.assert_allclose(values, expected, rtol=1e-6)
