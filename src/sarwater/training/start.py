"""Start a training run, or go on with one."""

import warnings
from pathlib import Path
from typing import Any

import torch

from sarwater.config import NormalizationSettings, TrainSettings
from sarwater.datasets.manifest import Manifest
from sarwater.engines.torch_engine import torch_threads
from sarwater.errors import ConfigError, ModelError, SarwaterError, SarwaterWarning
from sarwater.files import refuse_existing, remove_unfinished
from sarwater.models.architecture import Architecture
from sarwater.models.bundle import ModelInfo, load_bundle
from sarwater.normalize import FIXED_RANGES, BandStatistics, Normalization
from sarwater.ranks import is_first_process
from sarwater.training.checkpoint import load_checkpoint
from sarwater.training.folder import RunFolder
from sarwater.training.identity import check_settings
from sarwater.training.run import Run
from sarwater.units import can_convert


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
    """Do what ``train`` does and return the run itself; ``go_on`` is what resumes it."""
    if is_first_process():
        refuse_existing(out, overwrite=overwrite, folder=True)
    with torch_threads(settings.run.threads):
        run = new_run(settings, manifest, out, target=target, go_on=go_on)
        run.start(overwrite=overwrite)
        run.fit()
    return run


def new_run(
    settings: TrainSettings,
    manifest: Manifest,
    out: Path,
    *,
    target: Manifest | None = None,
    go_on: str = "",
) -> Run:
    """Read and check all that a run needs and build it; nothing is written before its ``start``.

    With a target, a model to start from brings the statistics of its normalization.
    """
    statistics = _statistics_of(settings.model.init) if target else None
    return Run(settings, manifest, RunFolder(out), target, statistics=statistics, go_on=go_on)


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
    state = load_checkpoint(folder.checkpoint)
    # At once, before a network is built that the checkpoint does not fit.
    check_settings(state, settings.model_dump(mode="json"), out, folder.settings)
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
        _restore(run, state)
        if run.fabric.is_global_zero:
            remove_unfinished(folder.checkpoint)
        run.fit()
    return run


def _restore(run: Run, state: dict[str, Any]) -> None:
    try:
        run.restore(state)
    except (SarwaterError, torch.OutOfMemoryError, torch.AcceleratorError):  # the last: a device's
        raise
    except (LookupError, TypeError, AttributeError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"the checkpoint {run.folder.checkpoint} does not fit the run ({str(error)[:300]}); it "
            "is damaged or of another version of sarwater: start the run anew"
        ) from error


def fine_tuning(settings: TrainSettings, model: Path, manifest: Manifest) -> TrainSettings:
    """Return the settings of a run that starts from a model: with its network, and as it sees.

    Normalization and size of the patches are the model's unless they are named.

    Args:
        settings: as they were given.
        model: a file.
        manifest: of the chips.

    Raises:
        ConfigError: another network is named.
        ModelError: the model cannot be read, or normalizes by a range of other units.
    """
    info = load_bundle(model).info
    here, there = settings.model, info.architecture
    named = here.model_fields_set & Architecture.model_fields.keys()
    others = [
        f"model.{name} {getattr(here, name)} (the model's: {getattr(there, name)})"
        for name in Architecture.model_fields
        if name in named and getattr(here, name) != getattr(there, name)
    ]
    if others:
        raise ConfigError(
            f"--init brings the network of {model}, and the settings name another: "
            f"{', '.join(others)}; leave these out"
        )
    if here.encoder_weights is not None:
        raise ConfigError(
            f"--init brings the weights of {model}, and model.encoder_weights names "
            f"{here.encoder_weights}; leave one of them out"
        )
    chosen = with_network(settings, info)
    chosen = chosen.model_copy(update={"model": chosen.model.model_copy(update={"init": model})})
    if "size" not in settings.patches.model_fields_set:
        patches = settings.patches.model_copy(update={"size": info.patch_size})
        chosen = chosen.model_copy(update={"patches": patches})
    if "normalization" in settings.model_fields_set:
        return chosen
    return with_normalization(chosen, info, manifest, model, keeps_statistics=False)


def with_network(settings: TrainSettings, info: ModelInfo) -> TrainSettings:
    """Return settings that build the network of a model."""
    model = settings.model.model_copy(update=info.architecture.model_dump())
    return settings.model_copy(update={"model": model})


def with_normalization(
    settings: TrainSettings,
    info: ModelInfo,
    manifest: Manifest,
    model: Path,
    *,
    keeps_statistics: bool,
) -> TrainSettings:
    """Return settings that normalize chips as a model does.

    A range of the model's units that converts to those of the chips gives way to the usual one of
    theirs, with a warning.

    Args:
        settings: whose normalization is replaced.
        info: of the model.
        manifest: of the chips.
        model: its file, for the message.
        keeps_statistics: whether its statistics are kept, where it has those of its data set;
            otherwise the chips' take their place.

    Raises:
        ManifestError: a split or a domain that is not there.
        ModelError: it normalizes by a range or by statistics of other units.
    """
    known = info.normalization
    value_range = known.value_range if known.kind == Normalization.FIXED else None
    chips = manifest.select(split=settings.data.train_split, domains=settings.data.domains)
    units = next((record.units for record in chips), info.units)
    if units != info.units:
        by_range = known.kind == Normalization.FIXED and not can_convert(units, info.units)
        by_statistics = known.kind == Normalization.DATASET and keeps_statistics
        if by_range or by_statistics:
            what = "a range" if by_range else "statistics"
            other = "" if keeps_statistics else ", or name a normalization (kind domain, say)"
            raise ModelError(
                f"{model} normalizes by {what} of values in units {info.units.value}, and these "
                f"chips are in units {units.value}: take chips and model of the same units"
                f"{other}"
            )
        if value_range is not None and is_first_process():
            low, high = FIXED_RANGES[units]
            warnings.warn(
                f"{model} normalizes by a range in units {info.units.value}; these chips are in "
                f"units {units.value}, for which {low:g} ... {high:g} is taken "
                "(normalization.value_range names another)",
                SarwaterWarning,
                stacklevel=2,
            )
        value_range = None
    normalization = NormalizationSettings(kind=known.kind, value_range=value_range)
    return settings.model_copy(update={"normalization": normalization})


def _statistics_of(model: Path | None) -> BandStatistics | None:
    return load_bundle(model).info.normalization.statistics if model is not None else None
