"""The target as the network takes it, against NumPy and rasterio; none of its labels is opened."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from sarwater.config import TrainSettings
from sarwater.datasets.manifest import ChipRecord, LabelCodes, Manifest, read_manifest
from sarwater.errors import DataError, ManifestError, RasterError
from sarwater.models.bundle import load_bundle
from sarwater.raster import read_chip
from sarwater.training.data import TrainingData, prepare
from sarwater.training.start import train
from sarwater.training.target import (
    TargetData,
    check_target,
    prepare_target,
    sample_of,
    without_labels,
)
from sarwater.types import FloatArray, Units
from tests.conftest import CRS, PLACE, RecordMaker, TifMaker
from tests.training.lakes import assert_same_weights, settings, write_chips


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chips(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def source(data: Path) -> TrainingData:
    return prepare(settings(), read_manifest(data))


def noise(height: int = 40, width: int = 48, bands: int = 2, seed: int = 0) -> FloatArray:
    """Decibels, with a corner that holds no data."""
    random = np.random.default_rng(seed)
    image = random.normal(-12, 4, (bands, height, width)).astype(np.float32)
    image[:, :5, :7] = np.nan
    return image


def target_of(
    records: Sequence[ChipRecord],
    source: TrainingData,
    chosen: TrainSettings | None = None,
) -> TargetData:
    return prepare_target(chosen or settings(), Manifest(tuple(records)), source, 8)


ADAPTED: dict[str, dict[str, Any]] = {
    "patches": {"per_epoch": 4},
    "optimization": {"epochs": 1, "average_decay": 0.9},
    "adaptation": {"methods": ["dann", "self_training", "adabn"]},
}


def test_labels_of_the_target_are_never_opened(
    data: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    manifest = read_manifest(data)
    there = read_manifest(write_chips(tmp_path_factory.mktemp("target"), domain="delta", seed=2))
    codes = (LabelCodes.parse("0=land,1=water"),)
    garbage, missing = [], []
    for record in there:
        broken = tmp_path / f"{record.id}.tif"
        broken.write_bytes(b"garbage")
        garbage.append(replace(record, labels=(broken,), codes=codes))
        missing.append(replace(record, labels=(tmp_path / "no such.tif",), codes=codes))
        for row in (garbage[-1], missing[-1]):
            with pytest.raises(RasterError):
                read_chip(row)
    runs = [
        train(settings(ADAPTED), manifest, tmp_path / name, target=Manifest(tuple(records)))
        for name, records in (
            ("without", without_labels(there).records),
            ("garbage", garbage),
            ("missing", missing),
        )
    ]
    for run in runs[1:]:
        assert_same_weights(runs[0], run)
        assert load_bundle(run.bundle).hash == load_bundle(runs[0].bundle).hash


@pytest.mark.parametrize("units", [Units.DB, Units.LINEAR])
def test_a_scene_is_read_by_parts_that_cover_each_pixel_once(
    source: TrainingData, make_tif: TifMaker, make_record: RecordMaker, units: Units
) -> None:
    image = noise(1100, 1300)
    image[:, 1020:1030, 1000:1040] = np.nan  # over the corner where four parts meet
    if units is Units.LINEAR:
        image = np.float32(10) ** (image / np.float32(10))
    file = make_tif("scene.tif", image, crs=CRS)
    target = target_of([make_record(file, units=units)], source)
    with rasterio.open(file) as dataset:
        expected = dataset.read()
    expected_valid = np.isfinite(expected).all(axis=0)
    if units is Units.LINEAR:
        expected = 10 * np.log10(expected)
    seen = np.zeros(expected_valid.shape, np.int64)
    found, found_valid = np.full_like(expected, np.nan), np.zeros_like(expected_valid)
    for index in range(len(target.chips.records)):
        chip = target.chips[index]
        col, row = (round(value) for value in ~PLACE @ (chip.grid.transform @ (0, 0)))
        here = slice(row, row + chip.grid.height), slice(col, col + chip.grid.width)
        assert max(chip.valid.shape) <= 1024
        assert chip.units is Units.DB
        assert not chip.image[:, ~chip.valid].any()
        seen[here] += 1
        found[:, *here], found_valid[here] = chip.image, chip.valid
    assert (seen == 1).all()
    np.testing.assert_array_equal(found_valid, expected_valid)
    np.testing.assert_allclose(
        found[:, expected_valid], expected[:, expected_valid], rtol=0, atol=1e-5
    )
    assert [record.id for record in target.records] == ["chip"]


def test_bands_are_taken_by_name(
    source: TrainingData, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    image, angle = noise(), np.full((1, 40, 48), np.nan, np.float32)
    files = {
        ("VV", "VH"): image,
        ("VH", "VV"): image[::-1],
        ("angle", "vh", "vv"): np.concatenate([angle, image[::-1]]),
    }
    target = target_of(
        [
            make_record(make_tif(f"{len(bands)}{bands[0]}.tif", values), id=bands[0], bands=bands)
            for bands, values in files.items()
        ],
        source,
    )
    for index in range(len(files)):
        chip = target.chips[index]
        assert chip.bands == ("VV", "VH")
        np.testing.assert_array_equal(chip.valid, np.isfinite(image).all(axis=0))
        np.testing.assert_array_equal(chip.image, np.nan_to_num(image))


def test_a_missing_band_is_named_with_its_chip(
    source: TrainingData, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    good = make_record(make_tif("good.tif", noise()), id="good")
    lacks = make_record(make_tif("lacks.tif", noise()), id="lacks", bands=("VV", "HH"))
    with pytest.raises(DataError, match=r"chip 'lacks' .*VH is missing"):
        target_of([good, lacks], source)


def eight_bit(make_tif: TifMaker, make_record: RecordMaker) -> list[ChipRecord]:
    values = np.random.default_rng(3).integers(1, 256, (2, 64, 64)).astype(np.uint8)
    return [make_record(make_tif("bytes.tif", values), units=Units.BYTE, domain="delta")]


@pytest.mark.parametrize("kind", ["dataset", "fixed"])
def test_bytes_are_refused_where_the_sources_statistics_normalize(
    data: Path, make_tif: TifMaker, make_record: RecordMaker, kind: str
) -> None:
    chosen = settings(normalization={"kind": kind})
    records = eight_bit(make_tif, make_record)
    with pytest.raises(
        DataError, match=r"8bit.* the source's in db.*normalization\.kind to domain"
    ):
        target_of(records, prepare(chosen, read_manifest(data)), chosen)


def test_bytes_are_taken_where_their_own_statistics_normalize(
    data: Path, tmp_path: Path, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    records = eight_bit(make_tif, make_record)
    chosen = settings(ADAPTED, normalization={"kind": "domain"})
    run = train(chosen, read_manifest(data), tmp_path / "run", target=Manifest(tuple(records)))
    info = load_bundle(run.bundle).info
    assert info.units is Units.BYTE
    assert info.normalization.units is Units.BYTE


def test_two_units_of_which_one_does_not_convert_are_refused(
    data: Path, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    chosen = settings(normalization={"kind": "domain"})
    good = make_record(make_tif("good.tif", noise()), id="good")
    with pytest.raises(DataError, match="take targets of one unit"):
        target_of(
            [good, *eight_bit(make_tif, make_record)], prepare(chosen, read_manifest(data)), chosen
        )


@pytest.fixture
def several(make_tif: TifMaker, make_record: RecordMaker) -> list[ChipRecord]:
    """Chips of domains a and b, in splits left and right, of their own values each."""
    return [
        make_record(
            make_tif(f"c{index}.tif", noise(seed=index) + index, crs=CRS),
            id=f"c{index}",
            domain="ab"[index % 2],
            split="left" if index < 3 else "right",
        )
        for index in range(6)
    ]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({}, "012345"),
        ({"target_splits": "left"}, "012"),
        ({"target_splits": ["left", "right"]}, "012345"),
        ({"target_domains": ["b"]}, "135"),
        ({"target_splits": ["right"], "target_domains": ["a"]}, "4"),
    ],
)
def test_splits_and_domains_select(
    source: TrainingData, several: list[ChipRecord], chosen: dict[str, Any], expected: str
) -> None:
    target = target_of(several, source, settings(adaptation=chosen))
    assert [record.id for record in target.records] == [f"c{number}" for number in expected]
    assert [record.id for record in target.chips.records] == [f"c{number}" for number in expected]
    assert set(target.domains) == {"ab"[int(number) % 2] for number in expected}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"target_splits": "lfet"}, r"no chip of split 'lfet' \(did you mean 'left'\?\)"),
        ({"target_domains": ["a", "c"]}, r"no chip of domain 'c'.*it has a, b"),
    ],
)
def test_a_split_or_domain_that_is_not_there_is_refused(
    source: TrainingData, several: list[ChipRecord], chosen: dict[str, Any], message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        target_of(several, source, settings(adaptation=chosen))


def test_a_choice_that_leaves_no_chip_is_refused(
    source: TrainingData, several: list[ChipRecord]
) -> None:
    nobody = {"target_splits": ["right"], "target_domains": ["a"]}
    with pytest.raises(DataError, match="no chip to adapt to"):
        target_of(several[:4], source, settings(adaptation=nobody))


def test_a_source_without_chips_to_train_on_is_named(data: Path, several: list[ChipRecord]) -> None:
    manifest = read_manifest(data)
    idle = Manifest(
        tuple(replace(one, domain="idle", split="val") for one in manifest) + manifest.records[:1]
    )
    chosen = settings(data={"domains": ["idle"]})
    with pytest.raises(
        DataError, match="no labelled chip in split 'train' of domains idle; assign"
    ):
        check_target(chosen, idle, Manifest(tuple(several)))


def test_a_target_without_any_data_is_refused(
    source: TrainingData, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    empty = np.full((2, 40, 40), np.nan, np.float32)
    with pytest.raises(DataError, match="without data"):
        target_of([make_record(make_tif("empty.tif", empty))], source)


def test_the_sample_is_always_the_same_and_as_large_as_asked(
    source: TrainingData, several: list[ChipRecord], make_tif: TifMaker, make_record: RecordMaker
) -> None:
    empty = make_record(make_tif("empty.tif", np.full((2, 40, 48), np.nan, np.float32)), id="empty")
    records = [*several, empty]
    target = target_of(records, source)
    whole = tuple(range(len(several)))
    assert sample_of(target.chips, 1e9) == whole
    for count in range(1, len(several)):
        sample = sample_of(target.chips, 40 * 48 * count)
        assert len(sample) == count
        assert sample_of(target.chips, 40 * 48 * (count - 1) + 1) == sample
        assert sample_of(target_of(records, source).chips, 40 * 48 * count) == sample
        assert set(sample) < set(whole)
    assert sample_of(target.chips, 40 * 48 * 3) != (0, 1, 2)  # spread, not the first ones


@pytest.mark.parametrize("kind", ["domain", "scene"])
def test_statistics_of_groups_are_numpys(
    data: Path, several: list[ChipRecord], kind: str, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    chosen = settings(normalization={"kind": kind})
    records = [replace(record, scene=f"s{place // 2}") for place, record in enumerate(several)]
    # Two parts of one image, which is a group of its own where no scene is named.
    file = make_tif("whole.tif", noise(32, 1100, seed=9), crs=CRS)
    whole = make_record(file, id="whole", domain="b")
    target = target_of([*records, whole], prepare(chosen, read_manifest(data)), chosen)
    groups: dict[str, list[FloatArray]] = {}
    for record in (*records, whole):
        with rasterio.open(record.images[0]) as dataset:
            image = dataset.read().astype(np.float64)
        name = record.domain if kind == "domain" else record.scene or record.id
        groups.setdefault(name, []).append(image[:, np.isfinite(image).all(axis=0)])
    assert target.groups.keys() == groups.keys()
    assert len(groups) == (2 if kind == "domain" else 4)
    for name, parts in groups.items():
        values = np.concatenate(parts, axis=1)
        found = target.groups[name]
        assert found.count == values.shape[1]
        np.testing.assert_allclose(found.mean, values.mean(axis=1), rtol=1e-6)
        np.testing.assert_allclose(found.std, values.std(axis=1), rtol=1e-6)
    for index, record in enumerate(target.chips.records):
        name = record.domain if kind == "domain" else record.scene or record.id
        assert target.group_at(index) == target.groups[name]
