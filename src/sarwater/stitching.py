"""Run a network over an image by windows, and blend what they say, a row of windows at a time."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

from sarwater.engines import Engine
from sarwater.errors import ConfigError, ModelError
from sarwater.tiling import Axis
from sarwater.types import AnyArray, BoolArray, FloatArray

_WINDOWS_AHEAD = 16
"""Windows that are given to the engine's threads before they are needed, to keep them busy while
finished rows are taken."""

DEFAULT_BATCH_SIZE = 8
"""Windows that the network sees at once."""

Normalize = Callable[[FloatArray, BoolArray], FloatArray]
"""(image [band, row, col], valid [row, col]) of one window -> normalized image."""

ReadRows = Callable[[int, int], tuple[AnyArray, BoolArray]]
"""(first row, number of rows) -> image [band, row, col], float32 or uint8, and valid [row, col], at
full width."""


@dataclass(frozen=True, eq=False)
class Strip:
    """Finished rows of a prediction, at full width."""

    row: int
    """First row in the image."""
    foreground: FloatArray
    """Probability of each class but the background, float32 [class - 1, row, col] in 0 ... 1; 0
    where not valid."""
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
) -> Generator[Strip, None, None]:
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
    if begin not in (shape[0], *rows.starts):
        raise ConfigError(f"no strip of these windows begins at row {begin}; begin anew, at 0")
    sums = np.zeros((classes - 1, rows.size, cols.length), np.float32)
    work = _Work(engine, windows, cols, classes, normalize)
    with _threads(1) as reader, _threads(engine.parallel) as workers:
        tasks = _tasks(
            work, rows, begin, lambda first: reader.submit(read, first, rows.size), workers
        )
        for task in _ahead(tasks, engine.parallel + -(-_WINDOWS_AHEAD // windows.batch_size)):
            if isinstance(task, _Batch):
                for index, foreground in zip(task.windows, task.predicted.result(), strict=True):
                    start = cols.starts[index]
                    weigh(foreground, task.down, cols.weights[index])
                    sums[:, :, start : start + cols.size] += foreground
                continue
            done = task.end - task.first
            if task.first >= begin:
                finished = sums[:, :done].clip(0, 1)
                if not task.valid[:done].all():
                    finished[:, ~task.valid[:done]] = 0
                yield Strip(task.first, finished, task.valid[:done])
            sums[:, : rows.size - done] = sums[:, done:]
            sums[:, rows.size - done :] = 0


def weigh(values: FloatArray, down: FloatArray, across: FloatArray) -> None:
    """Multiply values [class, row, col] by weights of rows and of columns, in place.

    Most weights are 1, and cost nothing.
    """
    for weights, view in ((down[:, None], values), (across[:, None], values.transpose(0, 2, 1))):
        ones = np.flatnonzero(weights[:, 0] == 1)
        is_run = ones.size > 0 and ones[-1] - ones[0] + 1 == ones.size
        first, last = (ones[0], ones[-1] + 1) if is_run else (len(weights), len(weights))
        view[:, :first] *= weights[:first]
        view[:, last:] *= weights[last:]


@dataclass(frozen=True, eq=False)
class _Batch:
    """Windows of a row that are being predicted."""

    windows: list[int]
    """Their indices in the row."""
    down: FloatArray
    """Blend weights of the row of windows, [row]."""
    predicted: Future[FloatArray]
    """[window, class - 1, row, col]."""


@dataclass(frozen=True, eq=False)
class _RowEnd:
    """All windows of a row have been given out: the image's rows first ... end are finished."""

    first: int
    end: int
    valid: BoolArray


def _tasks(
    work: "_Work",
    rows: Axis,
    begin: int,
    read: Callable[[int], Future[tuple[AnyArray, BoolArray]]],
    workers: ThreadPoolExecutor,
) -> Iterator[_Batch | _RowEnd]:
    """Set the threads to work on one row of windows after the other, as far as they are drawn."""
    spans = [
        (first, end, down)
        for (first, end), down in zip(rows.finished(), rows.weights, strict=True)
        if begin < first + rows.size and begin < rows.length
    ]
    reads = _ahead((read(first) for first, *_ in spans), 1)
    for (first, end, down), one in zip(spans, reads, strict=True):
        image, valid = one.result()
        for batch in work.batches(valid):
            yield _Batch(batch, down, workers.submit(work.predict, image, valid, batch))
        yield _RowEnd(first, end, valid)


@dataclass(frozen=True, eq=False)
class _Work:
    """What is done to a row of windows."""

    engine: Engine
    windows: Windows
    cols: Axis
    classes: int
    normalize: Normalize | None

    def batches(self, valid: BoolArray) -> list[list[int]]:
        """Return the windows of a row that have a valid pixel, by batches."""
        starts, size, step = self.cols.starts, self.cols.size, self.windows.batch_size
        chosen = [i for i, start in enumerate(starts) if valid[:, start : start + size].any()]
        return [chosen[begin : begin + step] for begin in range(0, len(chosen), step)]

    def predict(self, image: AnyArray, valid: BoolArray, batch: list[int]) -> FloatArray:
        """Return the foreground's probability in some windows, [window, class - 1, row, col]."""
        rows, patch = valid.shape[0], self.windows.patch_size
        patches = np.zeros((len(batch), image.shape[0], patch, patch), np.float32)
        for position, index in enumerate(batch):
            span = slice(self.cols.starts[index], self.cols.starts[index] + self.cols.size)
            cut = image[:, :, span].astype(np.float32, copy=False)
            if self.normalize is not None:
                cut = self.normalize(cut, valid[:, span])
            patches[position, :, :rows, : self.cols.size] = cut
        found = _checked(self.engine.predict(patches), (len(batch), self.classes, patch, patch))
        # A copy: it is blended in place, and the rest of what the engine returned goes.
        return found[:, 1:, :rows, : self.cols.size].copy()


_T = TypeVar("_T")


def _ahead(items: Iterator[_T], number: int) -> Iterator[_T]:
    """Yield the items, each when ``number`` following ones were drawn."""
    held: deque[_T] = deque(islice(items, number))
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
