"""Run a network over an image by windows, and blend what they say, a row of windows at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from sarwater.engines import Engine
from sarwater.errors import ConfigError, ModelError
from sarwater.tiling import Axis
from sarwater.types import BoolArray, FloatArray

DEFAULT_BATCH_SIZE = 8
"""Windows that the network sees at once."""

Normalize = Callable[[FloatArray, BoolArray], FloatArray]
"""(image [band, row, col], valid [row, col]) of one window -> normalized image."""

ReadRows = Callable[[int, int], tuple[FloatArray, BoolArray]]
"""(first row, number of rows) -> image [band, row, col] and valid [row, col], at full width."""


@dataclass(frozen=True, eq=False)
class Strip:
    """Finished rows of a prediction, at full width."""

    row: int
    """First row in the image."""
    probability: FloatArray
    """float32 [class, row, col] in 0 ... 1; 0 where not valid."""
    valid: BoolArray
    """bool [row, col]."""


@dataclass(frozen=True)
class Windows:
    """How an image is cut, run and blended."""

    patch_size: int
    """Side of a window in pixels."""
    overlap: int
    """Pixels that neighboring windows share, 0 ... patch_size - 1."""
    batch_size: int = DEFAULT_BATCH_SIZE
    """Windows that the network sees at once."""

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ConfigError: all values that are out of range.
        """
        wrong = []
        if self.patch_size < 1:
            wrong.append(f"patch_size: at least 1, found {self.patch_size}")
        elif not 0 <= self.overlap < self.patch_size:
            wrong.append(
                f"overlap: 0 to {self.patch_size - 1} (below the patch size), found {self.overlap}"
            )
        if self.batch_size < 1:
            wrong.append(f"batch_size: at least 1, found {self.batch_size}")
        if wrong:
            raise ConfigError("the windows cannot be laid: " + "; ".join(wrong))


def predict_strips(
    read: ReadRows,
    shape: tuple[int, int],
    engine: Engine,
    windows: Windows,
    *,
    classes: int = 2,
    normalize: Normalize | None = None,
) -> Iterator[Strip]:
    """Predict an image of any height, a row of windows at a time.

    Memory follows patch size times width: only rows that a later window may still change are
    held. The strips follow one another from the first row to the last. The probability of a pixel
    is the sum of what its windows say times their ``blend_weights``.

    Args:
        read: gives the rows of the image.
        shape: rows and columns of the image.
        engine: runs the network.
        windows: how to cut.
        classes: number of classes k.
        normalize: applied to each window by itself, after it was cut.

    Raises:
        ModelError: the engine returns another shape, or numbers that are not finite.
    """
    rows = Axis.of(shape[0], windows.patch_size, windows.overlap)
    cols = Axis.of(shape[1], windows.patch_size, windows.overlap)
    sums = np.zeros((classes, rows.size, cols.length), np.float32)
    for (first, end), down in zip(rows.finished(), rows.weights, strict=True):
        image, valid = read(first, rows.size)
        for index, probability in _predict_row(
            image, valid, cols, engine, windows, classes, normalize
        ):
            start = cols.starts[index]
            weights = down[:, None] * cols.weights[index]
            sums[:, :, start : start + cols.size] += probability * weights
        done = end - first
        finished = np.where(valid[:done], sums[:, :done].clip(0, 1), np.float32(0))
        yield Strip(first, finished, valid[:done])
        sums[:, : rows.size - done] = sums[:, done:]
        sums[:, rows.size - done :] = 0


def _predict_row(
    image: FloatArray,
    valid: BoolArray,
    cols: Axis,
    engine: Engine,
    windows: Windows,
    classes: int,
    normalize: Normalize | None,
) -> Iterator[tuple[int, FloatArray]]:
    """Yield (index, probability [k, row, col]) of each window of a row that has a valid pixel."""
    chosen = [
        index
        for index, start in enumerate(cols.starts)
        if valid[:, start : start + cols.size].any()
    ]
    rows, patch = valid.shape[0], windows.patch_size
    for begin in range(0, len(chosen), windows.batch_size):
        batch = chosen[begin : begin + windows.batch_size]
        patches = np.zeros((len(batch), image.shape[0], patch, patch), np.float32)
        for position, index in enumerate(batch):
            span = slice(cols.starts[index], cols.starts[index] + cols.size)
            cut = image[:, :, span]
            if normalize is not None:
                cut = normalize(cut, valid[:, span])
            patches[position, :, :rows, : cols.size] = cut
        probabilities = _checked(engine.predict(patches), (len(batch), classes, patch, patch))
        for index, probability in zip(batch, probabilities, strict=True):
            yield index, probability[:, :rows, : cols.size]


def _checked(probabilities: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    if probabilities.shape != shape:
        raise ModelError(
            f"the network returned probabilities of shape {probabilities.shape}, expected {shape} "
            "(patch, class, row, col); the model does not fit its description"
        )
    if not np.isfinite(probabilities).all():
        raise ModelError(
            "the network returned numbers that are not finite; its weights are damaged, the "
            "image holds values far beyond what it was trained on (check units and no data), or "
            "bfloat16 is too narrow for it: run it in float32"
        )
    return probabilities
