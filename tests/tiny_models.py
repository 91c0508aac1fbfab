"""Small models for tests of what runs them."""

from typing import Any

import numpy as np
import torch
from torch import nn

from sarwater.engines.torch_engine import TorchEngine
from sarwater.models.architecture import Architecture
from sarwater.models.bundle import Bundle, ModelInfo
from sarwater.models.segmenter import Segmenter
from sarwater.normalize import Normalization, Normalizer
from sarwater.prediction import PredictionOptions, Predictor
from sarwater.types import FloatArray, Units

PATCH = 32


def convolution(bands: int = 2, classes: int = 2) -> nn.Module:
    """One 3 x 3 convolution with random weights, always the same."""
    torch.manual_seed(5)
    return nn.Conv2d(bands, classes, 3, padding=1)


def engine(bands: int = 2, classes: int = 2) -> TorchEngine:
    return TorchEngine(convolution(bands, classes), device="cpu")


class FakeEngine:
    """What an engine tells of itself."""

    name = "fake"
    parallel = 2
    best_batch = 4


class PointwiseEngine(FakeEngine):
    """Water where the first band is dark: a pixel's probability depends on the pixel alone."""

    def __init__(self, classes: int = 2) -> None:
        self.classes = classes
        self.batches: list[int] = []

    def predict(self, patches: FloatArray) -> FloatArray:
        self.batches.append(len(patches))
        water = 1 / (1 + np.exp(patches[:, 0].astype(np.float64)))
        share = [1 - water, *[water / (self.classes - 1)] * (self.classes - 1)]
        return np.stack(share, axis=1).astype(np.float32)


class SmoothEngine(FakeEngine):
    """A 9 x 9 mean of the first band: translation-equivariant but for 4 px at a patch's edges."""

    reach = 4

    def predict(self, patches: FloatArray) -> FloatArray:
        water = np.zeros_like(patches[:, 0])
        side = 2 * self.reach + 1
        padded = np.pad(patches[:, 0], [(0, 0), (self.reach,) * 2, (self.reach,) * 2])
        for row in range(side):
            for col in range(side):
                water += padded[:, row : row + water.shape[1], col : col + water.shape[2]]
        share = 1 / (1 + np.exp(water / side**2))
        return np.stack([1 - share, share], axis=1).astype(np.float32)


def info(**changes: Any) -> ModelInfo:
    values: dict[str, Any] = {
        "version": "0.1.0",
        "classes": ("land", "water"),
        "bands": ("VV", "VH"),
        "units": Units.DB,
        "normalization": Normalizer(Normalization.FIXED, Units.DB),
        "patch_size": PATCH,
        "architecture": Architecture(),
        "threshold": 0.4,
        "threshold_criterion": "best F1 on the validation split",
    }
    return ModelInfo(**{**values, **changes})


def predictor(runner: Any = None, *, overlap: int = 8, **changes: Any) -> Predictor:
    described = info(**changes)
    bundle = Bundle(described, {}, "ab" * 32)
    runner = runner or engine(len(described.bands), len(described.classes))
    return Predictor(bundle, PredictionOptions(overlap=overlap, batch_size=4), engine=runner)


def segmenter_bundle(*, seed_margin: float = 0.0, **changes: Any) -> Bundle:
    """A small DeepLabV3+ with random weights, always the same, and statistics in its norms."""
    architecture = Architecture(
        encoder="tu-mobilenetv3_small_050", decoder_channels=8, detail_channels=4
    )
    torch.manual_seed(0)
    described = info(architecture=architecture, seed_margin=seed_margin, **changes)
    network = Segmenter(architecture, len(described.bands), len(described.classes)).train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(4, len(described.bands), 64, 64))
    return Bundle(described, network.state_dict())
