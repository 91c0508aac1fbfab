"""A model file is evaluated as the command line would."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sarwater.cli import main
from sarwater.datasets.manifest import Manifest, read_manifest, write_manifest
from sarwater.evaluation.files import read_evaluation
from sarwater.evaluation.models import evaluate_model
from sarwater.evaluation.scores import curve
from sarwater.models.architecture import Architecture
from sarwater.models.boxed import boxed_model
from sarwater.models.bundle import Bundle, load_bundle, save_bundle
from sarwater.models.segmenter import Segmenter
from sarwater.prediction import PredictionOptions
from sarwater.types import Units
from tests.conftest import CRS, RecordMaker, TifMaker
from tests.tiny_models import info


def test_the_counts_are_those_of_the_command(
    make_tif: TifMaker, make_record: RecordMaker, tmp_path: Path
) -> None:
    architecture = Architecture(
        encoder="tu-mobilenetv3_small_050", decoder_channels=8, detail_channels=4
    )
    torch.manual_seed(0)
    model = tmp_path / "water.safetensors"
    described = info(architecture=architecture, patch_size=64)
    save_bundle(model, Bundle(described, Segmenter(architecture, 2, 2).state_dict()))
    generator = np.random.default_rng(0)
    records = []
    for number in range(2):
        labels = (generator.random((64, 64)) < 0.3).astype(np.int16)
        image = np.where(labels, -22, -10) + generator.normal(0, 3, (2, 64, 64))
        file = make_tif(f"c{number}.tif", image.astype(np.float32), crs=CRS, bands=("VV", "VH"))
        label = make_tif(f"l{number}.tif", labels, crs=CRS)
        cells = {"id": f"c{number}", "labels": (label,), "codes": "0=land,1=water", "split": "test"}
        records.append(make_record(file, **cells))
    write_manifest(Manifest(tuple(records)), tmp_path / "data.csv")
    out = tmp_path / "out"
    command = ["evaluate", str(model), str(tmp_path / "data.csv"), "--out", str(out)]
    options = ["--bootstrap", "0", "--panels", "0", "--device", "cpu"]
    assert main([*command, *options]) == 0
    manifest = read_manifest(tmp_path / "data.csv").select(split="test")
    found = evaluate_model(
        model, manifest, split="test", prediction=PredictionOptions(device="cpu")
    )
    of_command = read_evaluation(out)
    assert found.model == of_command.model
    assert found.model.hash == load_bundle(model).hash
    np.testing.assert_array_equal(found.counts.positives, of_command.counts.positives)
    summary = json.loads((out / "evaluation.json").read_text())
    chosen = summary["operating_points"]["chosen"]
    f1 = float(curve(found.counts.pooled()).f1[round(found.threshold * 1000) - 1])
    assert chosen["pooled"]["f1"]["value"] == pytest.approx(f1, abs=1e-6)


def test_the_model_in_the_box_takes_decibels_as_in_the_command(
    make_tif: TifMaker, make_record: RecordMaker, tmp_path: Path
) -> None:
    """It learned from 8-bit products, and knows how decibels are normalized."""
    generator = np.random.default_rng(0)
    labels = np.zeros((64, 64), np.int16)
    labels[:, :30] = 1
    image = np.where(labels, -22, -10) + generator.normal(0, 1, (2, 64, 64))
    record = make_record(
        make_tif("c.tif", image.astype(np.float32), crs=CRS, bands=("VV", "VH")),
        units=Units.DB,
        labels=(make_tif("l.tif", labels, crs=CRS),),
        codes="0=land,1=water",
        split="test",
    )
    write_manifest(Manifest((record,)), tmp_path / "data.csv")
    manifest = read_manifest(tmp_path / "data.csv").select(split="test")
    found = evaluate_model(boxed_model(), manifest, split="test")
    assert found.model.scene_threshold
    out = tmp_path / "out"
    command = ["evaluate", str(boxed_model()), str(tmp_path / "data.csv"), "--out", str(out)]
    assert main([*command, "--bootstrap", "0", "--panels", "0"]) == 0
    of_command = read_evaluation(out)
    np.testing.assert_array_equal(found.counts.positives, of_command.counts.positives)
    assert found.groups == of_command.groups
