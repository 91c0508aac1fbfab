"""Bootstrap intervals of the pooled scores along the threshold, for all chips and each domain."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sarwater.evaluation.bootstrap import CONFIDENCE, resample_weights
from sarwater.evaluation.chips import Evaluation
from sarwater.evaluation.counts import DoubleArray, ThresholdCounts, threshold_at
from sarwater.evaluation.scores import METRICS, scores
from sarwater.files import read_errors
from sarwater.types import FloatArray

BANDS = "intervals.npz"

INDICES = np.arange(9, 999, 10)
"""Places in ``THRESHOLDS`` of .01, .02 ... .99, where intervals are taken."""


@dataclass(frozen=True, eq=False)
class Bands:
    """Intervals of pooled scores, drawn as ``summarize`` draws them: the same at its thresholds."""

    groups: tuple[str, ...]
    """``""`` for all chips, then the domains."""
    bounds: FloatArray
    """float32 [group, score of METRICS, threshold .01 ... .99, low and high]; nan where there is
    none."""


def score_bands(evaluation: Evaluation, *, resamples: int = 1000, seed: int = 0) -> Bands:
    """Take the intervals of all chips and of each domain.

    Args:
        evaluation: the counts.
        resamples: of the bootstrap; 0 gives nan everywhere.
        seed: of the bootstrap.
    """
    names = np.array([chip.domain for chip in evaluation.chips])
    domains = list(dict.fromkeys(chip.domain for chip in evaluation.chips))
    parts: list[tuple[ThresholdCounts, tuple[int, ...]]] = [(evaluation.counts, (seed,))]
    parts += [
        (evaluation.counts[names == domain], (seed, number))
        for number, domain in enumerate(domains, 1)
    ]
    found = [_bounds(counts, resamples, seeds) for counts, seeds in parts]
    return Bands(("", *domains), np.stack(found).astype(np.float32))


def _bounds(counts: ThresholdCounts, resamples: int, seed: tuple[int, ...]) -> DoubleArray:
    """Return low and high [score, threshold, 2]."""
    out = np.full((len(METRICS), len(INDICES), 2), np.nan)
    chips = len(counts.positives)
    if not resamples or chips < 2:
        return out
    weights = resample_weights(chips, resamples, seed)
    tp = weights @ counts.tp[:, INDICES].astype(np.float64)
    fp = weights @ counts.fp[:, INDICES].astype(np.float64)
    found = scores(tp, fp, (weights @ counts.water.astype(np.float64))[:, None] - tp)
    tails = np.array([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    for place, name in enumerate(METRICS):
        values = getattr(found, name)
        # Where no sample is defined numpy would warn, and there is no interval.
        for column in np.flatnonzero(np.isfinite(values).sum(axis=0) >= 2):
            out[place, column] = np.nanquantile(values[:, column], tails)
    return out


def write_bands(folder: Path, bands: Bands) -> None:
    """Write ``intervals.npz`` into a folder of an evaluation."""
    np.savez_compressed(
        folder / BANDS,
        groups=np.array(bands.groups, np.str_),
        scores=np.array(METRICS, np.str_),
        thresholds=[threshold_at(index) for index in INDICES.tolist()],
        bounds=bands.bounds,
    )


def read_bands(folder: Path) -> Bands | None:
    """Read the intervals back; None where an evaluation has none.

    Raises:
        DataError: the file is damaged.
    """
    path = folder / BANDS
    if not path.is_file():
        return None
    with (
        read_errors(path, "evaluate anew"),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        return Bands(tuple(map(str, arrays["groups"])), arrays["bounds"])
