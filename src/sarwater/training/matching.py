"""Radiometry first: what normalizes a target, found before the first step of adapting."""

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
    shift_in_words,
)
from sarwater.config import AdaptationSettings
from sarwater.normalization_kinds import Normalization
from sarwater.progress import track
from sarwater.training.data import TrainingData
from sarwater.training.target import TargetData, sample_of
from sarwater.training.validation import ChipPredictor
from sarwater.types import IGNORE, BoolArray, FloatArray

_PIXELS = 4e6
"""Pixels of the source from which medians are taken."""

_TIMES = 2
"""How often the water is found anew."""


def fit_radiometry(
    wishes: AdaptationSettings,
    network: nn.Module,
    source_threshold: float,
    source: TrainingData,
    target: TargetData,
) -> TargetData:
    """Return the target with what normalizes it, as the settings wish.

    By its own statistics, where the source's are those of its data set and would not serve; and
    where the units of the two have no calibration in common, by those that lay its land and water
    lie where the source's do.

    Args:
        wishes: ``own_statistics`` and ``match_classes``.
        network: of the source.
        source_threshold: of its water probability, chosen on the source.
        source: what it was trained on.
        target: as it is so far.
    """
    wish = wishes.own_statistics
    is_shared = target.plain.kind == Normalization.DATASET
    if is_shared and wish != "never" and (wish == "always" or shift_of(source, target)):
        target = replace(target, own_statistics=True)
    wish = wishes.match_classes
    if wish == "always" or (wish == "auto" and target.plain.units != source.units):
        target = match_classes(network, source_threshold, source, target)
    return target


def shift_of(source: TrainingData, target: TargetData) -> str | None:
    """Say how far the target lies from the statistics that both sides are normalized by.

    None where each side is normalized by its own, or none of its means lies far off.
    """
    known = source.normalizer.statistics
    if target.plain.kind != Normalization.DATASET or known is None:
        return None
    return shift_in_words(known, target.pooled, source.bands)


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
    seen = Observation(source.bands, target.plain.units)
    maps = []
    for index in track(target.sample, "matching the target", len(target.sample)):
        chip = target.chips[index]
        maps.append(predictor.water(chip.image, chip.valid, target.group_at(index)))
        seen.add(chip, maps[-1])
    found = seen.separation(source_threshold)
    threshold = np.float32(found.threshold if found else source_threshold)
    return [one >= threshold for one in maps]
