"""How a model of 8-bit products should take decibels, from dB scenes that nobody has labelled."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from sarwater.adaptation.radiometry import class_medians, matching_statistics
from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.models.bundle import Bundle
from sarwater.normalize import BandStatistics, RunningStatistics, group_statistics
from sarwater.prediction import PredictionOptions, Predictor, water_probability
from sarwater.raster import read_chip
from sarwater.types import IGNORE, Chip

_TIMES = 3
"""How often the water is found anew."""


def decibel_statistics(
    bundle: Bundle, source: Manifest, decibels: Iterable[ChipRecord]
) -> BandStatistics:
    """Return mean and deviation in dB that lay land and water where the training data's lie.

    The model divides the scenes under their pooled statistics, the medians of land and of water
    are laid on those of the labelled events (each normalized by its own statistics; the mean of
    the events), and the model divides anew. No label of a scene in dB is read.

    Args:
        bundle: of the model.
        source: the events that it was trained on.
        decibels: chips in dB.
    """
    events = [class_medians(_labelled(bundle, source, domain)) for domain in source.domains]
    wanted = np.mean([one for one in events if one is not None], axis=0)
    chips = [read_chip(record, with_target=False) for record in decibels]
    pooled = RunningStatistics()
    for chip in chips:
        pooled.add(chip.image, chip.valid)
    found = pooled.result()
    for _ in range(_TIMES):
        medians = class_medians(
            (chip.image, water, chip.valid)
            for chip, water in zip(chips, _water(bundle, found, chips), strict=True)
        )
        assert medians is not None
        matched = matching_statistics(medians, wanted, found.count)
        assert matched is not None
        found = matched
    return found


def _labelled(bundle: Bundle, source: Manifest, domain: str) -> Iterator[tuple[Any, Any, Any]]:
    """Yield every fourth chip of an event, normalized as in training, its water, what counts."""
    part = source.select(domains=(domain,), labelled=True).records[::4]
    own = group_statistics((domain, read_chip(one)) for one in part)[domain]
    for record in part:
        chip = read_chip(record)
        if chip.valid.any():
            assert chip.target is not None
            image = bundle.info.normalization.apply(chip.image, chip.valid, own)
            yield image, chip.target != 0, chip.valid & (chip.target != IGNORE)


def _water(bundle: Bundle, statistics: BandStatistics, chips: list[Chip]) -> list[Any]:
    info = bundle.info.model_copy(update={"decibel_statistics": statistics})
    options = PredictionOptions(device="cpu")
    served = Predictor(Bundle(info, bundle.state, bundle.hash, bundle.path), options)
    fitted = served.for_units(chips[0].units)
    threshold = np.float32(info.threshold)
    return [water_probability(fitted.predict_chip(chip)) >= threshold for chip in chips]
