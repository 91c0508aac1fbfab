"""Start a training run, or go on with one."""

import os
from pathlib import Path

from sarwater.config import TrainSettings
from sarwater.datasets.manifest import Manifest
from sarwater.errors import ModelError
from sarwater.files import refuse_existing
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
) -> Run:
    """Do what ``train`` does and return the run itself, with its data and history."""
    if is_first_process():
        refuse_existing(out, overwrite=overwrite, folder=True)
    run = Run(settings, manifest, RunFolder(out), target)
    run.start(overwrite=overwrite)
    run.fit()
    return run


def resume(manifest: Manifest, out: Path, target: Manifest | None = None) -> RunFolder:
    """Go on with a run from its last checkpoint, under the settings that it was started with.

    Raises:
        ModelError: there is no checkpoint, or the chips have changed since.
    """
    return resumed_run(manifest, out, target).folder


def resumed_run(manifest: Manifest, out: Path, target: Manifest | None = None) -> Run:
    """Do what ``resume`` does and return the run itself."""
    folder = RunFolder(out)
    settings = folder.read_settings()
    # The checkpoint holds all weights: those that the run began with may be gone by now.
    model = settings.model.model_copy(update={"init": None, "encoder_weights": None})
    run = Run(settings.model_copy(update={"model": model}), manifest, folder, target)
    state = load_checkpoint(folder.checkpoint)
    try:
        run.restore(state)
    except (LookupError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"the checkpoint {folder.checkpoint} does not fit the run ({str(error)[:300]}); it is "
            "damaged or of another version of sarwater: start the run anew"
        ) from error
    run.fit()
    return run


def is_first_process() -> bool:
    """Whether this is the first of the processes, or the only one, before they know each other."""
    return all(os.environ.get(name, "0") == "0" for name in ("LOCAL_RANK", "SLURM_PROCID", "RANK"))
