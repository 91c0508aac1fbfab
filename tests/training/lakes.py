"""Small chips with lakes, quick settings, and two runs side by side: for tests of whole runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sarwater.config import TrainSettings, build_settings
from sarwater.datasets.manifest import ChipRecord, LabelCodes, Manifest, write_manifest
from sarwater.models.bundle import load_bundle
from sarwater.raster import write_raster
from sarwater.training.folder import RunFolder
from sarwater.types import Grid, Units

ENCODER = "tu-mobilenetv3_small_050"
SIDE = 64

Changes = Mapping[str, Mapping[str, Any]]
"""Settings by concern and name."""


def write_chips(
    folder: Path,
    *,
    water: bool = True,
    domain: str = "lakes",
    brighter_db: float = 0.0,
    seed: int = 1,
) -> Path:
    """Make chips with a dark round lake in speckled land, and their manifest."""
    random = np.random.default_rng(seed)
    rows, cols = np.mgrid[:SIDE, :SIDE]
    records = []
    for index in range(6):
        split = "val" if index == 5 else "train"
        lake = (rows - 20 - 4 * index) ** 2 + (cols - 30) ** 2 < (10 + 2 * index) ** 2
        if split == "val" and not water:
            lake[:] = False
        image = np.where(lake, -20, -9) + random.normal(0, 2, (2, SIDE, SIDE)) + brighter_db
        image[:, :3, :3] = np.nan
        name = f"chip{index}"
        write_raster(folder / f"{name}.tif", image.astype(np.float32), grid(), bands=("VV", "VH"))
        write_raster(folder / f"{name}_l.tif", lake.astype(np.uint8), grid(), bands=("label",))
        records.append(
            ChipRecord(
                name,
                domain,
                (folder / f"{name}.tif",),
                ("VV", "VH"),
                Units.DB,
                split=split,
                labels=(folder / f"{name}_l.tif",),
                codes=(LabelCodes.parse("0=land,1=water"),),
            )
        )
    write_manifest(Manifest(tuple(records)), folder / "data.csv")
    return folder / "data.csv"


def grid() -> Grid:
    return Grid(SIDE, SIDE)


def settings(*more: Changes, **changes: Mapping[str, Any]) -> TrainSettings:
    """Return quick settings with changes, the later ones over the former."""
    values: dict[str, Any] = {
        "patches": {"size": 32},
        "model": {"encoder": ENCODER, "decoder_channels": 16, "detail_channels": 8},
        "optimization": {"epochs": 2, "batch_size": 4},
        "run": {"threads": 1, "accelerator": "cpu", "devices": 1},
    }
    for part in (*more, changes):
        for concern, inner in part.items():
            values[concern] = {**values.get(concern, {}), **inner}
    return build_settings(TrainSettings, values, "test")


EVERYTHING_RANDOM: dict[str, dict[str, Any]] = {
    "patches": {"strategy": "hard", "per_epoch": 16},
    "augmentation": {"gain_db": 1.0, "band_gain_db": 0.5, "speckle_looks": 8},
    "model": {"dropout": 0.3},
    "loss": {"terms": ["cross_entropy", "tversky"], "learned_weights": True},
    "optimization": {"epochs": 3, "average_decay": 0.9},
    "run": {"checkpoint_minutes": 0},
}


def weights(folder: RunFolder) -> Mapping[str, torch.Tensor]:
    return load_bundle(folder.bundle).state


def assert_same_weights(one: RunFolder, other: RunFolder) -> None:
    first, second = weights(one), weights(other)
    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def gradients(learner: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix("module."): parameter.grad.clone()
        for name, parameter in learner.named_parameters()
        if parameter.grad is not None
    }
