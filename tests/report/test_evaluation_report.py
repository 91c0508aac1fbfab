import json
from pathlib import Path

import numpy as np
import pytest

from sarwater.datasets.manifest import Manifest
from sarwater.errors import DataError, OutputExistsError
from sarwater.evaluation.files import read_evaluation
from sarwater.evaluation.summary import summarize
from sarwater.normalize import BandStatistics
from sarwater.report.evaluation_report import evaluate_to_folder
from sarwater.report.gallery import Gallery
from sarwater.types import Chip, FloatArray
from tests.conftest import RecordMaker, TifMaker
from tests.evaluation_cases import MODEL, LogitModel


@pytest.fixture
def manifest(make_tif: TifMaker, make_record: RecordMaker) -> Manifest:
    generator = np.random.default_rng(0)
    records = []
    for number in range(5):
        labels = (generator.random((24, 24)) < 0.1 * number).astype(np.int16)
        logits = (2 * labels - 1 + generator.normal(0, 1, labels.shape)).astype(np.float32)
        image = make_tif(f"c{number}.tif", logits)
        label = make_tif(f"c{number}_label.tif", labels)
        records.append(
            make_record(
                image, id=f"c{number}", bands=("VV",), labels=(label,), codes="0=land,1=water"
            )
        )
    return Manifest(tuple(records), Path("data.csv"))


def test_the_folder(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "result"
    summary = evaluate_to_folder(LogitModel(), manifest, MODEL, out, resamples=20, panels=4)
    assert sorted(path.name for path in out.glob("[!.]*")) == [
        "calibration.png",
        "chips.csv",
        "counts.npz",
        "domains.png",
        "evaluation.json",
        "gallery.zip",
        "intervals.npz",
        "panels_01.png",
        "panels_no_water_01.png",
        "precision_recall.png",
        "table.txt",
        "thresholds.png",
    ]
    assert json.loads((out / "evaluation.json").read_text()) == summary
    pictures = summary.pop("pictures")
    assert pictures["panels"] == ["panels_01.png", "panels_no_water_01.png"]
    assert pictures["panels_limit"] == 4
    assert summarize(read_evaluation(out), resamples=20) == summary


def test_the_gallery_has_every_chip_and_can_be_left_out(manifest: Manifest, tmp_path: Path) -> None:
    found = evaluate_to_folder(
        LogitModel(), manifest, MODEL, tmp_path / "a", resamples=0, panels=0, gallery_size=16
    )
    assert found["pictures"]["gallery"] == "gallery.zip"
    assert found["pictures"]["gallery_size"] == 16
    with Gallery(tmp_path / "a" / "gallery.zip") as gallery:
        assert [chip["id"] for chip in gallery.chips] == [f"c{n}" for n in range(5)]
        assert {max(chip["height"], chip["width"]) for chip in gallery.chips} == {12}
    found = evaluate_to_folder(
        LogitModel(), manifest, MODEL, tmp_path / "b", resamples=0, panels=0, gallery_size=0
    )
    assert found["pictures"]["gallery"] is None
    assert not (tmp_path / "b" / "gallery.zip").exists()


def test_nothing_is_left_of_what_failed(manifest: Manifest, tmp_path: Path) -> None:
    class Broken(LogitModel):
        def predict_chip(self, chip: Chip, group: BandStatistics | None = None) -> FloatArray:
            raise DataError(f"{chip.id} is broken, whatever {group}")

    with pytest.raises(DataError, match="broken"):
        evaluate_to_folder(Broken(), manifest, MODEL, tmp_path / "result")
    assert not list(tmp_path.glob("*result*"))


def test_nothing_is_overwritten_unasked(manifest: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "result"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(OutputExistsError):
        evaluate_to_folder(LogitModel(), manifest, MODEL, out)
    assert (out / "mine.txt").read_text() == "mine"
    (out / "mine.txt").unlink()
    evaluate_to_folder(LogitModel(), manifest, MODEL, out, resamples=0)
    assert list(out.glob("panels*"))
    evaluate_to_folder(LogitModel(), manifest, MODEL, out, resamples=0, panels=0, overwrite=True)
    assert not list(out.glob("panels*"))
