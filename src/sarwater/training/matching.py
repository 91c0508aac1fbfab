"""Lays the land and the water of a target on those of the source, before the first step."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from torch import nn

from sarwater.adaptation.observation import Observation
from sarwater.adaptation.radiometry import (
    SAME_WATER,
    class_medians,
    matching_statistics,
    overlap,
)
from sarwater.progress import track
from sarwater.training.data import TrainingData
from sarwater.training.target import TargetData, sample_of
from sarwater.training.validation import ChipPredictor
from sarwater.types import IGNORE, BoolArray, FloatArray

_PIXELS = 4e6
"""Pixels of the source from which medians are taken."""

_TIMES = 2
"""How often the water is found anew."""


def match_classes(
    network: nn.Module, source_threshold: float, source: TrainingData, target: TargetData
) -> TargetData:
    """Return the target with statistics that lay its classes on those of the source.

    The network divides a sample of the target at its label-free threshold, the medians of what it
    calls land and water are laid on those of the labelled source, and the network looks again.
    Where it then finds other water (an intersection over union under .8) the classes are none,
    and the statistics before stand. Each process does all of it.

    Args:
        network: of the source.
        source_threshold: of its water probability, chosen on the source.
        source: what it was trained on.
        target: as it is so far.
    """
    wanted = class_medians(_labelled(source))
    if wanted is None:
        return target
    chips = [target.chips[index] for index in target.sample]
    pixels = sum(int(chip.valid.sum()) for chip in chips)
    water = _water(network, source_threshold, source, target)
    for _ in range(_TIMES):
        found = class_medians(
            (chip.image, one, chip.valid) for chip, one in zip(chips, water, strict=True)
        )
        matched = None if found is None else matching_statistics(found, wanted, pixels)
        if matched is None:
            return target
        moved = replace(target, matched=matched)
        again = _water(network, source_threshold, source, moved)
        if overlap(water, again) < SAME_WATER:
            return target
        target, water = moved, again
    return target


def _labelled(source: TrainingData) -> Iterator[tuple[FloatArray, BoolArray, BoolArray]]:
    """Yield normalized training images of the source, with their water and what is labelled."""
    for index in sample_of(source.train, _PIXELS):
        chip = source.train[index]
        assert chip.target is not None
        image = source.normalizer.apply(
            chip.image, chip.valid, source.group_of(source.train.records[index])
        )
        yield image, chip.target != 0, chip.valid & (chip.target != IGNORE)


def _water(
    network: nn.Module, source_threshold: float, source: TrainingData, target: TargetData
) -> list[BoolArray]:
    """Return the water of the target's sample at the label-free threshold."""
    predictor = ChipPredictor(network, target.predicted_as(source))
    seen = Observation(len(source.bands), target.plain.units)
    maps = []
    for index in track(target.sample, "matching the target", len(target.sample)):
        chip = target.chips[index]
        maps.append(predictor.water(chip.image, chip.valid, target.group_at(index)))
        seen.add(chip, maps[-1])
    found = seen.separation(source_threshold)
    threshold = np.float32(found.threshold if found else source_threshold)
    return [one >= threshold for one in maps]
