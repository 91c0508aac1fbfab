"""Counts of hits and misses at a thousand thresholds, beside torchmetrics' binned curve.

command:  python benchmarks/threshold_counts.py [--mpx 100] [--repeats 3]
hardware: any; on one CPU core some ten minutes, all but seconds of them torchmetrics'
result:   benchmarks/results/threshold_counts.json: medians, their ratio, and whether counts agree
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchmetrics.classification import BinaryPrecisionRecallCurve

from sarwater.evaluation.counts import THRESHOLDS, ThresholdCounts, count

RESULTS = Path(__file__).parent / "results" / "threshold_counts.json"
CHIP = 512 * 512
"""Pixels that are counted at a time: an evaluation goes chip by chip."""


def pixels(number: int) -> tuple[Any, Any]:
    """Return probabilities, mostly near 0 or 1 as a network's are, and rare water."""
    random = np.random.default_rng(0)
    water = random.random(number) < 0.1
    logits = random.normal(size=number).astype(np.float32) * 2 + np.where(water, 3, -3)
    return (1 / (1 + np.exp(-logits))).astype(np.float32), water


def ours(probability: Any, water: Any) -> Any:
    """Count; return TP and FP [999]."""
    total = ThresholdCounts.zeros()
    for start in range(0, len(probability), CHIP):
        total = total + count(probability[start : start + CHIP], water[start : start + CHIP])
    return np.stack([total.tp, total.fp])


def theirs(probability: Any, water: Any) -> Any:
    """Update the state of torchmetrics' binned curve; return TP and FP [999]."""
    # Its check of values would look at every chip twice.
    metric = BinaryPrecisionRecallCurve(torch.from_numpy(THRESHOLDS), validate_args=False)
    for start in range(0, len(probability), CHIP):
        chip = slice(start, start + CHIP)
        metric.update(torch.from_numpy(probability[chip]), torch.from_numpy(water[chip]).long())
    state = metric.confmat.numpy()
    return np.stack([state[:, 1, 1], state[:, 0, 1]])


def main() -> None:
    """Time both on the same pixels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mpx", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    probability, water = pixels(args.mpx * 1_000_000)
    seconds: dict[str, list[float]] = {"ours": [], "torchmetrics": []}
    counts: dict[str, Any] = {}
    for _ in range(args.repeats):
        for name, run in (("ours", ours), ("torchmetrics", theirs)):
            begin = time.perf_counter()
            counts[name] = run(probability, water)
            seconds[name].append(round(time.perf_counter() - begin, 3))
    median = {name: statistics.median(values) for name, values in seconds.items()}
    result = {
        "mpx": args.mpx,
        "thresholds": len(THRESHOLDS),
        "seconds": seconds,
        "ratio": round(median["torchmetrics"] / median["ours"], 1),
        "counts_agree": bool(np.array_equal(counts["ours"], counts["torchmetrics"])),
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
