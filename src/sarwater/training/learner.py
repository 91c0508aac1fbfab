"""What is trained: network and loss as one module, and the average of the network's weights."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.optim.swa_utils import AveragedModel

from sarwater.config import TrainSettings
from sarwater.errors import ModelError
from sarwater.losses.distributed import all_reduce_sum
from sarwater.losses.modules import WeightedSum, build_loss
from sarwater.models.architecture import Architecture
from sarwater.models.bundle import load_bundle
from sarwater.models.pretrained import load_encoder_weights
from sarwater.models.segmenter import Segmenter
from sarwater.training.data import TrainingData
from sarwater.types import IGNORE


class Learner(nn.Module):
    """Network and loss together, so that learned loss weights are trained like the rest."""

    def __init__(self, network: Segmenter, loss: WeightedSum) -> None:
        """Wrap the two."""
        super().__init__()
        self.network = network
        self.loss = loss

    def forward(self, image: Tensor, target: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Return the total loss, the logits [b, k, h, w] and the parts of the loss."""
        logits = self.network(image)
        result = self.loss(logits, target)
        return result.total, logits, result.parts


def build_learner(settings: TrainSettings, data: TrainingData) -> Learner:
    """Build network and loss, channels last, with the first weights that the settings name.

    Raises:
        ModelError: there is no such encoder, or the first weights do not fit.
    """
    loss = build_loss(
        settings.loss.terms, reduce=all_reduce_sum, learned=settings.loss.learned_weights
    )
    learner = Learner(_network(settings, data), loss)
    for parameter in learner.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return learner


def patch_losses(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean cross-entropy [b] over the valid pixels of each patch; 0 without any."""
    losses = F.cross_entropy(logits.float(), target.long(), ignore_index=IGNORE, reduction="none")
    valid = (target != IGNORE).flatten(1).sum(dim=1).clamp(min=1)
    return losses.flatten(1).sum(dim=1) / valid


def _network(settings: TrainSettings, data: TrainingData) -> Segmenter:
    model = settings.model
    network = Segmenter(model.architecture, len(data.bands), len(data.classes))
    if model.encoder_weights is not None:
        load_encoder_weights(network.encoder, model.encoder_weights)
    if model.init is not None:
        start = load_bundle(model.init)
        if start.info.bands != data.bands or len(start.info.classes) != len(data.classes):
            raise ModelError(
                f"{model.init} takes {';'.join(start.info.bands)} and tells "
                f"{len(start.info.classes)} classes; these chips have {';'.join(data.bands)} and "
                f"{len(data.classes)}"
            )
        try:
            network.load_state_dict(start.build().state_dict())
        except RuntimeError as error:
            raise ModelError(
                f"{model.init} is another network than these settings build: "
                f"{_differences(start.info.architecture, model.architecture)}; set the model's "
                "values"
            ) from error
    return network


def _differences(there: Architecture, here: Architecture) -> str:
    return ", ".join(
        f"{name} {getattr(there, name)} instead of {getattr(here, name)}"
        for name in Architecture.model_fields
        if getattr(there, name) != getattr(here, name)
    )


def averaged(network: nn.Module, decay: float | None) -> AveragedModel | None:
    """Return an exponential average of a network's weights and buffers, None without a decay."""
    if decay is None:
        return None

    def average(old: list[Tensor], new: list[Tensor], count: Tensor | int) -> None:
        # A short memory at first, so that the random first weights are forgotten.
        kept = min(decay, (1 + int(count)) / (10 + int(count)))
        for mean, value in zip(old, new, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value.to(mean.dtype), 1 - kept)
            else:
                mean.copy_(value)

    return AveragedModel(network, multi_avg_fn=average, use_buffers=True)  # type: ignore[arg-type]
