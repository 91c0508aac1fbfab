"""Simulated regions as 8-bit products, beside the labelled events that a model learns from.

Their water is rough in places and their land dark, and their speckle is raw: what the three
events do not show.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import rasterio

from commands import sarwater
from sarwater.datasets.manifest import ChipRecord, Manifest, read_manifest, write_manifest
from sarwater.types import Units

SEEDS = {"train": (101, 102, *range(104, 110)), "test": (103,)}
"""Numbers of the pairs of regions: for training, and for the check on pairs that were not."""
PAIRS = 2
"""As many of them train the model in the box; eight made it worse on real events."""
_SIZE = 1024
_DECIBELS = ((-28.0, 4.0), (-42.0, -8.0))
"""Backscatter of VV and VH at 1 and at 255, about where the events' products have it."""


def simulated(tables: Path, use: str, pairs: int = PAIRS) -> Manifest:
    """Return the chips of simulated regions as 8-bit products, made once; a region is a domain.

    Args:
        tables: folder of the experiment's tables.
        use: a key of ``SEEDS``.
        pairs: how many of them at most.
    """
    table = tables / f"simulated_{use}.csv"
    if not table.exists():
        records: list[ChipRecord] = []
        for seed in SEEDS[use][:pairs]:
            pair = tables / "simulated" / str(seed)
            line = ("simulate", "--out", pair, "--size", _SIZE, "--seed", seed, "--overwrite")
            sarwater(*line, log=tables / "simulated.log")
            for record in read_manifest(pair / "data.csv"):
                name = f"simulated_{record.domain}_{seed}"
                records.append(
                    replace(
                        record,
                        id=f"{record.id}_{seed}",
                        domain=name,
                        scene=name,
                        split="train" if use == "train" else "test",
                        units=Units.BYTE,
                        images=(_as_bytes(record.images[0]),),
                        extra={},
                    )
                )
        write_manifest(Manifest(tuple(records)), table)
    return read_manifest(table)


def _as_bytes(path: Path) -> Path:
    """Write an image in dB as 1 ... 255, 0 for no data, and return where."""
    out = path.with_name(f"{path.stem}_8bit.tif")
    with rasterio.open(path) as source:
        decibels, profile = source.read(), source.profile
    low, high = (np.reshape(ends, (-1, 1, 1)) for ends in zip(*_DECIBELS, strict=True))
    scaled = 1 + 254 * (decibels - low) / (high - low)
    values = np.where(np.isfinite(scaled), np.clip(np.round(scaled), 1, 255), 0)
    profile.update(dtype="uint8", nodata=0)
    with rasterio.open(out, "w", **profile) as image:
        image.write(values.astype(np.uint8))
    return out
