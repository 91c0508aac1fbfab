"""`sarwater model`, on a small model and on the one in the box."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from sarwater.cli import main
from sarwater.datasets.regions import REGIONS
from sarwater.datasets.simulated import simulate_region
from sarwater.models.boxed import boxed_model
from sarwater.models.bundle import load_bundle, save_bundle
from sarwater.normalize import BandStatistics
from sarwater.types import ByteArray, Units
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
    assert info.data["domains"] == [
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


def f1(found: Any, truth: ByteArray) -> float:
    seen = truth != 255
    hits = (found & (truth == 1) & seen).sum()
    return float(2 * hits / ((found & seen).sum() + ((truth == 1) & seen).sum()))


@pytest.mark.parametrize("units", ["db", "linear", "8bit"])
def test_a_scene_is_mapped_without_naming_a_model(
    units: str, make_tif: TifMaker, tmp_path: Path
) -> None:
    """A simulated scene, which it never saw; the bar is Otsu's threshold on VH."""
    region = simulate_region(replace(REGIONS["north"], size=512), seed=5)
    values: Any = np.where(region.valid, region.image, np.nan)
    if units == "linear":
        values = 10 ** (values / 10)
    if units == "8bit":
        scaled = ((values + 35) * (254 / 40)).clip(1, 254).round()
        values = np.where(region.valid, scaled, 255).astype(np.uint8)
    file = make_tif("scene.tif", values, crs=region.grid.crs, bands=("VV", "VH"))
    assert main(["map", str(file), "--out", str(tmp_path / "maps")]) == 0
    with rasterio.open(tmp_path / "maps" / "scene_water.tif") as raster:
        found = raster.read(1) == 1
    vh = region.image[1]
    assert f1(found, region.target) > f1(vh <= otsu(vh[region.valid]), region.target) + 0.1
    assert f1(found, region.target) > 0.7
