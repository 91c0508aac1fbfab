"""A small manifest with most of what can be wrong."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from sarwater.datasets.manifest import ChipRecord, LabelCodes, Manifest
from sarwater.raster import write_raster
from sarwater.types import AnyArray, Grid, Units

CODES = (LabelCodes.parse("0=land,1=water,-1=ignore"),)


def speckle(seed: int, level: float = -12.0, shape: tuple[int, int] = (24, 32)) -> AnyArray:
    """Return two bands in decibel."""
    bands = np.random.default_rng(seed).normal(level, 2, (2, *shape))
    return bands.astype(np.float32)


def chip(
    folder: Path,
    name: str,
    image: AnyArray,
    label: AnyArray | None = None,
    *,
    domain: str = "here",
    split: str = "",
    units: Units = Units.DB,
    bands: tuple[str, ...] = ("VV", "VH"),
) -> ChipRecord:
    """Write a chip's files and return its row."""
    grid = Grid(*image.shape[1:])
    write_raster(folder / f"{name}.tif", image, grid, bands=bands)
    labels: tuple[Path, ...] = ()
    if label is not None:
        labels = (folder / f"{name}_label.tif",)
        write_raster(labels[0], label.astype(np.int16), Grid(*label.shape), bands=("label",))
    return ChipRecord(
        id=name,
        domain=domain,
        images=(folder / f"{name}.tif",),
        bands=bands,
        units=units,
        split=split,
        labels=labels,
        codes=CODES if labels else (),
    )


def label(water_rows: int, shape: tuple[int, int] = (24, 32)) -> AnyArray:
    """Return a label whose first rows are water."""
    codes = np.zeros(shape, np.int16)
    codes[:water_rows] = 1
    return codes


def healthy(folder: Path) -> Manifest:
    """Write four chips of two domains with nothing wrong."""
    return Manifest(
        (
            chip(folder, "a", speckle(1), label(12), split="train"),
            chip(folder, "b", speckle(2), label(1), split="train"),
            chip(folder, "c", speckle(3), label(3), split="val"),
            chip(folder, "d", speckle(4, -8), label(2), split="val", domain="there"),
        )
    )


def troubled(folder: Path) -> Manifest:
    """Write chips of which nearly each has something wrong."""
    lost = speckle(5)
    lost[:, :2] = np.nan
    unknown = label(2)
    unknown[5, 5] = 7
    linear = (10 ** (speckle(6) / 10)).astype(np.float32)
    wild = speckle(7)
    wild[0, 3, 3] = -9999
    (folder / "broken.tif").write_bytes(b"II*\0 this is no raster")
    good = chip(folder, "good", speckle(1), label(4), split="train")
    return Manifest(
        (
            good,
            chip(folder, "twin", speckle(1), label(3), split="val"),
            chip(folder, "nodata", np.full((2, 24, 32), np.nan, np.float32), label(3)),
            chip(folder, "partly", lost, label(3), split="train"),
            chip(folder, "blank", speckle(8), label(0) - 1, split="test"),
            chip(folder, "dry", speckle(9), label(0), split="test"),
            chip(folder, "unknown", speckle(10), unknown),
            chip(folder, "misfit", speckle(11), label(3, (10, 10))),
            replace(good, id="broken", images=(folder / "broken.tif",), split=""),
            replace(good, id="gone", images=(folder / "gone.tif",), split=""),
            chip(folder, "linear", linear, label(3)),
            chip(folder, "declared", linear * 2, None, units=Units.LINEAR),
            chip(folder, "wild", wild, label(3)),
            chip(folder, "large", speckle(12, shape=(30, 32)), label(3, (30, 32))),
            chip(folder, "single", speckle(13)[:1], None, bands=("VV",)),
            chip(folder, "flat", np.full((2, 24, 32), -9, np.float32), None),
        )
    )
