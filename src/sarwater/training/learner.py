"""What is trained: network and losses as one module, and the average of the network's weights."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.optim.swa_utils import AveragedModel

from sarwater.adaptation.alignment import (
    Alignment,
    DomainNames,
    FeatureAlignment,
    OutputAlignment,
    Sides,
)
from sarwater.adaptation.self_training import PseudoLabelled, self_training_loss
from sarwater.config import DannMethod, OutputSpaceMethod, TrainSettings
from sarwater.errors import ModelError
from sarwater.losses.distributed import all_reduce_sum
from sarwater.losses.functional import Reduce, identity
from sarwater.losses.modules import WeightedSum, build_loss
from sarwater.models.architecture import Architecture
from sarwater.models.bundle import load_bundle
from sarwater.models.pretrained import load_encoder_weights
from sarwater.models.segmenter import Segmenter
from sarwater.training.data import TrainingData
from sarwater.types import IGNORE


class TargetBatch(NamedTuple):
    """Target patches beside a batch of the source, on the device."""

    image: Tensor
    """[b, c, h, w], normalized."""
    valid: Tensor
    """bool [b, h, w], of the source's patches and then the target's."""
    domain: Tensor
    """int64 [b], index of the domain, of the source's patches and then the target's."""
    strength: float
    """Share of the highest factor of the reversed gradient, 0 ... 1."""
    mixed: PseudoLabelled | None = None
    """Mixed patches for self-training."""


class Learned(NamedTuple):
    """What came out of one step's forward pass."""

    total: Tensor
    """The loss, a scalar with gradient."""
    logits: Tensor
    """Of the source [b, k, h, w]."""
    parts: dict[str, Tensor]
    """Each loss by name."""
    accuracies: dict[str, Tensor]
    """Of each discriminator by the method's name, 0 ... 1."""


class Learner(nn.Module):
    """Network, losses and discriminators together, trained by one optimizer."""

    def __init__(
        self,
        network: Segmenter,
        loss: WeightedSum,
        alignments: Mapping[str, Alignment] | None = None,
        reduce: Reduce = identity,
    ) -> None:
        """Wrap them; ``reduce`` sums over processes."""
        super().__init__()
        self.network = network
        self.loss = loss
        self.alignments = nn.ModuleDict(alignments or {})
        self._reduce = reduce
        self.first_weights = ""
        """Where those of the encoder come from, in words; empty where they are random."""

    def forward(self, image: Tensor, target: Tensor, beside: TargetBatch | None = None) -> Learned:
        """Run source, target and mixed patches through the network together, and add up.

        Target patches that no discriminator looks at stay out.

        Args:
            image: source patches [b, c, h, w].
            target: their labels [b, h, w].
            beside: patches of the target, where there is one.
        """
        if beside is None:
            logits = self.network(image)
            result = self.loss(logits, target)
            return Learned(result.total, logits, result.parts, {})
        mixed = beside.mixed
        aligned = [beside.image] if self.alignments else []
        parts = [image, *aligned, *([mixed.image] if mixed else [])]
        joint, features = self.network.logits_and_features(torch.cat(parts))
        both = len(image) + sum(map(len, aligned))
        logits = joint[: len(image)]
        others: dict[str, Tensor] = {}
        accuracies: dict[str, Tensor] = {}
        if aligned:
            sides = Sides(joint[:both], features[:both], beside.valid, beside.domain)
            for name, alignment in self.alignments.items():
                others[name], accuracies[name] = alignment(sides, beside.strength)
        if mixed is not None:
            others["self_training"] = self_training_loss(joint[both:], mixed, self._reduce)
        result = self.loss(logits, target, others)
        return Learned(result.total, logits, result.parts, accuracies)


def build_learner(
    settings: TrainSettings, data: TrainingData, names: DomainNames | None = None
) -> Learner:
    """Build network, losses and discriminators, channels last, with the settings' first weights.

    Args:
        settings: of the run.
        data: of the source.
        names: the domains, where there is a target.

    Raises:
        ModelError: there is no such encoder, or the first weights do not fit.
    """
    chosen = settings.adaptation
    loss = build_loss(
        settings.loss.terms,
        reduce=all_reduce_sum,
        learned=settings.loss.learned_weights,
        others=chosen.losses if names else None,
    )
    alignments: dict[str, Alignment] = {}
    for method in chosen.methods if names else ():
        assert names is not None
        if isinstance(method, DannMethod):
            features = settings.model.decoder_channels
            alignments[method.name] = FeatureAlignment(method, features, names, all_reduce_sum)
        elif isinstance(method, OutputSpaceMethod):
            classes = len(data.classes)
            alignments[method.name] = OutputAlignment(method, classes, names, all_reduce_sum)
    network, first_weights = _network(settings, data)
    learner = Learner(network, loss, alignments, all_reduce_sum)
    learner.first_weights = first_weights
    for parameter in learner.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return learner


def patch_losses(logits: Tensor, target: Tensor) -> Tensor:
    """Return the mean cross-entropy [b] over the valid pixels of each patch; 0 without any."""
    losses = F.cross_entropy(logits.float(), target.long(), ignore_index=IGNORE, reduction="none")
    valid = (target != IGNORE).flatten(1).sum(dim=1).clamp(min=1)
    return losses.flatten(1).sum(dim=1) / valid


def _network(settings: TrainSettings, data: TrainingData) -> tuple[Segmenter, str]:
    """Build the network; say where the encoder's weights come from, empty where nowhere."""
    model, text = settings.model, ""
    network = Segmenter(model.architecture, len(data.bands), len(data.classes))
    if model.encoder_weights is not None:
        text = load_encoder_weights(network.encoder, model.encoder_weights)
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
    return network, text


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
