"""Thresholds on backscatter against the plain definitions, pixel by pixel."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve

from sarwater.datasets.manifest import ChipRecord, LabelCodes, Manifest
from sarwater.errors import ConfigError, DataError
from sarwater.evaluation.baselines import (
    Baseline,
    BaselineOptions,
    Method,
    edges_of,
    fit,
    tuned,
)
from sarwater.evaluation.counts import count
from sarwater.evaluation.histogram_thresholds import minimum_error, otsu
from sarwater.evaluation.scores import average_precision, curve
from sarwater.types import AnyArray, Chip, FloatArray, Grid, Units
from tests.conftest import TifMaker

BYTES = edges_of(Units.BYTE)

mixtures = st.builds(
    lambda seed, share, apart: mixture(seed, share, apart),
    st.integers(0, 10_000),
    st.floats(0.05, 0.95),
    st.floats(20, 120),
)


def mixture(seed: int, share: float, apart: float) -> AnyArray:
    """Whole numbers of two normal distributions, within 0 ... 255."""
    random = np.random.default_rng(seed)
    dark = random.random(800) < share
    values = np.where(dark, random.normal(60, 8, 800), random.normal(60 + apart, 14, 800))
    return np.clip(values.round(), 0, 255)


def splits(values: AnyArray) -> list[tuple[float, AnyArray, AnyArray]]:
    return [
        (edge, values[values < edge], values[values > edge])
        for edge in BYTES[1:-1]
        if (values < edge).any() and (values > edge).any()
    ]


def histogram(values: AnyArray) -> AnyArray:
    return np.histogram(values, BYTES)[0].astype(np.float64)


@given(mixtures)
def test_otsu_has_the_largest_variance_between_the_parts(values: AnyArray) -> None:
    def between(dark: AnyArray, bright: AnyArray) -> float:
        return float(len(dark) * len(bright) * (dark.mean() - bright.mean()) ** 2)

    found = otsu(histogram(values), BYTES)
    assert found is not None
    best = max(between(dark, bright) for _, dark, bright in splits(values))
    assert between(values[values < found], values[values > found]) == pytest.approx(best)


@given(mixtures)
def test_minimum_error_has_the_least_cost(values: AnyArray) -> None:
    def cost(dark: AnyArray, bright: AnyArray) -> float:
        if min(dark.std(), bright.std()) < 1:
            return math.inf
        parts = [(len(part) / len(values), part.std()) for part in (dark, bright)]
        return sum(2 * p * math.log(s) - 2 * p * math.log(p) for p, s in parts)

    found = minimum_error(histogram(values), BYTES)
    assert found is not None
    best = min(cost(dark, bright) for _, dark, bright in splits(values))
    assert cost(values[values < found], values[values > found]) == pytest.approx(best)


def test_one_value_has_no_threshold() -> None:
    values = np.full(100, 7.0)
    assert otsu(histogram(values), BYTES) is None
    assert minimum_error(histogram(values), BYTES) is None


def lake(seed: int, land: float = 120.0, water: float = 50.0) -> tuple[AnyArray, AnyArray]:
    """Bytes [band, row, col] with a dark corner, and where it is."""
    random = np.random.default_rng(seed)
    inside = np.zeros((64, 64), bool)
    inside[:44, :20] = True
    image = np.where(inside, water, land) + random.normal(0, 9, (2, 64, 64))
    return np.clip(image, 1, 254).astype(np.uint8), inside


@pytest.fixture
def chips(make_tif: TifMaker) -> Manifest:
    """Two scenes of two chips; the second is brighter, and none of its chips is labelled."""
    records = []
    for scene, offset in (("first", 0.0), ("second", 60.0)):
        for number in range(2):
            image, inside = lake(number, 120 + offset, 50 + offset)
            name = f"{scene}{number}"
            labels = (make_tif(f"{name}_l.tif", inside.astype(np.uint8)),)
            records.append(
                ChipRecord(
                    name,
                    "here",
                    (make_tif(f"{name}.tif", image, bands=("VV", "VH")),),
                    ("VV", "VH"),
                    Units.BYTE,
                    scene=scene,
                    labels=labels if scene == "first" else (),
                    codes=(LabelCodes.parse("0=land,1=water"),) if scene == "first" else (),
                )
            )
    return Manifest(tuple(records))


def chip(image: AnyArray, name: str = "first0", units: Units = Units.BYTE) -> Chip:
    _, height, width = image.shape
    valid = np.ones((height, width), np.bool_)
    return Chip(
        name,
        "here",
        ("VV", "VH"),
        units,
        image.astype(np.float32),
        valid,
        None,
        Grid(height, width),
    )


@pytest.mark.parametrize("method", [Method.OTSU, Method.MINIMUM_ERROR])
def test_each_scene_has_its_own_threshold(method: Method, chips: Manifest) -> None:
    found = fit(chips, BaselineOptions(method, tile=32, median=3))
    assert set(found.thresholds) == {"first", "second"}
    assert 60 < found.thresholds["first"] < 115
    assert found.thresholds["second"] == pytest.approx(found.thresholds["first"] + 60, abs=8)
    image, inside = lake(0)
    water = found.predict_chip(chip(image))[1] >= 0.5
    assert (water == inside).mean() > 0.97


def test_a_half_is_the_threshold_itself(chips: Manifest) -> None:
    del chips
    baseline = Baseline(BaselineOptions(Method.THRESHOLD, "VV"), {"": 80.0})
    image = np.zeros((2, 1, 4), np.float32)
    image[0] = [[79, 80, 81, 255]]
    found = baseline.predict_chip(chip(image))
    assert found.dtype == np.float32
    assert (found[1] >= np.float32(0.5)).tolist() == [[True, True, False, False]]
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-6)
    assert (np.diff(found[1, 0]) < 0).all()


@pytest.mark.parametrize("threshold", [-22.35, -0.05, 0.0, 0.1, 17.0])
def test_a_half_is_the_threshold_to_the_last_bit(threshold: float) -> None:
    near = np.float32(threshold)
    ends = np.nextafter(near, np.float32(-100)), np.nextafter(near, np.float32(100))
    image = np.array([[[-100, ends[0], near, ends[1], 100]]] * 2, np.float32)
    baseline = Baseline(BaselineOptions(Method.THRESHOLD, "VV"), {"": threshold})
    found = baseline.predict_chip(chip(image, units=Units.DB))[1, 0]
    assert (found >= np.float32(0.5)).tolist() == [True, True, True, False, False]


def stored(units: Units) -> tuple[AnyArray, AnyArray, float]:
    """Backscatter of water and land 12 dB apart in some units, and a threshold between them."""
    random = np.random.default_rng(5)
    water = random.random((200, 300)) < 0.15
    decibels = np.where(water, -21.0, -9.0) + random.normal(0, 4, water.shape)
    if units == Units.BYTE:
        return np.clip((decibels + 30) * 8.5, 0, 255).round(), water, 110.5
    if units == Units.LINEAR:
        return 10 ** (decibels / 10), water, -15.0
    if units == Units.AMPLITUDE:
        return (10 ** ((decibels + 55) / 20)).round(), water, 40.0
    return decibels, water, -15.0


@pytest.mark.parametrize("units", [Units.BYTE, Units.DB, Units.LINEAR, Units.AMPLITUDE])
@pytest.mark.parametrize("shift", [-6, 0, 6])
def test_backscatter_is_ranked_as_scikit_learn_ranks_it(units: Units, shift: float) -> None:
    """Whatever the threshold: average precision, and the best F1 of all thresholds."""
    values, water, threshold = stored(units)
    threshold += shift * (8.5 if units == Units.BYTE else 1)
    baseline = Baseline(BaselineOptions(Method.THRESHOLD, "VV"), {"": threshold})
    probability = baseline.predict_chip(chip(np.stack([values] * 2), units=units))[1]
    counts = count(probability, water)
    ranks = counts.positive_ranks, counts.negative_ranks
    expected = average_precision_score(water.ravel(), -values.ravel())
    assert float(average_precision(*ranks)) == pytest.approx(expected, abs=0.002)
    precision, recall, _ = precision_recall_curve(water.ravel(), -values.ravel())
    best = np.nanmax(2 * precision * recall / (precision + recall))
    assert np.nanmax(curve(counts).f1) == pytest.approx(best, abs=0.002)


def test_linear_power_is_thresholded_in_decibels() -> None:
    baseline = Baseline(BaselineOptions(Method.THRESHOLD), {"": -20.0})
    power: FloatArray = np.array([[[0.009, 0.011]]] * 2, np.float32)
    found = baseline.predict_chip(chip(power, units=Units.LINEAR))[1] >= 0.5
    assert found.tolist() == [[True, False]]


def test_a_tuned_threshold_has_the_best_f1(chips: Manifest) -> None:
    options = BaselineOptions(Method.THRESHOLD, "VH")
    found = tuned(chips, options).thresholds[""]
    images, labels = zip(*(lake(number) for number in range(2)), strict=True)
    values, water = np.stack(images)[:, 1].ravel(), np.stack(labels).ravel()

    def f1(threshold: float) -> float:
        called = values <= threshold
        return float(2 * (called & water).sum() / (called.sum() + water.sum()))

    assert f1(found) == pytest.approx(max(f1(value) for value in range(256)))


@pytest.mark.parametrize("step", [0.05, 0.1, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_tuned_threshold_is_applied_as_it_was_counted(
    step: float, seed: int, make_tif: TifMaker
) -> None:
    """Also where values are stored in the very steps that thresholds are tried in."""
    random = np.random.default_rng(seed)
    inside = lake(0)[1]
    image = np.where(inside, -20, -12) + random.normal(0, 4, (1, *inside.shape))
    image = ((image / step).round() * step).astype(np.float32)
    record = ChipRecord(
        "a",
        "here",
        (make_tif("steps.tif", image),),
        ("VH",),
        Units.DB,
        labels=(make_tif("steps_l.tif", inside.astype(np.uint8)),),
        codes=(LabelCodes.parse("0=land,1=water"),),
    )
    found = tuned(Manifest((record,)), BaselineOptions(Method.THRESHOLD))
    seen = chip(np.concatenate([image, image]), units=Units.DB)

    def f1(called: AnyArray) -> float:
        return float(2 * (called & inside).sum() / (called.sum() + inside.sum()))

    best = max(f1(image[0] <= value) for value in np.unique(image))
    assert f1(found.predict_chip(seen)[1] >= np.float32(0.5)) == pytest.approx(best)


def test_no_data_is_no_water_beside_it() -> None:
    image = np.full((2, 20, 20), 120, np.float32)
    image[:, :, :10] = 0
    whole = chip(image)
    seen = replace(whole, valid=image[0] > 0)
    for median in (1, 5):
        options = BaselineOptions(Method.THRESHOLD, median=median)
        found = Baseline(options, {"": 100.0}).predict_chip(seen)[1] >= 0.5
        assert not found[:, 10:].any()


def test_a_scene_whose_tiles_are_few_has_a_threshold_of_its_own(make_tif: TifMaker) -> None:
    records = []
    for number in range(4):
        random = np.random.default_rng(number)
        image = np.where(np.mgrid[:90, :90][1] < 20 + 8 * number, 50, 120 + 10 * number)
        image = np.clip(image + random.normal(0, 8, (2, 90, 90)), 1, 254).astype(np.uint8)
        file = make_tif(f"s{number}.tif", image, bands=("VV", "VH"))
        records.append(ChipRecord(f"s{number}", "here", (file,), ("VV", "VH"), Units.BYTE))
    found = fit(Manifest(tuple(records)), BaselineOptions(Method.MINIMUM_ERROR, tile=30))
    assert found.assumed == 0
    assert len(set(found.thresholds.values())) == 4


def test_decibels_and_bytes_are_not_mixed(chips: Manifest) -> None:
    found = tuned(chips, BaselineOptions(Method.THRESHOLD))
    decibels = chip(np.full((2, 4, 4), -20, np.float32), units=Units.DB)
    with pytest.raises(DataError, match="units 'db', but the threshold is in 8-bit steps"):
        found.predict_chip(decibels)


def test_what_does_not_fit_is_named(chips: Manifest, tmp_path: Path) -> None:
    del tmp_path
    with pytest.raises(DataError, match=r"has no band 'HH'.*found VV, VH; name one with --band"):
        fit(chips, BaselineOptions(Method.OTSU, "HH"))
    with pytest.raises(ConfigError, match="median: an odd number"):
        BaselineOptions(Method.OTSU, median=4)
    with pytest.raises(ConfigError, match="tile: at least 16"):
        BaselineOptions(Method.OTSU, tile=4)
    with pytest.raises(ConfigError, match="is given or tuned"):
        fit(chips, BaselineOptions(Method.THRESHOLD))
    unlabelled = Manifest(tuple(r for r in chips if not r.is_labelled))
    with pytest.raises(DataError, match="no labelled water"):
        tuned(unlabelled, BaselineOptions(Method.THRESHOLD))
    baseline = Baseline(BaselineOptions(Method.OTSU), {"first": 80.0})
    with pytest.raises(DataError, match="chip 'other': no threshold was found for its scene"):
        baseline.predict_chip(chip(lake(0)[0], "other"))


@pytest.mark.parametrize("method", [Method.OTSU, Method.MINIMUM_ERROR])
def test_digital_numbers_are_thresholded_in_decibels(method: Method, make_tif: TifMaker) -> None:
    """Land about 200 and water about 40, as in Sentinel-1's ground range products."""
    water = lake(3)[1]
    numbers = np.where(water, 40, 200) * np.exp(
        np.random.default_rng(0).normal(0, 0.15, water.shape)
    )
    name = make_tif("grd.tif", numbers.round().astype(np.uint16))
    label = make_tif("label.tif", water.astype(np.uint8))
    codes = (LabelCodes.parse("0=land,1=water"),)
    record = ChipRecord(
        "a", "here", (name,), ("VV",), Units.AMPLITUDE, labels=(label,), codes=codes
    )
    manifest = Manifest((record,))
    options = BaselineOptions(method, "VV", tile=16)
    for found in (fit(manifest, options), tuned(manifest, options)):
        (threshold,) = set(found.thresholds.values())
        assert 20 * math.log10(60) < threshold < 20 * math.log10(150)
