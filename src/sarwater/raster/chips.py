"""Chips of a manifest: image, validity and labels of one grid."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from sarwater.datasets.manifest import ChipRecord, LabelCodes
from sarwater.errors import DataError
from sarwater.raster.grids import check_same_grid
from sarwater.raster.missing import take_declared, take_transparent
from sarwater.raster.opening import header_of, opened, reading
from sarwater.raster.scene import Scene
from sarwater.types import IGNORE, AnyArray, BoolArray, ByteArray, Chip, Grid

_LARGEST = 2.0**31
"""Labels are smaller than this; no data of float files may be larger by far."""


def read_chip(record: ChipRecord, *, with_target: bool = True) -> Chip:
    """Read one chip of a manifest.

    Args:
        record: the manifest's row.
        with_target: read the labels, if there are any; label files are not opened otherwise.

    Raises:
        RasterError: a file cannot be read.
        DataError: image and labels do not fit, or a label value is in no table of codes.
    """
    with Scene(
        record.images, bands=record.bands, units=record.units, nodata=record.nodata
    ) as scene:
        grid = scene.grid
        image, valid = scene.read(0, 0, grid.height, grid.width)
    target = None
    if with_target and record.labels:
        target = read_target(record, grid)
    return Chip(record.id, record.domain, record.bands, record.units, image, valid, target, grid)


def read_target(record: ChipRecord, grid: Grid | None = None) -> ByteArray:
    """Read a chip's labels as class indices, later files over earlier ones.

    Raises:
        RasterError: a file cannot be read.
        DataError: a label's grid is not the image's, or a value is in no table of codes.
    """
    target: ByteArray | None = None
    for path, codes in zip(record.labels, record.codes, strict=True):
        label = _read_label(path)
        if grid is not None:
            check_same_grid(grid, label.grid, record.images[0], path)
        if target is None:
            target = np.full(label.values.shape, IGNORE, np.uint8)
        _decode(label, codes, record.classes, target, path)
    if target is None:
        raise DataError(f"chip '{record.id}' has no label files")
    return target


def label_values(path: str | Path) -> dict[int, int]:
    """Count the values of a label file (its no data, declared or masked, left out)."""
    label = _read_label(Path(path))
    found, counts = np.unique(label.values[label.seen], return_counts=True)
    return {int(v): int(n) for v, n in zip(found, counts, strict=True) if v != label.nodata}


class _Label(NamedTuple):
    """A label file's content, not decoded."""

    values: AnyArray
    """Whole numbers [row, col]."""
    nodata: float | None
    """The value among them that stands for no data; a table of codes may give it a meaning."""
    seen: BoolArray
    """False where the file's mask or its alpha band hides the value [row, col]."""
    grid: Grid


def _read_label(path: Path) -> _Label:
    with opened(path) as dataset, reading(path):
        header = header_of(path, dataset)
        values = dataset.read(1)
        for channel in range(2, min(header.count, 3) + 1):
            if not np.array_equal(values, dataset.read(channel)):
                raise DataError(
                    f"{path} has {header.count} channels that differ; a label file has one "
                    "channel of whole numbers"
                )
        nodata = dataset.nodata
        seen = np.ones(values.shape, np.bool_)
        whole = Window(0, 0, dataset.width, dataset.height)
        if MaskFlags.per_dataset in dataset.mask_flag_enums[0]:
            take_declared(dataset, 1, whole, values, seen)
        if header.has_alpha:
            take_transparent(dataset, header.count + 1, whole, seen)
    if values.dtype.kind == "f":
        values, nodata = _whole(np.where(seen, values.astype(np.float64), np.nan), nodata, path)
    return _Label(values, nodata, seen, header.grid)


def _whole(values: AnyArray, nodata: float | None, path: Path) -> tuple[AnyArray, float]:
    """Return labels of floats as whole numbers, and the one that stands for no data."""
    missing = ~np.isfinite(values)
    if nodata is None or not abs(nodata) < _LARGEST:  # none, NaN, infinite, or float32's lowest
        if nodata is not None:
            missing |= np.isclose(values, nodata, rtol=1e-6, atol=0)
        nodata = -_LARGEST
    values = np.where(missing, nodata, values)
    whole = values.round()
    if not np.array_equal(values, whole):
        raise DataError(f"{path} holds fractions; a label file holds whole numbers")
    largest = np.abs(whole).max(initial=0)
    if largest > _LARGEST:
        raise DataError(
            f"{path} holds a value of size {largest:g}, which is no label and is not declared as "
            "no data either; a label file holds small whole numbers: declare it as the file's "
            "no-data value, or correct the file"
        )
    return whole.astype(np.int64), nodata


def _decode(
    label: _Label, codes: LabelCodes, classes: Sequence[str], target: ByteArray, path: Path
) -> None:
    meanings = {name: index for index, name in enumerate(classes)} | {"ignore": IGNORE}
    unknown: dict[int, int] = {}
    values, nodata = label.values, label.nodata
    for value, count in zip(*np.unique(values[label.seen], return_counts=True), strict=True):
        meaning = codes.table.get(int(value))
        if meaning is None:
            meaning = "ignore" if nodata is not None and value == nodata else codes.other
        if meaning is None:
            unknown[int(value)] = int(count)
        elif meaning != "keep":
            target[values == value] = meanings[meaning]
    target[~label.seen] = IGNORE
    if unknown:
        listed = ", ".join(f"{value} ({count} px)" for value, count in unknown.items())
        raise DataError(
            f"{path} has label values that nobody declared: {listed}; the table of codes is "
            f"'{codes}': correct the file, or add them to the manifest's column codes"
        )
