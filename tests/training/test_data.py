from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine

from sarwater.config import TrainSettings, build_settings
from sarwater.datasets.manifest import (
    ChipRecord,
    LabelCodes,
    Manifest,
    read_manifest,
    write_manifest,
)
from sarwater.errors import ConfigError, DataError, ManifestError, SarwaterWarning
from sarwater.raster import read_chip
from sarwater.training.data import prepare, rows_hash
from sarwater.types import Units
from tests.conftest import CRS, RecordMaker, TifMaker

SIDE = 40


def settings(**changes: dict[str, Any]) -> TrainSettings:
    return build_settings(TrainSettings, {"patches": {"size": 32}, **changes}, "test")


@pytest.fixture
def manifest(make_tif: TifMaker, make_record: RecordMaker, tmp_path: Path) -> Manifest:
    """Four chips to train on, two to validate and one without a label; domains a and b."""
    random = np.random.default_rng(0)
    records = []
    for index in range(7):
        image = random.normal(-10 - index, 3, (2, SIDE, SIDE)).astype(np.float32)
        image[:, :5] = np.nan
        label = (random.random((SIDE, SIDE)) < 0.3).astype(np.uint8)
        label[-3:] = 9
        records.append(
            make_record(
                make_tif(f"i{index}.tif", image, crs=CRS),
                id=f"c{index}",
                domain="ab"[index % 2],
                scene=f"s{index // 3}",
                split="train" if index < 4 else "val",
                labels=(make_tif(f"l{index}.tif", label, crs=CRS),) if index < 6 else (),
                codes="0=land,1=water,9=ignore" if index < 6 else (),
            )
        )
    write_manifest(Manifest(tuple(records)), tmp_path / "data.csv")
    return read_manifest(tmp_path / "data.csv")


def pixels(records: list[ChipRecord]) -> Any:
    chips = [read_chip(record) for record in records]
    return np.concatenate([chip.image[:, chip.valid] for chip in chips], axis=1).astype(float)


def test_everything_that_is_known_before_the_first_step(manifest: Manifest) -> None:
    data = prepare(settings(), manifest)
    assert [record.id for record in data.train.records] == ["c0", "c1", "c2", "c3"]
    assert [record.id for record in data.val.records] == ["c4", "c5"]
    assert (data.bands, data.units, data.classes) == (("VV", "VH"), Units.DB, ("land", "water"))
    assert data.pixel_size == pytest.approx(10)
    assert len(data.sampler.places) == 4 * 4
    assert data.groups == {}
    statistics = data.normalizer.statistics
    assert statistics is not None
    expected = pixels(list(data.train.records))
    np.testing.assert_allclose(statistics.mean, expected.mean(axis=1))
    np.testing.assert_allclose(statistics.std, expected.std(axis=1))
    assert statistics.count == 4 * (SIDE - 5) * SIDE
    assert data.description == {
        "manifest_sha256": rows_hash(manifest.records[:6]),
        "domains": ["a", "b"],
        "train_chips": 4,
        "val_chips": 2,
    }


@pytest.mark.parametrize(
    ("kind", "groups"),
    [
        ("domain", {"a": [0, 2, 4], "b": [1, 3, 5]}),
        ("scene", {"s0": [0, 1, 2], "s1": [3, 4, 5]}),
    ],
)
def test_statistics_of_groups(kind: str, groups: dict[str, list[int]], manifest: Manifest) -> None:
    data = prepare(settings(normalization={"kind": kind}), manifest)
    assert data.groups.keys() == groups.keys()
    for name, members in groups.items():
        expected = pixels([manifest.records[index] for index in members])
        np.testing.assert_allclose(data.groups[name].mean, expected.mean(axis=1))
        np.testing.assert_allclose(data.groups[name].std, expected.std(axis=1))


def test_chips_that_no_patch_shows_are_named(
    manifest: Manifest, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    """Two are smaller than a patch, of which one has too little data; a third has no labels."""
    random = np.random.default_rng(1)
    more = []
    for name, side, code in (("tiny", 10, 1), ("small", 30, 1), ("unlabelled", SIDE, 9)):
        image = random.normal(-10, 3, (2, side, side)).astype(np.float32)
        label = np.full((side, side), code, np.uint8)
        more.append(
            make_record(
                make_tif(f"{name}.tif", image, crs=CRS),
                id=name,
                split="train",
                labels=(make_tif(f"{name}_l.tif", label, crs=CRS),),
                codes="0=land,1=water,9=ignore",
            )
        )
    with pytest.warns(SarwaterWarning, match=r"patches\.size") as told:
        data = prepare(settings(), replace(manifest, records=(*manifest.records, *more)))
    assert data.unused == ("tiny", "unlabelled")
    (warning,) = told
    assert str(warning.message).startswith(
        "1 of 7 training chips are smaller than a patch of 32 px and never shown (tiny)"
    )
    assert prepare(settings(), manifest).unused == ()


def test_a_chip_without_a_scene_is_its_own(manifest: Manifest) -> None:
    records = tuple(replace(record, scene="") for record in manifest)
    data = prepare(settings(normalization={"kind": "scene"}), Manifest(records))
    assert sorted(data.groups) == ["c0", "c1", "c2", "c3", "c4", "c5"]


def test_domains_and_splits_are_selected(manifest: Manifest) -> None:
    chosen = settings(data={"domains": ["b"], "train_split": "val", "val_split": "train"})
    data = prepare(chosen, manifest)
    assert [record.id for record in data.train.records] == ["c5"]
    assert [record.id for record in data.val.records] == ["c1", "c3"]
    assert data.description["domains"] == ["b"]


def test_settings_reach_sampler_and_normalizer(manifest: Manifest) -> None:
    chosen = settings(
        patches={"size": 48, "strategy": "uniform"},
        normalization={"kind": "fixed", "value_range": [-30, 0]},
        run={"seed": 9},
    )
    data = prepare(chosen, manifest)
    assert data.sampler.seed == 9
    assert data.sampler.settings == chosen.patches
    assert data.normalizer.value_range == (-30, 0)


def test_chips_without_a_crs_have_no_pixel_size(manifest: Manifest, make_tif: TifMaker) -> None:
    plain = make_tif("plain.tif", np.ones((2, SIDE, SIDE), np.float32))
    label = make_tif("plain_l.tif", np.ones((SIDE, SIDE), np.uint8))
    first = replace(manifest.records[0], images=(plain,), labels=(label,))
    assert prepare(settings(), Manifest((first, *manifest.records[1:]))).pixel_size is None


def test_the_pixel_size_is_the_median(manifest: Manifest, make_tif: TifMaker) -> None:
    place = Affine(30.0, 0.0, 500_000.0, 0.0, -30.0, 5_000_000.0)
    image = make_tif("big.tif", np.ones((2, SIDE, SIDE), np.float32), crs=CRS, transform=place)
    label = make_tif("big_l.tif", np.ones((SIDE, SIDE), np.uint8), crs=CRS, transform=place)
    first = replace(manifest.records[0], images=(image,), labels=(label,))
    assert prepare(settings(), Manifest((first, *manifest.records[1:]))).pixel_size == 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bands": ("VH", "VV")}, "chip 'c3' has bands VH;VV, chip 'c0' has VV;VH"),
        ({"units": Units.LINEAR}, "chip 'c3' has units linear, chip 'c0' has db"),
    ],
)
def test_chips_that_differ(change: dict[str, Any], message: str, manifest: Manifest) -> None:
    records = list(manifest.records)
    records[3] = replace(records[3], **change)
    with pytest.raises(DataError, match=message):
        prepare(settings(), Manifest(tuple(records)))


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        (
            [{"name": "cross_entropy", "class_weights": [1, 3, 8]}],
            r"^loss\.terms\.0\.class_weights has 3 values, the chips have 2 classes "
            r"\(land, water\): give one value a class, in that order$",
        ),
        (
            ["dice", {"name": "focal", "alpha": [0.1, 0.4, 0.5]}],
            r"^loss\.terms\.1\.alpha has 3 values, the chips",
        ),
        (
            [
                {"name": "balanced_cross_entropy", "alpha": [0.1, 0.4, 0.5, 0.6]},
                {"name": "cross_entropy", "class_weights": [1, 3]},
                {"name": "cross_entropy", "class_weights": [1, 3, 8]},
            ],
            r"^loss\.terms\.0\.alpha has 4 values, loss\.terms\.2\.class_weights has 3 values, the",
        ),
    ],
)
def test_a_value_a_class_is_asked_for_before_a_chip_is_read(
    terms: list[Any], message: str, manifest: Manifest
) -> None:
    for path in manifest.files[1:]:
        path.unlink()
    with pytest.raises(ConfigError, match=message):
        prepare(settings(loss={"terms": terms}), manifest)


def test_a_value_a_class_for_all_of_them_is_taken(manifest: Manifest) -> None:
    terms = [
        {"name": "cross_entropy", "class_weights": [1, 3]},
        {"name": "balanced_cross_entropy", "alpha": 0.7},
        {"name": "focal", "alpha": [0.1, 0.4]},
    ]
    assert prepare(settings(loss={"terms": terms}), manifest).classes == ("land", "water")


def test_a_split_that_is_not_there(manifest: Manifest) -> None:
    with pytest.raises(ManifestError, match=r"split 'vall' \(did you mean 'val'"):
        prepare(settings(data={"val_split": "vall"}), manifest)
    with pytest.raises(ManifestError, match="domain 'c'"):
        prepare(settings(data={"domains": ["c"]}), manifest)


def test_a_split_without_labels(manifest: Manifest) -> None:
    records = tuple(
        replace(record, labels=(), codes=()) if record.split == "val" else record
        for record in manifest
    )
    with pytest.raises(DataError, match="no labelled chip in split 'val'; assign some"):
        prepare(settings(), Manifest(records))
    mixed = tuple(
        replace(record, domain="b" if record.split == "val" else "a") for record in manifest
    )
    with pytest.raises(DataError, match="no labelled chip in split 'val' of domains a"):
        prepare(settings(data={"domains": ["a"]}), Manifest(mixed))


@pytest.mark.parametrize(
    ("split", "codes", "missing"),
    [
        ("train", "0=land,1=ignore,9=ignore", "labelled water"),
        ("val", "0=land,1=ignore,9=ignore", "labelled water"),
        ("val", "0=ignore,1=water,9=ignore", "labelled land"),
        ("train", "*=ignore", "labelled land and none labelled water"),
    ],
)
def test_a_split_that_misses_a_class(
    split: str, codes: str, missing: str, manifest: Manifest
) -> None:
    records = tuple(
        replace(record, codes=(LabelCodes.parse(codes),) * len(record.labels))
        if record.split == split
        else record
        for record in manifest
    )
    with pytest.raises(DataError, match=f"split '{split}' has no valid pixel {missing}"):
        prepare(settings(), Manifest(records))


def test_any_of_several_foreground_classes_is_enough(manifest: Manifest) -> None:
    classes = ("land", "lake", "flood")
    codes = (LabelCodes.parse("0=land,1=flood,9=ignore"),)
    records = tuple(
        replace(record, classes=classes, codes=codes if record.labels else ())
        for record in manifest
    )
    data = prepare(settings(), Manifest(records))
    assert data.classes == classes
    assert data.sampler.places.foreground.sum() > 0


def test_the_hash_is_of_what_the_rows_say_and_not_of_where_they_lie(
    manifest: Manifest, tmp_path: Path
) -> None:
    records = manifest.records
    moved = tuple(
        replace(record, images=tuple(tmp_path / "else" / path.name for path in record.images))
        for record in records
    )
    assert rows_hash(records) == rows_hash(moved)
    changes: list[dict[str, Any]] = [
        {"id": "z"},
        {"domain": "z"},
        {"split": "z"},
        {"units": Units.LINEAR},
        {"nodata": "0"},
        {"bands": ("VV", "X")},
        {"images": (tmp_path / "other.tif",)},
        {"labels": (tmp_path / "other.tif",)},
        {"codes": (LabelCodes.parse("0=water,1=land"),)},
        {"classes": ("land", "lake")},
    ]
    hashes = {rows_hash((replace(records[0], **change), *records[1:])) for change in changes}
    assert len(hashes | {rows_hash(records), rows_hash(records[::-1])}) == len(changes) + 2
