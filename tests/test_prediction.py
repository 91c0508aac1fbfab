from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarwater.errors import ConfigError, DataError, ModelError
from sarwater.models.bundle import Bundle
from sarwater.normalize import BandStatistics, Normalization, Normalizer, image_statistics
from sarwater.prediction import (
    Engine,
    PredictionOptions,
    Predictor,
    classify,
    predict_image,
    water_probability,
)
from sarwater.types import AnyArray, Chip, FloatArray, Grid, Units
from tests.tiny_models import PATCH, engine, info, predictor, segmenter_bundle


def decibels(height: int = PATCH, width: int = PATCH, bands: int = 2) -> FloatArray:
    values = np.random.default_rng(4).uniform(-25, -1, (bands, height, width))
    return values.astype(np.float32)


def chip(image: FloatArray, **changes: Any) -> Chip:
    cells: dict[str, Any] = {
        "id": "here_1",
        "domain": "here",
        "bands": ("VV", "VH"),
        "units": Units.DB,
        "image": image,
        "valid": np.ones(image.shape[1:], np.bool_),
        "target": None,
        "grid": Grid(*image.shape[1:]),
    }
    return Chip(**{**cells, **changes})


def normalized(image: FloatArray) -> FloatArray:
    return ((np.clip(image, -35, 5) + 35) * np.float32(0.05) - 1).astype(np.float32)


def assert_same_water(found: AnyArray, expected: AnyArray) -> None:
    """Bit for bit; the background is what is left to 1."""
    np.testing.assert_array_equal(found[1:], expected[1:])
    np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-6)


def test_an_image_of_one_patch_has_the_engines_own_numbers() -> None:
    image, valid = decibels(), np.ones((PATCH, PATCH), np.bool_)
    found = predict_image(image, valid, engine(), PATCH)
    assert_same_water(found, engine().predict(image[None])[0])


def test_a_chip_of_one_patch_has_the_engines_own_numbers() -> None:
    image = decibels()
    found = predictor().predict_chip(chip(image))
    assert_same_water(found, engine().predict(normalized(image)[None])[0])


def test_a_chip_and_its_image_are_predicted_alike() -> None:
    image = decibels(70, 45)
    found = predictor().predict_chip(chip(image))
    same = predict_image(normalized(image), np.ones((70, 45), np.bool_), engine(), PATCH, 8, 4)
    np.testing.assert_array_equal(found, same)


def test_an_image_smaller_than_a_patch_is_padded_with_zeros() -> None:
    image, valid = decibels(1, 9), np.ones((1, 9), np.bool_)
    padded = np.zeros((1, 2, PATCH, PATCH), np.float32)
    padded[0, :, :1, :9] = image
    found = predict_image(image, valid, engine(), PATCH)
    assert found.shape == (2, 1, 9)
    assert_same_water(found, engine().predict(padded)[0, :, :1, :9])


def test_bands_are_matched_by_name() -> None:
    image = decibels()
    turned = chip(
        np.stack([image[1], image[0], image[0] * 0]),
        bands=("vh", "vv", "angle"),
    )
    np.testing.assert_array_equal(
        predictor().predict_chip(turned), predictor().predict_chip(chip(image))
    )


def test_linear_power_is_converted_to_decibel() -> None:
    image = decibels()
    linear = chip((10 ** (image.astype(np.float64) / 10)).astype(np.float32), units=Units.LINEAR)
    np.testing.assert_allclose(
        predictor().predict_chip(linear),
        predictor().predict_chip(chip(image)),
        rtol=0,
        atol=1e-5,
    )


def test_a_chip_that_does_not_fit_is_told_all_of_it() -> None:
    wrong = chip(decibels(bands=1), bands=("HH",), units=Units.AMPLITUDE)
    with pytest.raises(ModelError, match=r"'here_1'.*VV, VH are not among those found: HH.*'db'"):
        predictor().predict_chip(wrong)


def test_pixels_that_are_not_valid_get_zero_and_do_not_matter() -> None:
    image = decibels(60, 60)
    valid = np.ones((60, 60), np.bool_)
    valid[:20] = False
    valid[40, 40] = False
    other = np.where(valid, image, np.float32(99)).astype(np.float32)
    first = predictor().predict_chip(chip(image, valid=valid))
    np.testing.assert_array_equal(first, predictor().predict_chip(chip(other, valid=valid)))
    assert not first[:, ~valid].any()
    np.testing.assert_allclose(first[:, valid].sum(axis=0), 1, rtol=0, atol=1e-6)


def test_a_chip_without_a_valid_pixel_is_all_zero() -> None:
    empty = chip(decibels(), valid=np.zeros((PATCH, PATCH), np.bool_))
    kind = Normalizer(Normalization.SCENE, Units.DB)
    found = predictor(normalization=kind).predict_chip(empty)
    assert found.shape == (2, PATCH, PATCH)
    assert not found.any()


def test_statistics_of_the_group_normalize() -> None:
    image = decibels(50, 50)
    kind = Normalizer(Normalization.DOMAIN, Units.DB)
    group = BandStatistics((-10.0, -15.0), (3.0, 5.0), 100)
    found = predictor(normalization=kind).predict_chip(chip(image), group)
    mean = np.array([-10, -15], np.float32)[:, None, None]
    std = np.array([3, 5], np.float32)[:, None, None]
    expected = predict_image(
        (image - mean) / std, np.ones((50, 50), np.bool_), engine(), PATCH, 8, 4
    )
    np.testing.assert_array_equal(found, expected)


def test_missing_statistics_are_asked_for() -> None:
    kind = Normalizer(Normalization.SCENE, Units.DB)
    with pytest.raises(DataError, match="needs statistics"):
        predictor(normalization=kind).predict_chip(chip(decibels()))


def test_patch_statistics_are_of_each_window_alone() -> None:
    image = decibels(PATCH, 2 * PATCH)
    image[:, :, PATCH:] += 12
    kind = Normalizer(Normalization.PATCH, Units.DB)
    found = predictor(normalization=kind, overlap=0).predict_chip(chip(image))
    for start in (0, PATCH):
        half = image[:, :, start : start + PATCH]
        own = image_statistics(half, np.ones((PATCH, PATCH), np.bool_))
        mean = np.asarray(own.mean, np.float32)[:, None, None]
        std = np.asarray(own.std, np.float32)[:, None, None]
        expected = engine().predict(((half - mean) / std)[None])[0]
        np.testing.assert_allclose(found[:, :, start : start + PATCH], expected, rtol=0, atol=1e-6)


def test_units_and_bands_fit_or_are_named() -> None:
    assert info().misfits(("vh", "vv"), Units.LINEAR) == []
    problems = info().misfits(("VV",), Units.BYTE)
    assert len(problems) == 2
    assert "VH is not among those found: VV" in problems[0]
    assert "'db'" in problems[1]
    assert "'8bit'" in problems[1]


def test_two_classes_are_thresholded_at_equality() -> None:
    water = np.array([[0.1, 0.3, 0.30000001, 0.9]], np.float32)
    probability = np.stack([1 - water, water])
    assert classify(probability, 0.3).tolist() == [[0, 1, 1, 1]]
    np.testing.assert_array_equal(water_probability(probability), water)


@given(st.integers(2, 5), st.floats(0, 1))
def test_classes_agree_with_a_loop(k: int, threshold: float) -> None:
    logits = np.random.default_rng(k).normal(size=(k, 6, 7))
    probability: AnyArray = np.exp(logits) / np.exp(logits).sum(axis=0)
    probability = probability.astype(np.float32)
    found = classify(probability, threshold)
    water = water_probability(probability)
    for row in range(6):
        for col in range(7):
            pixel = probability[:, row, col].tolist()
            assert water[row, col] == pytest.approx(sum(pixel[1:]), abs=1e-6)
            is_water = water[row, col] >= np.float32(threshold)
            assert found[row, col] == (1 + int(np.argmax(pixel[1:])) if is_water else 0)


def test_an_engine_is_what_predicts() -> None:
    runner: Engine = engine()
    assert runner.predict(np.zeros((1, 2, 8, 8), np.float32)).shape == (1, 2, 8, 8)


KNOWN = BandStatistics((-10.0, -16.0), (4.0, 5.0), 1)
BYTES = Normalizer(Normalization.DOMAIN, Units.BYTE)


def test_a_model_of_bytes_takes_calibrated_scenes_by_what_it_knows_of_decibels() -> None:
    served = predictor(units=Units.BYTE, normalization=BYTES, decibel_statistics=KNOWN)
    image = decibels()
    mean, std = (np.array(v, np.float32)[:, None, None] for v in ((-10, -16), (4, 5)))
    expected = (image - mean) / std
    fitted = served.for_units(Units.DB)
    assert not fitted.info.normalization.needs_group
    assert_same_water(fitted.predict_chip(chip(image)), engine().predict(expected[None])[0])
    power = chip((10.0 ** (image / 10)).astype(np.float32), units=Units.LINEAR)
    found = served.for_units(Units.LINEAR).predict_chip(power)
    np.testing.assert_allclose(found, fitted.predict_chip(chip(image)), atol=1e-5)
    assert served.for_units(Units.DB, Units.LINEAR).info == fitted.info


def test_an_engine_that_was_handed_over_is_not_dropped_for_other_weights() -> None:
    with pytest.raises(ConfigError, match=r"^the engine '.+' was made for other weights; name an"):
        predictor().with_bundle(segmenter_bundle())
    options = PredictionOptions(engine="torch", device="cpu")
    first, second = segmenter_bundle(), segmenter_bundle(seed_margin=1.0)
    other = Predictor(first, options).with_bundle(second)
    assert other.bundle is second
    assert other.engine.name == "torch cpu float32"


@pytest.mark.parametrize("units", [Units.BYTE, Units.AMPLITUDE, Units.OTHER])
def test_other_units_are_taken_or_refused_as_ever(units: Units) -> None:
    served = predictor(units=Units.BYTE, normalization=BYTES, decibel_statistics=KNOWN)
    assert served.for_units(units) is served
    assert served.for_units(Units.DB, units) is served
    plain = predictor(units=Units.BYTE, normalization=BYTES)
    assert plain.for_units(Units.DB) is plain
    with pytest.raises(ModelError, match="trained on values in units '8bit'"):
        plain.for_units(Units.DB).predict_chip(chip(decibels()))


def test_another_normalization_is_obeyed_in_decibels_too() -> None:
    described = info(units=Units.BYTE, normalization=BYTES, decibel_statistics=KNOWN)
    asked = PredictionOptions(normalization=Normalization.PATCH)
    served = Predictor(Bundle(described, {}), asked, engine=engine())
    found = served.for_units(Units.DB).info
    assert (found.units, found.normalization.kind) == (Units.DB, Normalization.PATCH)
