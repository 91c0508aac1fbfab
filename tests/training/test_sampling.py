from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sarwater.config import PatchSettings, Strategy
from sarwater.errors import DataError
from sarwater.ratios import RATIO_BINS
from sarwater.training.sampling import IntArray, Places, Sampler, places_of
from sarwater.types import IGNORE, AnyArray, BoolArray, ByteArray

SIZE = 32


def chip(seed: int, height: int, width: int) -> tuple[ByteArray, BoolArray]:
    """Three classes in blobs, some unlabelled and some invalid pixels."""
    random = np.random.default_rng(seed)
    coarse = random.choice([0, 0, 0, 1, 2], (height // 6 + 1, width // 6 + 1))
    target = np.kron(coarse, np.ones((6, 6), int))[:height, :width].astype(np.uint8)
    target[random.random(target.shape) < 0.1] = IGNORE
    return target, random.random(target.shape) > 0.2


def sampler(
    places: Places | None = None, seed: int = 0, size: int = SIZE, **settings: Any
) -> Sampler:
    if places is None:
        parts = [places_of(index, *chip(index, 96, 80), size) for index in range(3)]
        places = Places.join(parts)
    return Sampler(places, PatchSettings(size=size, **settings), seed)


def table(**columns: list[int]) -> Places:
    """Places by their counts alone, all of them on the grid of one chip."""
    length = len(next(iter(columns.values())))
    whole: dict[str, AnyArray] = {
        "row": np.arange(length) * SIZE,
        "background": np.full(length, 500),
        "foreground": np.full(length, 500),
        **{name: np.array(values) for name, values in columns.items()},
    }
    zeros = np.zeros(length, np.int64)
    return Places(
        chip=zeros,
        row=whole["row"],
        col=zeros,
        background=whole["background"],
        foreground=whole["foreground"],
        shoreline=whole.get("shoreline", zeros),
        valid_share=np.asarray(whole.get("valid_share", np.ones(length)), np.float64),
        last_row=whole["row"],
        last_col=zeros,
        on_grid=np.asarray(whole.get("on_grid", np.ones(length)), np.bool_),
    )


@given(
    st.integers(0, 10_000),
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from([16, 32, 48]),
)
def test_places_count_what_is_in_their_window(
    seed: int, height: int, width: int, size: int
) -> None:
    target, valid = chip(seed, height, width)
    places = places_of(4, target, valid, size)
    background = valid & (target == 0)
    water = valid & (target != 0) & (target != IGNORE)
    shore = np.zeros_like(water)
    for row, col in np.argwhere(water):
        for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
            if 0 <= r < height and 0 <= c < width and background[r, c]:
                shore[row, col] = True
    assert set(places.chip) == {4}
    for index in range(len(places)):
        window = np.s_[
            places.row[index] : places.row[index] + size,
            places.col[index] : places.col[index] + size,
        ]
        assert places.background[index] == background[window].sum()
        assert places.foreground[index] == water[window].sum()
        assert places.shoreline[index] == shore[window].sum()
        assert places.valid_share[index] == valid[window].sum() / size**2


@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([16, 32, 64]))
def test_places_lie_inside_the_chip_and_the_grid_covers_it(
    height: int, width: int, size: int
) -> None:
    target = np.zeros((height, width), np.uint8)
    places = places_of(0, target, target == 0, size)
    pairs = list(zip(places.row.tolist(), places.col.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert places.row.min() == 0
    assert places.row.max() == max(height - size, 0)
    assert places.col.max() == max(width - size, 0)
    covered = np.zeros((height, width), int)
    for row, col in (pair for pair, on in zip(pairs, places.on_grid, strict=True) if on):
        covered[row : row + size, col : col + size] += 1
    assert covered.min() == 1
    # As few patches as cover it: rounded up in both directions.
    assert places.on_grid.sum() == -(-height // size) * -(-width // size)


def test_a_chip_smaller_than_a_patch_has_one_place() -> None:
    target, valid = chip(0, 20, 25)
    places = places_of(0, target, valid, SIZE)
    assert (len(places), places.row[0], places.col[0]) == (1, 0, 0)
    assert places.on_grid[0]
    assert places.valid_share[0] == valid.sum() / SIZE**2


def test_places_are_chosen_and_joined() -> None:
    one, two = places_of(0, *chip(0, 64, 64), SIZE), places_of(1, *chip(1, 32, 64), SIZE)
    both = Places.join([one, two])
    assert len(both) == len(one) + len(two)
    second = both[both.chip == 1]
    np.testing.assert_array_equal(second.foreground, two.foreground)
    np.testing.assert_array_equal(both[np.array([3, 0])].col, one.col[[3, 0]])


def test_a_grid_epoch_shows_every_place_once() -> None:
    chosen = sampler(max_nodata=0.5)
    grid = np.flatnonzero(chosen.places.on_grid)
    assert chosen.epoch_size == len(grid)
    orders = [chosen.draw(epoch).tolist() for epoch in range(3)]
    assert all(sorted(order) == grid.tolist() for order in orders)
    assert len(set(map(tuple, orders))) == 3


@pytest.mark.parametrize(("share", "most"), [(0.4, 1), (2.5, 3)])
def test_a_shorter_or_longer_grid_epoch_repeats_as_little_as_it_can(
    share: float, most: int
) -> None:
    grid = int(sampler().places.on_grid.sum())
    chosen = sampler(per_epoch=int(share * grid))
    counts = Counter(chosen.draw(0).tolist())
    assert sum(counts.values()) == chosen.epoch_size == int(share * grid)
    assert max(counts.values()) == most
    assert share < 1 or min(counts.values()) == most - 1


def test_a_grid_without_usable_places_takes_the_others() -> None:
    chosen = sampler(table(on_grid=[0, 0, 0]), per_epoch=3)
    assert sorted(chosen.draw(0)) == [0, 1, 2]


def drawn_often(chosen: Sampler, times: int = 20) -> IntArray:
    return np.bincount(
        np.concatenate([chosen.draw(epoch) for epoch in range(times)]),
        minlength=len(chosen.places),
    )


def assert_in_proportion(found: IntArray, shares: AnyArray) -> None:
    assert found[shares == 0].sum() == 0
    kept = shares > 0
    expected = shares[kept] / shares.sum() * found.sum()
    assert stats.chisquare(found[kept], expected).pvalue > 1e-3


def test_uniform_draws_every_place_alike() -> None:
    chosen = sampler(strategy="uniform", per_epoch=500)
    assert_in_proportion(drawn_often(chosen), np.ones(len(chosen.places)))


def test_stratified_draws_every_bin_alike_and_places_within_a_bin_too() -> None:
    places = table(
        background=[5, 90, 90, 90, 900, 900, 5000, 5000, 5000, 5000],
        foreground=[10, 1, 2, 9, 1, 2, 1, 0, 0, 0],
    )
    bins = np.array([0, 1, 1, 1, 2, 2, 3, 3, 3, 3])
    chosen = sampler(places, strategy="stratified", per_epoch=400, max_nodata=0)
    found = drawn_often(chosen)
    assert_in_proportion(found, 1 / np.bincount(bins)[bins])
    assert_in_proportion(np.bincount(bins, weights=found).astype(int), np.ones(4))


def test_stratified_shares_among_the_bins_that_there_are() -> None:
    places = table(background=[5, 5, 5, 5000], foreground=[10, 10, 10, 0])
    chosen = sampler(places, strategy="stratified", per_epoch=500)
    assert_in_proportion(drawn_often(chosen), np.array([1, 1, 1, 3]))


@pytest.mark.parametrize("explore", [0.0, 0.2, 1.0])
def test_shoreline_draws_in_proportion_to_its_length(explore: float) -> None:
    lengths = np.array([0, 10, 20, 70, 0])
    places = table(shoreline=lengths.tolist())
    chosen = sampler(places, strategy="shoreline", per_epoch=500, explore=explore)
    assert_in_proportion(drawn_often(chosen), explore / 5 + (1 - explore) * lengths / 100)


def test_shoreline_without_any_is_uniform() -> None:
    chosen = sampler(table(shoreline=[0, 0, 0]), strategy="shoreline", per_epoch=300, explore=0)
    assert_in_proportion(drawn_often(chosen), np.ones(3))


def test_hard_starts_uniform_and_comes_to_prefer_high_losses() -> None:
    chosen = sampler(table(row=[0, 32, 64, 96]), strategy="hard", per_epoch=500, explore=0.1)
    assert_in_proportion(drawn_often(chosen), np.ones(4))
    chosen.observe(np.array([0, 1, 2]), np.array([0.1, 0.3, 0.6]))
    # The place that nobody has seen counts as the hardest one.
    expected = 0.1 / 4 + 0.9 * np.array([0.1, 0.3, 0.6, 0.6]) / 1.6
    assert_in_proportion(drawn_often(chosen), expected)


def test_losses_are_remembered_in_the_order_in_which_they_were_seen() -> None:
    chosen = sampler(table(row=[0, 32, 64]), strategy="hard")
    chosen.observe(np.array([1, 0, 1, 1]), np.array([1.0, 0.5, 2.0, 4.0]))
    second = 0.7 * (0.7 * 1 + 0.3 * 2) + 0.3 * 4
    np.testing.assert_allclose(chosen.losses, [0.5, second, np.nan])
    chosen.observe(np.array([0]), np.array([0.0]))
    assert chosen.losses[0] == pytest.approx(0.35)


def test_losses_of_zero_leave_hard_uniform() -> None:
    chosen = sampler(table(row=[0, 32]), strategy="hard", per_epoch=300, explore=0)
    chosen.observe(np.array([0, 1]), np.zeros(2))
    assert_in_proportion(drawn_often(chosen), np.ones(2))


def test_places_with_too_little_data_or_no_label_are_not_used() -> None:
    places = table(
        valid_share=[1, 0.11, 0.09, 1, 0],  # type: ignore[list-item]
        background=[5, 5, 5, 0, 0],
        foreground=[0, 0, 0, 0, 0],
    )
    assert sampler(places, max_nodata=0.9).places.row.tolist() == [0, 32]
    assert sampler(places, max_nodata=0.5).places.row.tolist() == [0]
    with pytest.raises(DataError, match=r"none of 1 patches of 32 px .* raise patches.max_nodata"):
        sampler(places[np.array([4])])


def test_no_limit_of_no_data_but_whole_patches() -> None:
    target = np.zeros((64, 64), np.uint8)
    valid = np.ones((64, 64), np.bool_)
    valid[0, 0] = False
    assert len(sampler(places_of(0, target, valid, SIZE), max_nodata=0).places) == 8


@pytest.mark.parametrize("strategy", Strategy)
def test_seed_and_epoch_decide_over_the_draw(strategy: Strategy) -> None:
    def drawn(seed: int, epoch: int) -> list[int]:
        chosen = sampler(strategy=strategy, seed=seed)
        chosen.draw(17)  # what was drawn before does not matter
        return [int(place) for place in chosen.draw(epoch)]

    assert drawn(1, 2) == drawn(1, 2)
    assert drawn(1, 2) != drawn(1, 3)
    assert drawn(1, 2) != drawn(2, 2)
    assert len(drawn(1, 2)) == sampler(strategy=strategy).epoch_size


def test_uniform_moves_to_every_offset_and_the_others_stay() -> None:
    chosen = sampler(strategy="uniform", per_epoch=3000)
    drawn = chosen.draw(0)
    rows, cols = chosen.offsets(drawn, 0)
    for moved, old in ((rows, chosen.places.row[drawn]), (cols, chosen.places.col[drawn])):
        assert set(moved - old) == set(range(-SIZE // 4, SIZE // 4 + 1))
    assert set(range(0, 96 - SIZE + 1)) <= set(rows.tolist())
    again = chosen.offsets(drawn, 0)
    np.testing.assert_array_equal(again, (rows, cols))
    assert not np.array_equal(chosen.offsets(drawn, 1)[0], rows)
    for strategy in set(Strategy) - {Strategy.UNIFORM}:
        other = sampler(strategy=strategy)
        row, col = other.offsets(drawn, 0)
        np.testing.assert_array_equal(row, other.places.row[drawn])
        np.testing.assert_array_equal(col, other.places.col[drawn])


def test_the_report_says_what_there_was_and_what_was_drawn() -> None:
    chips = [chip(index, 96, 80) for index in range(3)]
    places = Places.join([places_of(index, *part, SIZE) for index, part in enumerate(chips)])
    chosen = sampler(places, strategy="shoreline", per_epoch=40)
    drawn = chosen.draw(5)
    places = chosen.places[drawn]
    report = chosen.report(drawn, places.background, places.foreground)

    def composition(indices: IntArray) -> dict[str, Any]:
        water = labelled = 0
        bins: Counter[str] = Counter(dict.fromkeys(RATIO_BINS, 0))
        for index in indices:
            target, valid = chips[chosen.places.chip[index]]
            row, col = chosen.places.row[index], chosen.places.col[index]
            window = np.s_[row : row + SIZE, col : col + SIZE]
            values = target[window][valid[window] & (target[window] != IGNORE)]
            foreground = int((values != 0).sum())
            background = len(values) - foreground
            water, labelled = water + foreground, labelled + len(values)
            ratio = background / foreground if foreground else np.inf
            bins[RATIO_BINS[int(ratio >= 10) + int(ratio >= 100) + int(ratio > 1000)]] += 1
        return {
            "patches": len(indices),
            "water_share": pytest.approx(water / labelled),
            "ratio_bins": dict(bins),
        }

    assert report["available"] == composition(np.flatnonzero(chosen.places.on_grid))
    assert report["drawn"] == composition(drawn)
    assert report["distinct_places"] == len(set(drawn.tolist()))
    assert report["drawn"]["water_share"] > 0.1
