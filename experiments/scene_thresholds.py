"""Scores of a model whose threshold each scene chooses for itself, as `map --threshold scene`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sarwater.adaptation.observation import Observation
from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.evaluation.bootstrap import interval, resample_weights
from sarwater.evaluation.chips import ModelIdentity, evaluate
from sarwater.evaluation.scores import METRICS, scores
from sarwater.mapping.thresholds import threshold_near
from sarwater.models.bundle import Bundle
from sarwater.normalize import group_statistics
from sarwater.prediction import PredictionOptions, Predictor, water_probability
from sarwater.raster import read_chip

_PIXELS = 2_000_000
"""Pixels of a scene that are looked at, whole chips."""


def at_scene_thresholds(
    bundle: Bundle, chips: Manifest, scene_of: Callable[[ChipRecord], str]
) -> dict[str, Any]:
    """Return pooled scores and the thresholds by scene.

    Args:
        bundle: the model.
        chips: labelled chips; labels score, and choose nothing.
        scene_of: names the scene of a chip.
    """
    predictor = Predictor(bundle, PredictionOptions(device="cpu"))
    predictor = predictor.for_units(*{record.units for record in chips})
    info = predictor.info
    who = ModelIdentity("", bundle.hash, info.classes, info.threshold, "")
    parts: list[Any] = []
    thresholds: dict[str, float] = {}
    for name in dict.fromkeys(scene_of(record) for record in chips):
        part = Manifest(tuple(one for one in chips if scene_of(one) == name), chips.path)
        thresholds[name] = _threshold(predictor, part)
        counted = evaluate(
            predictor, part, who, normalizer=info.normalization, allow_dry=True
        ).counts
        at = round(thresholds[name] * 1000) - 1
        parts.append(np.stack([counted.tp[:, at], counted.fp[:, at], counted.fn[:, at]]))
    counts = np.concatenate(parts, axis=1)
    weights = resample_weights(counts.shape[1], 1000, 0)
    found, drawn = scores(*counts.sum(axis=1)), scores(*(counts @ weights.T))
    values = {key: float(getattr(found, key)) for key in METRICS}
    intervals = {f"{key}_interval": interval(getattr(drawn, key)) for key in ("f1", "iou")}
    return {**values, **intervals, "thresholds": thresholds}


def _threshold(predictor: Predictor, scene: Manifest) -> float:
    info = predictor.info
    seen, pixels = Observation(info.bands, info.units), 0
    group = None
    if info.normalization.needs_group:
        every = (("", predictor.model_chip(read_chip(r, with_target=False))) for r in scene)
        group = group_statistics(every)[""]
    for index in np.random.default_rng(0).permutation(len(scene.records)):
        chip = predictor.model_chip(read_chip(scene.records[index], with_target=False))
        if pixels < _PIXELS and chip.valid.any():
            pixels += chip.valid.size
            seen.add(chip, water_probability(predictor.predict_chip(chip, group)))
    return threshold_near(info.threshold, seen).threshold
