from pathlib import Path

import numpy as np
import onnx
import openvino as ov
import pytest

from sarwater.cli import main
from sarwater.models.bundle import save_bundle
from sarwater.normalize import BandStatistics, Normalization, Normalizer
from sarwater.types import Units
from tests.conftest import CRS, TifMaker
from tests.tiny_models import PATCH, segmenter_bundle

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.safetensors"
    save_bundle(path, segmenter_bundle(normalization=Normalizer(Normalization.SCENE, Units.DB)))
    return path


def test_a_scenes_statistics_become_part_of_the_model(
    model: Path, make_tif: TifMaker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = np.random.default_rng(0).uniform(-30, 1, (2, PATCH, PATCH)).astype(np.float32)
    scene = make_tif("s.tif", image, crs=CRS)
    out, maps = tmp_path / "m.onnx", tmp_path / "maps"
    known = ["--scene", str(scene), "--bands", "VV", "VH", "--scale", "1"]
    assert main(["export", str(model), "--out", str(out), *known]) == 0
    assert "divided by 1" in capsys.readouterr().out
    compiled = ov.Core().compile_model(ov.Core().read_model(out), "CPU", EXACT)
    exact = ["--probability", "float32", "--precision", "float32", "--bands", "VV,VH"]
    assert main(["map", str(scene), "--model", str(model), "--out", str(maps), *exact]) == 0
    import rasterio

    with rasterio.open(maps / "s_probability.tif") as dataset:
        np.testing.assert_allclose(compiled(image[None])[0][0, 0], dataset.read(1), atol=1e-4)


def test_what_cannot_be_exported_leaves_no_file(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "m.onnx"
    assert main(["export", str(model), "--out", str(out)]) == 1
    assert "name a scene" in capsys.readouterr().err
    assert main(["export", str(model), "--out", str(out), "--scale", "0"]) == 2
    assert "--scale: above 0, found 0" in capsys.readouterr().err
    assert not out.exists()


def test_the_file_is_not_replaced_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = tmp_path / "m.safetensors", tmp_path / "m.onnx"
    save_bundle(model, segmenter_bundle())
    out.write_text("mine")
    assert main(["export", str(model), "--out", str(out)]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert main(["export", str(model), "--out", str(out), "--overwrite"]) == 0
    onnx.checker.check_model(onnx.load(out))


@pytest.mark.parametrize("units", ["db", "linear"])
def test_a_model_of_bytes_is_exported_for_decibels_alone(
    units: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = BandStatistics((-10.0, -16.0), (4.0, 5.0), 1)
    save_bundle(
        tmp_path / "m.safetensors", segmenter_bundle(units=Units.BYTE, decibel_statistics=known)
    )
    command = ["export", str(tmp_path / "m.safetensors"), "--out", str(tmp_path / "m.onnx")]
    code = main([*command, "--units", units])
    printed = capsys.readouterr()
    assert code == (0 if units == "db" else 1)
    assert (tmp_path / "m.onnx").exists() == (units == "db")
    assert ("in units 'db'" in printed.out) or ("cannot be exported for 'linear'" in printed.err)


def test_what_is_read_is_not_replaced(
    model: Path, make_tif: TifMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = make_tif("s.tif", np.zeros((2, PATCH, PATCH), np.float32), crs=CRS)
    for given in (model, scene):
        before = given.read_bytes()
        command = ["export", str(model), "--scene", str(scene), "--out", str(given), "--overwrite"]
        assert main(command) == 1
        assert f"{given} would be replaced, but it is to be read" in capsys.readouterr().err
        assert given.read_bytes() == before
