"""The borders of 8-bit products, whose no data is the brightest value and the darkest."""

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.sparse.csgraph import connected_components

from sarwater.types import POLARIZATIONS, AnyArray, BoolArray, ByteArray, Units

STRIP = 256
"""Rows that are looked at together."""

_HELD = 64 << 20
"""Bytes of results that are held, a bit a pixel: those of a whole Sentinel-1 scene."""

_CORE = 9
"""Side in pixels of a square of 255 that makes a border where one band alone has to tell.

Cities have smaller spots of it: of ETCI's tiles, VH alone, 387,000 pixels are lost without this,
5,000 with it, and a side of 5 leaves 24,000.
"""

_RADAR = re.compile(rf"(?i:.*(?<![a-z])({'|'.join(POLARIZATIONS)})(?![a-z]).*|band\d+)", re.DOTALL)
"""Names of bands that are a radar's, or nobody's."""

_Ids = NDArray[np.int64]

Read = Callable[[int, int], AnyArray]
"""(first row, number of rows) -> all bands [band, row, col], at full width."""


def follows_borders(nodata: str, units: Units, bands: Sequence[str]) -> bool:
    """Tell whether the manifest's rule for no data asks for ``border_valid``.

    ``auto`` does for 8-bit products of a radar, in whatever type they are stored: where a band is
    named after a polarization, or all are ``band1``, ``band2`` for want of names. Bands of other
    names are no radar's, where white and black are colors.

    >>> [follows_borders("auto", Units.BYTE, name) for name in (["VV"], ["red"], ["band1"])]
    [True, False, True]
    """
    if nodata == "border":
        return True
    is_radar = any(_RADAR.fullmatch(band) for band in bands)
    return nodata == "auto" and units == Units.BYTE and is_radar


def border_valid(image: AnyArray, *, is_alone: bool = False) -> BoolArray:
    """Find the borders of an 8-bit product: what is valid is True.

    255 in all bands is no data; so is 0 in all bands where such pixels are connected (by edges)
    to it. Any other zero is the darkest valid water, and 255 in some bands only a bright target.

    Where one band alone has to tell, a bright target looks like no data, and would take the water
    beside it along. There squares of 255 with a side of 9 pixels, which may reach beyond the
    image's frame, are no data, and what is connected to them.

    Args:
        image: [band, row, col], values 0 ... 255.
        is_alone: whether one band has to tell.

    >>> import numpy as np
    >>> row = np.array([[255, 0, 0, 7, 0]])
    >>> border_valid(np.stack([row, row])).tolist()
    [[False, False, False, True, True]]
    """
    seeds, candidates = _seeds_and_candidates(image, is_alone=is_alone)
    return ~_connected(seeds, candidates)


class Borders:
    """``border_valid`` of a scene of any height, of which a few rows are in memory at once.

    A border may wind through the whole scene. A first pass labels the connected pixels of each
    strip of rows and joins the labels where strips meet; what is kept of it is which pixels in the
    first and the last row of each strip belong to the border. From these the border within a strip
    follows when its rows are asked for.
    """

    def __init__(self, read: Read, height: int, *, is_alone: bool = False) -> None:
        """Look through the scene.

        Args:
            read: of the scene; not held, since a scene that holds its borders would then never
                be given up by itself.
            height: rows of the scene.
            is_alone: whether the scene has one band, as for ``border_valid``.
        """
        self._is_alone = is_alone
        self._height = height
        self._held: OrderedDict[int, ByteArray] = OrderedDict()
        self._bytes = 0
        self._reached = _joined(*self._labelled_edges(read))

    def valid(self, read: Read, row: int, rows: int) -> BoolArray:
        """Return which pixels of some rows are valid, [row, col]; ``read`` as at the beginning."""
        last = (row + rows - 1) // STRIP
        parts = [self._strip(read, index) for index in range(row // STRIP, last + 1)]
        begin = row - row // STRIP * STRIP
        return np.concatenate(parts)[begin : begin + rows]

    def _seeds_and_candidates(self, read: Read, index: int) -> tuple[BoolArray, BoolArray]:
        first, beyond = index * STRIP, min((index + 1) * STRIP, self._height)
        around = _CORE // 2 if self._is_alone else 0
        above = max(first - around, 0)
        image = read(above, min(beyond + around, self._height) - above)
        found = _seeds_and_candidates(image, is_alone=self._is_alone)
        own = slice(first - above, beyond - above)
        return found[0][own], found[1][own]

    def _labelled_edges(self, read: Read) -> tuple[list[tuple[_Ids, _Ids]], _Ids]:
        """Label each strip; return the ids in its first and last row, and all with seeds."""
        edges, seed_ids, known = [], [np.zeros(1, np.int64)[:0]], 0
        for index in range(-(-self._height // STRIP)):
            seeds, candidates = self._seeds_and_candidates(read, index)
            labels, count = ndimage.label(candidates)
            top, bottom = (np.where(row > 0, row + known, 0) for row in (labels[0], labels[-1]))
            edges.append((top.astype(np.int64), bottom.astype(np.int64)))
            seed_ids.append(np.unique(labels[seeds]).astype(np.int64) + known)
            known += count
        return edges, np.concatenate(seed_ids)

    def _strip(self, read: Read, index: int) -> BoolArray:
        if index in self._held:
            self._held.move_to_end(index)
            packed = self._held[index]
            width = self._reached[index][0].size
            return np.unpackbits(packed, axis=1, count=width).view(np.bool_)
        seeds, candidates = self._seeds_and_candidates(read, index)
        for row, reached in zip((0, -1), self._reached[index], strict=True):
            seeds[row] |= reached
        valid = ~_connected(seeds, candidates)
        self._held[index] = np.packbits(valid, axis=1)
        self._bytes += self._held[index].nbytes
        while self._bytes > _HELD and len(self._held) > 1:
            self._bytes -= self._held.popitem(last=False)[1].nbytes
        return valid


def _joined(edges: list[tuple[_Ids, _Ids]], seeds: _Ids) -> list[tuple[BoolArray, BoolArray]]:
    """Tell of each strip's first and last row which pixels are connected to seeds."""
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
    is_border = np.zeros(count, np.bool_)
    is_border[groups[np.isin(ids, seeds)]] = True
    lookup = is_border[groups]
    lookup[0] = False
    return [
        (lookup[np.searchsorted(ids, first)], lookup[np.searchsorted(ids, last)])
        for first, last in edges
    ]


def _seeds_and_candidates(
    image: AnyArray, *, is_alone: bool = False
) -> tuple[BoolArray, BoolArray]:
    """Return where a border begins, and what belongs to it if it is connected."""
    bright, dark = (image == 255).all(axis=0), (image == 0).all(axis=0)
    if is_alone:
        seeds = ndimage.minimum_filter(bright, _CORE, mode="constant", cval=True)
        return seeds, bright | dark
    return bright, bright | dark


def _connected(seeds: BoolArray, candidates: BoolArray) -> BoolArray:
    """Return the candidates that are connected to seeds."""
    if not seeds.any():
        return np.zeros(seeds.shape, np.bool_)
    labels, count = ndimage.label(candidates)
    lookup = np.zeros(count + 1, np.bool_)
    lookup[labels[seeds]] = True
    lookup[0] = False
    return np.asarray(lookup[labels])
