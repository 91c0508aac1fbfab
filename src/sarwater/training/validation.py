"""Validation during training: predictions of whole chips, counted at all thresholds."""

import copy
import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from torch import nn

from sarwater.engines.torch_engine import TorchEngine
from sarwater.errors import DataError, SarwaterWarning
from sarwater.evaluation.counts import ThresholdCounts, count, threshold_index
from sarwater.evaluation.scores import average_precision, choose_threshold, curve, warn_of_end
from sarwater.normalize import BandStatistics
from sarwater.prediction import predict_image, water_probability
from sarwater.training.data import TrainingData
from sarwater.types import IGNORE, BoolArray, FloatArray


@dataclass(frozen=True)
class Validation:
    """What a checkpoint reaches on the validation chips, pooled over their pixels."""

    threshold: float
    """Chosen by the criterion."""
    criterion: str
    """How it was chosen."""
    f1: float
    iou: float
    precision: float
    recall: float
    f1_at_half: float
    """F1 at the threshold .5; 0 where nothing is called water."""
    best_f1: float
    """The highest F1 at any threshold, by which checkpoints are chosen."""
    average_precision: float


class ChipPredictor:
    """Predicts chips as mapping would, with a network that is still being trained."""

    def __init__(self, network: nn.Module, data: TrainingData, *, seed_margin: float = 0.0) -> None:
        """Make a float32 copy of the network ready; the network itself stays as it is.

        Args:
            network: maps normalized patches to logits.
            data: normalization, patch size and classes.
            seed_margin: log-odds by which water must have surer water beside it.
        """
        device = next(network.parameters()).device
        own = copy.deepcopy(network).float()
        if seed_margin:
            own.seed_margin = seed_margin  # type: ignore[assignment]
        self._engine = TorchEngine(own, device=str(device))
        self._data = data

    def water(
        self, image: FloatArray, valid: BoolArray, group: BandStatistics | None
    ) -> FloatArray:
        """Return the water probability [row, col] of an image, 0 where not valid."""
        data = self._data
        probability = predict_image(
            image,
            valid,
            self._engine,
            data.sampler.settings.size,
            classes=len(data.classes),
            normalize=lambda part, usable: data.normalizer.apply(part, usable, group),
        )
        return water_probability(probability)


class ChipCounter:
    """Predicts validation chips, and counts labelled valid pixels."""

    def __init__(self, network: nn.Module, data: TrainingData) -> None:
        """Make a copy of the network ready for the validation chips of the data."""
        self._predictor = ChipPredictor(network, data)
        self._data = data

    def count(self, index: int) -> ThresholdCounts:
        """Count one of the validation chips."""
        data = self._data
        chip, record = data.val[index], data.val.records[index]
        assert chip.target is not None
        probability = self._predictor.water(chip.image, chip.valid, data.group_of(record))
        is_water = (chip.target != 0) & (chip.target != IGNORE)
        counted = chip.valid & (chip.target != IGNORE)
        return count(probability, is_water, counted)


_UNMET = "no threshold satisfies "


def warn_of_choice(threshold: float, text: str) -> None:
    """Warn where the threshold of a finished run was not chosen as asked, or is at an end.

    Args:
        threshold: of its best checkpoint.
        text: the criterion.
    """
    warn_of_end(threshold, "the threshold chosen on the validation split")
    if text.startswith(_UNMET):
        warnings.warn(
            f"{text}: ask for less, train longer, or choose another model", SarwaterWarning, 2
        )


def summarize(counts: ThresholdCounts, criterion: str) -> Validation:
    """Choose the threshold and read off the scores there.

    Where no threshold satisfies the criterion (a precision that a young network does not reach)
    the best F1 chooses, and ``Validation.criterion`` says so.
    """
    try:
        threshold, text = choose_threshold(counts, criterion)
    except DataError:
        threshold, text = choose_threshold(counts, "f1")
        text = f"{_UNMET}{criterion}, so {text}"
    scores = curve(counts)
    index, half = threshold_index(threshold), threshold_index(0.5)
    return Validation(
        threshold=threshold,
        criterion=f"{text} on the validation split",
        f1=_number(scores.f1[index]),
        iou=_number(scores.iou[index]),
        precision=_number(scores.precision[index]),
        recall=_number(scores.recall[index]),
        f1_at_half=_number(scores.f1[half]),
        best_f1=_number(np.nanmax(scores.f1)),
        average_precision=_number(average_precision(counts.positive_ranks, counts.negative_ranks)),
    )


def _number(value: ArrayLike) -> float:
    number = float(np.asarray(value))
    return 0.0 if math.isnan(number) else number
