import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image

from sarwater.cli import main
from sarwater.models.architecture import Architecture
from sarwater.models.bundle import Bundle, load_bundle, save_bundle
from sarwater.models.segmenter import Segmenter
from sarwater.prediction import PredictionOptions, Predictor
from sarwater.types import AnyArray, Chip, Grid, Units
from tests.conftest import CRS, TifMaker
from tests.tiny_models import info

PATCH = 64


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    architecture = Architecture(
        encoder="tu-mobilenetv3_small_050", decoder_channels=8, detail_channels=4
    )
    torch.manual_seed(0)
    state = Segmenter(architecture, 2, 2).state_dict()
    path = tmp_path_factory.mktemp("model") / "water.safetensors"
    save_bundle(path, Bundle(info(architecture=architecture, patch_size=PATCH), state))
    return path


@pytest.fixture
def scene(make_tif: TifMaker) -> Path:
    return make_tif("flood.tif", decibels(), crs=CRS, bands=("VV", "VH"))


def decibels(height: int = PATCH, width: int = PATCH) -> AnyArray:
    values = np.random.default_rng(8).uniform(-28, 0, (2, height, width)).astype(np.float32)
    values[:, :3, :3] = np.nan
    return values


def test_a_scene_becomes_these_files(
    model: Path, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "maps"
    exact = ("--probability", "float32", "--precision", "float32")
    assert main(["map", str(scene), "--model", str(model), "--out", str(out), *exact]) == 0
    names = [
        "item.json",
        "pictures.zip",
        "probability.qml",
        "probability.tif",
        "quicklook.png",
        "summary.json",
        "water.qml",
        "water.tif",
    ]
    assert sorted(path.name for path in out.iterdir()) == [f"flood_{name}" for name in names]
    image = decibels()
    valid = np.isfinite(image[0])
    chip = Chip(
        "c",
        "d",
        ("VV", "VH"),
        Units.DB,
        np.where(valid, image, 0).astype(np.float32),
        valid,
        None,
        Grid(PATCH, PATCH),
    )
    expected = Predictor(load_bundle(model), PredictionOptions(device="cpu")).predict_chip(chip)[1]
    with rasterio.open(out / "flood_probability.tif") as dataset:
        found = dataset.read(1)
        assert dataset.tags()["MODEL"] == "water.safetensors"
        assert dataset.tags()["MODEL_HASH"] == load_bundle(model).hash
    np.testing.assert_array_equal(found[valid], expected[valid])
    assert np.isnan(found[~valid]).all()
    with Image.open(out / "flood_quicklook.png") as picture:
        assert picture.format == "PNG"
    printed = capsys.readouterr()
    assert printed.out.startswith("flood: water ")
    assert "km2" in printed.out
    assert str(out / "flood_water.tif") in printed.out
    assert printed.err == ""


def test_json_is_printed_alone(
    model: Path, make_tif: TifMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = make_tif("a.tif", decibels(80, 10))
    command = ["map", str(file), "--model", str(model), "--out", str(tmp_path / "m"), "--json"]
    assert main([*command, "--bands", "VV,VH", "--threshold", ".3", "--overlap", "4"]) == 0
    printed = capsys.readouterr()
    (summary,) = json.loads(printed.out)
    assert summary["threshold"] == 0.3
    assert summary["overlap"] == 4
    assert summary["area_unit"] == "pixels"
    assert "no CRS" in printed.err


def test_two_files_by_polarisation(
    model: Path, make_tif: TifMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = decibels()
    vv = make_tif("event_vv.tif", image[0], crs=CRS)
    vh = make_tif("event_vh.tif", image[1], crs=CRS)
    out = tmp_path / "maps"
    command = ["map", "--model", str(model), "--out", str(out), "--vv", str(vv), "--vh", str(vh)]
    assert main(command) == 0
    assert (out / "event_water.tif").exists()
    assert main([*command, "--name", "other"]) == 0
    assert (out / "other_water.tif").exists()
    capsys.readouterr()
    assert main(command) == 0
    assert "event: is mapped already" in capsys.readouterr().err
    assert main([*command, "--threshold", "0.9"]) == 1
    assert "event_water.tif" in capsys.readouterr().err


def test_one_failing_scene_is_reported_and_the_others_are_mapped(
    model: Path,
    scene: Path,
    make_tif: TifMaker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = make_tif("wrong.tif", decibels(), crs=CRS, bands=("HH", "HV"))
    out = tmp_path / "maps"
    files = [str(wrong), str(scene)]
    assert main(["map", *files, "--model", str(model), "--out", str(out)]) == 1
    printed = capsys.readouterr()
    assert "flood: water" in printed.out
    assert "wrong: failed:" in printed.err
    assert "1 of 2 scenes could not be mapped: wrong" in printed.err
    assert not list(out.glob("wrong*"))
    assert len(list(out.glob("flood*"))) == 8


def test_a_truncated_scene_leaves_an_empty_folder_empty(
    model: Path, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.write_bytes(scene.read_bytes()[: scene.stat().st_size // 2])
    out = tmp_path / "maps"
    out.mkdir()
    assert main(["map", str(scene), "--model", str(model), "--out", str(out)]) == 1
    assert str(scene) in capsys.readouterr().err
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "name scenes, or one scene by --vv"),
        (["a.tif", "--vv", "b.tif"], "name scenes, or one scene by --vv"),
        (["a.tif", "b.tif", "--name", "x"], "--name is for one scene"),
        (["--vv", "b.tif", "--bands", "VV"], "--bands names the bands of SCENE"),
        (["a.tif", "--bands", "VV,,"], "expected different names"),
        (["a.tif", "--bands", "VV,vv"], "expected different names"),
        (["a.tif", "--units", "volt"], "argument --units: 'volt' is unknown; take db,"),
    ],
)
def test_wrong_usage_exits_with_2(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["map", *options, "--model", "m.safetensors", "--out", str(tmp_path / "o")])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--overlap", "64"], "overlap: 0 to 63"),
        (["--batch-size", "0"], "batch_size: at least 1"),
        (["--threshold", "7"], "threshold: from 0 to 1"),
        (["--device", "mars"], "device 'mars' cannot be used here"),
    ],
)
def test_values_out_of_range_are_named(
    options: list[str],
    message: str,
    model: Path,
    scene: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "maps"
    assert main(["map", str(scene), "--model", str(model), "--out", str(out), *options]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_a_model_that_is_not_there_is_named(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "maps"
    missing = tmp_path / "no.safetensors"
    assert main(["map", str(scene), "--model", str(missing), "--out", str(out)]) == 1
    assert "there is no model file" in capsys.readouterr().err
    assert not out.exists()


def test_a_dry_run_checks_and_estimates_and_writes_nothing(
    model: Path, make_tif: TifMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    side = 3 * PATCH
    wide = make_tif("wide.tif", decibels(PATCH, side), crs=CRS, bands=("VV", "VH"))
    out = tmp_path / "maps"
    command = ["map", str(wide), "--model", str(model), "--out", str(out), "--dry-run"]
    assert main([*command, "--overlap", "0"]) == 0
    said = capsys.readouterr().out
    assert f"wide: {PATCH} x {side} px, 3 windows, about " in said
    assert "nothing was written" in said
    assert main([*command, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["windows"] == 4  # overlapping by a quarter
    assert found["seconds"] >= 0
    assert not out.exists()


def test_a_dry_run_refuses_what_does_not_fit(
    model: Path, make_tif: TifMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_tif("other.tif", decibels(), crs=CRS, bands=("HH", "HV"))
    good = make_tif("good.tif", decibels(), crs=CRS, bands=("VV", "VH"))
    gone = tmp_path / "gone.tif"
    command = ["map", *map(str, (other, good, gone)), "--model", str(model)]
    assert main([*command, "--out", str(tmp_path / "maps"), "--dry-run"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("good: ")
    assert "other: failed: " in said.err
    assert "does not fit the model" in said.err
    assert "there is no such file" in said.err
    assert "2 of 3 scenes could not be mapped: other, gone" in said.err


def test_a_list_leaves_open_what_the_options_say(
    model: Path, make_tif: TifMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = decibels(64, 64)
    image[:, :8] = -99
    for name in ("a", "b"):
        make_tif(f"{name}.tif", image, crs=CRS)
    table = tmp_path / "scenes.csv"
    table.write_text("file,bands,units,nodata\na.tif,,,\nb.tif,VV VH,db,declared\n")
    command = ["map", str(table), "--model", str(model), "--out", str(tmp_path / "m"), "--json"]
    assert main([*command, "--bands", "VV,VH", "--units", "db", "--nodata", "-99"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert first["no_data"]["pixels"] == 8 * 64
    assert second["no_data"]["pixels"] == 0


def test_a_threshold_that_is_none_suggests_the_word(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["map", "a.tif", "--out", "m", "--threshold", "scen"])
    assert "found 'scen' (did you mean 'scene'?)" in capsys.readouterr().err
