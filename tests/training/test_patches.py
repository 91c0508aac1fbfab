from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from sarwater.config import AugmentationSettings, PatchSettings
from sarwater.datasets.manifest import ChipRecord
from sarwater.normalize import BandStatistics, Normalization, Normalizer
from sarwater.raster import read_chip
from sarwater.training import patches
from sarwater.training.patches import ChipCache, Patch, PatchDataset, cut
from sarwater.training.sampling import Places, Sampler, places_of
from sarwater.types import IGNORE, Chip, Units
from tests.conftest import RecordMaker, TifMaker

SIZE = 32
OFF = AugmentationSettings(flips=False, rotations=False)
ALL = AugmentationSettings(gain_db=1, band_gain_db=0.5, speckle_looks=5)
STATISTICS = BandStatistics((-12.0, -18.0), (4.0, 5.0), 1)


@pytest.fixture
def records(make_tif: TifMaker, make_record: RecordMaker) -> list[ChipRecord]:
    """Three chips of two domains, one smaller than a patch, with invalid and ignored pixels."""
    random = np.random.default_rng(0)
    made = []
    for index, (height, width) in enumerate([(80, 70), (64, 64), (40, 24)]):
        image = random.normal(-14, 4, (2, height, width)).astype(np.float32)
        image[:, random.random((height, width)) < 0.1] = np.nan
        label = random.choice([0, 1, 9], (height, width), p=[0.6, 0.3, 0.1]).astype(np.uint8)
        made.append(
            make_record(
                make_tif(f"i{index}.tif", image),
                id=f"c{index}",
                domain="ab"[index % 2],
                labels=(make_tif(f"l{index}.tif", label),),
                codes="0=land,1=water,9=ignore",
            )
        )
    return made


def dataset(
    records: list[ChipRecord],
    normalizer: Normalizer,
    *,
    augmentation: AugmentationSettings = OFF,
    epoch: int = 0,
    seed: int = 0,
    groups: dict[str, BandStatistics] | None = None,
    **settings: Any,
) -> PatchDataset:
    cache = ChipCache(records, 1.0)
    places = []
    for index in range(len(records)):
        chip = cache[index]
        assert chip.target is not None
        places.append(places_of(index, chip.target, chip.valid, SIZE))
    sampler = Sampler(Places.join(places), PatchSettings(size=SIZE, **settings), seed)
    return PatchDataset(cache, sampler, epoch, normalizer, groups or {}, augmentation)


def test_each_epoch_changes_the_same_place_anew(
    make_tif: TifMaker, make_record: RecordMaker
) -> None:
    """The chip has one place alone, for places are drawn anew too."""
    image = np.random.default_rng(0).normal(-14, 4, (2, SIZE, SIZE)).astype(np.float32)
    label = np.eye(SIZE, dtype=np.uint8)
    record = make_record(
        make_tif("i.tif", image), labels=(make_tif("l.tif", label),), codes="0=land,1=water"
    )
    normalizer = Normalizer(Normalization.DATASET, Units.DB, STATISTICS)
    for changes in ({"gain_db": 1.0}, {"speckle_looks": 5.0}):
        noisy = AugmentationSettings(flips=False, rotations=False, **changes)
        first, again, second = (
            dataset([record], normalizer, augmentation=noisy, epoch=epoch, per_epoch=3)
            for epoch in (0, 0, 1)
        )
        for index in range(3):
            shown = first[index]["image"]
            assert torch.equal(shown, again[index]["image"])
            assert not torch.equal(shown, second[index]["image"])


def test_a_patch_is_the_slice_of_its_chip_normalized(records: list[ChipRecord]) -> None:
    normalizer = Normalizer(Normalization.DATASET, Units.DB, STATISTICS)
    data = dataset(records, normalizer)
    sampler = Sampler(
        Places.join([places_of(i, *_labels(record), SIZE) for i, record in enumerate(records)]),
        PatchSettings(size=SIZE),
        0,
    )
    assert len(data) == sampler.epoch_size == 3 * 3 + 2 * 2 + 2 * 1
    seen = set()
    for index in range(len(data)):
        patch = data[index]
        place = int(patch["place"])
        chip = read_chip(records[sampler.places.chip[place]])
        assert chip.target is not None
        image = np.zeros((2, SIZE, SIZE), np.float32)
        target = np.full((SIZE, SIZE), IGNORE, np.uint8)
        first = int(sampler.places.row[place]), int(sampler.places.col[place])
        for row, col in np.ndindex(SIZE, SIZE):
            source = first[0] + row, first[1] + col
            inside = source[0] < chip.valid.shape[0] and source[1] < chip.valid.shape[1]
            if inside and chip.valid[source]:
                for band in range(2):
                    value = chip.image[(band, *source)] - STATISTICS.mean[band]
                    image[band, row, col] = value / STATISTICS.std[band]
                target[row, col] = chip.target[source]
        np.testing.assert_allclose(patch["image"].numpy(), image, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(patch["target"].numpy(), target)
        assert patch["image"].dtype == torch.float32
        assert patch["target"].dtype == torch.uint8
        seen.add((sampler.places.chip[place], *first))
    assert len(seen) == len(data)


def _labels(record: ChipRecord) -> tuple[Any, Any]:
    chip = read_chip(record)
    return chip.target, chip.valid


@pytest.mark.parametrize("strategy", ["grid", "uniform"])
def test_labels_are_counted_where_the_patches_are_cut(
    strategy: str, records: list[ChipRecord]
) -> None:
    normalizer = Normalizer(Normalization.FIXED, Units.DB)
    data = dataset(records, normalizer, strategy=strategy, per_epoch=12)
    background, foreground = data.label_counts(10)
    targets = [data[index]["target"] for index in range(10)]
    assert background.tolist() == [int((target == 0).sum()) for target in targets]
    assert foreground.tolist() == [int((target == 1).sum()) for target in targets]


def test_moved_patches_keep_to_the_limit_of_no_data(
    make_tif: TifMaker, make_record: RecordMaker
) -> None:
    image = np.full((2, 96, 96), -10, np.float32)
    image[:, 64:] = np.nan  # places of row 32 are whole; moved down, they are not
    label = np.zeros((96, 96), np.uint8)
    record = make_record(
        make_tif("half.tif", image), labels=(make_tif("l.tif", label),), codes="0=land,1=water"
    )
    normalizer = Normalizer(Normalization.FIXED, Units.DB)
    data = dataset([record], normalizer, strategy="uniform", max_nodata=0.1, per_epoch=300)
    missing = [float((data[index]["target"] == IGNORE).float().mean()) for index in range(300)]
    assert max(missing) <= 0.1
    assert len(set(missing)) > 2  # moves within the limit stand


@pytest.mark.parametrize("strategy", ["grid", "uniform", "shoreline"])
@pytest.mark.parametrize("kind", ["dataset", "patch", "fixed"])
def test_what_is_not_valid_is_zero_and_ignored(
    strategy: str, kind: str, records: list[ChipRecord]
) -> None:
    normalizer = Normalizer(Normalization(kind), Units.DB, STATISTICS)
    data = dataset(records, normalizer, augmentation=ALL, strategy=strategy)
    for index in range(len(data)):
        patch = data[index]
        nothing = (patch["image"] == 0).all(dim=0)
        assert (patch["target"][nothing] == IGNORE).all()
        assert patch["image"].isfinite().all()
        assert patch["image"].shape == (2, SIZE, SIZE)
        assert set(patch["target"].flatten().tolist()) <= {0, 1, IGNORE}
        assert nothing.any()


def test_statistics_are_those_of_the_chips_group(records: list[ChipRecord]) -> None:
    groups = {
        "a": BandStatistics((-10.0, -10.0), (1.0, 1.0), 1),
        "b": BandStatistics((-20.0, -20.0), (2.0, 2.0), 1),
    }
    normalizer = Normalizer(Normalization.DOMAIN, Units.DB, STATISTICS)
    grouped, plain = (
        dataset(records, normalizer, groups=groups),
        dataset(records, Normalizer(Normalization.DATASET, Units.DB, STATISTICS)),
    )
    mean, std = (torch.tensor(part)[:, None, None] for part in (STATISTICS.mean, STATISTICS.std))
    for index in range(len(plain)):
        chip = int(plain._chip_of[index])
        group = groups["ab"[chip % 2]]
        patch = plain[index]["image"]
        known = (patch != 0).any(dim=0)
        decibel = patch * std + mean
        expected = torch.where(known, (decibel - group.mean[0]) / group.std[0], 0)
        assert torch.allclose(grouped[index]["image"], expected, atol=1e-4)


def items(data: PatchDataset, order: list[int]) -> dict[int, Patch]:
    return {index: data[index] for index in order}


def assert_same(one: Patch, other: Patch) -> None:
    assert torch.equal(one["image"], other["image"])
    assert torch.equal(one["target"], other["target"])
    assert torch.equal(one["place"], other["place"])


@pytest.mark.parametrize("strategy", ["grid", "uniform", "hard"])
def test_a_patch_is_the_same_whoever_asks_for_it_and_when(
    strategy: str, records: list[ChipRecord]
) -> None:
    normalizer = Normalizer(Normalization.DATASET, Units.DB, STATISTICS)

    def made(**changes: Any) -> PatchDataset:
        return dataset(records, normalizer, augmentation=ALL, strategy=strategy, **changes)

    order = list(range(len(made())))
    first, second = items(made(), order), items(made(), order[::-1])
    for index in order:
        assert_same(first[index], second[index])
    for other in (made(epoch=1), made(seed=1)):
        assert not torch.equal(other[0]["image"], first[0]["image"])
        assert not torch.equal(other[1]["image"], first[1]["image"])


def test_every_patch_is_changed_in_a_way_of_its_own(records: list[ChipRecord]) -> None:
    normalizer = Normalizer(Normalization.DATASET, Units.DB, STATISTICS)
    gain = AugmentationSettings(flips=False, rotations=False, gain_db=3)
    plain, changed = (dataset(records, normalizer, augmentation=each) for each in (OFF, gain))
    gains = {
        round(float((changed[index]["image"] - plain[index]["image"])[0].abs().max()), 4)
        for index in range(len(plain))
    }
    assert len(gains) == len(plain)


def test_workers_give_the_patches_of_the_process_itself(records: list[ChipRecord]) -> None:
    normalizer = Normalizer(Normalization.DATASET, Units.DB, STATISTICS)
    data = dataset(records, normalizer, augmentation=ALL, strategy="uniform", per_epoch=6)
    here, there = (list(DataLoader(data, batch_size=2, num_workers=number)) for number in (0, 1))
    assert len(here) == len(there) == 3
    for one, other in zip(here, there, strict=True):
        assert one["image"].shape == (2, 2, SIZE, SIZE)
        assert_same(one, other)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the chips that were read from their files."""
    names: list[str] = []
    original: Callable[[ChipRecord], Chip] = read_chip

    def read(record: ChipRecord) -> Chip:
        names.append(record.id)
        return original(record)

    monkeypatch.setattr(patches, "read_chip", read)
    return names


def chip_bytes(record: ChipRecord) -> int:
    chip = read_chip(record)
    assert chip.target is not None
    return chip.image.nbytes + chip.valid.nbytes + chip.target.nbytes


def test_the_cache_reads_a_chip_once(records: list[ChipRecord], reads: list[str]) -> None:
    cache = ChipCache(records, 1.0)
    for index in (0, 1, 2, 1, 0, 2):
        assert cache[index].id == f"c{index}"
    assert reads == ["c0", "c1", "c2"]


def test_the_cache_keeps_to_its_limit_and_drops_what_was_used_longest_ago(
    records: list[ChipRecord], reads: list[str]
) -> None:
    same = [replace(records[1], id=name) for name in "wxyz"]
    limit = (2.5 * chip_bytes(same[0])) / 2**30  # two chips
    cache = ChipCache(same, limit)
    for index in (0, 1, 0, 2, 0, 1):
        cache[index]
        assert sum(chip_bytes(same[0]) for _ in cache._chips) <= limit * 2**30
    assert reads == ["w", "x", "y", "x"]


def test_a_chip_larger_than_the_cache_is_still_given(
    records: list[ChipRecord], reads: list[str]
) -> None:
    cache = ChipCache(records, 1e-9)
    for index in (0, 0, 1, 0):
        assert cache[index].id == f"c{index}"
    assert reads == ["c0", "c1", "c0"]


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(-12, 12),
    st.integers(-12, 12),
    st.integers(1, 8),
)
def test_cut_fills_what_lies_beyond(height: int, width: int, row: int, col: int, size: int) -> None:
    array = np.arange(2 * height * width).reshape(2, height, width)
    if not (-size < row < height and -size < col < width):
        return  # a patch always touches its chip
    expected = np.full((2, size, size), -1)
    for r, c in np.ndindex(size, size):
        if 0 <= row + r < height and 0 <= col + c < width:
            expected[:, r, c] = array[:, row + r, col + c]
    np.testing.assert_array_equal(cut(array, row, col, size, -1), expected)
    np.testing.assert_array_equal(cut(array[0], row, col, size, -1), expected[0])
