"""Weights between a source-only network and what adapting made of it."""

import copy
from collections.abc import Mapping

from torch import Tensor, nn


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Return a copy of a network's weights and buffers, on the CPU."""
    return {name: weight.cpu().clone() for name, weight in network.state_dict().items()}


def averaged_with(network: nn.Module, source: Mapping[str, Tensor], share: float) -> nn.Module:
    """Return a copy of an adapted network whose weights are averaged with the source-only ones.

    w = s w_source + (1 - s) w_adapted, for weights and statistics of batch norm alike. As long as
    adapting begins with the source-only weights the two lie in one basin of the loss, and the
    average keeps most of what was gained while it gives up most of what was spoiled.

    Args:
        network: adapted.
        source: weights and buffers of the network that adapting began with.
        share: s, 0 ... 1.

    References:
        Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022.

    >>> import torch
    >>> network = nn.Linear(1, 1, bias=False)
    >>> network.weight.data.fill_(1.0)
    tensor([[1.]])
    >>> averaged_with(network, {"weight": torch.tensor([[3.0]])}, 0.25).weight.item()
    1.5
    """
    averaged = copy.deepcopy(network)
    for name, weight in averaged.state_dict().items():
        if weight.is_floating_point():
            weight.lerp_(source[name].to(weight), share)
    return averaged
