"""Predictions of the target's sample, summed up into what can be said without labels."""

import torch
from lightning.fabric import Fabric
from torch import nn

from sarwater.adaptation.observation import Observation
from sarwater.losses.distributed import all_reduce_sum
from sarwater.progress import track
from sarwater.training.data import TrainingData
from sarwater.training.target import TargetData
from sarwater.training.validation import ChipPredictor


def observe(
    network: nn.Module, source: TrainingData, target: TargetData, fabric: Fabric
) -> Observation:
    """Predict the sample of the target; what comes out is the same in every process."""
    observation = Observation(source.bands, target.plain.units)
    predictor = ChipPredictor(network, target.predicted_as(source))
    own = target.sample[fabric.global_rank :: fabric.world_size]
    for index in track(own, "observing the target", len(own)):
        chip = target.chips[index]
        observation.add(chip, predictor.water(chip.image, chip.valid, target.group_at(index)))
    if fabric.world_size > 1:
        observation.set_arrays(
            all_reduce_sum(torch.from_numpy(array).to(fabric.device)).cpu().numpy()
            for array in observation.arrays()
        )
    return observation
