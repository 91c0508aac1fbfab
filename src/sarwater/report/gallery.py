"""Small pictures of every chip of an evaluation in one zip file, for pages that people look at.

A gallery holds two pictures a chip and ``index.json``:

================ =================================================================================
NNNNNN_image.webp gray bands below each other (the first two; red, green and blue where named so)
NNNNNN_maps.webp  lossless: red is the probability of water in ``STEPS``, green that of a second
                  model where there are two, blue what is known of the pixel (see ``pixel_codes``)
================ =================================================================================

Pictures are thinned out by a whole number n, the smallest that makes the longer side fit: maps and
labels are the pixel in the middle of each n x n block, image bands the mean over its valid pixels.
"""

import io
import json
import math
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sarwater.adaptation.comparison import Example
from sarwater.errors import DataError
from sarwater.evaluation.scores import plain
from sarwater.files import atomic_path, read_errors
from sarwater.inspection.histograms import scale_of, to_scale
from sarwater.report.images import stretch
from sarwater.types import IGNORE, BoolArray, ByteArray, Chip, FloatArray

GALLERY = "gallery.zip"
"""Name of the gallery of an evaluation."""
EXAMPLES = "examples.zip"
"""Name of the gallery of an adaptation: the chips whose two maps differ most."""
SIZE = 192
"""Pixels of a picture's longer side at most, where nothing else is asked for."""

STEPS = 250
"""Steps of the stored probability: step s stands for s / 250 up to the next, so that a map is exact
at thresholds that are multiples of .004 (.1, .2 ... .8 are) and within .004 at others."""

RULE = (
    "thinned out by the smallest whole number that makes the longer side fit: maps and labels are "
    "the pixel in the middle of each block, image bands the mean over its valid pixels"
)

UNLABELLED, VALID, COUNTED = 63, 64, 128
"""Codes of a pixel: the true class or 63 for none, plus 64 with data, plus 128 where it counts."""

_BINS = 40
_LOSSY = {"format": "WEBP", "quality": 62, "method": 3}
_LOSSLESS = {"format": "WEBP", "lossless": True, "quality": 40, "method": 2}


class GalleryWriter:
    """Writes a gallery chip by chip; use as a context."""

    def __init__(self, path: Path, size: int = SIZE) -> None:
        """Open the file.

        Args:
            path: of the zip file.
            size: pixels of the longer side at most, 16 or more.
        """
        self.size = size
        self._path = path
        self._chips: list[dict[str, Any]] = []

    def __enter__(self) -> "GalleryWriter":
        # Pictures are compressed already.
        self._zip = zipfile.ZipFile(self._path, "w", zipfile.ZIP_STORED)
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            index = {"format": 1, "size": self.size, "steps": STEPS, "chips": self._chips}
            self._put("index.json", json.dumps(index, allow_nan=False).encode())
        self._zip.close()

    def add(
        self, chip: Chip, counted: BoolArray, water: FloatArray, second: FloatArray | None = None
    ) -> None:
        """Write the pictures of a chip and note what is known of it.

        Args:
            chip: image and, where there is one, target.
            counted: pixels that count [row, col].
            water: probability of water [row, col].
            second: that of a second model.
        """
        step = max(1, math.ceil(max(chip.valid.shape) / self.size))
        bands, gray = gray_bands(chip, step)
        first = probability_steps(middles(water, step))
        other = first * 0 if second is None else probability_steps(middles(second, step))
        codes = pixel_codes(
            None if chip.target is None else middles(chip.target, step),
            middles(chip.valid, step),
            middles(counted, step),
        )
        maps = np.stack([first, other, codes], axis=-1)
        stem = f"{len(self._chips):06d}"
        self._put(f"{stem}_image.webp", _encoded(np.concatenate(gray), _LOSSY))
        self._put(f"{stem}_maps.webp", _encoded(maps, _LOSSLESS))
        self._chips.append(
            {
                "id": chip.id,
                "domain": chip.domain,
                "step": step,
                "height": gray[0].shape[0],
                "width": gray[0].shape[1],
                "bands": bands,
                "valid_share": float(chip.valid.mean()),
                "values": band_values(chip, counted),
            }
        )

    def _put(self, name: str, content: bytes) -> None:
        # A fixed date: equal chips make equal files.
        self._zip.writestr(zipfile.ZipInfo(name), content)


class Gallery:
    """Reads a gallery; use as a context."""

    def __init__(self, path: Path) -> None:
        """Open the file and read its index.

        Raises:
            DataError: it is damaged, or was written by a newer version.
        """
        self._path = path
        with self._errors(), ExitStack() as stack:
            self._zip = stack.enter_context(zipfile.ZipFile(path))
            index = json.loads(self._zip.read("index.json"))
            if index.get("format") != 1:
                raise DataError(f"{path} was written by a newer sarwater; update this one")
            self.chips: list[dict[str, Any]] = index["chips"]
            """What is known of each chip, in the order of the pictures."""
            stack.pop_all()  # `__exit__` closes the file

    def __enter__(self) -> "Gallery":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def pictures(self, number: int) -> tuple[bytes, bytes]:
        """Return image and maps of a chip as WebP.

        Raises:
            DataError: the file is damaged there.
        """
        stem = f"{number:06d}"
        with self._errors():
            return self._zip.read(f"{stem}_image.webp"), self._zip.read(f"{stem}_maps.webp")

    def _errors(self) -> AbstractContextManager[None]:
        return read_errors(self._path, "make it anew")


def write_examples(examples: Sequence[Example], path: Path) -> None:
    """Write the chips of an adaptation with the probabilities of both models, whole or not at all.

    Args:
        examples: the chips.
        path: of the gallery; a former one is replaced.
    """
    with atomic_path(path, overwrite=True) as aside, GalleryWriter(aside) as gallery:
        for one in examples:
            gallery.add(one.chip, one.chip.valid, *one.water)


def gray_bands(chip: Chip, step: int) -> tuple[list[str], list[ByteArray]]:
    """Return names and small gray pictures [row, col] of the bands that are shown."""
    order = _shown_bands(chip)
    valid = chip.valid
    counts = _block_sums(valid, step)
    seen = counts > 0
    pictures = []
    for index in order:
        values = np.where(valid, to_scale(chip.image[index], chip.units), 0)
        means = _block_sums(values, step) / np.maximum(counts, 1)
        pictures.append(stretch(means.astype(np.float32), seen))
    return [chip.bands[index] for index in order], pictures


def band_values(chip: Chip, counted: BoolArray) -> list[dict[str, Any]]:
    """Return what is known of the values of each band that is shown, over valid pixels.

    Returns:
        For each band ``name``, ``scale`` (what the values measure), ``minimum``, ``maximum``,
        ``histogram`` (pixels in equal bins from minimum to maximum) and ``contrast``: mean over
        land minus mean over water of counted pixels, over sqrt((s_land^2 + s_water^2) / 2); None
        where either is missing or both are constant. No valid pixel gives None for all.
    """
    found = []
    for index in _shown_bands(chip):
        values = to_scale(chip.image[index][chip.valid], chip.units).astype(np.float32)
        entry: dict[str, Any] = {"name": chip.bands[index], "scale": scale_of(chip.units).value}
        if not values.size:
            found.append(entry | dict.fromkeys(("minimum", "maximum", "histogram", "contrast")))
            continue
        low, high = float(values.min()), float(values.max())
        span = max(high - low, 1e-9)
        place = np.minimum((values - low) * np.float32(_BINS / span), _BINS - 1).astype(np.intp)
        entry |= {"minimum": low, "maximum": high}
        entry["histogram"] = np.bincount(place, minlength=_BINS).tolist()
        entry["contrast"] = _contrast(values, chip, counted)
        found.append(entry)
    return found


def _shown_bands(chip: Chip) -> list[int]:
    named = [band.lower() for band in chip.bands]
    if {"red", "green", "blue"} <= set(named):
        return [named.index(name) for name in ("red", "green", "blue")]
    return list(range(min(2, len(named))))


def _contrast(values: FloatArray, chip: Chip, counted: BoolArray) -> float | None:
    if chip.target is None:
        return None
    counts, is_water = counted[chip.valid], (chip.target != 0)[chip.valid]
    land, water = values[counts & ~is_water], values[counts & is_water]
    if not land.size or not water.size:
        return None
    spread = math.sqrt((float(land.var()) + float(water.var())) / 2)
    return plain((float(land.mean()) - float(water.mean())) / spread) if spread > 0 else None


def pixel_codes(target: ByteArray | None, valid: BoolArray, counted: BoolArray) -> ByteArray:
    """Pack what is known of each pixel into a byte: true class, validity, whether it counts.

    >>> pixel_codes(np.uint8([[1, 255]]), np.array([[True, False]]), np.array([[True, False]]))
    array([[193,  63]], dtype=uint8)
    """
    classes = np.full(valid.shape, UNLABELLED, np.uint8)
    if target is not None:
        classes = np.where(target == IGNORE, UNLABELLED, np.minimum(target, UNLABELLED - 1))
    return np.asarray(classes + VALID * valid + COUNTED * counted, np.uint8)


def probability_steps(water: FloatArray) -> ByteArray:
    """Return how many of the thresholds .004, .008 ... .996 each probability passes.

    >>> probability_steps(np.float32([0, 0.1, 0.0999, 1])).tolist()
    [0, 25, 24, 249]
    """
    edges = (np.arange(1, STEPS) * 4 / 1000).astype(np.float32)
    return np.searchsorted(edges, np.asarray(water, np.float32), side="right").astype(np.uint8)


def middles(array: Any, step: int) -> Any:
    """Return the pixel in the middle of each block of ``step`` x ``step`` pixels."""
    rows, cols = (
        np.minimum(np.arange(0, length, step) + step // 2, length - 1) for length in array.shape
    )
    return array[np.ix_(rows, cols)]


def _block_sums(values: Any, step: int) -> Any:
    rows, cols = (np.arange(0, length, step) for length in values.shape)
    return np.add.reduceat(
        np.add.reduceat(values, rows, axis=0, dtype=np.float64), cols, axis=1, dtype=np.float64
    )


def _encoded(picture: ByteArray, options: Mapping[str, Any]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, **options)
    return out.getvalue()
