"""Models and evaluations whose results are known, for several tests."""

import numpy as np

from sarwater.evaluation.chips import ChipPixels, Evaluation, MissingRadar, ModelIdentity
from sarwater.evaluation.counts import ThresholdCounts, confusion_matrix, count
from sarwater.normalize import BandStatistics
from sarwater.types import AnyArray, Chip, FloatArray

MODEL = ModelIdentity("model", "abc", ("land", "water"), 0.4, "best F1 on val")


class LogitModel:
    """Takes the image for logits: one band is water's, k bands are those of the k classes."""

    def __init__(self, shift: float = 0.0) -> None:
        self.shift = shift
        self.groups: dict[str, BandStatistics | None] = {}

    def model_chip(self, chip: Chip) -> Chip:
        return chip

    def predict_chip(self, chip: Chip, group: BandStatistics | None = None) -> FloatArray:
        self.groups[chip.id] = group
        return probabilities(chip.image, self.shift)


def probabilities(image: AnyArray, shift: float = 0.0) -> FloatArray:
    logits = np.concatenate([np.zeros_like(image), image + shift]) if len(image) == 1 else image
    raised = np.exp(logits - logits.max(axis=0))
    return np.asarray(raised / raised.sum(axis=0), np.float32)


def random_evaluation(
    seed: int = 0, *, chips: int = 12, shift: float = 0.0, dry: int = 2, noise: float = 1.2
) -> Evaluation:
    """Evaluation of random chips; equal seeds have the same truth whatever the shift."""
    generator = np.random.default_rng(seed)
    pixels, counts, matrices = [], [], []
    for number in range(chips):
        share = 0 if number < dry else generator.uniform(0.02, 0.5)
        water = generator.random((20, 20)) < share
        logits = np.where(water, 1.5, -1.5) + generator.normal(0, noise, water.shape) + shift
        probability = np.asarray(1 / (1 + np.exp(-logits)), np.float32)
        counted = np.full(water.shape, True)
        counts.append(count(probability, water, counted))
        predicted = (probability >= np.float32(0.4)).astype(np.uint8)
        matrices.append(confusion_matrix(predicted, water.astype(np.uint8), counted, 2))
        area = None if number % 2 else 100.0
        name = f"chip{number:02d}"
        domain = "elbe" if number < chips // 2 else "rhine"
        pixels.append(ChipPixels(name, domain, 400, 400, 400, 0, 0, area))
    return Evaluation(
        model=MODEL,
        data="data.csv",
        split="test",
        missing_radar=MissingRadar.EXCLUDE,
        groups="the model's own",
        threshold=0.4,
        criterion="best F1 on val",
        chips=tuple(pixels),
        counts=ThresholdCounts.stack(counts),
        confusion=np.stack(matrices),
        not_counted={},
    )
