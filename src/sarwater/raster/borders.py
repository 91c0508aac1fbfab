"""The borders of 8-bit products, whose no data is the brightest value and the darkest."""

from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from sarwater.types import AnyArray, BoolArray, ByteArray

STRIP = 256
"""Rows that are looked at together."""

_HELD = 64 << 20
"""Bytes of results that are held, a bit a pixel: those of a whole Sentinel-1 scene."""

_Ids = NDArray[np.int64]

Read = Callable[[int, int], AnyArray]
"""(first row, number of rows) -> all bands [band, row, col], at full width."""


def border_valid(image: AnyArray) -> BoolArray:
    """Find the borders of an 8-bit product: what is valid is True.

    255 in all bands is no data; so is 0 in all bands where such pixels are connected (by edges)
    to it. Any other zero is the darkest valid water, and 255 in some bands only a bright target.

    Args:
        image: [band, row, col], values 0 ... 255.

    >>> import numpy as np
    >>> row = np.array([[255, 0, 0, 7, 0]])
    >>> border_valid(np.stack([row, row])).tolist()
    [[False, False, False, True, True]]
    """
    bright, dark = _bright_and_dark(image)
    return ~_connected(bright, bright | dark)


class Borders:
    """``border_valid`` of a scene of any height, of which a few rows are in memory at once.

    A border may wind through the whole scene. A first pass labels the connected pixels of each
    strip of rows and joins the labels where strips meet; what is kept of it is which pixels in the
    first and the last row of each strip belong to the border. From these the border within a strip
    follows when its rows are asked for.
    """

    def __init__(self, read: Read, height: int) -> None:
        """Look through the scene.

        Args:
            read: of the scene; not held, since a scene that holds its borders would then never
                be given up by itself.
            height: rows of the scene.
        """
        self._height = height
        self._held: OrderedDict[int, ByteArray] = OrderedDict()
        self._bytes = 0
        edges, bright = self._labelled_edges(read)
        self._reached = _joined(edges, bright)

    def valid(self, read: Read, row: int, rows: int) -> BoolArray:
        """Return which pixels of some rows are valid, [row, col]; ``read`` as at the beginning."""
        last = (row + rows - 1) // STRIP
        parts = [self._strip(read, index) for index in range(row // STRIP, last + 1)]
        begin = row - row // STRIP * STRIP
        return np.concatenate(parts)[begin : begin + rows]

    def _bright_and_dark(self, read: Read, index: int) -> tuple[BoolArray, BoolArray]:
        first = index * STRIP
        return _bright_and_dark(read(first, min(STRIP, self._height - first)))

    def _labelled_edges(self, read: Read) -> tuple[list[tuple[_Ids, _Ids]], _Ids]:
        """Label each strip; return the ids in its first and last row, and all that are bright."""
        edges, bright_ids, known = [], [np.zeros(1, np.int64)[:0]], 0
        for index in range(-(-self._height // STRIP)):
            bright, dark = self._bright_and_dark(read, index)
            labels, count = ndimage.label(bright | dark)
            top, bottom = (np.where(row > 0, row + known, 0) for row in (labels[0], labels[-1]))
            edges.append((top.astype(np.int64), bottom.astype(np.int64)))
            bright_ids.append(np.unique(labels[bright]).astype(np.int64) + known)
            known += count
        return edges, np.concatenate(bright_ids)

    def _strip(self, read: Read, index: int) -> BoolArray:
        if index in self._held:
            self._held.move_to_end(index)
            packed = self._held[index]
            width = self._reached[index][0].size
            return np.unpackbits(packed, axis=1, count=width).view(np.bool_)
        bright, dark = self._bright_and_dark(read, index)
        candidates = bright | dark
        for row, reached in zip((0, -1), self._reached[index], strict=True):
            bright[row] |= reached
        valid = ~_connected(bright, candidates)
        self._held[index] = np.packbits(valid, axis=1)
        self._bytes += self._held[index].nbytes
        while self._bytes > _HELD and len(self._held) > 1:
            self._bytes -= self._held.popitem(last=False)[1].nbytes
        return valid


def _joined(edges: list[tuple[_Ids, _Ids]], bright: _Ids) -> list[tuple[BoolArray, BoolArray]]:
    """Tell of each strip's first and last row which pixels are connected to bright ones."""
    pairs = [
        np.stack([above[both], below[both]])
        for (_, above), (below, _) in pairwise(edges)
        for both in [(above > 0) & (below > 0)]
    ]
    ends = [np.unique(row) for edge in edges for row in edge]
    ids = np.unique(np.concatenate([np.zeros(1, np.int64), *ends]))
    one, other = np.searchsorted(ids, np.concatenate([np.zeros((2, 0), np.int64), *pairs], axis=1))
    graph = sparse.coo_array((np.ones(len(one), np.int8), (one, other)), (len(ids), len(ids)))
    count, groups = connected_components(graph, directed=False)
    is_bright = np.zeros(count, np.bool_)
    is_bright[groups[np.isin(ids, bright)]] = True
    lookup = is_bright[groups]
    lookup[0] = False
    return [
        (lookup[np.searchsorted(ids, first)], lookup[np.searchsorted(ids, last)])
        for first, last in edges
    ]


def _bright_and_dark(image: AnyArray) -> tuple[BoolArray, BoolArray]:
    return (image == 255).all(axis=0), (image == 0).all(axis=0)


def _connected(seeds: BoolArray, candidates: BoolArray) -> BoolArray:
    """Return the candidates that are connected to seeds."""
    if not seeds.any():
        return np.zeros(seeds.shape, np.bool_)
    labels, count = ndimage.label(candidates)
    lookup = np.zeros(count + 1, np.bool_)
    lookup[labels[seeds]] = True
    lookup[0] = False
    return np.asarray(lookup[labels])
