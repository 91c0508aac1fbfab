from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy import ndimage
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import precision_recall_curve

from sarwater.datasets.manifest import Manifest, read_manifest
from sarwater.datasets.regions import REGIONS
from sarwater.datasets.simulated import (
    SimulatedRegion,
    simulate_region,
    split_rows,
    write_pair,
)
from sarwater.datasets.splits import shared_ground
from sarwater.errors import ConfigError, OutputExistsError
from sarwater.raster import read_chip
from sarwater.types import AnyArray, BoolArray, FloatArray, Units

SIZE = 768


@pytest.fixture(scope="module")
def regions() -> Mapping[str, SimulatedRegion]:
    return {name: simulate_region(replace(s, size=SIZE), seed=0) for name, s in REGIONS.items()}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "pair"
    write_pair(out, size=290, chip_size=64, seed=5)
    return out


def best_f1(score: AnyArray, water: BoolArray) -> float:
    precision, recall, _ = precision_recall_curve(water, score)
    return float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-12)))


@pytest.mark.parametrize("name", REGIONS)
@pytest.mark.parametrize("band", [0, 1])
def test_no_threshold_on_a_filtered_band_exceeds_f1_of_point_8(
    regions: Mapping[str, SimulatedRegion], name: str, band: int
) -> None:
    region = regions[name]
    image, water = region.image[band], region.target[region.valid] == 1
    filtered = {
        "none": image,
        "median 3": ndimage.median_filter(image, 3),
        "median 5": ndimage.median_filter(image, 5),
        "mean 3": ndimage.uniform_filter(image, 3),
        "mean 7": ndimage.uniform_filter(image, 7),
        "mean 7, linear": ndimage.uniform_filter(10 ** (image / 10), 7),
    }
    scores = {how: best_f1(-values[region.valid], water) for how, values in filtered.items()}
    assert max(scores.values()) < 0.8, scores


def features(image: FloatArray) -> FloatArray:
    vv, vh = image
    columns = []
    for band in (vv, vh, vv - vh):
        for width in (5, 11, 25):
            mean = ndimage.uniform_filter(band, width)
            spread = ndimage.uniform_filter(band**2, width) - mean**2
            columns += [mean, np.sqrt(np.maximum(spread, 0))]
    return np.stack(columns, axis=-1)


def test_context_and_both_bands_beat_every_threshold(
    regions: Mapping[str, SimulatedRegion],
) -> None:
    region = regions["north"]
    x = features(region.image)
    # Stripes of 96 rows, by turns to learn from and to ask; between them what both would see.
    stripe, within = np.divmod(np.arange(SIZE), 96)
    inner = ((within >= 13) & (within < 83))[:, None]
    known = region.valid & inner & (stripe % 2 == 0)[:, None]
    asked = region.valid & inner & (stripe % 2 == 1)[:, None]
    some = np.random.default_rng(0).choice(int(known.sum()), 40_000, replace=False)
    learner = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.2)
    learner.fit(x[known][some], region.target[known][some])
    water = region.target[asked] == 1
    learned = best_f1(learner.predict_proba(x[asked])[:, 1], water)
    threshold = max(best_f1(-ndimage.median_filter(band, 5)[asked], water) for band in region.image)
    assert learned > threshold + 0.1
    assert learned > 0.8


def test_equal_seeds_give_equal_scenes_and_others_do_not() -> None:
    settings = replace(REGIONS["south"], size=160)
    one, same = simulate_region(settings, 4), simulate_region(settings, 4)
    np.testing.assert_array_equal(one.image, same.image)
    np.testing.assert_array_equal(one.cover, same.cover)
    for other in (simulate_region(settings, 3), simulate_region(settings, 4, scene=1)):
        assert not np.array_equal(one.image, other.image)
        assert not np.array_equal(one.target, other.target)


@pytest.mark.parametrize("name", REGIONS)
def test_water_takes_its_share(regions: Mapping[str, SimulatedRegion], name: str) -> None:
    region = regions[name]
    share = float((region.target[region.valid] == 1).mean())
    assert share == pytest.approx(region.settings.shares.water, abs=0.02)


def test_the_regions_differ(regions: Mapping[str, SimulatedRegion]) -> None:
    north, south = regions["north"], regions["south"]
    for band in (0, 1):
        medians = [float(np.median(r.image[band][r.target == 1])) for r in (north, south)]
        assert medians[1] - medians[0] > 1
    waters = [float((r.target == 1).mean()) for r in (north, south)]
    assert waters[0] > 1.3 * waters[1]
    assert REGIONS["north"].crs != REGIONS["south"].crs
    counts = [np.bincount(r.cover.ravel(), minlength=11) / r.cover.size for r in (north, south)]
    assert np.abs(counts[0] - counts[1]).sum() > 0.3


def test_values_lie_where_sentinel_1_finds_them(regions: Mapping[str, SimulatedRegion]) -> None:
    for region in regions.values():
        assert region.image.dtype == np.float32
        assert np.isfinite(region.image).all()
        inside = region.image[:, region.valid]
        assert inside.min() > -50
        assert inside.max() < 25
        medians = np.median(inside, axis=1)
        assert -16 < medians[0] < -7
        assert -23 < medians[1] < -13
        assert medians[0] - medians[1] > 4


def test_the_swath_is_tilted_and_its_borders_are_ignored(
    regions: Mapping[str, SimulatedRegion],
) -> None:
    for region in regions.values():
        assert ((region.target == 255) == ~region.valid).all()
        assert 0.9 < region.valid.mean() < 0.97
        first = region.valid.argmax(axis=1)
        assert abs(int(first[0]) - int(first[-1])) > 20
    assert not regions["north"].valid[0, 0]
    assert regions["north"].valid[-1, 0]


def test_files_are_equal_when_made_twice(pair: Path, tmp_path: Path) -> None:
    again = tmp_path / "pair"
    write_pair(again, size=290, chip_size=64, seed=5)
    files = sorted(p.relative_to(pair) for p in pair.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    for file in files:
        assert (pair / file).read_bytes() == (again / file).read_bytes(), file


def test_chips_are_windows_of_their_scene(pair: Path) -> None:
    manifest = read_manifest(pair / "data.csv")
    assert len(manifest) == 2 * 4 * 4
    for record in manifest:
        assert record.row is not None
        assert record.col is not None
        for kind, path in (("VV_VH", record.images[0]), ("labels", record.labels[0])):
            with (
                rasterio.open(pair / record.domain / f"scene_{kind}.tif") as scene,
                rasterio.open(path) as chip,
            ):
                window = rasterio.windows.from_bounds(*chip.bounds, transform=scene.transform)
                offsets = (window.row_off, window.col_off)
                assert offsets == pytest.approx((64 * record.row, 64 * record.col))
                assert scene.crs == chip.crs
                assert chip.crs.to_string() == REGIONS[record.domain].crs
                assert chip.res == (10, 10)
                np.testing.assert_array_equal(scene.read(window=window), chip.read())


def test_chips_read_through_the_manifest(pair: Path) -> None:
    manifest = read_manifest(pair / "data.csv")
    missing = 0
    for record in manifest:
        chip = read_chip(record)
        assert chip.units == Units.DB
        assert chip.bands == ("VV", "VH")
        assert chip.target is not None
        np.testing.assert_array_equal(chip.target == 255, ~chip.valid)
        assert int(record.extra["water_px"]) == int((chip.target == 1).sum())
        assert int(record.extra["land_px"]) == int((chip.target == 0).sum())
        missing += int((~chip.valid).sum())
    assert missing > 0


def test_no_split_shares_ground_with_another(pair: Path) -> None:
    chips, scenes = read_manifest(pair / "data.csv"), read_manifest(pair / "scenes.csv")
    assert chips.select(domains=["north"]).splits == ("train", "val", "test")
    assert chips.select(domains=["south"]).splits == ("adapt", "test")
    assert scenes.splits == ("unseen",)
    assert shared_ground(Manifest(chips.records + scenes.records)) == []


def test_unseen_scenes_come_with_truth(pair: Path) -> None:
    for record in read_manifest(pair / "scenes.csv"):
        chip = read_chip(record)
        assert chip.target is not None
        assert chip.image.shape == (2, 290, 290)
        assert {0, 1} < set(chip.target.ravel().tolist())


@pytest.mark.parametrize("count", range(3, 30))
def test_every_split_has_rows(count: int) -> None:
    source, target = split_rows(count, is_source=True), split_rows(count, is_source=False)
    assert len(source) == len(target) == count
    assert set(source) == {"train", "val", "test"}
    assert set(target) == {"adapt", "test"}
    assert source.count("train") >= count // 3


def test_an_existing_folder_stays_unless_overwritten(pair: Path) -> None:
    before = (pair / "data.csv").read_bytes()
    with pytest.raises(OutputExistsError, match="--overwrite"):
        write_pair(pair, size=290, chip_size=64)
    assert (pair / "data.csv").read_bytes() == before


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("sarwater.datasets.simulated.write_manifest", fail)
    with pytest.raises(OSError, match="disk full"):
        write_pair(tmp_path / "pair", size=150, chip_size=50)
    assert list(tmp_path.iterdir()) == []


def test_overwriting_replaces_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "pair"
    write_pair(out, size=150, chip_size=50, seed=1)
    stale = out / "north" / "chips" / "stale.tif"
    stale.write_text("of a former size")
    first = (out / "north" / "scene_VV_VH.tif").read_bytes()
    write_pair(out, size=150, chip_size=50, seed=2, overwrite=True)
    assert not stale.exists()
    assert (out / "north" / "scene_VV_VH.tif").read_bytes() != first


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"size": 256, "chip_size": 128}, "three chips"),
        ({"size": 256, "chip_size": 8}, "16 px"),
        ({"seed": -1}, "negative"),
        ({"looks": 0.0}, "looks = 0.0"),
        ({"size": 96, "chip_size": 32}, "below 128"),
    ],
)
def test_values_out_of_range_are_named(tmp_path: Path, options: dict[str, int], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        write_pair(tmp_path / "pair", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "pair").exists()


def test_a_pair_may_be_of_other_regions(tmp_path: Path) -> None:
    north, south = REGIONS.values()
    bright = replace(south, gain=(south.gain[0] + 5, south.gain[1] + 5))
    options = {"size": 150, "chip_size": 50, "seed": 1}
    plain = write_pair(tmp_path / "plain", **options)  # type: ignore[arg-type]
    shifted = write_pair(tmp_path / "shifted", pair=(north, bright), **options)  # type: ignore[arg-type]
    for before, after in zip(plain, shifted, strict=True):
        one, other = read_chip(before), read_chip(after)
        np.testing.assert_array_equal(one.target, other.target)
        expected = 5.0 if before.domain == "south" else 0.0
        np.testing.assert_allclose((other.image - one.image)[:, one.valid], expected, atol=1e-4)
