"""Start a training run, or go on with one."""

from pathlib import Path

import torch

from sarwater.config import TrainSettings
from sarwater.datasets.manifest import Manifest
from sarwater.engines.torch_engine import torch_threads
from sarwater.errors import ModelError
from sarwater.files import refuse_existing
from sarwater.models.bundle import ModelInfo, load_bundle
from sarwater.normalize import BandStatistics
from sarwater.ranks import is_first_process
from sarwater.training.checkpoint import load_checkpoint
from sarwater.training.folder import RunFolder
from sarwater.training.run import Run


def train(
    settings: TrainSettings,
    manifest: Manifest,
    out: Path,
    *,
    target: Manifest | None = None,
    overwrite: bool = False,
) -> RunFolder:
    """Train a model and leave a run folder with one bundle in it.

    Args:
        settings: everything that can be chosen.
        manifest: chips with their splits.
        out: the run folder, which must not exist yet.
        target: adapt to these chips or scenes, whose labels are not read.
        overwrite: replace an existing one.

    Raises:
        OutputExistsError: ``out`` exists.
        DataError: the chips do not fit each other or the task.
        ModelError: the network cannot be built.
    """
    return finished_run(settings, manifest, out, target=target, overwrite=overwrite).folder


def finished_run(
    settings: TrainSettings,
    manifest: Manifest,
    out: Path,
    *,
    target: Manifest | None = None,
    overwrite: bool = False,
    go_on: str = "",
) -> Run:
    """Do what ``train`` does and return the run itself; ``go_on`` is the command that resumes it.

    With a target, a model to start from brings the statistics of its normalization.
    """
    if is_first_process():
        refuse_existing(out, overwrite=overwrite, folder=True)
    statistics = _statistics_of(settings.model.init) if target else None
    with torch_threads(settings.run.threads):
        run = Run(settings, manifest, RunFolder(out), target, statistics=statistics, go_on=go_on)
        run.start(overwrite=overwrite)
        run.fit()
    return run


def resume(manifest: Manifest, out: Path, target: Manifest | None = None) -> RunFolder:
    """Go on with a run from its last checkpoint, under the settings that it was started with.

    Raises:
        ModelError: there is no checkpoint, or the chips have changed since.
    """
    return resumed_run(manifest, out, target).folder


def resumed_run(
    manifest: Manifest,
    out: Path,
    target: Manifest | None = None,
    *,
    init: Path | None = None,
    go_on: str = "",
) -> Run:
    """Do what ``resume`` does and return the run itself.

    Args:
        manifest: of the source.
        out: the run folder.
        target: of the target.
        init: where the model now lies that the run began with, whose statistics it took.
        go_on: command to say.
    """
    folder = RunFolder(out)
    settings = folder.read_settings()
    # The checkpoint holds all weights: those that the run began with may be gone by now.
    model = settings.model.model_copy(update={"init": None, "encoder_weights": None})
    with torch_threads(settings.run.threads):
        run = Run(
            settings.model_copy(update={"model": model}),
            manifest,
            folder,
            target,
            statistics=_statistics_of(init or settings.model.init) if target else None,
            go_on=go_on,
        )
        _restore(run)
        run.fit()
    return run


def _restore(run: Run) -> None:
    """Take up the last checkpoint."""
    state = load_checkpoint(run.folder.checkpoint)
    try:
        run.restore(state)
    except (torch.OutOfMemoryError, torch.AcceleratorError):  # of the device
        raise
    except (LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"the checkpoint {run.folder.checkpoint} does not fit the run ({str(error)[:300]}); it "
            "is damaged or of another version of sarwater: start the run anew"
        ) from error


def with_network(settings: TrainSettings, info: ModelInfo) -> TrainSettings:
    """Return settings that build the network of a model, and normalize as it does."""
    model = settings.model.model_copy(update=info.architecture.model_dump())
    known = {"kind": info.normalization.kind, "value_range": info.normalization.value_range}
    normalization = settings.normalization.model_copy(update=known)
    return settings.model_copy(update={"model": model, "normalization": normalization})


def _statistics_of(model: Path | None) -> BandStatistics | None:
    return load_bundle(model).info.normalization.statistics if model is not None else None
