"""AdaBN: batch norm with the statistics of the data that are to be mapped.

A network's batch norm layers hold means and variances of the training data's features. Those of
other data are other ones; taking theirs needs no label and moves no weight (Li et al., Revisiting
Batch Normalization For Practical Domain Adaptation, arXiv:1603.04779, 2016).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sarwater.errors import ModelError
from sarwater.models.bundle import Bundle
from sarwater.models.modes import evaluating
from sarwater.normalize import RunningStatistics
from sarwater.types import FloatArray


class _Inputs:
    """Pools what comes into a layer, over all batches."""

    def __init__(self) -> None:
        self.statistics = RunningStatistics()

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Add the inputs [b, c, ...] of one forward pass."""
        values = inputs[0].detach().transpose(0, 1).flatten(1).float().cpu().numpy()
        self.statistics.add(values[:, None], np.ones((1, values.shape[1]), np.bool_))


def reestimate_batch_norm(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give the batch norm layers the statistics of new inputs, in place.

    Each batch passes through once and is normalized by its own statistics on the way; what the
    layers keep is the mean and the unbiased variance of their inputs over *all* batches. (An
    average of the batches' variances, which torch offers, leaves out how far the batches lie
    apart.) Weights, and whether the network trains, stay as they are.

    Args:
        network: any network; left untouched where an error is raised.
        batches: inputs [b, c, h, w], of one size or several; at least one.

    Raises:
        ModelError: the network has no batch norm layer that keeps statistics.
        DataError: there are no batches.
    """
    layers = [
        module
        for module in network.modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
    ]
    if not layers:
        raise ModelError(
            "the model has no batch normalization whose statistics could be taken anew; map "
            "without adapting, or take a model with another encoder"
        )
    found = [_Inputs() for _ in layers]
    hooks = [
        layer.register_forward_pre_hook(inputs) for layer, inputs in zip(layers, found, strict=True)
    ]
    try:
        with _normalizing_by_batch(network, layers), torch.no_grad():
            for batch in batches:
                network(batch)
    finally:
        for hook in hooks:
            hook.remove()
    pooled = [inputs.statistics.result() for inputs in found]
    for layer, result in zip(layers, pooled, strict=True):
        assert layer.running_mean is not None
        assert layer.running_var is not None
        variance = np.square(result.std) * result.count / max(result.count - 1, 1)
        layer.running_mean.copy_(torch.tensor(result.mean))
        layer.running_var.copy_(torch.from_numpy(variance))


def adapted_bundle(bundle: Bundle, patches: FloatArray, device: torch.device) -> Bundle:
    """Return a bundle whose batch norm knows the statistics of some patches.

    Args:
        bundle: the model.
        patches: float32 [n, band, row, col], normalized as the model wants it, 0 where not valid.
        device: where to compute.

    Raises:
        ModelError: the model has no batch norm.
        DataError: there are no patches.
    """
    network = bundle.build().to(device)
    reestimate_batch_norm(network, _batches(patches, device))
    state = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    return replace(bundle, state=state)


_BATCH = 16
"""Patches that are normalized together."""


def _batches(patches: FloatArray, device: torch.device) -> Iterator[Tensor]:
    for start in range(0, len(patches), _BATCH):
        yield torch.from_numpy(patches[start : start + _BATCH]).to(device)


@contextmanager
def _normalizing_by_batch(network: nn.Module, layers: Iterable[_BatchNorm]) -> Iterator[None]:
    """Let only the batch norm layers train, without moving their running statistics."""
    kept = {layer: layer.momentum for layer in layers}
    counted = {layer: layer.num_batches_tracked for layer in layers}
    with evaluating(network):
        try:
            for layer in kept:
                layer.train()
                layer.momentum = 0.0
                layer.num_batches_tracked = None
            yield
        finally:
            for layer, momentum in kept.items():
                layer.momentum = momentum
                layer.num_batches_tracked = counted[layer]
