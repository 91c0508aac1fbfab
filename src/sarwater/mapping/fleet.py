"""Many scenes at once: Dask distributes them over processes, here or on a cluster."""

import logging
import math
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster, as_completed
from distributed.scheduler import KilledWorker

from sarwater.errors import ConfigError, SarwaterError, without_frames
from sarwater.machine import usable_cores
from sarwater.mapping.inputs import SceneSource
from sarwater.mapping.options import MapOptions
from sarwater.mapping.scenes import Draw, MapResult, Say, check_outputs, log, map_scene
from sarwater.models.bundle import load_bundle
from sarwater.prediction import PredictionOptions, Predictor
from sarwater.progress import silent, step

_RETRIES = 3
"""Workers that may die over a scene before it is given up."""

_PATIENCE = 60
"""Seconds that a scheduler may take to answer, and to have a worker."""


@dataclass
class _Outcome:
    """What a worker sends back of a scene."""

    summary: dict[str, Any] | None = None
    error: SarwaterError | None = None
    notes: list[str] = field(default_factory=list)


@lru_cache(maxsize=1)
def _predictor(model: Path, _written: int, prediction: PredictionOptions) -> Predictor:
    """Load a model once a process, and again where its file was written anew."""
    return Predictor(load_bundle(model), prediction)


_loading = threading.Lock()
"""Of the threads of a worker, of which ``dask worker`` has several, one loads for all."""


def _forget() -> None:
    """Let go of the model: a worker that stays may have other things to do."""
    _predictor.cache_clear()


def _map_one(
    source: SceneSource,
    model: Path,
    prediction: PredictionOptions,
    out: Path,
    options: MapOptions,
    draw: Draw | None,
) -> _Outcome:
    outcome = _Outcome()
    try:
        with silent():  # the terminal is drawn on by the process that asks
            written = model.stat().st_mtime_ns if model.exists() else 0
            with _loading:
                predictor = _predictor(model, written, prediction)
            outcome.summary = map_scene(
                source, predictor, out, options, draw=draw, say=outcome.notes.append
            )
    except SarwaterError as error:
        outcome.error = without_frames(error)
    return outcome


def map_fleet(
    sources: Sequence[SceneSource],
    model: Path,
    prediction: PredictionOptions,
    out: Path,
    options: MapOptions | None = None,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    draw: Draw | None = None,
    say: Say = log,
) -> MapResult:
    """Map scenes in several processes; one that fails does not keep the others from it.

    Scenes that are mapped already are passed over. A scene whose process dies is gone on with by
    another one, from where it was; the folders must be the same for all of them.

    Args:
        sources: the scenes.
        model: the bundle's file.
        prediction: how it is run.
        out: folder of the outputs.
        options: how scenes are mapped.
        workers: processes of a cluster on this machine, which share its cores.
        scheduler: address of a Dask scheduler to use in place of it.
        draw: draws the quick-looks, as for ``map_scene``; a function of a module.
        say: is told what was converted or looks odd; by default the log.

    Raises:
        ConfigError: two scenes have the same name, a name is no file name, or the scheduler does
            not answer.
        OutputExistsError: a folder is in the place of an output.
    """
    options = options or MapOptions()
    check_outputs(sources, out, options)
    if workers < 1:
        raise ConfigError(f"workers: 1 or more, found {workers}")
    if not sources:
        return MapResult((), ())
    if scheduler is None and prediction.threads is None:
        threads = max(math.ceil(usable_cores() / min(workers, len(sources))), 1)
        prediction = replace(prediction, threads=threads)
    outcomes: dict[int, _Outcome] = {}
    with ExitStack() as stack:
        client = _connect(stack, min(workers, len(sources)), scheduler)
        bar = stack.enter_context(step("scenes", total=len(sources), unit="scenes"))
        futures = {
            client.submit(
                _map_one,
                _absolute(source),
                model.absolute(),
                prediction,
                out.absolute(),
                _absolute_options(options),
                draw,
                pure=False,  # a key of its own: others may map scenes of that name on the cluster
            ): index
            for index, source in enumerate(sources)
        }
        for future in as_completed(futures):
            index = futures[future]
            outcomes[index] = _outcome(future)
            for note in outcomes[index].notes:
                say(note)
            bar.advance(1, note=sources[index].title)
        if scheduler is not None:
            client.run(_forget, on_error="ignore")
    ordered = [(source, outcomes[index]) for index, source in enumerate(sources)]
    return MapResult(
        tuple(one.summary for _, one in ordered if one.summary is not None),
        tuple((source.title, one.error) for source, one in ordered if one.error is not None),
    )


def _outcome(future: Any) -> _Outcome:
    error = future.exception()
    if error is None:
        outcome: _Outcome = future.result()
        return outcome
    if isinstance(error, KilledWorker):
        words = f"{_RETRIES + 1} processes died over it; is there memory enough?"
    else:
        words = f"{type(error).__name__}: {error}"
    return _Outcome(error=SarwaterError(words))


def _connect(stack: ExitStack, workers: int, scheduler: str | None) -> Any:
    stack.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": _RETRIES}))
    if scheduler is not None:
        try:
            client = stack.enter_context(Client(scheduler, timeout=_PATIENCE))
            client.wait_for_workers(1, timeout=_PATIENCE)
            return client
        except TimeoutError as error:
            raise ConfigError(
                f"the scheduler at {scheduler} has no worker; start some with `dask worker "
                f"{scheduler}`, in an environment with sarwater"
            ) from error
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"no Dask scheduler answers at {scheduler}: {error}; start one with `dask "
                "scheduler`, or leave --scheduler out for processes on this machine"
            ) from error
    # A worker that dies is replaced, and its scene is gone on with: no need for a traceback.
    cluster = stack.enter_context(
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        )
    )
    return stack.enter_context(Client(cluster))


def _absolute(source: SceneSource) -> SceneSource:
    """Make paths ones of any process; symbolic links keep their names, which the outputs bear."""
    return replace(source, files=tuple(file.absolute() for file in source.files))


def _absolute_options(options: MapOptions) -> MapOptions:
    return replace(options, exclude=tuple(file.absolute() for file in options.exclude))
