from collections import Counter, defaultdict
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarwater.datasets.indexing import index
from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.datasets.shared_ground import OVERLAP, shared_ground
from sarwater.datasets.splits import (
    Values,
    check_splits,
    split_by_column,
    split_by_fractions,
)
from sarwater.errors import ConfigError, DataError, ManifestError
from sarwater.types import Units

FRACTIONS = {"train": 0.7, "val": 0.15, "test": 0.15}
Box = tuple[float, float, float, float]


def chip(name: str, **cells: object) -> ChipRecord:
    start = ChipRecord(name, "d", (Path(f"/x/{name}.tif"),), ("VV",), Units.DB)
    return replace(start, **cells)  # type: ignore[arg-type]


def tiles(rows: int, cols: int, domain: str = "d") -> Manifest:
    places = [(row, col) for row in range(rows) for col in range(cols)]
    return Manifest(
        tuple(
            chip(f"{domain}-{row}-{col}", scene=domain, domain=domain, row=row, col=col)
            for row, col in places
        )
    )


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "cells", "chosen"),
    [
        ("13-", ["12", "13", "99", "x", ""], ["13", "99"]),
        ("-10", ["0", "10", "11"], ["0", "10"]),
        ("11-12", ["10", "11", "12", "13"], ["11", "12"]),
        ("3, 7", ["3", "5", "7"], ["3", "7"]),
        ("2021-03", ["2021-03", "2500", "3"], ["2021-03"]),
        ("Sri-Lanka,Spain", ["Sri-Lanka", "Spain", "Ghana"], ["Sri-Lanka", "Spain"]),
    ],
)
def test_values_and_ranges(text: str, cells: list[str], chosen: list[str]) -> None:
    values = Values.parse(text)
    assert [cell for cell in cells if cell in values] == chosen


def test_a_value_may_have_a_comma() -> None:
    rows = tuple(chip(name, domain=name) for name in ("Mekong, 2018", "Mekong", "2018", "Elbe"))
    values = {"test": Values.parse("Mekong, 2018"), "val": Values.parse("Mekong,2018")}
    result = split_by_column(Manifest(rows), "domain", values)
    assert [row.split for row in result] == ["test", "val", "val", "train"]
    only = split_by_fractions(
        Manifest(rows), {"held": 1.0}, where={"domain": Values.parse(" Mekong, 2018 ")}
    )
    assert [row.split for row in only] == ["held", "", "", ""]


@pytest.mark.parametrize("text", ["", " , ", "-"])
def test_no_values_are_an_error(text: str) -> None:
    with pytest.raises(ConfigError, match="names no value"):
        Values.parse(text)


# --- at random ----------------------------------------------------------------------------------


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=5),
    st.integers(0, 5),
    st.sampled_from([(0.7, 0.15, 0.15), (0.5, 0.5, 0.0), (0.8, 0.1, 0.1), (1.0, 0.0, 0.0)]),
)
def test_every_domain_is_divided_by_the_fractions(
    sizes: list[int], seed: int, shares: tuple[float, float, float]
) -> None:
    rows = tuple(
        chip(f"{domain}-{i}", domain=str(domain))
        for domain, n in enumerate(sizes)
        for i in range(n)
    )
    fractions = dict(zip(FRACTIONS, shares, strict=True))
    result = split_by_fractions(Manifest(rows), fractions, seed=seed)
    assert [row.id for row in result] == [row.id for row in rows]
    total = Counter(row.split for row in result)
    by_domain: dict[str, Counter[str]] = defaultdict(Counter)
    for row in result:
        by_domain[row.domain][row.split] += 1
    for split, share in fractions.items():
        assert abs(total[split] - share * len(rows)) < 1
        for domain, counts in by_domain.items():
            assert abs(counts[split] - share * sizes[int(domain)]) < 2


def test_a_seed_gives_the_same_split_and_another_seed_another() -> None:
    manifest = tiles(10, 10)
    splits = [
        [row.split for row in split_by_fractions(manifest, FRACTIONS, seed=seed)]
        for seed in (0, 0, 1)
    ]
    assert splits[0] == splits[1]
    assert splits[0] != splits[2]


def test_the_order_of_fractions_is_not_the_order_of_chips() -> None:
    result = split_by_fractions(tiles(10, 10), FRACTIONS)
    train_rows = Counter(row.row for row in result if row.split == "train")
    assert len(train_rows) == 10


@pytest.mark.parametrize("shares", [(0.7, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_fractions_are_shares(shares: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match="expected shares that sum to 1"):
        split_by_fractions(tiles(2, 2), dict(zip(FRACTIONS, shares, strict=True)))


# --- by a column --------------------------------------------------------------------------------


def test_rows_of_tiles_test_and_the_rest_trains() -> None:
    values = {"val": Values.parse("11-12"), "test": Values.parse("13-")}
    result = split_by_column(tiles(20, 3), "row", values)
    splits: dict[str, set[int | None]] = defaultdict(set)
    for row in result:
        splits[row.split].add(row.row)
    assert splits == {
        "train": set(range(11)),
        "val": {11, 12},
        "test": set(range(13, 20)),
    }


def test_where_train_is_named_the_others_leave_every_split() -> None:
    values = {"train": Values.parse("0"), "val": Values.parse("1")}
    result = split_by_column(tiles(3, 1), "row", values)
    assert [row.split for row in result] == ["train", "val", ""]


def test_only_some_chips_are_split() -> None:
    both = Manifest(tiles(3, 1, "a").records + tiles(3, 1, "b").records)
    kept = replace(both, records=tuple(replace(row, split="held") for row in both))
    values = {"val": Values.parse("1"), "test": Values.parse("2")}
    result = split_by_column(kept, "row", values, where={"domain": Values.parse("b")})
    assert [row.split for row in result] == ["held"] * 3 + ["train", "val", "test"]
    random = split_by_fractions(kept, FRACTIONS, where={"domain": Values.parse("a")})
    assert [row.split for row in random][3:] == ["held"] * 3
    assert "held" not in [row.split for row in random][:3]


def test_a_column_of_the_users_own() -> None:
    rows = tuple(chip(season, extra={"season": season}) for season in ("wet", "dry", "mild"))
    values = {"val": Values.parse("dry"), "test": Values.parse("wet")}
    result = split_by_column(Manifest(rows), "season", values)
    assert [row.split for row in result] == ["test", "val", "train"]


def test_mistakes_in_values_are_named() -> None:
    manifest = tiles(3, 1, "rhine")
    with pytest.raises(ConfigError, match=r"domain rhin \(did you mean 'rhine'\?\)"):
        split_by_column(manifest, "domain", {"test": Values.parse("rhin")})
    with pytest.raises(ConfigError, match=r"no chip has row 7-.*there are 0, 1, 2"):
        split_by_column(manifest, "row", {"test": Values.parse("7-")})
    values = {"val": Values.parse("1"), "test": Values.parse("1-")}
    with pytest.raises(ConfigError, match="row '1' is named for val and test"):
        split_by_column(manifest, "row", values)
    with pytest.raises(ManifestError, match=r"no column 'rwo' \(did you mean 'row'\?\)"):
        split_by_column(manifest, "rwo", {"test": Values.parse("1")})


# --- shared ground ------------------------------------------------------------------------------


def overlap(one: Box, other: Box) -> float:
    """Return the shared share of the smaller area."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return max(wide, 0) * max(high, 0) / smaller


BOXES = st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(1, 5), st.integers(1, 5)).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)


@given(st.lists(st.tuples(BOXES, st.sampled_from(["train", "val", ""])), max_size=12))
def test_overlapping_bounds_are_found_as_by_every_pair(chips: list[tuple[Box, str]]) -> None:
    rows = [chip(str(i), bounds=box, split=split) for i, (box, split) in enumerate(chips)]
    expected = {
        (one.id, other.id)
        for one, other in combinations(rows, 2)
        if one.split and other.split and one.split != other.split
        if overlap(one.bounds or (0, 0, 1, 1), other.bounds or (0, 0, 1, 1)) > OVERLAP
    }
    found = shared_ground(Manifest(tuple(rows)))
    assert {(pair.chip, pair.other_chip) for pair in found} == expected
    splits = {row.id: row.split for row in rows}
    assert all(splits[pair.chip] == pair.split for pair in found)
    assert all(splits[pair.other_chip] == pair.other_split for pair in found)


def test_neighbours_that_touch_share_no_ground() -> None:
    rows = (
        chip("a", bounds=(0, 0, 1, 1), split="train"),
        chip("b", bounds=(0.995, 0, 2, 1), split="val"),
        chip("c", bounds=(0, 1, 1, 2), split="test"),
    )
    assert shared_ground(Manifest(rows)) == []


def test_the_antimeridian_is_no_border() -> None:
    rows = (
        chip("a", bounds=(179.5, 0, -179.5, 1), split="train"),
        chip("b", bounds=(-180, 0, -179, 1), split="val"),
        chip("c", bounds=(179, 0, 180, 1), split="test"),
        chip("d", bounds=(0, 0, 1, 1), split="test"),
    )
    pairs = {(pair.chip, pair.other_chip) for pair in shared_ground(Manifest(rows))}
    assert pairs == {("a", "b"), ("a", "c")}


def test_the_same_place_of_a_scene_is_shared() -> None:
    rows = (
        chip("a", scene="s", row=1, col=2, split="train"),
        chip("b", scene="s", row=1, col=2, split="val"),
        chip("c", scene="s", row=1, col=3, split="val"),
        chip("d", scene="t", row=1, col=2, split="val"),
    )
    assert shared_ground(Manifest(rows)) == [("train", "a", "val", "b")]


def test_a_scene_without_places_is_shared_as_a_whole() -> None:
    rows = (
        chip("a", scene="s", split="train"),
        chip("b", scene="s", row=1, col=1, split="val"),
        chip("c", scene="", split="val"),
    )
    assert shared_ground(Manifest(rows)) == [("train", "a", "val", "b")]


def test_the_same_file_is_shared() -> None:
    same = (Path("/x/same.tif"),)
    rows = (chip("a", images=same, split="train"), chip("b", images=same, split="test"))
    assert shared_ground(Manifest(rows)) == [("train", "a", "test", "b")]


def test_thousands_of_tiles_are_checked() -> None:
    generator = np.random.default_rng(0)
    rows = [
        chip(
            f"{row}-{col}",
            bounds=(col / 10, row / 10, (col + 1) / 10, (row + 1) / 10),
            split=str(generator.choice(["train", "val"])),
        )
        for row in range(80)
        for col in range(80)
    ]
    assert shared_ground(Manifest(tuple(rows))) == []
    doubled = replace(rows[3210], id="again", split="other")
    found = shared_ground(Manifest((*rows, doubled)))
    assert [(pair.chip, pair.other_chip) for pair in found] == [(rows[3210].id, "again")]


def test_splits_are_checked_before_they_are_written() -> None:
    rows = tiles(4, 1).records
    splits = ["train", "train", "val", "test"]
    named = tuple(replace(row, split=s) for row, s in zip(rows, splits, strict=True))
    check_splits(Manifest(named))
    with pytest.raises(DataError, match=r"no chip is left for train and val \(splits: test\)"):
        check_splits(Manifest(named[3:]))
    check_splits(Manifest(named[3:]), allow_empty=True)
    shared = (*named, replace(named[0], id="again", split="val"))
    with pytest.raises(DataError, match=r"1 pairs.*d-0-0 \(train\) and again \(val\)"):
        check_splits(Manifest(shared))
    check_splits(Manifest(shared), allow_shared_ground=True)


@pytest.mark.real_data
def test_rows_of_north_alabama_share_no_ground(real_data: Path) -> None:
    manifest = index(real_data / "etci2021" / "northal_20190302t234651", "etci2021")
    values = {"val": Values.parse("11-12"), "test": Values.parse("13-")}
    result = split_by_column(manifest, "row", values)
    check_splits(result)
    assert {row.row for row in result.select(split="test")} == set(range(13, 24))


@pytest.mark.parametrize("share", [float("nan"), float("inf")])
def test_fractions_that_are_no_numbers(share: float) -> None:
    with pytest.raises(ConfigError, match="expected shares that sum to 1"):
        split_by_fractions(Manifest(()), {"train": share, "val": 0.5, "test": 0.5})


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="the seed is -1"):
        split_by_fractions(Manifest(()), {"train": 0.5, "val": 0.5}, seed=-1)


def test_a_number_of_any_length_is_no_range() -> None:
    assert "3" not in Values.parse("9" * 5000 + "-")
