"""How much of its speed on data in memory a network keeps when it is fed from chips.

command:  python benchmarks/patch_loading.py [--accelerator cuda] [--workers 0] [--steps 10]
hardware: any; two minutes on two CPU cores. Nothing else should run
result:   benchmarks/results/patch_loading.json: patches a second from memory and from chips

Both train the default network by the same steps, in turns. From memory, the batches lie there,
ready; from chips, they are cut, augmented (flips, turns, gain, contrast, speckle) and normalized as
in training.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from sarwater.config import TrainSettings, build_settings
from sarwater.datasets.manifest import read_manifest
from sarwater.datasets.simulated import write_pair
from sarwater.losses.functional import cross_entropy
from sarwater.models.architecture import Architecture
from sarwater.models.segmenter import Segmenter
from sarwater.training.data import prepare
from sarwater.training.patches import PatchDataset, load_batches

RESULTS = Path(__file__).parent / "results" / "patch_loading.json"
SETTINGS: dict[str, Any] = {
    "data": {"domains": ["north"]},
    "patches": {"size": 256, "strategy": "stratified"},
    "augmentation": {"gain_db": 1.0, "band_gain_db": 0.5, "contrast": 0.2, "speckle_looks": 8.0},
    "optimization": {"batch_size": 8},
}


def train(network: Any, optimizer: Any, batches: Iterable[Any], device: str) -> float:
    """Take a step with each batch, and return the seconds."""
    begin = time.perf_counter()
    for batch in batches:
        image, target = (batch[name].to(device, non_blocking=True) for name in ("image", "target"))
        with torch.autocast(device, torch.bfloat16):
            logits = network(image.to(memory_format=torch.channels_last))
        cross_entropy(logits, target).backward()
        optimizer.step()
        optimizer.zero_grad()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def main() -> None:
    """Train by turns from memory and from chips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accelerator", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    device = args.accelerator
    settings = build_settings(TrainSettings, SETTINGS, "benchmark")
    size, steps = settings.optimization.batch_size, args.steps
    network = Segmenter(Architecture(), 2, 2).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters())
    with tempfile.TemporaryDirectory() as folder:
        write_pair(Path(folder), size=2048, chip_size=512)
        data = prepare(settings, read_manifest(Path(folder) / "data.csv"))
        indices = [list(range(start, start + size)) for start in range(0, steps * size, size)]

        def from_chips(epoch: int) -> Iterable[Any]:
            patches = PatchDataset(
                data.train,
                data.sampler,
                epoch,
                data.normalizer,
                data.groups,
                settings.augmentation,
            )
            chosen = [[index % len(patches) for index in batch] for batch in indices]
            return load_batches(patches, chosen, epoch, args.workers)

        held = list(from_chips(0))
        train(network, optimizer, held[:3], device)
        seconds: dict[str, list[float]] = {"memory": [], "chips": []}
        for epoch in range(1, args.repeats + 1):
            seconds["memory"].append(train(network, optimizer, held, device))
            seconds["chips"].append(train(network, optimizer, from_chips(epoch), device))
    median = {name: statistics.median(values) for name, values in seconds.items()}
    result = {
        "accelerator": device,
        "workers": args.workers,
        "patches_per_s": {name: round(steps * size / value, 2) for name, value in median.items()},
        "share_of_speed_in_memory": round(median["memory"] / median["chips"], 3),
        "seconds": {name: [round(v, 3) for v in values] for name, values in seconds.items()},
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
