"""Time and memory of each loss, forward and backward, beside the same loss of other libraries.

command:  python benchmarks/losses.py [--repeats 9]; what is not installed is passed over
          (pip install monai kornia)
hardware: any; two minutes on one CPU core. Nothing else should run
result:   benchmarks/results/losses.json: medians in milliseconds and megabytes, and ratios to the
          best of smp, MONAI and kornia; torch's own cross-entropy stands beside them

Every library gets the same logits [8, 2, 512, 512] and the same target without ignored pixels,
since most cannot ignore any; ours looks for them all the same. The others want the target as int64,
which is made beforehand.
"""

import argparse
import gc
import importlib
import json
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sarwater.losses import functional as ours

RESULTS = Path(__file__).parent / "results" / "losses.json"
SHAPE = (8, 2, 512, 512)

Loss = Callable[[Tensor], Tensor]


def of_smp(target: Tensor) -> dict[str, Loss]:
    """Losses of segmentation-models-pytorch."""
    from segmentation_models_pytorch import losses as smp

    long = target.long()
    modules = {
        "cross_entropy": smp.SoftCrossEntropyLoss(smooth_factor=0.0),
        "focal": smp.FocalLoss("multiclass", gamma=2.0),
        "dice": smp.DiceLoss("multiclass", classes=[1]),
        "jaccard": smp.JaccardLoss("multiclass", classes=[1]),
        "tversky": smp.TverskyLoss("multiclass", classes=[1], alpha=0.7, beta=0.3),
        "focal_tversky": smp.TverskyLoss(
            "multiclass", classes=[1], alpha=0.7, beta=0.3, gamma=0.75
        ),
    }
    return {name: lambda x, module=module: module(x, long) for name, module in modules.items()}


def of_monai(target: Tensor) -> dict[str, Loss]:
    """Losses of MONAI."""
    monai: Any = importlib.import_module("monai.losses")
    codes = target.long()[:, None]
    chosen = {"include_background": False, "softmax": True, "batch": True, "to_onehot_y": True}
    modules = {
        "balanced_cross_entropy": monai.FocalLoss(
            gamma=0.0, weight=[0.2, 0.8], use_softmax=True, to_onehot_y=True
        ),
        "focal": monai.FocalLoss(gamma=2.0, use_softmax=True, to_onehot_y=True),
        "dice": monai.DiceLoss(**chosen),
        "jaccard": monai.DiceLoss(**chosen, jaccard=True),
        "tversky": monai.TverskyLoss(**chosen, alpha=0.7, beta=0.3),
    }
    return {name: lambda x, module=module: module(x, codes) for name, module in modules.items()}


def of_kornia(target: Tensor) -> dict[str, Loss]:
    """Losses of kornia."""
    kornia: Any = importlib.import_module("kornia.losses")
    long = target.long()
    return {
        "focal": lambda x: kornia.focal_loss(x, long, alpha=None, gamma=2.0, reduction="mean"),
        "dice": lambda x: kornia.dice_loss(x, long, average="micro"),
        "tversky": lambda x: kornia.tversky_loss(x, long, alpha=0.7, beta=0.3),
    }


def of_torch(target: Tensor) -> dict[str, Loss]:
    """What torch itself has."""
    long, weights = target.long(), torch.tensor([1.0, 8.0])
    plain = torch.nn.functional.cross_entropy
    return {
        "cross_entropy": lambda x: plain(x, long),
        "weighted_cross_entropy": lambda x: plain(x, long, weights),
    }


def of_ours(target: Tensor) -> dict[str, Loss]:
    """Losses of this package."""
    return {
        "cross_entropy": lambda x: ours.cross_entropy(x, target),
        "weighted_cross_entropy": lambda x: ours.cross_entropy(x, target, class_weights=(1.0, 8.0)),
        "balanced_cross_entropy": lambda x: ours.balanced_cross_entropy(x, target, alpha=0.8),
        "focal": lambda x: ours.focal(x, target),
        "dice": lambda x: ours.dice(x, target),
        "jaccard": lambda x: ours.jaccard(x, target),
        "tversky": lambda x: ours.tversky(x, target),
        "focal_tversky": lambda x: ours.focal_tversky(x, target),
    }


LIBRARIES = {
    "ours": of_ours,
    "smp": of_smp,
    "monai": of_monai,
    "kornia": of_kornia,
    "torch": of_torch,
}


def step(loss: Loss, logits: Tensor) -> None:
    """Run forward and backward."""
    logits.grad = None
    loss(logits).backward()


def megabytes(loss: Loss, logits: Tensor) -> float:
    """Return what a step holds at its peak beyond logits and target, in megabytes.

    The sum of what torch allocates and frees on the CPU, as its profiler records it.
    """
    logits.grad = None
    gc.collect()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as found:
        loss(logits).backward()
    events = [
        event for event in found.profiler.kineto_results.events() if event.name() == "[memory]"
    ]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak / 1e6


def milliseconds(losses: dict[str, Loss], logits: Tensor, repeats: int) -> dict[str, float]:
    """Return the median time of a step of each, taken in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in losses}
    for repeat in range(repeats + 1):
        for name, loss in losses.items():
            begin = time.perf_counter()
            step(loss, logits)
            if repeat:  # the first warms up
                seconds[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values) * 1e3 for name, values in seconds.items()}


def main() -> None:
    """Measure every loss that ours and another library have."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    logits = torch.randn(SHAPE, requires_grad=True)
    target = (torch.rand(SHAPE[0], *SHAPE[2:]) < 0.1).to(torch.uint8)
    known: dict[str, dict[str, Loss]] = {}
    for library, losses in LIBRARIES.items():
        try:
            known[library] = losses(target)
        except ImportError as error:
            print(f"{library} was passed over: {error}")
    result: dict[str, Any] = {}
    for name in known["ours"]:
        there = {library: losses[name] for library, losses in known.items() if name in losses}
        times = milliseconds(there, logits, args.repeats)
        room = {library: megabytes(loss, logits) for library, loss in there.items()}
        values = {library: float(loss(logits)) for library, loss in there.items()}
        others = [library for library in there if library not in ("ours", "torch")]
        result[name] = {
            library: {
                "ms": round(times[library], 2),
                "mb": round(room[library], 1),
                "value": round(values[library], 5),
            }
            for library in there
        }
        if others:
            result[name]["ratio_of_time"] = round(times["ours"] / min(times[o] for o in others), 3)
            result[name]["ratio_of_memory"] = round(room["ours"] / min(room[o] for o in others), 3)
        print(name, json.dumps(result[name]), flush=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
