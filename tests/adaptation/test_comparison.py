"""Two models side by side, against counts pixel by pixel."""

from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from sarwater.adaptation.comparison import Side, SideBySide, recommended, warnings
from sarwater.normalize import BandStatistics
from sarwater.types import IGNORE, BoolArray, Chip, FloatArray, Grid, Units


def chip(seed: int = 0, units: Units = Units.DB) -> Chip:
    random = np.random.default_rng(seed)
    lake = np.zeros((30, 40), np.bool_)
    lake[5:20, 5 + seed : 25] = True
    image = np.where(lake, -20, -10) + random.normal(0, 1, (2, 30, 40))
    valid = np.ones(lake.shape, np.bool_)
    valid[:, -3:] = False
    image[:, ~valid] = 0
    values = image.astype(np.float32)
    return Chip(f"chip{seed}", "delta", ("VV", "VH"), units, values, valid, None, Grid(30, 40))


def below(level: float) -> Side:
    """A model that takes what is darker than a level for water."""

    def predict(image: FloatArray, valid: BoolArray, _: BandStatistics | None) -> FloatArray:
        return np.where(valid, expit(level - image[0]), 0).astype(np.float32)

    return Side(predict, 0.5)


def of_the_left_half() -> Side:
    def predict(image: FloatArray, valid: BoolArray, _: BandStatistics | None) -> FloatArray:
        left = np.arange(image.shape[2]) < image.shape[2] // 2
        return np.where(valid & left, 0.9, 0.1).astype(np.float32)

    return Side(predict, 0.5)


def side_by_side(one: Side, other: Side, *chips: Chip) -> SideBySide:
    both = SideBySide(one, other, ("VV", "VH"), Units.DB, examples=2)
    for each in chips:
        both.add(each)
    return both


def test_maps_are_compared_pixel_by_pixel() -> None:
    chips = chip(0), chip(5), chip(9)
    found = side_by_side(below(-15), below(-10), *chips).result()
    pairs = [(one.image[0][one.valid] <= -15, one.image[0][one.valid] <= -10) for one in chips]
    before, after = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    assert found["pixels"] == len(before)
    assert found["disagreement"] == pytest.approx((before != after).mean())
    assert found["overlap"] == pytest.approx((before & after).sum() / (before | after).sum())
    assert found["source_only"]["water_share"] == pytest.approx(before.mean())
    assert found["adapted"]["water_share"] == pytest.approx(after.mean())


def test_a_model_of_single_pixels_agrees_with_itself_mirrored_and_one_of_places_does_not() -> None:
    found = side_by_side(below(-19.5), of_the_left_half(), chip()).result()
    assert found["source_only"]["agreement_flips"] == 1
    assert found["adapted"]["agreement_flips"] < 0.3
    assert found["adapted"]["agreement_gain"] == 1
    assert found["source_only"]["agreement_gain"] < 1


def test_the_examples_are_the_chips_that_differ_most() -> None:
    chips = [chip(seed) for seed in (0, 5, 9)]
    both = side_by_side(below(-15), below(-10), *chips)
    assert len(both.examples) == 2
    differs = [
        int(((one.image[0] <= -15) != (one.image[0] <= -10))[one.valid].sum()) for one in chips
    ]
    assert [example.differs for example in both.examples] == sorted(differs, reverse=True)[:2]
    assert (both.examples[0].adapted[~both.examples[0].chip.valid] == IGNORE).all()


def test_without_a_valid_pixel_nothing_differs() -> None:
    empty = chip()
    empty.valid[:] = False
    found = side_by_side(below(-15), below(-10), empty).result()
    assert found["pixels"] == 0
    assert found["overlap"] is None
    assert found["disagreement"] == 0
    assert found["warnings"] == []


def signals(**adapted: float | None) -> dict[str, Any]:
    side = {"water_share": 0.1, "separation": 3.0, "agreement_gain": 0.9}
    return {
        "source_only": side,
        "adapted": {**side, **adapted},
        "overlap": 0.8,
        "disagreement": 0.05,
    }


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((0.8, 0.8), (0.9, 0.8), "adapted"),
        ((0.8, 0.8), (0.9, 0.6), "source_only"),
        ((0.8, 0.8), (0.8, 0.8), "adapted"),
        ((0.8, None), (0.7, None), "source_only"),
        ((0.8, 0.8), (0.7, None), "source_only"),
        ((None, None), (None, 0.4), "adapted"),
    ],
)
def test_the_model_that_agrees_more_with_itself_is_recommended(
    before: tuple[float | None, ...], after: tuple[float | None, ...], expected: str
) -> None:
    names = ("agreement_flips", "agreement_gain")
    sides = [dict(zip(names, values, strict=True)) for values in (before, after)]
    assert recommended({"source_only": sides[0], "adapted": sides[1]}) == expected


def test_each_warning_has_its_sign() -> None:
    assert warnings(signals()) == []
    assert warnings(signals(separation=2.9, agreement_gain=0.95)) == []
    assert "less clearly" in warnings(signals(separation=3.1))[0]
    assert "1 dB" in warnings(signals(agreement_gain=0.7))[0]
    assert "share 30%" in warnings({**signals(), "overlap": 0.3})[0]
    assert warnings({**signals(), "overlap": 0.3, "disagreement": 0.001}) == []


def test_another_map_is_no_warning_where_only_the_source_only_one_is_unsteady() -> None:
    for before, separation, warned in ((0.4, 2.9, 0), (0.4, 3.0, 1), (0.85, 2.9, 1)):
        found = {**signals(separation=separation), "overlap": 0.3}
        found["source_only"] = {**found["source_only"], "agreement_gain": before}
        assert len(warnings(found)) == warned


def test_what_cannot_be_told_warns_of_nothing() -> None:
    assert warnings(signals(separation=None, agreement_gain=None)) == []
