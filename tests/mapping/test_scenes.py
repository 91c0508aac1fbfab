import json
import platform
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import rasterio
from affine import Affine

import sarwater
from sarwater.errors import ConfigError, DataError, ModelError, OutputExistsError, RasterError
from sarwater.files import write_json
from sarwater.mapping import inputs, making
from sarwater.mapping.inputs import NO_PLACE, SceneSource
from sarwater.mapping.options import MapOptions, PolygonOptions
from sarwater.mapping.scenes import map_scene, map_scenes
from sarwater.normalize import Normalization, Normalizer
from sarwater.prediction import predict_image, water_probability
from sarwater.types import AnyArray, FloatArray, Units
from tests.conftest import CRS, PLACE, TifMaker
from tests.tiny_models import PATCH, PointwiseEngine, engine, predictor

BANDS = ("VV", "VH")
Mapped = Callable[..., tuple[dict[str, Any], list[str]]]


def decibels(height: int = 70, width: int = 45, bands: int = 2) -> FloatArray:
    values = np.random.default_rng(6).uniform(-30, 2, (bands, height, width))
    return values.astype(np.float32)


def normalized(image: FloatArray) -> FloatArray:
    return np.asarray((np.clip(image, -35, 5) + 35) * np.float32(0.05) - 1, np.float32)


def expected(image: FloatArray, valid: AnyArray | None = None) -> FloatArray:
    """Water probability by the windows of the models here, in memory."""
    seen = np.ones(image.shape[1:], np.bool_) if valid is None else valid
    ready = np.where(seen, normalized(image), np.float32(0))
    return water_probability(predict_image(ready, seen, engine(), PATCH, 8, 4))


class Written(NamedTuple):
    crs: Any
    transform: Affine
    tags: dict[str, str]


def read(path: Path) -> tuple[AnyArray, Written]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as dataset:
            values = dataset.read(1)
            if dataset.scales[0] != 1:
                values = np.where(values == dataset.nodata, np.nan, values * dataset.scales[0])
            return values, Written(dataset.crs, dataset.transform, dataset.tags())


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "maps"


@pytest.fixture
def mapped(out: Path) -> Mapped:
    """Map one scene; return the summary and what was said."""

    def run(*files: Path, model: Any = None, **changes: Any) -> tuple[dict[str, Any], list[str]]:
        said: list[str] = []
        options = MapOptions(**{"probability": "float32", **changes.pop("options", {})})
        source = SceneSource(files, **changes)
        summary = map_scene(source, model or predictor(), out, options, say=said.append)
        return summary, said

    return run


def test_a_scene_of_one_tile_is_the_patchs_prediction(
    make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    image = decibels(PATCH, PATCH)
    mapped(make_tif("s.tif", image, crs=CRS, bands=BANDS))
    probability = engine().predict(normalized(image)[None])[0, 1]
    np.testing.assert_array_equal(read(out / "s_probability.tif")[0], probability)
    np.testing.assert_array_equal(read(out / "s_water.tif")[0], probability >= np.float32(0.4))


@pytest.mark.parametrize(
    ("height", "width"), [(70, 45), (1, 90), (90, 1), (1, 1), (5, 7), (33, 32), (530, 40)]
)
def test_a_scene_of_any_size_is_mapped_as_in_memory(
    height: int, width: int, make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    image = decibels(height, width)
    summary, said = mapped(make_tif("s.tif", image, crs=CRS, bands=BANDS))
    found, dataset = read(out / "s_probability.tif")
    np.testing.assert_array_equal(found, expected(image))
    assert dataset.transform == PLACE
    assert dataset.crs.to_epsg() == 32631
    assert said == []
    water = int((expected(image) >= np.float32(0.4)).sum())
    assert summary["water"] == {"pixels": water, "km2": pytest.approx(water * 1e-4)}


@pytest.mark.parametrize(
    "layout",
    [
        {"tiled": True, "blockxsize": 16, "blockysize": 48},
        {"tiled": True, "blockxsize": 512, "blockysize": 512},
        {"tiled": False, "blockysize": 7},
        {"tiled": False, "blockysize": 70, "interleave": "band"},
    ],
)
def test_the_blocks_of_the_file_do_not_matter(
    layout: dict[str, Any], make_tif: TifMaker, mapped: Mapped, out: Path, tmp_path: Path
) -> None:
    image = decibels()
    with rasterio.open(make_tif("plain.tif", image, crs=CRS, bands=BANDS)) as dataset:
        profile = dataset.profile | {"compress": "deflate"} | layout
    with rasterio.open(tmp_path / "blocks.tif", "w", **profile) as dataset:
        dataset.write(image)
        dataset.descriptions = BANDS
    mapped(tmp_path / "blocks.tif")
    mapped(tmp_path / "plain.tif")
    found, wanted = (read(out / f"{name}_probability.tif")[0] for name in ("blocks", "plain"))
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_allclose(found, expected(image), rtol=0, atol=1e-6)


def test_the_probability_does_not_depend_on_the_batch_size(make_tif: TifMaker, out: Path) -> None:
    file = make_tif("s.tif", decibels(100, 100), crs=CRS, bands=BANDS)
    maps = []
    for size in (1, 3, 64):
        model = predictor()
        model.windows = type(model.windows)(PATCH, 8, size)
        source = SceneSource((file,), name=f"b{size}")
        map_scene(source, model, out)
        maps.append(read(out / f"b{size}_probability.tif")[0])
    np.testing.assert_allclose(maps[1], maps[0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(maps[2], maps[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("kind", ["nan", "value", "mask"])
def test_no_data_stays_no_data(kind: str, make_tif: TifMaker, mapped: Mapped, out: Path) -> None:
    image = decibels()
    valid = np.ones(image.shape[1:], np.bool_)
    valid[:40, :10] = False
    valid[50, 20] = False
    filled, options = image.copy(), dict[str, Any]()
    if kind == "nan":
        filled[1, ~valid] = np.nan
    elif kind == "value":
        filled[:, ~valid] = -9999
        options = {"nodata": -9999.0}
    else:
        options = {"mask": valid}
    summary, _ = mapped(make_tif("s.tif", filled, crs=CRS, bands=BANDS, **options))
    classes, _ = read(out / "s_water.tif")
    probability, _ = read(out / "s_probability.tif")
    np.testing.assert_array_equal(classes == 255, ~valid)
    np.testing.assert_array_equal(np.isnan(probability), ~valid)
    np.testing.assert_array_equal(probability[valid], expected(image, valid)[valid])
    assert summary["no_data"]["pixels"] == int((~valid).sum())
    assert sum(v["pixels"] for v in summary["classes"].values()) == int(valid.sum())


def test_the_border_of_an_8_bit_scene_is_no_data_and_its_dark_water_is_not(
    make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    image = np.random.default_rng(1).integers(1, 250, (2, 60, 60)).astype(np.uint8)
    image[:, :, :8] = 255
    image[:, 30:40, 30:40] = 0
    kind = Normalizer(Normalization.FIXED, Units.BYTE)
    model = predictor(units=Units.BYTE, normalization=kind)
    mapped(make_tif("s.tif", image, crs=CRS, bands=BANDS), model=model)
    classes, _ = read(out / "s_water.tif")
    assert (classes[:, :8] == 255).all()
    assert (classes[:, 8:] != 255).all()


def test_a_scene_without_a_valid_pixel_is_mapped_as_no_data(
    make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    empty = np.full((2, 40, 50), np.nan, np.float32)
    kind = Normalizer(Normalization.SCENE, Units.DB)
    runner = PointwiseEngine()
    summary, said = mapped(
        make_tif("s.tif", empty, crs=CRS, bands=BANDS),
        model=predictor(runner, normalization=kind),
    )
    assert (read(out / "s_water.tif")[0] == 255).all()
    assert np.isnan(read(out / "s_probability.tif")[0]).all()
    assert runner.batches == []
    assert summary["water_share"] is None
    assert "no valid pixel was found" in said[0]


def test_a_scene_that_lies_nowhere_is_refused_before_it_is_run(
    make_tif: TifMaker, mapped: Mapped
) -> None:
    runner = PointwiseEngine()
    path = make_tif("s.tif", decibels(), crs="EPSG:4326", transform=PLACE, bands=BANDS)
    with pytest.raises(DataError, match=r"s\.tif lies nowhere on Earth: its CRS is EPSG:4326"):
        mapped(path, model=predictor(runner))
    assert runner.batches == []


def test_provenance_is_in_the_tags(make_tif: TifMaker, mapped: Mapped, out: Path) -> None:
    mapped(make_tif("s.tif", decibels(), crs=CRS, bands=BANDS), options={"threshold": 0.25})
    for kind in ("water", "probability"):
        tags = read(out / f"s_{kind}.tif")[1].tags
        assert tags["SARWATER_VERSION"] == sarwater.__version__
        assert tags["MODEL_HASH"] == "ab" * 32
        assert tags["THRESHOLD"] == "0.25"
        assert tags["THRESHOLD_CRITERION"] == "given by the user"
        assert tags["SEED_MARGIN"] == "0.0"
        assert tags["UNITS"] == "db"
        assert tags["NORMALIZATION"] == "fixed"
        assert tags["SOURCE"] == "s.tif"
        assert tags["BANDS"] == "VV,VH"


def test_the_summary_is_written(make_tif: TifMaker, mapped: Mapped, out: Path) -> None:
    summary, _ = mapped(make_tif("s.tif", decibels(), crs=CRS, bands=BANDS))
    assert json.loads((out / "s_summary.json").read_text()) == summary
    names = [
        "water.tif",
        "probability.tif",
        "water.qml",
        "probability.qml",
        "item.json",
        "summary.json",
    ]
    assert summary["outputs"] == [f"s_{name}" for name in names]
    assert sorted(path.name for path in out.iterdir()) == sorted(summary["outputs"])
    assert summary["threshold"] == 0.4
    assert summary["area_unit"] == "km2"
    item = json.loads((out / "s_item.json").read_text())
    assert item["properties"]["created"] == summary["created"]
    assert datetime.fromisoformat(summary["created"]).tzinfo == UTC
    assert summary["acquired"] is None
    assert summary["versions"] == {
        "sarwater": sarwater.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "gdal": rasterio.__gdal_version__,
        "torch": version("torch"),
    }
    assets = item["assets"]
    assert {one["href"] for one in assets.values()} == {
        f"./{path.name}" for path in out.iterdir() if path.name != "s_item.json"
    }


def test_the_summary_says_when_the_scene_was_taken(make_tif: TifMaker, mapped: Mapped) -> None:
    name = "S1A_IW_GRDH_1SDV_20170812T061330_20170812T061355_017893_01E02F_A1B2.tif"
    summary, _ = mapped(make_tif(name, decibels(), crs=CRS, bands=BANDS))
    assert summary["acquired"] == "2017-08-12T06:13:30Z"


def test_a_scene_without_a_crs_is_mapped_with_areas_in_pixels(
    make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    image = decibels()
    summary, said = mapped(make_tif("s.tif", image, bands=BANDS))
    found, dataset = read(out / "s_probability.tif")
    np.testing.assert_array_equal(found, expected(image))
    assert dataset.crs is None
    assert said == [f"s: {NO_PLACE}"]
    assert summary["area_unit"] == "pixels"
    assert summary["water"]["km2"] is None
    assert summary["notes"] == [NO_PLACE]


def test_a_crs_without_coordinates_is_said_and_not_followed(
    make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        file = make_tif("s.tif", decibels(), crs=CRS, transform=Affine.identity(), bands=BANDS)
    summary, said = mapped(file, options={"polygons": PolygonOptions("gpkg")})
    (note,) = said
    assert "EPSG:32631, but no coordinates" in note
    assert summary["water"]["km2"] is None
    assert json.loads((out / "s_item.json").read_text())["geometry"] is None
    assert read(out / "s_water.tif")[1].crs is None


def test_two_files_make_one_scene_in_any_order(
    make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    image = decibels()
    vv = make_tif("flood_VV.tif", image[0], crs=CRS)
    vh = make_tif("flood_VH.tif", image[1], crs=CRS)
    summary, _ = mapped(vh, vv, bands=("VH", "VV"))
    assert summary["scene"] == "flood"
    np.testing.assert_array_equal(read(out / "flood_probability.tif")[0], expected(image))


def test_bands_are_matched_by_name_and_others_do_not_matter(
    make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    image = decibels()
    angle = np.full_like(image[0], np.nan)
    stack = np.stack([angle, image[1], image[0]])
    mapped(make_tif("s.tif", stack, crs=CRS, bands=("angle", "vh", "vv")), units=Units.DB)
    np.testing.assert_array_equal(read(out / "s_probability.tif")[0], expected(image))


def test_linear_power_is_converted_and_said(make_tif: TifMaker, mapped: Mapped, out: Path) -> None:
    image = decibels()
    power = (10 ** (image.astype(np.float64) / 10)).astype(np.float32)
    power[:, :5] = np.nan
    valid = np.isfinite(power[0])
    _, said = mapped(make_tif("s.tif", power, crs=CRS, bands=BANDS))
    found, dataset = read(out / "s_probability.tif")
    np.testing.assert_allclose(found[valid], expected(image, valid)[valid], rtol=0, atol=1e-5)
    assert np.isnan(found[~valid]).all()
    assert said == [
        "s: converted from units 'linear' (guessed from the values) to 'db', the model's"
    ]
    assert dataset.tags["SOURCE_UNITS"] == "linear"


def test_everything_that_does_not_fit_is_named_before_any_work(
    make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    counts = np.random.default_rng(0).integers(1, 900, (2, 20, 20)).astype(np.uint16)
    file = make_tif("s.tif", counts, crs=CRS, bands=("VV", "HH"))
    with pytest.raises(ModelError, match=r"s\.tif does not .*VH is not among .*'amplitude'"):
        mapped(file)
    assert not out.exists()


def test_bands_without_names_are_not_guessed(make_tif: TifMaker, mapped: Mapped, out: Path) -> None:
    image = decibels()
    file = make_tif("s.tif", image, crs=CRS)
    with pytest.raises(ModelError, match="VV, VH are not among those found: band1, band2"):
        mapped(file)
    mapped(file, bands=BANDS)
    np.testing.assert_array_equal(read(out / "s_probability.tif")[0], expected(image))


def test_what_looks_like_no_data_is_said(make_tif: TifMaker, mapped: Mapped) -> None:
    image = decibels()
    image[:, :10] = 0
    summary, (note,) = mapped(make_tif("s.tif", image, crs=CRS, bands=BANDS))
    assert "--nodata=0.0" in note
    assert summary["notes"] == [note.removeprefix("s: ")]


def test_pixels_of_another_size_are_said(make_tif: TifMaker, mapped: Mapped) -> None:
    file = make_tif("s.tif", decibels(), crs=CRS, bands=BANDS)
    _, said = mapped(file, model=predictor(pixel_size=40.0))
    assert "pixels are 10 m wide, the model is for pixels of 40 m" in said[0]


def test_pixels_of_about_the_same_size_are_not(make_tif: TifMaker, mapped: Mapped) -> None:
    file = make_tif("s.tif", decibels(), crs=CRS, bands=BANDS)
    assert mapped(file, model=predictor(pixel_size=19.0))[1] == []


@pytest.mark.parametrize("kind", [Normalization.SCENE, Normalization.DOMAIN])
def test_statistics_are_of_the_whole_scene(
    kind: Normalization, make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    image = decibels(600, 40)
    image[:, 550:] -= 20
    image[:, :9] = np.nan
    valid = np.isfinite(image[0])
    model = predictor(normalization=Normalizer(kind, Units.DB))
    mapped(make_tif("s.tif", image, crs=CRS, bands=BANDS), model=model)
    values = image[:, valid].astype(np.float64)
    mean, std = values.mean(axis=1)[:, None, None], values.std(axis=1)[:, None, None]
    ready = np.where(valid, (image - mean) / std, 0).astype(np.float32)
    water = predict_image(ready, valid, engine(), PATCH, 8)[1]
    found, _ = read(out / "s_probability.tif")
    np.testing.assert_allclose(found[valid], water[valid], rtol=0, atol=1e-5)


def test_three_classes_give_the_most_probable_water(
    make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    image = decibels()
    names = ("land", "river", "flood")
    model = predictor(classes=names, threshold=0.6)
    summary, _ = mapped(make_tif("s.tif", image, crs=CRS, bands=BANDS), model=model)
    seen = np.ones(image.shape[1:], np.bool_)
    said = predict_image(normalized(image), seen, engine(classes=3), PATCH, 8, 4, classes=3)
    water = said[1] + said[2]
    classes = np.where(water >= np.float32(0.6), np.where(said[2] > said[1], 2, 1), 0)
    np.testing.assert_array_equal(read(out / "s_water.tif")[0], classes)
    np.testing.assert_allclose(read(out / "s_probability.tif")[0], water, rtol=0, atol=1e-6)
    assert list(summary["classes"]) == list(names)
    assert summary["water"]["pixels"] == int((classes > 0).sum())
    assert set(np.unique(classes)) == {0, 1, 2}


def test_optical_bands_are_mapped_in_the_models_units(
    make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    image = np.random.default_rng(0).uniform(0, 1, (3, 40, 40)).astype(np.float32)
    kind = Normalizer(Normalization.FIXED, Units.OTHER)
    bands = ("red", "green", "nir")
    model = predictor(bands=bands, units=Units.OTHER, normalization=kind)
    _, said = mapped(make_tif("s.tif", image, crs=CRS, bands=bands), model=model)
    assert said == []
    assert np.isfinite(read(out / "s_probability.tif")[0]).all()


def test_a_truncated_scene_leaves_nothing(make_tif: TifMaker, mapped: Mapped, out: Path) -> None:
    file = make_tif("s.tif", decibels(300, 200), crs=CRS, bands=BANDS)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(RasterError, match=r"s\.tif.*truncated"):
        mapped(file, units=Units.DB)
    assert not out.exists()


def test_a_network_that_fails_midway_leaves_nothing(
    make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    class Failing(PointwiseEngine):
        def predict(self, patches: FloatArray) -> FloatArray:
            if len(self.batches) == 3:
                raise ModelError("the device is gone")
            return super().predict(patches)

    out.mkdir()
    (out / "s_water.tif").write_text("an older map")
    file = make_tif("s.tif", decibels(1200, 40), crs=CRS, bands=BANDS)
    with pytest.raises(ModelError, match="the device is gone"):
        mapped(file, model=predictor(Failing()), options={"overwrite": True})
    assert [path.read_text() for path in out.iterdir()] == ["an older map"]


def test_outputs_are_not_overwritten_unasked(make_tif: TifMaker, mapped: Mapped, out: Path) -> None:
    file = make_tif("s.tif", decibels(), crs=CRS, bands=BANDS)
    mapped(file)
    before = (out / "s_water.tif").read_bytes()
    with pytest.raises(OutputExistsError, match=r"s_water\.tif.*--overwrite"):
        mapped(file, options={"threshold": 0.9})
    assert (out / "s_water.tif").read_bytes() == before
    mapped(file, options={"threshold": 0.9, "overwrite": True})
    assert (out / "s_water.tif").read_bytes() != before


def test_the_same_scene_gives_the_same_bytes(make_tif: TifMaker, mapped: Mapped, out: Path) -> None:
    file = make_tif("s.tif", decibels(), crs=CRS, bands=BANDS)
    mapped(file)
    before = (out / "s_probability.tif").read_bytes()
    mapped(file, options={"overwrite": True})
    assert (out / "s_probability.tif").read_bytes() == before


def test_a_scene_that_fails_does_not_stop_the_others(make_tif: TifMaker, out: Path) -> None:
    files = [
        make_tif("a.tif", decibels(), crs=CRS, bands=BANDS),
        make_tif("b.tif", decibels(), crs=CRS, bands=("VV", "HH")),
        make_tif("c.tif", decibels(), crs=CRS, bands=BANDS),
    ]
    sources = [SceneSource((file,)) for file in files]
    result = map_scenes(sources, predictor(), out)
    assert [summary["scene"] for summary in result.summaries] == ["a", "c"]
    assert [name for name, _ in result.failures] == ["b"]
    assert isinstance(result.failures[0][1], ModelError)
    assert not list(out.glob("b_*"))
    assert (out / "c_water.tif").exists()


def test_scenes_of_equal_names_are_refused_before_work(make_tif: TifMaker, out: Path) -> None:
    files = [make_tif(f"{folder}/s.tif", decibels(), crs=CRS, bands=BANDS) for folder in "ab"]
    with pytest.raises(ConfigError, match="several scenes are named s"):
        map_scenes([SceneSource((file,)) for file in files], predictor(), out)
    assert not out.exists()


def test_a_name_with_a_slash_is_refused(make_tif: TifMaker, mapped: Mapped) -> None:
    file = make_tif("s.tif", decibels(), crs=CRS, bands=BANDS)
    with pytest.raises(ConfigError, match="without slashes"):
        mapped(file, name="../s")


def test_a_map_never_replaces_its_scene(make_tif: TifMaker, tmp_path: Path) -> None:
    file = make_tif("s_water.tif", decibels(), crs=CRS, bands=BANDS)
    before = file.read_bytes()
    with pytest.raises(ConfigError, match="is a scene that is to be read"):
        map_scene(SceneSource((file,), name="s"), predictor(), tmp_path, MapOptions(overwrite=True))
    assert file.read_bytes() == before


def test_one_file_is_not_two_bands(make_tif: TifMaker, mapped: Mapped, tmp_path: Path) -> None:
    file = make_tif("a.tif", decibels(bands=1), crs=CRS)
    (tmp_path / "link.tif").symlink_to(file)
    for other in (file, tmp_path / "link.tif"):
        with pytest.raises(DataError, match=r"a\.tif is named for several bands"):
            mapped(file, other, bands=BANDS)


def test_files_that_describe_themselves_as_another_band_are_said(
    make_tif: TifMaker, mapped: Mapped
) -> None:
    one, other = (
        make_tif(f"{name}.tif", decibels(bands=1) - shift, crs=CRS, bands=(name,))
        for shift, name in ((0, "VV"), (6, "VH"))
    )
    _, said = mapped(other, one, bands=BANDS, name="swapped")
    assert len(said) == 2
    assert "VH.tif was named as band VV, but describes itself as VH" in said[0]
    assert mapped(one, other, bands=BANDS, name="right")[1] == []


def test_a_file_in_the_place_of_the_folder_is_named_before_any_work(
    make_tif: TifMaker, mapped: Mapped, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_tif("s.tif", decibels(), crs=CRS, bands=BANDS)
    monkeypatch.setattr(inputs, "Scene", None)  # fails where it is opened
    out.write_text("mine")
    with pytest.raises(OutputExistsError, match="is a file; name a folder for the maps"):
        mapped(file)
    assert out.read_text() == "mine"


def test_files_that_do_not_fit_each_other_are_named(make_tif: TifMaker, mapped: Mapped) -> None:
    vv = make_tif("a_VV.tif", decibels(20, 20)[0], crs=CRS)
    vh = make_tif("a_VH.tif", decibels(20, 21)[0], crs=CRS)
    with pytest.raises(DataError, match=r"a_VH\.tif does not fit"):
        mapped(vv, vh, bands=BANDS)


def test_a_threshold_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"threshold: from 0 to 1, scene or model, found 1\.5"):
        MapOptions(threshold=1.5)


def test_the_quick_look_is_drawn_from_the_scene(make_tif: TifMaker, out: Path) -> None:
    image = decibels()
    image[:, :5] = np.nan
    file = make_tif("s.tif", image, crs=CRS, bands=BANDS)
    seen: list[Any] = []

    def draw(look: Any, path: Path, layers: Path) -> None:
        layers.write_text("layers")
        seen.append(look)
        path.write_text("a picture")

    summary = map_scene(SceneSource((file,)), predictor(), out, draw=draw)
    assert "s_quicklook.png" in summary["outputs"]
    assert (out / "s_quicklook.png").read_text() == "a picture"
    np.testing.assert_array_equal(seen[0].classes, read(out / "s_water.tif")[0])
    np.testing.assert_array_equal(seen[0].image[:, 5:], image[:, 5:])


def test_a_library_prints_nothing(
    make_tif: TifMaker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = make_tif("100%s.tif", decibels(64, 80), crs=CRS, bands=BANDS)
    caplog.set_level("INFO", "sarwater.mapping")
    for _ in range(2):
        map_scene(SceneSource((file,), BANDS), predictor(), tmp_path / "maps")
    assert capsys.readouterr() == ("", "")
    assert "100%s: is mapped already, with the same settings" in caplog.messages


KILLED = """
import os, signal, sys
from pathlib import Path
from sarwater.mapping import making, scenes
from sarwater.mapping.inputs import SceneSource
from tests.tiny_models import PATCH, SmoothEngine, predictor

making._BETWEEN_NOTES = 0.0
scene, out, allowed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])


class Killed(SmoothEngine):
    parallel = 1
    calls = 0

    def predict(self, patches):
        Killed.calls += 1
        if Killed.calls == allowed:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(patches)


source = SceneSource((scene,), ("VV", "VH"))
scenes.map_scene(source, predictor(Killed(), overlap=20), out, say=lambda text: print(text))
print("calls", Killed.calls)
"""


def test_a_killed_map_goes_on_and_ends_in_the_same_bytes(
    make_tif: TifMaker, tmp_path: Path
) -> None:
    """The overlap is more than half of a window: several rows of windows reach over a strip."""
    file = make_tif("s.tif", decibels(600, 80), crs=CRS, bands=BANDS)

    def run(out: Path, allowed: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "ignore", "-c", KILLED, str(file), str(out), str(allowed)]
        return subprocess.run(command, capture_output=True, text=True)

    whole = run(tmp_path / "whole", 0)
    needed = int(whole.stdout.split()[-1])
    out = tmp_path / "killed"
    killed = run(out, needed * 2 // 3)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in out.iterdir()] == [".mapping-s"]
    going_on = run(out, 0)
    assert going_on.returncode == 0, going_on.stderr
    assert re.match(r"s: goes on at row \d+ of 600", going_on.stdout)
    assert int(going_on.stdout.split()[-1]) < needed * 0.75
    assert {path.name for path in out.iterdir()} == {
        "s_water.tif",
        "s_probability.tif",
        "s_water.qml",
        "s_probability.qml",
        "s_item.json",
        "s_summary.json",
    }
    for name in ("s_water.tif", "s_probability.tif"):
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    counts = [
        json.loads((folder / "s_summary.json").read_text())["classes"]
        for folder in (out, tmp_path / "whole")
    ]
    assert counts[0] == counts[1]


def test_a_map_that_is_killed_while_it_writes_its_last_files_goes_on(
    make_tif: TifMaker, mapped: Mapped, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make_tif("s.tif", decibels(), crs=CRS, bands=BANDS)
    killed = [True]

    def write_once(path: Path, value: Any, *, overwrite: bool = False) -> None:
        write_json(path, value, overwrite=overwrite)
        if killed:
            killed.clear()
            raise KeyboardInterrupt

    monkeypatch.setattr(making, "write_json", write_once)
    monkeypatch.setattr(making, "_BETWEEN_NOTES", 0.0)
    with pytest.raises(KeyboardInterrupt):
        mapped(file)
    assert (out / ".mapping-s" / "s_item.json").exists()
    summary, said = mapped(file)
    assert said[0].startswith("s: goes on at row")
    assert sorted(path.name for path in out.iterdir()) == sorted(summary["outputs"])


def test_a_file_to_leave_out_that_is_not_there_is_named_before_any_work(
    make_tif: TifMaker, mapped: Mapped, out: Path, tmp_path: Path
) -> None:
    file = make_tif("s.tif", decibels(), crs=CRS, bands=BANDS)
    with pytest.raises(ConfigError, match=r"no file .*gone\.tif .*--exclude"):
        mapped(file, options={"exclude": (tmp_path / "gone.tif",)})
    assert not out.exists()


def test_another_map_takes_the_polygons_of_the_former_with_it(
    make_tif: TifMaker, mapped: Mapped, out: Path
) -> None:
    file = make_tif("s.tif", decibels(), crs=CRS, bands=BANDS)
    mapped(file, options={"polygons": PolygonOptions("gpkg")})
    assert (out / "s_water.gpkg").exists()
    anew = {"threshold": 0.3, "overwrite": True}
    mapped(file, options={**anew, "polygons": PolygonOptions("fgb")})
    assert {path.suffix for path in out.glob("s_water.*")} == {".tif", ".qml", ".fgb"}
    mapped(file, options=anew)
    assert {path.suffix for path in out.glob("s_water.*")} == {".tif", ".qml"}


def test_errors_of_many_scenes_hold_nothing_of_them(make_tif: TifMaker, out: Path) -> None:
    sources = []
    for number in range(3):
        file = make_tif(f"s{number}.tif", decibels(400, 300), crs=CRS, bands=BANDS)
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        sources.append(SceneSource((file,)))
    result = map_scenes(sources, predictor(), out, say=lambda _: None)
    assert len(result.failures) == 3
    for _, failure in result.failures:
        error: BaseException | None = failure
        while error is not None:
            assert error.__traceback__ is None
            error = error.__cause__ or error.__context__


def test_statistics_come_from_wherever_data_lies_in_a_large_scene(
    make_tif: TifMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the windows that are looked at are no data every pixel is."""
    monkeypatch.setattr(inputs, "_SAMPLED", 1000)
    image = np.full((2, 640, 200), np.nan, np.float32)
    image[:, 3:9, 5:20] = decibels(6, 15)
    model = predictor(normalization=Normalizer(Normalization.SCENE, Units.DB))
    source = SceneSource((make_tif("s.tif", image, crs=CRS, bands=BANDS),))
    with inputs.open_for_model(source, model) as scene:
        found = scene.statistics()
    assert found is not None
    np.testing.assert_allclose(found.mean, np.nanmean(image, axis=(1, 2)), rtol=1e-5)
