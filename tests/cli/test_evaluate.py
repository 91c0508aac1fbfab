import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sarwater.cli import main
from sarwater.cli.evaluation_options import scored
from sarwater.datasets.manifest import Manifest, read_manifest, write_manifest
from sarwater.errors import SarwaterWarning
from sarwater.evaluation.counts import THRESHOLDS
from sarwater.evaluation.files import read_evaluation
from sarwater.evaluation.summary import summarize
from sarwater.models.architecture import Architecture
from sarwater.models.bundle import Bundle, load_bundle, save_bundle
from sarwater.models.segmenter import Segmenter
from sarwater.normalize import BandStatistics, Normalization, Normalizer
from sarwater.prediction import PredictionOptions, Predictor
from sarwater.raster import read_chip
from sarwater.types import AnyArray, Units
from tests.conftest import CRS, RecordMaker, TifMaker
from tests.evaluation_cases import random_evaluation
from tests.tiny_models import info

PATCH = 64


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    architecture = Architecture(
        encoder="tu-mobilenetv3_small_050", decoder_channels=8, detail_channels=4
    )
    torch.manual_seed(0)
    described = info(
        architecture=architecture,
        patch_size=PATCH,
        normalization=Normalizer(Normalization.DOMAIN, Units.DB),
    )
    path = tmp_path_factory.mktemp("model") / "water.safetensors"
    save_bundle(path, Bundle(described, Segmenter(architecture, 2, 2).state_dict()))
    return path


@pytest.fixture
def data(make_tif: TifMaker, make_record: RecordMaker, tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    records = []
    for number in range(4):
        labels = (generator.random((PATCH, PATCH)) < 0.3).astype(np.int16)
        image = np.where(labels, -22, -10) + generator.normal(0, 3, (2, PATCH, PATCH))
        file = make_tif(f"c{number}.tif", image.astype(np.float32), crs=CRS, bands=("VV", "VH"))
        label = make_tif(f"c{number}_label.tif", labels, crs=CRS)
        cells = {"id": f"c{number}", "domain": f"d{number % 2}", "labels": (label,)}
        split = "test" if number else "val"
        records.append(make_record(file, **cells, codes="0=land,1=water", split=split))
    path = tmp_path / "data.csv"
    write_manifest(Manifest(tuple(records)), path)
    return path


def test_evaluate_and_compare(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = model.read_bytes()
    out = tmp_path / "a"
    common = ["--bootstrap", "20", "--panels", "2", "--device", "cpu"]
    assert main(["evaluate", str(model), str(data), "--out", str(out), *common]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("3 chips, 12,288 pixels that count")
    assert "threshold  precision  recall      F1     IoU" in printed.out
    assert printed.err == ""
    assert model.read_bytes() == before
    found = read_evaluation(out)
    assert found.model.hash == load_bundle(model).hash
    assert found.threshold == 0.4

    # The same counts by hand: statistics of each domain over the chips of the split.
    predictor = Predictor(load_bundle(model), PredictionOptions(device="cpu"))
    records = read_manifest(data).select(split="test").records
    for domain in ("d0", "d1"):
        chips = [read_chip(record) for record in records if record.domain == domain]
        values = np.concatenate([chip.image.reshape(2, -1) for chip in chips], axis=1)
        for chip in chips:
            group = statistics(values)
            probability = predictor.predict_chip(chip, group)[1]
            place = [known.id for known in found.chips].index(chip.id)
            assert chip.target is not None
            for index in (99, 399, 699):
                called = probability >= THRESHOLDS[index]
                assert found.counts.tp[place, index] == (called & (chip.target == 1)).sum()

    again = tmp_path / "b"
    options = ["--out", str(again), "--threshold", "0.55", *common, "--json"]
    assert main(["evaluate", str(model), str(data), *options]) == 0
    summary = json.loads(capsys.readouterr().out)
    points = summary["operating_points"]
    titles = {name: (one["title"], one["threshold"]) for name, one in points.items()}
    assert titles["chosen"] == ("given threshold", 0.55)
    assert titles["model"] == ("model's threshold", 0.4)
    whole = json.loads((out / "evaluation.json").read_text())["operating_points"]
    assert whole["chosen"]["title"] == "model's threshold"
    assert points["model"]["pooled"] == whole["chosen"]["pooled"]
    assert "model" not in whole
    assert summary["model"]["threshold"] == 0.4
    assert "curve" not in summary

    compared = tmp_path / "compared"
    folders = [str(out), str(again)]
    options = ["--out", str(compared), "--names", "none,[1,3]", "--bootstrap", "20"]
    assert main(["compare", *folders, *options]) == 0
    assert "[1,3] - none" in capsys.readouterr().out
    assert (compared / "precision_recall.png").exists()
    assert main(["compare", *folders, *options, "--overwrite", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["runs"]) == ["none", "[1,3]"]


@pytest.mark.parametrize("threshold", [0.001, 0.999])
def test_a_best_threshold_at_an_end_is_warned_of(threshold: float, tmp_path: Path) -> None:
    summary = summarize(random_evaluation(), resamples=0)
    scored(summary, tmp_path)
    summary["operating_points"]["best"]["threshold"] = threshold
    with pytest.warns(SarwaterWarning, match=f"best threshold of these chips is {threshold}, at t"):
        scored(summary, tmp_path)


def statistics(values: AnyArray) -> BandStatistics:
    exact = values.astype(np.float64)
    mean, std = tuple(exact.mean(axis=1).tolist()), tuple(exact.std(axis=1).tolist())
    return BandStatistics(mean, std, values.shape[1])


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--split", "tset"], 1, "has no chip of split 'tset' (did you mean 'test'?)"),
        (["--domains", "d7"], 1, "has no chip of domain 'd7'"),
        (["--threshold", "0.4237"], 1, "multiple of 0.001"),
        (
            ["--bootstrap", "-1", "--panels", "-2"],
            2,
            "--bootstrap must be 0 or more, found -1; --pan",
        ),
    ],
)
def test_bad_options_give_one_message(
    model: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    message: str,
) -> None:
    out = tmp_path / "out"
    assert main(["evaluate", str(model), str(data), "--out", str(out), *options]) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert not out.exists()


def test_a_truncated_image_leaves_nothing(
    model: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "c2.tif"
    image.write_bytes(image.read_bytes()[:2000])
    out = tmp_path / "out"
    assert main(["evaluate", str(model), str(data), "--out", str(out)]) == 1
    assert "c2.tif" in capsys.readouterr().err
    assert not list(tmp_path.glob("*out*"))


def test_a_folder_that_is_taken_is_refused_before_anything_is_read(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").touch()
    arguments = ["evaluate", "missing.safetensors", str(data), "--out", str(out)]
    assert main(arguments) == 1
    assert "pass --overwrite" in capsys.readouterr().err
    shutil.rmtree(out)
    assert main(arguments) == 1
    assert "no model file" in capsys.readouterr().err
