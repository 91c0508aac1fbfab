"""Sums over processes that gradients pass through."""

from typing import Any

import torch
from torch import Tensor, distributed


class _AllReduceSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:  # noqa: ARG004
        total = tensor.detach().clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total, op=distributed.ReduceOp.SUM)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        # Every process computes the same loss from the total; DistributedDataParallel averages
        # their gradients, so each must hold the sum of what all of them ask of its addend.
        return all_reduce_sum(gradients[0])


def all_reduce_sum(tensor: Tensor) -> Tensor:
    """Return the sum of ``tensor`` over all processes; the same tensor if there is only one.

    Give it as ``reduce`` to a loss: numerators and denominators are then summed over processes
    before they are divided, and gradients averaged by DistributedDataParallel equal those of one
    process on the joint batch. Every process must call it the same number of times.

    >>> all_reduce_sum(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return tensor
    if distributed.get_world_size() == 1:
        return tensor
    total: Tensor = _AllReduceSum.apply(tensor)
    return total
