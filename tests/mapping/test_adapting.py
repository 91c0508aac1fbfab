"""A model that takes on its scene: what is sampled, said and changed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

from sarwater.adaptation.batch_norm import adapted_bundle
from sarwater.errors import OutputExistsError
from sarwater.mapping.adapting import compare_water, describe
from sarwater.mapping.inputs import SceneSource, open_for_model
from sarwater.mapping.options import MapOptions
from sarwater.mapping.scenes import map_scene
from sarwater.models.architecture import Architecture
from sarwater.models.bundle import Bundle
from sarwater.models.segmenter import Segmenter
from sarwater.prediction import PredictionOptions, Predictor
from sarwater.types import AnyArray, FloatArray
from tests.conftest import CRS, TifMaker
from tests.tiny_models import PATCH, info, predictor

SMALL = Architecture(encoder="tu-mobilenetv3_small_050", decoder_channels=16, detail_channels=4)


def model() -> Predictor:
    torch.manual_seed(3)
    bundle = Bundle(info(architecture=SMALL), Segmenter(SMALL, 2, 2).state_dict())
    # A source whose batch norm knows its data, as after training.
    image = scene(100, 8 * PATCH)[:, 24 : 24 + PATCH]
    patches = np.stack(np.split((image + 35) * np.float32(0.05) - 1, 8, axis=2))
    bundle = adapted_bundle(bundle, patches, torch.device("cpu"))
    return Predictor(bundle, PredictionOptions(overlap=8, device="cpu"))


def scene(height: int = 150, width: int = 140) -> FloatArray:
    random = np.random.default_rng(2)
    image = random.normal(-10, 1.5, (2, height, width))
    image[:, 40:90, 30:100] -= 9
    return image.astype(np.float32)


def mapped(file: Path, out: Path, *, adapt: bool) -> tuple[dict[str, Any], AnyArray, list[str]]:
    said: list[str] = []
    options = MapOptions(adapt=adapt, probability="float32")
    summary = map_scene(SceneSource((file,)), model(), out, options, say=said.append)
    with rasterio.open(out / f"{file.stem}_probability.tif") as dataset:
        return summary, dataset.read(1), said


def test_a_gain_of_the_sensor_matters_less_to_an_adapted_model(
    make_tif: TifMaker, tmp_path: Path
) -> None:
    bands = ("VV", "VH")
    file = make_tif("a.tif", scene(), crs=CRS, bands=bands)
    brighter = make_tif("b.tif", scene() + np.float32(4), crs=CRS, bands=bands)
    difference = {}
    for adapt in (False, True):
        out = tmp_path / str(adapt)
        maps = [mapped(one, out, adapt=adapt)[1] for one in (file, brighter)]
        difference[adapt] = float(np.abs(maps[0] - maps[1]).mean())
    assert difference[True] < difference[False] / 2


def test_the_summary_the_tags_and_the_user_are_told(make_tif: TifMaker, tmp_path: Path) -> None:
    file = make_tif("a.tif", scene(), crs=CRS, bands=("VV", "VH"))
    summary, probability, said = mapped(file, tmp_path / "on", adapt=True)
    plain, unadapted, _ = mapped(file, tmp_path / "off", adapt=False)
    found = summary["adaptation"]
    assert found["windows"] == 25  # every window of a scene of 5 x 5 of them
    # Windows and blended maps differ at the seams only.
    for share, image in (("before", unadapted), ("after", probability)):
        expected = float((image >= np.float32(0.4)).mean())
        assert found[f"water_share_{share}"] == pytest.approx(expected, abs=0.1)
    assert said[-1].startswith("a: batch norm taken from 25 windows of the scene: water in them ")
    assert summary["provenance"]["ADAPTATION"] == "batch norm of this scene"
    assert json.loads((tmp_path / "on" / "a_summary.json").read_text())["adaptation"] == found
    assert plain["adaptation"] is None
    assert plain["provenance"]["ADAPTATION"] == "none"


@pytest.mark.parametrize(
    ("before", "after", "overlap", "harmful"),
    [
        (40, 120, 40 / 120, True),
        (120, 40, 40 / 120, True),
        (40, 60, 40 / 60, False),
        (0, 100, 0.0, True),
        (0, 4, 0.0, False),  # too few pixels to warn of
        (0, 0, None, False),
    ],
)
def test_a_change_of_most_of_the_water_looks_harmful(
    before: int, after: int, overlap: float | None, harmful: bool
) -> None:
    pixels = np.arange(1000)
    found = compare_water(pixels < before, pixels < after)
    assert found == {
        "water_share_before": before / 1000,
        "water_share_after": after / 1000,
        "disagreement": abs(after - before) / 1000,
        "overlap": overlap,
        "looks_harmful": harmful,
    }
    assert ("this looks harmful" in describe({"windows": 3, **found})) == harmful


def test_a_scene_without_data_is_mapped_unadapted(make_tif: TifMaker, tmp_path: Path) -> None:
    empty = np.full((2, 50, 50), np.nan, np.float32)
    file = make_tif("a.tif", empty, crs=CRS, bands=("VV", "VH"))
    summary, probability, said = mapped(file, tmp_path, adapt=True)
    assert summary["adaptation"] is None
    assert said[-1] == "a: not adapted: the scene has no valid pixel"
    assert np.isnan(probability).all()


@pytest.mark.parametrize(("height", "width"), [(20, 100), (70, 45), (32, 32)])
def test_windows_cover_the_scene_and_are_padded_beyond_it(
    height: int, width: int, make_tif: TifMaker
) -> None:
    image = scene(height, width)
    file = make_tif("a.tif", image, crs=CRS, bands=("VV", "VH"))
    with open_for_model(SceneSource((file,)), predictor()) as opened:
        windows = opened.sample(PATCH, 1000)
    assert len(windows) == -(-height // PATCH) * -(-width // PATCH)
    values = np.concatenate([window[:, valid].ravel() for window, valid in windows])
    assert set(np.unique(values)) == set(np.unique(image))
    assert all(window.shape == (2, PATCH, PATCH) for window, _ in windows)


def test_windows_with_data_are_preferred(make_tif: TifMaker) -> None:
    image = scene(96, 96)
    image[:, :, 20:] = np.nan
    image[:, :32, :32] = -5
    file = make_tif("a.tif", image, crs=CRS, bands=("VV", "VH"))
    with open_for_model(SceneSource((file,)), predictor()) as opened:
        windows = opened.sample(PATCH, 1000)
        few = opened.sample(PATCH, 1)
    assert sorted(float(valid.mean()) for _, valid in windows) == [20 / 32, 20 / 32, 1.0]
    assert len(few) == 1


def test_an_adapted_map_is_known_again(make_tif: TifMaker, tmp_path: Path) -> None:
    file = make_tif("a.tif", scene(), crs=CRS, bands=("VV", "VH"))
    first, _, _ = mapped(file, tmp_path, adapt=True)
    again, _, said = mapped(file, tmp_path, adapt=True)
    assert again == first
    assert said[-1] == "a: is mapped already, with the same settings"
    with pytest.raises(OutputExistsError, match="from other settings"):
        mapped(file, tmp_path, adapt=False)
