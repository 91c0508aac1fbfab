"""What mapping some scenes will take, without mapping them."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sarwater.errors import SarwaterError
from sarwater.mapping.inputs import SceneSource, open_for_model
from sarwater.mapping.options import MapOptions
from sarwater.prediction import Predictor
from sarwater.raster import block_cache, cache_size
from sarwater.tiling import window_starts

_BASE = 600e6
"""Bytes that the program, its libraries and a compiled network hold."""

_AROUND = 1.2
"""Time of the whole way from file to files over that of the network alone."""

_MEASURED = 8
"""Windows by which the speed of the engine is measured."""


@dataclass(frozen=True)
class Estimate:
    """What one scene will take; times and memory are rough."""

    scene: str
    height: int
    width: int
    windows: int
    seconds: float
    memory_gb: float
    """At the peak."""
    disk_gb: float
    """While it is mapped; the files that stay are smaller."""
    notes: tuple[str, ...]
    """What would be converted or assumed."""


def estimate_scenes(
    sources: Sequence[SceneSource], predictor: Predictor, options: MapOptions
) -> tuple[list[Estimate], list[tuple[str, SarwaterError]]]:
    """Open each scene, check that it fits the model, and say what mapping it will take.

    The engine is timed on a few windows of noise; nothing is written.

    Returns:
        Estimates of the scenes that fit; name and error of those that do not.
    """
    seconds = _seconds_per_window(predictor)
    estimates, failures = [], []
    for source in sources:
        try:
            estimates.append(_estimate(source, predictor, options, seconds))
        except SarwaterError as error:
            failures.append((source.title, error))
    return estimates, failures


def as_json(estimates: Sequence[Estimate]) -> list[dict[str, Any]]:
    """Return estimates as plain data."""
    return [asdict(one) for one in estimates]


def _estimate(
    source: SceneSource, predictor: Predictor, options: MapOptions, seconds: float
) -> Estimate:
    with block_cache(), open_for_model(source, predictor) as scene:
        grid, notes, is_byte = scene.grid, scene.notes, scene.is_byte
        shared = cache_size(scene.shared_bytes)
    patch, overlap = predictor.windows.patch_size, predictor.windows.overlap
    down, across = (
        len(window_starts(length, patch, overlap)) for length in (grid.height, grid.width)
    )
    info = predictor.info
    # Rows that are read ahead, sums of probabilities, and what finished rows become.
    per_pixel = 3 * len(info.bands) * (1 if is_byte else 4) + 8 * (len(info.classes) - 1) + 12
    stored = 1 + np.dtype(options.probability).itemsize
    return Estimate(
        source.title,
        grid.height,
        grid.width,
        down * across,
        round(down * across * seconds * _AROUND, 1),
        round((_BASE + shared + patch * grid.width * per_pixel) / 1e9, 2),
        round(2 * stored * grid.height * grid.width / 1e9, 3),
        notes,
    )


def _seconds_per_window(predictor: Predictor) -> float:
    engine, patch = predictor.engine, predictor.windows.patch_size
    batch = predictor.windows.batch_size
    shape = (batch, len(predictor.info.bands), patch, patch)
    noise = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    calls = max(-(-_MEASURED // batch), engine.parallel)
    with ThreadPoolExecutor(engine.parallel) as pool:
        list(pool.map(engine.predict, [noise] * engine.parallel))  # the first call is slower
        begin = time.perf_counter()
        list(pool.map(engine.predict, [noise] * calls))
    return (time.perf_counter() - begin) / (calls * batch)
