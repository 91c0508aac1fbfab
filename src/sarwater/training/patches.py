"""From chips to patches: a cache of decoded chips, and the torch data set that cuts them."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sarwater.config import AugmentationSettings
from sarwater.datasets.manifest import ChipRecord
from sarwater.errors import DataError
from sarwater.normalize import BandStatistics, Normalizer
from sarwater.raster import read_chip
from sarwater.training.augmentation import augment
from sarwater.training.sampling import IntArray, Sampler
from sarwater.types import IGNORE, AnyArray, BoolArray, ByteArray, Chip, FloatArray


class Patch(TypedDict):
    """One training example; a batch has a leading axis."""

    image: Tensor
    """float32 [band, row, col], normalized; 0 where not valid."""
    target: Tensor
    """uint8 [row, col]; ``IGNORE`` where unlabelled or not valid."""
    valid: Tensor
    """bool [row, col]"""
    place: Tensor
    """int64, index of the place in the sampler."""
    domain: Tensor
    """int64, index of the domain; 0 where domains are not told apart."""
    evidence: Tensor
    """float32 [row, col], what else than labels speaks for water, as log-odds; 0: nothing."""


class ChipCache:
    """Reads chips and keeps those used last, up to a limit of memory."""

    def __init__(
        self,
        records: Sequence[ChipRecord],
        limit_gb: float,
        read: Callable[[int], Chip] | None = None,
    ) -> None:
        """Start empty.

        Args:
            records: a row for each chip.
            limit_gb: memory in GiB.
            read: reads the chip at an index; by default the row's image with its labels.
        """
        self.records = tuple(records)
        self._read = read
        self._limit = int(limit_gb * 2**30)
        self._chips: OrderedDict[int, Chip] = OrderedDict()
        self._size = 0

    def __getitem__(self, index: int) -> Chip:
        """Return a chip, with its target unless it is read in another way.

        Raises:
            RasterError: a file cannot be read.
            DataError: image and labels do not fit.
        """
        if index in self._chips:
            self._chips.move_to_end(index)
            return self._chips[index]
        chip = self._read(index) if self._read else read_chip(self.records[index])
        self._chips[index] = chip
        self._size += _bytes(chip)
        while self._size > self._limit and len(self._chips) > 1:
            _, old = self._chips.popitem(last=False)
            self._size -= _bytes(old)
        return chip


class PatchDataset(Dataset[Patch]):
    """The patches of one epoch; each is the same whoever asks for it, and when."""

    def __init__(
        self,
        chips: ChipCache,
        sampler: Sampler,
        epoch: int,
        normalizer: Normalizer,
        groups: Mapping[str, BandStatistics],
        augmentation: AugmentationSettings,
        domains: Mapping[str, int] | None = None,
        evidence: Callable[[FloatArray, BoolArray], FloatArray] | None = None,
    ) -> None:
        """Draw the epoch.

        Args:
            chips: where pixels come from.
            sampler: what to draw.
            epoch: counted from 0; decides, with the sampler's seed, over all that is random.
            normalizer: applied after augmentation.
            groups: statistics by group, where the normalizer needs them.
            augmentation: random changes.
            domains: index of each domain by name, where they are told apart.
            evidence: log-odds of water [row, col] of an image in the chips' units.
        """
        self._evidence = evidence
        self._domains = domains
        self._sampler = sampler
        self.drawn = sampler.draw(epoch)
        self._rows, self._cols = sampler.offsets(self.drawn, epoch)
        self._chip_of = sampler.places.chip[self.drawn]
        self._size = sampler.settings.size
        self._seed = (sampler.seed, epoch)
        self._chips = chips
        self._normalizer = normalizer
        self._groups = groups
        self._augmentation = augmentation

    def label_counts(self, patches: int) -> tuple[IntArray, IntArray]:
        """Count the background and the foreground of the first patches, where they are cut.

        Places know their own counts; only patches that were moved off them are looked at.
        """
        places = self._sampler.places[self.drawn[:patches]]
        background, foreground = places.background, places.foreground
        moved = (self._rows[:patches] != places.row) | (self._cols[:patches] != places.col)
        # Chip by chip, so that none is read twice.
        for index in np.flatnonzero(moved)[np.argsort(places.chip[moved], kind="stable")]:
            _, _, valid, target = self._labels(index)
            background[index] = (valid & (target == 0)).sum()
            foreground[index] = (valid & (target != 0) & (target != IGNORE)).sum()
        return background, foreground

    def _labels(self, index: int) -> tuple[int, int, BoolArray, ByteArray]:
        """Return where a patch is cut, with what is valid and labelled there."""
        place = self.drawn[index]
        row, col = int(self._rows[index]), int(self._cols[index])
        at = int(self._sampler.places.row[place]), int(self._sampler.places.col[place])
        valid, target = self._cut_labels(index, row, col)
        labelled = target != IGNORE if self._is_labelled(index) else valid
        if (row, col) != at and not self._sampler.accepts(valid, labelled):
            row, col = at  # the move left the labelled data
            valid, target = self._cut_labels(index, row, col)
        return row, col, valid, target

    def _cut_labels(self, index: int, row: int, col: int) -> tuple[BoolArray, ByteArray]:
        chip = self._chips[int(self._chip_of[index])]
        valid = cut(chip.valid, row, col, self._size, False)
        if chip.target is None:
            return valid, np.full(valid.shape, IGNORE, np.uint8)
        return valid, cut(chip.target, row, col, self._size, IGNORE)

    def _is_labelled(self, index: int) -> bool:
        return self._chips[int(self._chip_of[index])].target is not None

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.drawn)

    def __getitem__(self, index: int) -> Patch:
        """Return one patch."""
        index_of_chip = int(self._chip_of[index])
        chip, record = self._chips[index_of_chip], self._chips.records[index_of_chip]
        row, col, valid, target = self._labels(index)
        image = cut(chip.image, row, col, self._size, 0)
        random = np.random.default_rng([*self._seed, 2, index])
        image, valid, target = augment(image, valid, target, chip.units, self._augmentation, random)
        speaks = self._evidence(image, valid) if self._evidence else np.zeros(valid.shape)
        group = self._normalizer.group_of(record.domain, record.scene, record.id)
        image = self._normalizer.apply(image, valid, self._groups.get(group))
        target = np.where(valid, target, np.uint8(IGNORE))
        return {
            "image": torch.from_numpy(image),
            "target": torch.from_numpy(target),
            "valid": torch.from_numpy(valid),
            "domain": torch.tensor(self._domains[record.domain] if self._domains else 0),
            "evidence": torch.from_numpy(speaks.astype(np.float32)),
            "place": torch.tensor(int(self.drawn[index])),
        }


def steps_per_epoch(patches: int, size: int, processes: int) -> int:
    """Return how many whole joint batches an epoch's patches make.

    Args:
        patches: of an epoch.
        size: patches a step and process.
        processes: that share the patches.

    Raises:
        DataError: not even one.

    >>> steps_per_epoch(100, 8, 2)
    6
    """
    if patches < size * processes:
        raise DataError(
            f"an epoch has {patches} patches, fewer than one step needs ({size} in each of "
            f"{processes} processes); lower optimization.batch_size or raise patches.per_epoch"
        )
    return patches // (size * processes)


def batch_indices(steps: int, size: int, process: int, processes: int) -> list[list[int]]:
    """Return which of the epoch's patches a process takes at each step.

    The processes take turns in blocks of ``size``, so that together they take the patches that
    one process with the joint batch would take, and none twice.

    >>> batch_indices(2, 2, 1, 2)
    [[2, 3], [6, 7]]
    """
    starts = [(step * processes + process) * size for step in range(steps)]
    return [list(range(start, start + size)) for start in starts]


def load_batches(
    patches: PatchDataset, batches: Sequence[list[int]], epoch: int, workers: int
) -> Iterator[Patch]:
    """Yield batches of an epoch's patches.

    Args:
        patches: of the epoch.
        batches: indices of the patches of each batch.
        epoch: counted from 0.
        workers: processes that prepare patches; 0: this one.
    """
    # A generator of its own: the loader would draw from the one that dropout uses.
    own = torch.Generator().manual_seed(epoch)
    loader = DataLoader(patches, batch_sampler=batches, num_workers=workers, generator=own)
    return iter(loader)


def cut(array: AnyArray, row: int, col: int, size: int, fill: float) -> AnyArray:
    """Cut a square of ``size`` pixels at (row, col); what lies beyond the array is ``fill``.

    >>> cut(np.arange(6).reshape(2, 3), -1, 1, 2, 9).tolist()
    [[9, 9], [1, 2]]
    """
    height, width = array.shape[-2:]
    top, left = max(row, 0), max(col, 0)
    part = array[..., top : min(row + size, height), left : min(col + size, width)]
    if part.shape[-2:] == (size, size):
        return part
    result: AnyArray = np.full((*array.shape[:-2], size, size), fill, array.dtype)
    below, right = top - row, left - col
    result[..., below : below + part.shape[-2], right : right + part.shape[-1]] = part
    return result


def _bytes(chip: Chip) -> int:
    target = chip.target.nbytes if chip.target is not None else 0
    return chip.image.nbytes + chip.valid.nbytes + target
