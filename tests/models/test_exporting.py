"""Exported models against the way the package itself predicts, run by another program."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import openvino as ov
import pytest

from sarwater.errors import ModelError
from sarwater.models.bundle import Bundle
from sarwater.models.exporting import export_bundle
from sarwater.normalize import BandStatistics, Normalization, Normalizer
from sarwater.prediction import PredictionOptions, Predictor, classify, water_probability
from sarwater.types import BoolArray, Chip, FloatArray, Grid, Units
from tests.tiny_models import PATCH, segmenter_bundle

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}
KNOWN = BandStatistics((-9.0, -15.0), (4.0, 5.0), 100)
OF_SCENE = BandStatistics((-12.0, -17.0), (3.0, 2.0), 100)


def decibels() -> FloatArray:
    image = np.random.default_rng(2).uniform(-30, 5, (2, PATCH, PATCH)).astype(np.float32)
    image[:, :4, :5] = np.nan
    image[0, 10:15, 3:20] = np.nan  # of one band: the pixel has no data
    image[1, 20:22] = np.inf
    return image


def run(content: bytes, images: FloatArray) -> FloatArray:
    compiled = ov.Core().compile_model(ov.Core().read_model(content), "CPU", EXACT)
    found: FloatArray = compiled(images)[0]
    return found


def expected(bundle: Bundle, group: BandStatistics | None) -> FloatArray:
    """Probabilities [k, row, col] of the package itself."""
    image = decibels()
    valid: BoolArray = np.logical_and.reduce(np.isfinite(image))
    chip = Chip(
        "c",
        "d",
        bundle.info.bands,
        Units.DB,
        np.where(valid, image, 0).astype(np.float32),
        valid,
        None,
        Grid(PATCH, PATCH),
    )
    options = PredictionOptions(engine="torch", device="cpu")
    return Predictor(bundle, options).predict_chip(chip, group)


@pytest.mark.parametrize("scale", [1.0, 255.0])
@pytest.mark.parametrize("kind", Normalization)
def test_an_exported_model_takes_the_image_as_it_is(kind: Normalization, scale: float) -> None:
    bundle = segmenter_bundle(normalization=Normalizer(kind, Units.DB, KNOWN), seed_margin=0.3)
    needs_group = bundle.info.normalization.needs_group
    statistics = OF_SCENE if needs_group else None
    content = export_bundle(bundle, statistics, scale=scale)
    onnx.checker.check_model(onnx.load_model_from_string(content))
    found = run(content, (decibels() / np.float32(scale))[None])
    assert found.shape == (1, 1, PATCH, PATCH)
    valid = np.isfinite(decibels()).all(axis=0)
    own = water_probability(expected(bundle, statistics))
    np.testing.assert_allclose(found[0, 0][valid], own[valid], rtol=0, atol=1e-4)


def test_the_largest_score_is_the_class_where_there_are_several() -> None:
    bundle = segmenter_bundle(classes=("land", "river", "flood"))
    own = expected(bundle, None)
    threshold = float(np.median(water_probability(own)))
    bundle = replace(bundle, info=bundle.info.model_copy(update={"threshold": threshold}))
    scores = run(export_bundle(bundle, scale=1), decibels()[None])[0]
    valid = np.isfinite(decibels()).all(axis=0)
    sure = valid & (np.abs(water_probability(own) - threshold) > 1e-3)
    sure &= np.abs(own[1] - own[2]) > 1e-3
    found = scores.argmax(axis=0)
    np.testing.assert_array_equal(found[sure], classify(own, threshold)[sure])
    assert len(np.unique(found[sure])) > 1


def test_several_patches_go_at_once() -> None:
    content = export_bundle(segmenter_bundle(), scale=1)
    three = np.random.default_rng(0).uniform(-30, 5, (3, 2, PATCH, PATCH)).astype(np.float32)
    together = run(content, three)
    alone = np.concatenate([run(content, one[None]) for one in three])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)


def metadata(bundle: Bundle) -> dict[str, Any]:
    model = onnx.load_model_from_string(export_bundle(bundle))
    return {entry.key: json.loads(entry.value) for entry in model.metadata_props}


def test_the_metadata_are_those_that_deepness_reads() -> None:
    bundle = replace(segmenter_bundle(pixel_size=10.0), hash="ab" * 32)
    found = metadata(bundle)
    own = found.pop("sarwater")
    assert found == {
        "model_type": "Segmentor",
        "class_names": {"0": "land", "1": "water"},
        "resolution": 1000.0,
        "tile_size": PATCH,
        "tiles_overlap": 25,
        "seg_thresh": 0.4,
        "seg_small_segment": 0,
    }
    assert own["model_sha256"] == "ab" * 32
    assert own["bands"] == ["VV", "VH"]
    assert own["units"] == "db"
    assert own["values_divided_by"] == 255
    several = metadata(segmenter_bundle(classes=("land", "river", "flood")))
    assert several["seg_thresh"] == 0
    assert "resolution" not in several


def test_statistics_that_nobody_knows_are_asked_for() -> None:
    bundle = segmenter_bundle(normalization=Normalizer(Normalization.SCENE, Units.DB))
    with pytest.raises(ModelError, match="'scene' normalization needs the statistics"):
        export_bundle(bundle)
