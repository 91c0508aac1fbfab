"""What an evaluation will take: a few chips are evaluated, as all of them would be."""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sarwater.datasets.manifest import Manifest
from sarwater.errors import DataError
from sarwater.evaluation.chips import ModelIdentity, Predicts
from sarwater.machine import peak_memory
from sarwater.report.evaluation_report import evaluate_to_folder

_FEW, _MORE = 2, 6
"""Chips of the two evaluations whose times a straight line goes through."""


@dataclass(frozen=True)
class EvaluationEstimate:
    """What an evaluation will take; times and memory are rough."""

    chips: int
    """Labelled chips, which are scored."""
    seconds_per_chip: float
    seconds_besides: float
    """Whatever the number of chips: intervals, charts."""
    seconds: float
    """In all, from here on."""
    memory_gb: float | None
    """Of this process, at its peak; None where the system does not tell it (Windows)."""
    engine: str


def estimate_evaluation(
    predictor: Predicts, manifest: Manifest, model: ModelIdentity, engine: str, **options: Any
) -> EvaluationEstimate:
    """Evaluate a few chips, chosen evenly, in a temporary folder that is removed.

    Args:
        predictor: the model.
        manifest: the chips, already selected.
        model: who the predictor is.
        engine: what runs it, in words.
        options: of ``evaluate_to_folder``.

    Raises:
        DataError: no labelled chip, or other classes than the model's.
        RasterError: one of these chips cannot be read.
    """
    labelled = [record for record in manifest if record.is_labelled]
    count = len(labelled)
    order = np.random.default_rng(0).permutation(count)

    def seconds(chips: int) -> float:
        chosen = tuple(labelled[number] for number in order[:chips])
        part = replace(manifest, records=chosen or manifest.records)
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            evaluate_to_folder(
                predictor, part, model, Path(folder) / "few", **{**options, "allow_dry": True}
            )
            return time.perf_counter() - begin

    few = min(_FEW, count)
    while True:
        try:
            seconds(few)  # the first is slower: libraries are loaded
            break
        except DataError:  # none of these has a pixel that counts
            if few == count:
                raise
            few = min(2 * few, count)
    more = min(max(_MORE, 2 * few), count)
    fewer, longer = seconds(few), seconds(more)
    each = max(longer - fewer, 0.0) / (more - few) if more > few else longer / max(count, 1)
    peak = peak_memory()
    besides = max(longer - each * more, 0.0)
    return EvaluationEstimate(
        chips=count,
        seconds_per_chip=round(each, 4),
        seconds_besides=round(besides, 2),
        seconds=round(besides + each * count, 1),
        memory_gb=None if peak is None else round(peak / 1e9, 2),
        engine=engine,
    )
