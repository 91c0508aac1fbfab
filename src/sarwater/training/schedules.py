"""Optimizers and the movement of the learning rate."""

import math
from typing import Any

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from sarwater.config import OptimizationSettings

_PLATEAU_FACTOR = 0.1
_ONE_CYCLE_START = 1 / 25
"""The first rate over the highest one (Smith and Topin 2018, as torch has it)."""


def build_optimizer(
    network: nn.Module, loss_groups: list[dict[str, Any]], settings: OptimizationSettings
) -> Optimizer:
    """Return the optimizer; only convolution and linear kernels decay.

    Args:
        network: what is trained.
        loss_groups: parameter groups of learned loss weights, if any.
        settings: optimizer, rate and decay.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        *loss_groups,
    ]
    if settings.optimizer == "sgd":
        return SGD(groups, lr=settings.learning_rate, momentum=0.9, nesterov=True)
    return AdamW(groups, lr=settings.learning_rate)


class Schedule:
    """Moves the learning rate: by step, or by epoch and score (``plateau``)."""

    def __init__(self, optimizer: Optimizer, settings: OptimizationSettings, steps: int) -> None:
        """Plan for ``steps`` steps in all."""
        self._optimizer = optimizer
        self._plateau: ReduceLROnPlateau | None = None
        self._by_step: LambdaLR | None = None
        high = settings.learning_rate
        low = min(settings.min_learning_rate, high)
        if settings.schedule == "plateau":
            self._plateau = ReduceLROnPlateau(
                optimizer, "max", _PLATEAU_FACTOR, settings.plateau_patience, min_lr=low
            )
        elif settings.schedule == "one_cycle":
            self._by_step = LambdaLR(
                optimizer, lambda step: _one_cycle(step, steps, settings.warmup, low / high)
            )
        elif settings.schedule == "cosine":
            warmup = round(settings.warmup * steps)
            self._by_step = LambdaLR(
                optimizer, lambda step: _cosine(step, steps, warmup, low / high)
            )

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return float(self._optimizer.param_groups[0]["lr"])

    def after_step(self) -> None:
        """Move on by a step."""
        if self._by_step is not None:
            self._by_step.step()

    def after_epoch(self, score: float) -> None:
        """Tell the validation score of an epoch (the higher the better)."""
        if self._plateau is not None:
            self._plateau.step(score)

    def state_dict(self) -> dict[str, Any]:
        """Return what ``load_state_dict`` needs to go on."""
        inner = self._by_step or self._plateau
        return {} if inner is None else dict(inner.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        inner = self._by_step or self._plateau
        if inner is not None:
            inner.load_state_dict(state)


def _one_cycle(step: int, steps: int, warmup: float, lowest: float) -> float:
    # As torch's OneCycleLR, which divides by zero where the warmup is shorter than a step.
    peak = max(warmup * (steps + 1) - 1, 0.0)
    if step < peak:
        return _anneal(_ONE_CYCLE_START, 1.0, step / peak)
    return _anneal(1.0, lowest, min((step - peak) / (steps - peak), 1.0))


def _cosine(step: int, steps: int, warmup: int, lowest: float) -> float:
    if step < warmup:
        return (step + 1) / warmup
    progress = min((step - warmup) / max(steps - warmup, 1), 1.0)
    return _anneal(1.0, lowest, progress)


def _anneal(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
