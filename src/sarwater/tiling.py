"""Windows over an image and the weights that blend their predictions; pure arithmetic."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarwater.errors import ConfigError
from sarwater.types import FloatArray

DEFAULT_OVERLAP = 64
"""Pixels that neighboring windows share, where the patch is large enough for that."""


def default_overlap(patch: int) -> int:
    """Return ``DEFAULT_OVERLAP``, but at most a quarter of the patch.

    >>> default_overlap(512), default_overlap(64)
    (64, 16)
    """
    return min(DEFAULT_OVERLAP, patch // 4)


def window_starts(length: int, patch: int, overlap: int) -> tuple[int, ...]:
    """Return where the windows along an axis start.

    Windows lie ``patch - overlap`` apart; the last one is shifted inwards to end at the border.
    An axis shorter than the patch has one window, which starts at 0.

    Args:
        length: pixels of the axis, at least 1.
        patch: pixels of a window.
        overlap: pixels that neighbors share, 0 ... patch - 1.

    Raises:
        ConfigError: a value is out of range.

    >>> window_starts(10, 4, 1)
    (0, 3, 6)
    >>> window_starts(11, 4, 1)
    (0, 3, 6, 7)
    """
    if length < 1 or patch < 1 or not 0 <= overlap < patch:
        raise ConfigError(
            f"cannot lay windows of {patch} px with an overlap of {overlap} px over {length} px: "
            "the overlap is at least 0 and smaller than the window, and nothing is empty"
        )
    if length <= patch:
        return (0,)
    return (*range(0, length - patch, patch - overlap), length - patch)


def blend_weights(length: int, patch: int, overlap: int) -> tuple[FloatArray, ...]:
    """Return the weights of each window's positions along an axis.

    Before normalization the d-th position from an edge that has a neighbor weighs
    (1 - cos(pi (d + 1/2) / overlap)) / 2 for d < overlap, and 1 further inside (a raised cosine).
    The weights of all windows that cover a position are then divided by their sum, so that they
    add up to 1 (within float32), and are exactly 1 where a single window lies.

    Args:
        length: pixels of the axis.
        patch: pixels of a window.
        overlap: pixels that neighbors share.

    Returns:
        For each of ``window_starts`` a float32 array of min(patch, length) values in (0, 1].

    >>> [weights.tolist() for weights in blend_weights(5, 3, 1)]
    [[1.0, 1.0, 0.5], [0.5, 1.0, 1.0]]
    """
    starts = window_starts(length, patch, overlap)
    size = min(patch, length)
    ramp = np.ones(size)
    distance = np.arange(min(overlap, size))
    ramp[: len(distance)] = (1 - np.cos(np.pi * (distance + 0.5) / max(overlap, 1))) / 2
    total = np.zeros(length)
    raw: list[NDArray[np.float64]] = []
    for start in starts:
        weights = np.ones(size)
        if start > 0:
            weights = np.minimum(weights, ramp)
        if start + size < length:
            weights = np.minimum(weights, ramp[::-1])
        total[start : start + size] += weights
        raw.append(weights)
    return tuple(
        (weights / total[start : start + size]).astype(np.float32)
        for start, weights in zip(starts, raw, strict=True)
    )


@dataclass(frozen=True, eq=False)
class Axis:
    """The windows along one axis of an image."""

    length: int
    """Pixels of the axis."""
    size: int
    """Pixels of a window that lie in the image: the patch, or the axis where it is shorter."""
    starts: Sequence[int]
    """First pixel of each window, ascending."""
    weights: Sequence[FloatArray]
    """Blend weights of each window, [size]."""

    @classmethod
    def of(cls, length: int, patch: int, overlap: int) -> "Axis":
        """Lay windows of ``patch`` pixels over an axis.

        Raises:
            ConfigError: the overlap is not smaller than the patch.
        """
        starts = window_starts(length, patch, overlap)
        return cls(length, min(patch, length), starts, blend_weights(length, patch, overlap))

    def finished(self) -> Iterator[tuple[int, int]]:
        """Yield for each window the range [first, end) that no later window covers.

        >>> list(Axis.of(11, 4, 1).finished())
        [(0, 3), (3, 6), (6, 7), (7, 11)]
        """
        ends = [*self.starts[1:], self.length]
        yield from zip(self.starts, ends, strict=True)
