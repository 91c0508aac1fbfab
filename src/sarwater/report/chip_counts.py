"""Counts of all chips as a short string of bytes, for a page that scores them at any threshold."""

import numpy as np
from numpy.typing import NDArray

from sarwater.evaluation.counts import IntArray, ThresholdCounts


def packed_counts(counts: ThresholdCounts) -> bytes:
    """Pack the histograms of a stack of chips: water by bin, then land by bin, chip after chip."""
    both = np.stack([counts.positives, counts.negatives], axis=1)
    return variable_length(both.ravel())


def variable_length(values: IntArray) -> bytes:
    """Write whole numbers (0 or more) in groups of seven bits, the lowest first (LEB128).

    Most bins hold few pixels: a byte each in place of eight.

    >>> variable_length(np.array([5, 300])).hex()
    '05ac02'
    """
    left = np.asarray(values, np.int64)
    groups: list[NDArray[np.uint8]] = []
    used = [np.full(left.shape, True)]
    while True:
        low, left = left & 0x7F, left >> 7
        groups.append((low | ((left > 0) << 7)).astype(np.uint8))
        if not left.any():
            break
        used.append(groups[-1] >= 0x80)
    return bytes(np.stack(groups, axis=1)[np.stack(used, axis=1)])
