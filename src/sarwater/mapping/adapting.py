"""A model takes on the scene that it is about to map."""

from typing import Any

import numpy as np

from sarwater.adaptation.comparison import maps_differ
from sarwater.mapping.inputs import ModelScene
from sarwater.normalize import BandStatistics
from sarwater.prediction import Predictor, water_probability
from sarwater.types import BoolArray, FloatArray

_PIXELS = 1 << 22
"""Pixels that are looked at, in windows spread over the scene."""


def adapt_to_scene(
    predictor: Predictor, scene: ModelScene, group: BandStatistics | None, threshold: float
) -> tuple[Predictor, dict[str, Any] | None]:
    """Take the statistics of batch norm from a scene, and say what that changed.

    Windows of the model's patch size, at most some four million pixels of them, are drawn from
    the whole scene; the draw is always the same.

    Args:
        predictor: the model as it was trained.
        scene: the scene.
        group: its band statistics, where the normalization needs them.
        threshold: of water probability, 0 ... 1, for the shares.

    Returns:
        The adapted model, and ``windows`` (number), ``water_share_before`` and
        ``water_share_after`` (0 ... 1, of the valid pixels in the windows), ``disagreement`` (share
        of them whose class changed), ``overlap`` (intersection over union of the water before
        and after, None without any) and ``looks_harmful``. The model as it was, and None, where
        the scene has no valid pixel.

    Raises:
        ModelError: the model has no batch norm.
        RasterError: the file cannot be read.
    """
    from sarwater.adaptation.batch_norm import adapted_bundle
    from sarwater.engines.torch_engine import device_named

    size = predictor.windows.patch_size
    windows = scene.sample(size, max(_PIXELS // size**2, 16))
    if not windows:
        return predictor, None
    normalization = predictor.info.normalization
    patches: FloatArray = np.stack([normalization.apply(i, v, group) for i, v in windows])
    adapted = predictor.with_bundle(
        adapted_bundle(predictor.bundle, patches, device_named(predictor.options.device))
    )
    valid: BoolArray = np.stack([v for _, v in windows])
    before, after = (_water(one, patches, threshold)[valid] for one in (predictor, adapted))
    return adapted, {"windows": len(windows), **compare_water(before, after)}


def compare_water(before: BoolArray, after: BoolArray) -> dict[str, Any]:
    """Compare two classifications of the same pixels; see ``adapt_to_scene`` for the result.

    >>> found = compare_water(np.array([True, False, False]), np.array([True, True, False]))
    >>> found["overlap"], found["looks_harmful"]
    (0.5, False)
    """
    disagreement, union = float((before != after).mean()), int((before | after).sum())
    overlap = int((before & after).sum()) / union if union else None
    return {
        "water_share_before": float(before.mean()),
        "water_share_after": float(after.mean()),
        "disagreement": disagreement,
        "overlap": overlap,
        "looks_harmful": maps_differ(overlap, disagreement),
    }


def describe(found: dict[str, Any] | None) -> str:
    """Say in a line what adapting changed."""
    if found is None:
        return "not adapted: the scene has no valid pixel"
    text = (
        f"batch norm taken from {found['windows']} windows of the scene: water in them "
        f"{found['water_share_before']:.1%} before, {found['water_share_after']:.1%} after; "
        f"{found['disagreement']:.1%} of the pixels changed"
    )
    if not found["looks_harmful"]:
        return text
    return (
        f"{text}, and the water before and after overlap by {found['overlap']:.0%} only: this "
        "looks harmful; trust the map without --adapt unless you know better"
    )


def _water(predictor: Predictor, patches: FloatArray, threshold: float) -> BoolArray:
    step = predictor.windows.batch_size
    parts = [
        np.stack([water_probability(one) for one in predictor.engine.predict(part)])
        for part in (patches[start : start + step] for start in range(0, len(patches), step))
    ]
    return np.asarray(np.concatenate(parts) >= np.float32(threshold))
