"""Run a network over an image by windows, and blend what they say, a row of windows at a time."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

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
    begin: int = 0,
) -> Iterator[Strip]:
    """Predict an image of any height, a row of windows at a time.

    Reading, the network and what is done with the strips overlap: a thread reads one row of
    windows ahead, and the engine's own threads normalize and predict while finished rows are
    taken. Memory follows patch size times width: only rows that a later window may still change
    are held. The strips follow one another from the first row to the last. The probability of a
    pixel is the sum of what its windows say times their ``blend_weights``, added in the order of
    the windows, whichever is ready first.

    Args:
        read: gives the rows of the image; called in one thread at a time.
        shape: rows and columns of the image.
        engine: runs the network.
        windows: how to cut.
        classes: number of classes k.
        normalize: applied to each window by itself, after it was cut; called in several threads.
        begin: first row to yield, where a strip began when rows above were yielded before; the
            strips are bitwise those that followed then.

    Raises:
        ConfigError: no strip begins at ``begin``.
        ModelError: the engine returns another shape, or numbers that are not finite.
    """
    rows = Axis.of(shape[0], windows.patch_size, windows.overlap)
    cols = Axis.of(shape[1], windows.patch_size, windows.overlap)
    spans = [span for span in rows.finished() if begin < span[0] + rows.size]
    if begin not in (shape[0], *rows.starts):
        raise ConfigError(f"no strip of these windows begins at row {begin}; begin anew, at 0")
    sums = np.zeros((classes, rows.size, cols.length), np.float32)
    work = _Work(engine, windows, cols, classes, normalize)
    with _threads(1) as reader, _threads(engine.parallel) as workers:
        reads = (reader.submit(read, first, rows.size) for first, _ in spans)
        begun = (work.begin(*one.result(), workers) for one in _one_ahead(reads))
        weights_down = rows.weights[len(rows.weights) - len(spans) :]
        ahead = zip(spans, weights_down, _one_ahead(begun), strict=True)
        for (first, end), down, (valid, predicted) in ahead:
            for index, probability in predicted:
                start = cols.starts[index]
                weights = down[:, None] * cols.weights[index]
                sums[:, :, start : start + cols.size] += probability * weights
            done = end - first
            if first >= begin:
                finished = np.where(valid[:done], sums[:, :done].clip(0, 1), np.float32(0))
                yield Strip(first, finished, valid[:done])
            sums[:, : rows.size - done] = sums[:, done:]
            sums[:, rows.size - done :] = 0


_Predicted = Iterator[tuple[int, FloatArray]]
"""(index, probability [k, row, col]) of the windows of a row that have a valid pixel."""


@dataclass(frozen=True, eq=False)
class _Work:
    """What is done to a row of windows."""

    engine: Engine
    windows: Windows
    cols: Axis
    classes: int
    normalize: Normalize | None

    def begin(
        self, image: FloatArray, valid: BoolArray, workers: ThreadPoolExecutor
    ) -> tuple[BoolArray, _Predicted]:
        """Set the threads to work on a row; what comes back waits for them."""
        starts, size, step = self.cols.starts, self.cols.size, self.windows.batch_size
        chosen = [i for i, start in enumerate(starts) if valid[:, start : start + size].any()]
        batches = [chosen[begin : begin + step] for begin in range(0, len(chosen), step)]
        futures = deque(workers.submit(self._predict, image, valid, one) for one in batches)
        return valid, self._take(batches, futures)

    def _take(self, batches: list[list[int]], futures: deque[Future[FloatArray]]) -> _Predicted:
        for batch in batches:
            yield from zip(batch, futures.popleft().result(), strict=True)

    def _predict(self, image: FloatArray, valid: BoolArray, batch: list[int]) -> FloatArray:
        rows, patch = valid.shape[0], self.windows.patch_size
        patches = np.zeros((len(batch), image.shape[0], patch, patch), np.float32)
        for position, index in enumerate(batch):
            span = slice(self.cols.starts[index], self.cols.starts[index] + self.cols.size)
            cut = image[:, :, span]
            if self.normalize is not None:
                cut = self.normalize(cut, valid[:, span])
            patches[position, :, :rows, : self.cols.size] = cut
        found = _checked(self.engine.predict(patches), (len(batch), self.classes, patch, patch))
        return found[:, :, :rows, : self.cols.size]


_T = TypeVar("_T")


def _one_ahead(items: Iterator[_T]) -> Iterator[_T]:
    """Yield the items, each when the next one was begun."""
    held = deque(islice(items, 1))
    for following in items:
        held.append(following)
        yield held.popleft()
    yield from held


@contextmanager
def _threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that give up what they have not begun when the block is left."""
    pool = ThreadPoolExecutor(number)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


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
