"""What the founding documents claim of thresholds, weights and losses, measured.

command:  python experiments/founding_claims.py --data $SARWATER_DATA; after compare_recipes.py
          (results and the model cross_entropy-s0) and benchmarks/adaptation.py (learned weights)
hardware: one core, about two minutes
result:   experiments/results/founding_claims.json, docs/experiments.md tells of it
"""

import argparse
import csv
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from compare_recipes import RESULTS, TESTS, Row, tables
from sarwater.datasets.manifest import read_manifest
from sarwater.losses import functional
from sarwater.models.bundle import load_bundle
from sarwater.normalize import group_statistics
from sarwater.raster import read_chip

OUT = RESULTS.with_name("founding_claims.json")
SIZE = 128
_WET = 256 * 256 / 100
GAMMAS = (0.0, 1.0, 2.0, 5.0)
TVERSKY = {"tversky": None, "gamma 4/3": 4 / 3, "gamma 3/4": 3 / 4}


def sweeps(rows: list[Row]) -> dict[str, Any]:
    """Where precision rises and recall falls with the threshold, and where F1 is best.

    ``half_of_best_f1`` is where the best F1 of calibrated probabilities lies (Lipton et al. 2014).
    """
    found: dict[str, Any] = {}
    for row in rows:
        if row["name"] in ("cross_entropy", "weights_1_3", "weights_1_8"):
            for test in TESTS:
                sweep = row[test]["sweep"]
                found[f"{row['name']}-s{row['seed']}-{test}"] = {
                    "precision_rises": _is_sorted([one["precision"] for one in sweep]),
                    "recall_falls": _is_sorted([-one["recall"] for one in sweep]),
                    "best": row[test]["best"],
                    "half": row[test]["half"],
                    "half_of_best_f1": round(row[test]["best"]["f1"] / 2, 3),
                }
    return found


def false_positives(rows: list[Row]) -> dict[str, Any]:
    """Precision and recall at .5 of the Tversky losses, by what a false positive costs.

    At one threshold for all: one of its own would move back what the weights moved.
    """
    found: dict[str, Any] = {}
    for row in rows:
        if row["name"] in ("tversky_fp", "tversky_half", "tversky_fn"):
            for test in TESTS:
                half = row[test]["half"]
                kept = {key: half[key] for key in ("precision", "recall", "f1")}
                found[f"{row['name']}-s{row['seed']}-{test}"] = kept
    return found


def hard_chips(rows: list[Row]) -> dict[str, Any]:
    """F1 on the third of the wet chips on which the reference's F1 is lowest, and on the rest.

    A chip is wet with a hundredth of water or more. The reference is cross-entropy of the other
    seed where there is one, so that no recipe is compared on chips that were hard for itself.
    """
    found: dict[str, Any] = {}
    plain = {row["seed"]: row for row in rows if row["name"] == "cross_entropy"}
    for row in rows:
        if row["name"].startswith(("cross", "focal", "tversky_per")):
            other = plain[max(plain, key=lambda seed: seed != row["seed"])]
            for test in TESTS:
                known, own = (np.asarray(one[test]["counts"]) for one in (other, row))
                wet = known[0] + known[2] >= _WET
                f1 = 2 * known[0] / np.maximum(2 * known[0] + known[1] + known[2], 1)
                hard = wet & (f1 <= np.quantile(f1[wet], 1 / 3))
                found[f"{row['name']}-s{row['seed']}-{test}"] = {
                    "hard": _pooled(own[:, hard]),
                    "others": _pooled(own[:, ~hard]),
                }
    return found


def gradients(model: Path, folder: Path) -> dict[str, Any]:
    """Which pixels and patches the gradient of a loss comes from, at a trained network.

    ``wrong`` pixels have a probability of their class under .5; ``low`` patches, of those with
    water, a Tversky index under .5. Shares of the sum of |gradient| by the logits.
    """
    logits, target = _predicted(model, folder)
    of_class = logits.softmax(1).gather(1, target.clamp(max=1)[:, None].long())[:, 0]
    counts = target != 255
    wrong = counts & (of_class < 0.5)
    focal = {"share_of_pixels": _share(counts.float(), wrong)}
    for gamma in GAMMAS:
        size = _gradient(logits, lambda z, g=gamma: functional.focal(z, target, gamma=g))
        focal[f"gamma {gamma:g}"] = _share(size, wrong)
    wet = (target == 1).flatten(1).any(1)
    logits, target = logits[wet], target[wet]
    index = torch.stack(
        [
            1 - functional.tversky(z[None], t[None], per_patch=True)
            for z, t in zip(logits, target, strict=True)
        ]
    )
    low = index < 0.5
    tversky: dict[str, Any] = {
        "patches": len(index),
        "share_of_patches": float(low.float().mean()),
    }
    for name, gamma in TVERSKY.items():

        def loss(z: Tensor, gamma: float | None = gamma) -> Tensor:
            if gamma is None:
                return functional.tversky(z, target, per_patch=True)
            return functional.focal_tversky(z, target, gamma=gamma, per_patch=True)

        by_patch = _gradient(logits, loss).flatten(1).sum(1)
        tversky[name] = _share(by_patch, low)
    return {"focal": focal, "focal_tversky": tversky}


def learned_weights(adaptation: Path, recipes: Path) -> dict[str, Any]:
    """How far learned weights go, and what each loss then adds: L / (2 c^2).

    ``settled`` is where they would come to rest at the losses of that epoch: where the derivative
    of L / (2 c^2) + ln(1 + c^2) by c is 0, c^2 = (L + sqrt(L^2 + 8 L)) / 4. A loss then adds about
    the square root of itself, sqrt(L / 2) for small L.
    """
    files = sorted(adaptation.glob("runs/*-founding-s0/curves.csv"))
    files += sorted(recipes.glob("learned_sum-s*/curves.csv"))
    found: dict[str, Any] = {}
    for file in files:
        with file.open() as text:
            rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(text)]
        names = [key[2:] for key in rows[0] if key.startswith("c_")]
        for when, row in (("first", rows[0]), ("last", rows[-1])):
            losses = np.array([row[f"train_{name}"] for name in names])
            weights = np.array([row[f"c_{name}"] for name in names])
            settled = np.sqrt((losses + np.sqrt(losses**2 + 8 * losses)) / 4)
            values = {
                "loss": losses,
                "c": weights,
                "share": _shares(losses / weights**2),
                "share_of_plain_sum": _shares(losses),
                "settled_c": settled,
                "settled_share": _shares(losses / settled**2),
            }
            found.setdefault(file.parent.name, {"epochs": len(rows)})[when] = {
                key: dict(zip(names, np.round(each, 4).tolist(), strict=True))
                for key, each in values.items()
            }
    return found


def _shares(values: Any) -> Any:
    return values / values.sum()


def _predicted(model: Path, folder: Path) -> tuple[Tensor, Tensor]:
    """Return logits and labels of all training patches, side by side without overlap."""
    bundle = load_bundle(model)
    network = bundle.build().eval()
    chips = [read_chip(r) for r in read_manifest(folder / "alabama.csv").select(split="train")]
    own = group_statistics(("", chip) for chip in chips)[""]
    logits, targets = [], []
    for chip in chips:
        image = bundle.info.normalization.apply(chip.image, chip.valid, own)
        assert chip.target is not None
        with torch.inference_mode():
            for row in range(0, chip.valid.shape[0], SIZE):
                for col in range(0, chip.valid.shape[1], SIZE):
                    part = np.s_[row : row + SIZE, col : col + SIZE]
                    if chip.valid[part].any():
                        logits.append(network(torch.from_numpy(image[:, *part][None]))[0])
                        target = np.where(chip.valid[part], chip.target[part], 255)
                        targets.append(torch.from_numpy(target.astype(np.uint8)))
    return torch.stack(logits), torch.stack(targets)


def _gradient(logits: Tensor, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """Return |gradient| by the logit of water [b, h, w]."""
    leaf = logits.clone().requires_grad_()
    loss(leaf).backward()
    assert leaf.grad is not None
    return leaf.grad[:, 1].abs()


def _share(values: Tensor, chosen: Tensor) -> float:
    return round(float(values[chosen].double().sum() / values.double().sum()), 4)


def _is_sorted(values: list[float]) -> bool:
    return all(low <= high for low, high in itertools.pairwise(values))


def _pooled(counts: Any) -> float:
    tp, fp, fn = counts.sum(axis=1)
    return round(float(2 * tp / max(2 * tp + fp + fn, 1)), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("SARWATER_DATA"))
    parser.add_argument("--work", type=Path, default=Path("runs/recipes"))
    parser.add_argument("--adaptation", type=Path, default=Path("runs/bench"))
    args = parser.parse_args()
    rows: list[Row] = json.loads(RESULTS.read_text())["runs"]
    model = args.work / "cross_entropy-s0" / "model.safetensors"
    found = {
        "sweeps": sweeps(rows),
        "false_positives": false_positives(rows),
        "hard_chips": hard_chips(rows),
        "gradients": gradients(model, tables(args.data, args.work)),
        "learned_weights": learned_weights(args.adaptation, args.work),
    }
    OUT.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found["gradients"], indent=1))


if __name__ == "__main__":
    main()
