"""`sarwater model`, on a small model and on the one in the box."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from sarwater.cli import main
from sarwater.models.boxed import boxed_model
from sarwater.models.bundle import load_bundle, save_bundle
from sarwater.normalize import BandStatistics
from sarwater.types import BoolArray, FloatArray, Units
from tests.conftest import TifMaker
from tests.tiny_models import segmenter_bundle

LARGEST = 10_000_000


def test_a_model_tells_what_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = BandStatistics((-10.0, -16.0), (4.0, 5.0), 1)
    bundle = segmenter_bundle(units=Units.BYTE, decibel_statistics=known, card="# Lakes\n\nOnly.")
    digest = save_bundle(tmp_path / "m.safetensors", bundle)
    assert main(["model", "show", str(tmp_path / "m.safetensors")]) == 0
    out = capsys.readouterr().out
    facts = dict(line.split(maxsplit=1) for line in out.split("\n\n")[0].splitlines())
    assert facts["SHA-256"] == digest
    assert facts["bands"] == "VV, VH"
    assert facts["units"] == "8bit, db, linear"
    assert out.endswith("\n\n# Lakes\n\nOnly.\n")
    assert main(["model", "show", str(tmp_path / "m.safetensors"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sha256"] == digest
    assert found["decibel_statistics"]["std"] == [4.0, 5.0]


def test_the_box_holds_a_small_model_with_a_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "path"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == boxed_model().resolve()
    assert path.stat().st_size < LARGEST
    info = load_bundle(path).info
    assert info.bands == ("VV", "VH")
    observed = [one for one in info.data["domains"] if not one.startswith("simulated_")]
    assert observed == [
        "bangladesh_20170314t115609",
        "nebraska_20170213t002121",
        "northal_20190302t234651",
    ]
    assert len(info.data["manifest_sha256"]) == 64
    assert main(["model", "show"]) == 0
    out = capsys.readouterr().out
    for said in ("held out", "Where it fails", "Fine-tune", "licence"):
        assert said in out


def otsu(values: Any) -> float:
    """The threshold of the largest variance between classes, by trying 200 of them."""
    candidates = np.quantile(values, np.linspace(0.005, 0.995, 200))
    parts = [(values[values <= edge], values[values > edge]) for edge in candidates]
    between = [len(a) * len(b) * (a.mean() - b.mean()) ** 2 for a, b in parts]
    return float(candidates[int(np.argmax(between))])


def f1(found: BoolArray, truth: BoolArray) -> float:
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def lake() -> tuple[FloatArray, BoolArray]:
    """A round lake of still water in fields, dB, with the speckle of 20 looks."""
    random = np.random.default_rng(1)
    row, col = np.mgrid[:512, :512]
    water = (row - 250) ** 2 + (col - 220) ** 2 < 110**2
    mean = np.where(water, np.array([-21.0, -27.0])[:, None, None], [[[-10.0]], [[-16.0]]])
    tone = np.kron(random.normal(0, 1, (2, 16, 16)), np.ones((32, 32)))
    power = 10 ** ((mean + np.where(water, 0, tone)) / 10) * random.gamma(20, 1 / 20, mean.shape)
    return (10 * np.log10(power)).astype(np.float32), water


@pytest.mark.parametrize("units", ["db", "linear", "8bit"])
def test_a_scene_is_mapped_without_naming_a_model(
    units: str, make_tif: TifMaker, tmp_path: Path
) -> None:
    values, water = lake()
    if units == "linear":
        values = (10.0 ** (values / 10)).astype(np.float32)
    stored: Any = values
    if units == "8bit":
        stored = ((values + 28) * 8.5).clip(1, 254).round().astype(np.uint8)
    file = make_tif("scene.tif", stored, crs="EPSG:32633", bands=("VV", "VH"))
    assert main(["map", str(file), "--out", str(tmp_path / "maps")]) == 0
    with rasterio.open(tmp_path / "maps" / "scene_water.tif") as raster:
        assert f1(raster.read(1) == 1, water) > 0.95


@pytest.mark.real_data
def test_chips_of_another_processing_chain_are_mapped_better_than_by_otsu(
    real_data: Path, tmp_path: Path
) -> None:
    """Four labelled chips in dB, which it never saw, each a scene; pixels of all are pooled."""
    folder = real_data / "sen1floods11" / "v1.1" / "data" / "flood_events" / "HandLabeled"
    counts = {"model": np.zeros(3), "otsu": np.zeros(3)}
    for name in ("India_900498", "Somalia_699062", "Spain_7370579", "USA_905409"):
        file = folder / "S1Hand" / f"{name}_S1Hand.tif"
        command = ["map", str(file), "--bands", "VV,VH", "--out", str(tmp_path)]
        assert main(command) == 0
        with rasterio.open(folder / "LabelHand" / f"{name}_LabelHand.tif") as raster:
            truth = raster.read(1)
        with rasterio.open(tmp_path / f"{name}_S1Hand_water.tif") as raster:
            found = raster.read(1)
        with rasterio.open(file) as raster:
            vh = raster.read(2)
        seen = (truth >= 0) & np.isfinite(vh) & (found != 255)
        maps = {"model": found == 1, "otsu": vh <= otsu(vh[seen])}
        for key, water in maps.items():
            pairs = (water & (truth == 1), water & (truth == 0), ~water & (truth == 1))
            counts[key] += [(pair & seen).sum() for pair in pairs]
    scores = {key: 2 * tp / (2 * tp + fp + fn) for key, (tp, fp, fn) in counts.items()}
    assert scores["model"] > scores["otsu"] + 0.05
    assert scores["model"] > 0.78
