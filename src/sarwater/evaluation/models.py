"""A model file on labelled chips, in one call."""

from pathlib import Path
from typing import Any

from sarwater.datasets.manifest import Manifest
from sarwater.evaluation.chips import Evaluation, ModelIdentity, evaluate
from sarwater.models.bundle import Bundle, load_bundle
from sarwater.prediction import PredictionOptions, Predictor


def identity_of(bundle: Bundle, name: str) -> ModelIdentity:
    """Return who a model is, and the threshold that it brings."""
    info = bundle.info
    return ModelIdentity(
        name,
        bundle.hash,
        info.classes,
        info.threshold,
        info.threshold_criterion,
        info.scene_threshold,
    )


def predictor_for(
    bundle: Bundle, manifest: Manifest, prediction: PredictionOptions | None = None
) -> Predictor:
    """Return what predicts the chips of a manifest, in their units if the model can take them.

    Args:
        bundle: the model.
        manifest: the chips, already selected.
        prediction: how the model is run.

    Raises:
        ConfigError: overlap or batch size is out of range, or there is no such engine.
        ModelError: the model cannot be built, or there is no such device.
    """
    units = {record.units for record in manifest}
    return Predictor(bundle, prediction or PredictionOptions()).for_units(*units)


def evaluate_model(
    model: str | Path,
    manifest: Manifest,
    *,
    prediction: PredictionOptions | None = None,
    **rules: Any,
) -> Evaluation:
    """Predict the labelled chips of a manifest with a model file, and count.

    Args:
        model: a ``.safetensors`` file of `sarwater train` or `adapt`.
        manifest: the chips, already selected (``Manifest.select``).
        prediction: how the model is run; by default as `sarwater evaluate` does.
        rules: further arguments of ``evaluate``: ``split``, ``missing_radar``, ``threshold``, ...

    Raises:
        ModelError: the file cannot be read, or does not fit the chips.
        DataError: see ``evaluate``.
    """
    path = Path(model)
    bundle = load_bundle(path)
    predictor = predictor_for(bundle, manifest, prediction)
    identity = identity_of(bundle, path.name)
    return evaluate(predictor, manifest, identity, normalizer=predictor.info.normalization, **rules)
