"""What a run hands over: the model of its best checkpoint, and a summary."""

from dataclasses import replace
from typing import Any

import torch
from lightning.fabric import Fabric

from sarwater import __version__
from sarwater.config import TrainSettings
from sarwater.models.bundle import Bundle, ModelInfo
from sarwater.training.adapter import Adapter
from sarwater.training.checkpoint import Progress
from sarwater.training.data import TrainingData


def best_bundle(
    settings: TrainSettings, data: TrainingData, best: dict[str, Any], adapter: Adapter | None
) -> Bundle:
    """Return the model of a checkpoint; with a target it is the target's.

    Args:
        settings: of the run.
        data: of the source.
        best: the checkpoint's validation, epoch, weights and, with a target, threshold.
        adapter: the target's side.
    """
    found = best["validation"]
    info = ModelInfo(
        version=__version__,
        classes=data.classes,
        bands=data.bands,
        units=data.units,
        normalization=data.normalizer,
        patch_size=settings.patches.size,
        architecture=settings.model.architecture,
        threshold=found["threshold"],
        threshold_criterion=found["criterion"],
        pixel_size=data.pixel_size,
        scores={"epoch": best["epoch"], **found},
        data=data.description,
    )
    bundle = Bundle(info, best["weights"])
    if adapter is None:
        return bundle
    return with_threshold(adapter.carried(bundle), best["target"])


def with_threshold(bundle: Bundle, chosen: dict[str, Any]) -> Bundle:
    """Return the model with the target's threshold and seeds."""
    changes = {
        "threshold": chosen["threshold"],
        "seed_margin": chosen["seed_margin"],
        "threshold_criterion": chosen["criterion"],
    }
    return replace(bundle, info=bundle.info.model_copy(update=changes))


def summary_of(
    progress: Progress, data: TrainingData, fabric: Fabric, digest: str, adapter: Adapter | None
) -> dict[str, Any]:
    """Return what came out of a run, as plain data."""
    best = progress.best
    assert best is not None
    summary = {
        "model_sha256": digest,
        "epochs": progress.epoch,
        "best_epoch": best["epoch"],
        "validation": best["validation"],
        "data": data.description,
        "seconds": round(progress.seconds, 1),
        "device": str(fabric.device),
        "processes": fabric.world_size,
        "threads": torch.get_num_threads(),
        "versions": {"sarwater": __version__, "torch": torch.__version__},
    }
    if progress.first_weights:
        summary["first_weights"] = progress.first_weights
    if adapter is not None:
        summary["target"] = {**best["target"], **adapter.description}
    return summary
