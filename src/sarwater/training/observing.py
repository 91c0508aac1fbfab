"""Predictions of source and target, summed up into what can be said without labels."""

from collections.abc import Callable, Sequence

import torch
from lightning.fabric import Fabric
from torch import nn

from sarwater.adaptation.observation import Observation
from sarwater.losses.distributed import all_reduce_sum
from sarwater.normalize import BandStatistics
from sarwater.progress import track
from sarwater.training.data import TrainingData
from sarwater.training.patches import ChipCache
from sarwater.training.target import TargetData, sample_of
from sarwater.training.validation import ChipPredictor


class Observer:
    """Predicts samples of both sides; what comes out is the same in every process."""

    def __init__(self, fabric: Fabric, source: TrainingData, pixels: float) -> None:
        """Choose the source's sample.

        Args:
            fabric: the processes.
            source: its validation chips are observed.
            pixels: about so many of them.
        """
        self._fabric = fabric
        self._source = source
        self._of_source = sample_of(source.val, pixels)

    def target(self, network: nn.Module, data: TargetData) -> Observation:
        """Predict the sample of the target."""
        predictor = ChipPredictor(network, data.predicted_as(self._source))
        return self._observe("target", predictor, data.chips, data.sample, data.group_at)

    def source(self, network: nn.Module) -> Observation:
        """Predict validation chips of the source."""
        data = self._source
        return self._observe(
            "source",
            ChipPredictor(network, data),
            data.val,
            self._of_source,
            lambda index: data.group_of(data.val.records[index]),
        )

    def _observe(
        self,
        side: str,
        predictor: ChipPredictor,
        chips: ChipCache,
        sample: Sequence[int],
        group: Callable[[int], BandStatistics | None],
    ) -> Observation:
        """Predict chips, each in one of the processes."""
        observation = Observation(len(self._source.bands), chips[sample[0]].units)
        own = sample[self._fabric.global_rank :: self._fabric.world_size]
        for index in track(own, f"observing the {side}", len(own)):
            chip = chips[index]
            observation.add(chip, predictor.water(chip.image, chip.valid, group(index)))
        if self._fabric.world_size > 1:
            device = self._fabric.device
            observation.set_arrays(
                all_reduce_sum(torch.from_numpy(array).to(device)).cpu().numpy()
                for array in observation.arrays()
            )
        return observation
