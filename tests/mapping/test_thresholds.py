"""A scene's own threshold, on scenes whose water is known."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from sarwater.adaptation.observation import Observation
from sarwater.adaptation.separation import Separation
from sarwater.errors import ConfigError
from sarwater.mapping.inputs import SceneSource
from sarwater.mapping.options import MapOptions
from sarwater.mapping.scenes import map_scene
from sarwater.mapping.thresholds import in_words, threshold_near
from sarwater.types import BoolArray, FloatArray, Units
from tests.conftest import CRS, TifMaker
from tests.tiny_models import PointwiseEngine, predictor

KNOWN = 0.42
"""The model's threshold: at about -9 dB, within the land of these scenes."""


def lakes(gain: float = 0.0) -> tuple[FloatArray, BoolArray]:
    """Land about -8 dB and a lake about -22 dB."""
    random = np.random.default_rng(3)
    water = np.zeros((160, 160), np.bool_)
    water[40:90, 30:120] = True
    mean = np.where(water, -22.0, -8.0) + gain
    image = np.stack([mean, mean - 5]) + random.normal(0, 1.5, (2, 160, 160))
    return image.astype(np.float32), water


def mapped(
    file: Path, out: Path, wanted: bool = False, **options: Any
) -> tuple[dict[str, Any], Any, list[str]]:
    said: list[str] = []
    model = predictor(PointwiseEngine(), threshold=KNOWN, scene_threshold=wanted)
    wish = MapOptions(**{"threshold": "scene", **options})
    summary = map_scene(SceneSource((file,)), model, out, wish, say=said.append)
    with rasterio.open(out / "a_water.tif") as raster:
        return summary, raster.read(1) == 1, said


def test_a_scene_is_mapped_where_its_backscatter_falls_into_two_classes(
    make_tif: TifMaker, tmp_path: Path
) -> None:
    image, water = lakes()
    file = make_tif("a.tif", image, crs=CRS, bands=("VV", "VH"))
    summary, found, said = mapped(file, tmp_path / "own")
    _, plain, _ = mapped(file, tmp_path / "plain", threshold=None)
    assert (plain != water).mean() > 0.1
    assert (found != water).mean() < 0.01
    assert KNOWN < summary["threshold"] < 0.6
    assert f"mapped at {summary['threshold']:.3f}" in said[-1]
    tags = summary["provenance"]
    assert tags["THRESHOLD"] == repr(summary["threshold"])
    assert "falls into two classes" in tags["THRESHOLD_CRITERION"]


def test_a_scene_without_two_classes_keeps_the_models_threshold(
    make_tif: TifMaker, tmp_path: Path
) -> None:
    file = make_tif("a.tif", np.full((2, 50, 50), -8, np.float32), crs=CRS, bands=("VV", "VH"))
    summary, _, said = mapped(file, tmp_path / "flat")
    assert summary["threshold"] == KNOWN
    assert "does not fall into two classes" in said[-1]
    empty = make_tif(
        "b/a.tif", np.full((2, 50, 50), np.nan, np.float32), crs=CRS, bands=("VV", "VH")
    )
    assert mapped(empty, tmp_path / "empty")[0]["threshold"] == KNOWN


def test_the_same_call_again_finds_the_map_done(make_tif: TifMaker, tmp_path: Path) -> None:
    file = make_tif("a.tif", lakes()[0], crs=CRS, bands=("VV", "VH"))
    first, _, _ = mapped(file, tmp_path / "m")
    again, _, said = mapped(file, tmp_path / "m")
    assert again == first == json.loads((tmp_path / "m" / "a_summary.json").read_text())
    assert "is mapped already" in said[-1]


def test_other_words_are_refused() -> None:
    with pytest.raises(ConfigError, match="threshold: from 0 to 1, scene or model, found auto"):
        MapOptions(threshold="auto")  # type: ignore[arg-type]


def test_a_model_may_want_it_and_the_user_decides(make_tif: TifMaker, tmp_path: Path) -> None:
    file = make_tif("a.tif", lakes()[0], crs=CRS, bands=("VV", "VH"))
    asked = mapped(file, tmp_path / "asked")[0]["threshold"]
    assert mapped(file, tmp_path / "own", True, threshold=None)[0]["threshold"] == asked > KNOWN
    assert mapped(file, tmp_path / "model", True, threshold="model")[0]["threshold"] == KNOWN
    assert mapped(file, tmp_path / "number", True, threshold=0.9)[0]["threshold"] == 0.9
    assert mapped(file, tmp_path / "plain", False, threshold=None)[0]["threshold"] == KNOWN


@pytest.mark.parametrize(
    ("found", "expected"),
    [(0.5, 0.5), (0.53, 0.53), (0.9, 0.524), (0.29, 0.29), (0.05, 0.288)],
)
def test_a_scene_moves_the_threshold_by_half_in_log_odds_at_most(
    found: float, expected: float
) -> None:
    """Odds of .4 are 2 to 3: times exp(.5) they are those of .524, over it those of .288."""
    seen = Observation(["VV"], Units.DB)
    seen.histogram[:] = 1
    seen.separation = lambda *_: Separation(found, 0.0, 0.1)  # type: ignore[method-assign]
    known = 0.4 if expected != 0.53 else 0.41
    chosen = threshold_near(known, seen)
    assert chosen.threshold == pytest.approx(expected, abs=1e-9)
    is_far = found != expected
    assert in_words(chosen).endswith("look at the map with care") == is_far
    assert chosen.criterion.startswith("as far from the model's") == is_far
