"""Whole scenes by a network that was trained: engines, shifts, and the borders of windows."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy import ndimage

from sarwater.datasets.manifest import read_manifest
from sarwater.mapping.inputs import SceneSource
from sarwater.mapping.options import MapOptions
from sarwater.mapping.scenes import map_scene
from sarwater.models.bundle import Bundle, load_bundle
from sarwater.prediction import PredictionOptions, Predictor
from sarwater.raster import write_raster
from sarwater.tiling import window_starts
from sarwater.training.start import train
from sarwater.types import AnyArray, BoolArray, FloatArray, Grid, Units
from tests.conftest import CRS, PLACE
from tests.training.lakes import SIDE, settings, write_chips

HEIGHT, WIDTH, OVERLAP = 330, 290, 16

Map = Callable[..., FloatArray]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("trained")
    chosen = settings(
        patches={"size": SIDE, "per_epoch": 64},
        optimization={"epochs": 6, "learning_rate": 3e-3, "average_decay": 0.9},
    )
    data = read_manifest(write_chips(folder / "chips"))
    return load_bundle(train(chosen, data, folder / "run").bundle)


@pytest.fixture(scope="module")
def scene() -> tuple[FloatArray, BoolArray]:
    """Decibels [band, row, col] and where water is: round lakes in speckled land."""
    random = np.random.default_rng(8)
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    water = np.zeros((HEIGHT, WIDTH), np.bool_)
    for _ in range(20):
        row, col, radius = random.uniform((0, 0, 6), (HEIGHT, WIDTH, 24))
        water |= (rows - row) ** 2 + (cols - col) ** 2 < radius**2
    image = np.where(water, -20, -9) + random.normal(0, 2, (2, HEIGHT, WIDTH))
    return image.astype(np.float32), water


@pytest.fixture
def mapped(bundle: Bundle, tmp_path: Path) -> Map:
    """Map an image by the trained model, and return the probability of water."""

    def run(image: AnyArray, engine: str = "openvino", precision: str = "float32") -> FloatArray:
        file = tmp_path / "scene.tif"
        _, height, width = image.shape
        grid = Grid(height, width, PLACE, CRS)
        write_raster(file, image, grid, bands=("VV", "VH"), overwrite=True)
        options = PredictionOptions(
            engine=engine, precision=precision, device="cpu", overlap=OVERLAP
        )
        source = SceneSource((file,), units=Units.DB)
        wanted = MapOptions(0.5, probability="float32", overwrite=True)
        map_scene(source, Predictor(bundle, options), tmp_path, wanted, say=lambda _: None)
        with rasterio.open(tmp_path / "scene_probability.tif") as dataset:
            return np.asarray(dataset.read(1))

    return run


def f1(probability: FloatArray, water: BoolArray) -> float:
    found = probability >= 0.5
    hits = int((found & water).sum())
    return 2 * hits / int(found.sum() + water.sum())


def test_engines_agree(scene: tuple[FloatArray, BoolArray], mapped: Map) -> None:
    image, water = scene
    found = {
        (engine, precision): mapped(image, engine, precision)
        for engine in ("openvino", "torch")
        for precision in ("float32", "bfloat16")
    }
    exact = [found[engine, "float32"] for engine in ("openvino", "torch")]
    assert f1(exact[0], water) > 0.95
    np.testing.assert_allclose(exact[0], exact[1], rtol=0, atol=1e-3)
    for one, other in combinations(found.values(), 2):
        assert ((one >= 0.5) != (other >= 0.5)).mean() <= 0.001


@pytest.mark.parametrize(("down", "right"), [(1, 0), (5, 31), (24, 7)])
def test_a_shift_hardly_matters(
    down: int, right: int, scene: tuple[FloatArray, BoolArray], mapped: Map
) -> None:
    image, water = scene
    whole = mapped(image)[down:, right:]
    shifted = mapped(image[:, down:, right:])
    assert not np.array_equal(whole, shifted)
    seen = water[down:, right:]
    assert f1(shifted, seen) == pytest.approx(f1(whole, seen), abs=0.005)


def test_probabilities_step_at_windows_borders_as_inside(
    scene: tuple[FloatArray, BoolArray], mapped: Map
) -> None:
    image, water = scene
    shore = ndimage.binary_dilation(water, iterations=3) & ~ndimage.binary_erosion(
        water, iterations=3
    )
    for axis, length in enumerate((HEIGHT, WIDTH)):
        steps = np.abs(np.diff(mapped(image), axis=axis))
        smooth = ~(np.delete(shore, 0, axis) | np.delete(shore, -1, axis))
        starts = window_starts(length, SIDE, OVERLAP)
        edges = [*(start - 1 for start in starts[1:]), *(start + SIDE - 1 for start in starts[:-1])]
        at_edge = np.zeros(steps.shape, np.bool_)
        np.moveaxis(at_edge, axis, 0)[edges] = True
        assert steps[at_edge & smooth].mean() <= 1.1 * steps[~at_edge & smooth].mean()
