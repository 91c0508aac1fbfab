"""What a training will take: the run is made ready as always, and a few of its steps are timed."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from sarwater.config import TrainSettings
from sarwater.datasets.manifest import Manifest
from sarwater.engines.torch_engine import torch_threads
from sarwater.files import refuse_existing
from sarwater.machine import peak_memory
from sarwater.training.adapting import (
    adapted_settings,
    checked_settings,
    source_only_settings,
)
from sarwater.training.run import Run
from sarwater.training.start import new_run
from sarwater.training.validation import ChipCounter

_WARM_UP = 2
"""Steps that are not counted: the first ones fetch memory and choose algorithms."""
_STEPS = 8
_CHIPS = 4
_PATIENCE = 20.0
"""Seconds after which fewer steps are enough."""


@dataclass(frozen=True)
class RunEstimate:
    """What one run will take; times and memory are rough."""

    name: str
    epochs: int
    """At most: early stopping may end it sooner."""
    steps_per_epoch: int
    train_chips: int
    val_chips: int
    parameters: int
    """Of the network."""
    seconds_per_step: float
    seconds_per_validation: float
    """Of an epoch, with what is looked at in the target."""
    seconds: float
    """In all, from here on."""
    memory_gb: float | None
    """Of the first process, at its peak; None where the system does not tell it (Windows)."""
    accelerator_gb: float | None
    """Of its GPU, at its peak; None on a CPU."""
    disk_gb: float
    """While it trains; model and curves stay, and the last checkpoint."""
    device: str
    processes: int


def estimate_training(
    settings: TrainSettings, manifest: Manifest, out: Path, *, overwrite: bool = False
) -> RunEstimate:
    """Do all that ``train`` does before its first step, time a few steps, and write nothing.

    Args:
        settings: of the run.
        manifest: chips with their splits, all of which are read.
        out: where the run would be written.
        overwrite: whether an existing run might be replaced.

    Raises:
        SarwaterError: what ``train`` would raise before it trains, or in its first steps.
    """
    refuse_existing(out, overwrite=overwrite, folder=True)
    with torch_threads(settings.run.threads):
        return _estimate("training", new_run(settings, manifest, out))


def estimate_adapting(
    settings: TrainSettings,
    source: Manifest,
    target: Manifest,
    out: Path,
    *,
    model: Path | None = None,
    overwrite: bool = False,
) -> list[RunEstimate]:
    """Do for both runs of ``start_adapting`` what ``estimate_training`` does for one.

    Args:
        settings: everything that can be chosen.
        source: labelled chips with their splits.
        target: chips or scenes; their labels are not read.
        out: where the folder would be written.
        model: a source-only model, which leaves the first run out.
        overwrite: whether an existing folder might be replaced.

    Returns:
        The run on the source, where there is one, and the adapted one.

    Raises:
        SarwaterError: what ``start_adapting`` would raise before it trains.
    """
    settings = checked_settings(settings, source, target, model)
    refuse_existing(out, overwrite=overwrite, folder=True)
    found: list[RunEstimate] = []
    with torch_threads(settings.run.threads):
        if model is None:
            run = new_run(source_only_settings(settings), source, out)
            found.append(_estimate("source_only", run))
        # There is no source-only model yet: random weights take as long.
        run = new_run(adapted_settings(settings, model), source, out, target=target)
        found.append(_estimate("adapted", run))
    return found


def as_json(estimates: Sequence[RunEstimate]) -> dict[str, Any]:
    """Return estimates and their sums as plain data."""
    peaks = [one.memory_gb for one in estimates if one.memory_gb is not None]
    return {
        "runs": [asdict(one) for one in estimates],
        "seconds": round(sum(one.seconds for one in estimates), 1),
        "memory_gb": max(peaks) if peaks else None,
        "disk_gb": round(sum(one.disk_gb for one in estimates), 3),
    }


def _estimate(name: str, run: Run) -> RunEstimate:
    adapter, epochs = run.adapter, run.settings.optimization.epochs
    network = run.bare.network
    begin = look = 0.0
    if adapter is not None:
        is_begun = run.settings.adaptation.start == "source_only"
        begin = _seconds(lambda: adapter.begin(network, 0.5, run.progress)) if is_begun else 0.0
        look = _seconds(lambda: adapter.look(network, 0.5, run.progress))
    step = _seconds_per_step(run)
    validation = _seconds_per_chip(run) * len(run.data.val.records) / run.fabric.world_size + look
    device = run.fabric.device
    is_cuda = device.type == "cuda"
    peak = peak_memory()
    return RunEstimate(
        name=name,
        epochs=epochs,
        steps_per_epoch=run.steps,
        train_chips=len(run.data.train.records),
        val_chips=len(run.data.val.records),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        seconds_per_step=round(step, 4),
        seconds_per_validation=round(validation, 3),
        seconds=round(begin + epochs * (run.steps * step + validation), 1),
        memory_gb=None if peak is None else round((peak + _bytes(network.state_dict())) / 1e9, 2),
        accelerator_gb=round(torch.cuda.max_memory_allocated(device) / 1e9, 2) if is_cuda else None,
        disk_gb=round(_disk(run) / 1e9, 3),
        device=str(device),
        processes=run.fabric.world_size,
    )


def _seconds_per_step(run: Run) -> float:
    """Return the median of a few steps, batches included."""
    taken: list[float] = []
    began = former = time.perf_counter()
    for number, _ in enumerate(run.rehearse(), start=1):
        now = time.perf_counter()
        if number > _WARM_UP:
            taken.append(now - former)
        former = now
        if len(taken) == _STEPS or (taken and now - began > _PATIENCE):
            break
    return statistics.median(taken)


def _seconds_per_chip(run: Run) -> float:
    """Return the median time of validating a chip."""
    chips = len(run.data.val.records)
    counter = ChipCounter(run.bare.network, run.data)
    chosen = sorted({number * chips // _CHIPS for number in range(_CHIPS)})
    counter.count(chosen[0])  # the first is slower
    return statistics.median(
        _seconds(lambda index=index: counter.count(index))  # type: ignore[misc]
        for index in chosen
    )


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _disk(run: Run) -> int:
    """Return the bytes of a checkpoint, which is written aside before it replaces the former."""
    weights = _bytes(run.bare.network.state_dict())
    average = _bytes(run.average.state_dict()) if run.average is not None else 0
    checkpoint = _bytes(run.bare.state_dict()) + average + weights
    checkpoint += _bytes(run.optimizer.state_dict())
    return 2 * checkpoint + weights


def _bytes(state: Any) -> int:
    """Return the bytes of all tensors in nested mappings and lists."""
    if isinstance(state, torch.Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, Mapping):
        return sum(map(_bytes, state.values()))
    return sum(map(_bytes, state)) if isinstance(state, list | tuple) else 0
