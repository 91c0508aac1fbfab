"""Thin modules around the functions of ``functional``, and their weighted sum."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sarwater.errors import ConfigError
from sarwater.losses import functional
from sarwater.losses.functional import Reduce, identity
from sarwater.losses.terms import LossTerm
from sarwater.losses.weighting import LearnedWeights


class _Loss(nn.Module):
    """A function of (logits, target) with its parameters bound."""

    def __init__(
        self, function: Callable[..., Tensor], reduce: Reduce, **parameters: object
    ) -> None:
        super().__init__()
        self.function = function
        self.reduce = reduce
        self.parameters_of_loss = parameters

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the scalar loss of ``logits`` [b, k, h, w] and ``target`` [b, h, w]."""
        return self.function(logits, target, **self.parameters_of_loss, reduce=self.reduce)

    def extra_repr(self) -> str:
        """Return the parameters of the loss."""
        return ", ".join(f"{name}={value}" for name, value in self.parameters_of_loss.items())


class CrossEntropy(_Loss):
    """Module of ``functional.cross_entropy``."""

    def __init__(
        self, class_weights: Sequence[float] | None = None, reduce: Reduce = identity
    ) -> None:
        """Take one weight a class, background first, or None."""
        super().__init__(functional.cross_entropy, reduce, class_weights=class_weights)


class BalancedCrossEntropy(_Loss):
    """Module of ``functional.balanced_cross_entropy``."""

    def __init__(self, alpha: float | Sequence[float], reduce: Reduce = identity) -> None:
        """Take the weight of the foreground (0 ... 1), or one a class."""
        super().__init__(functional.balanced_cross_entropy, reduce, alpha=alpha)


class Focal(_Loss):
    """Module of ``functional.focal``."""

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | Sequence[float] | None = None,
        reduce: Reduce = identity,
    ) -> None:
        """Take the exponent (0 or more) and alpha as for the balanced cross-entropy, or None."""
        super().__init__(functional.focal, reduce, gamma=gamma, alpha=alpha)


class Dice(_Loss):
    """Module of ``functional.dice``."""

    def __init__(self, per_patch: bool = False, reduce: Reduce = identity) -> None:
        """Pool the batch, or with ``per_patch`` average over patches."""
        super().__init__(functional.dice, reduce, per_patch=per_patch)


class Jaccard(_Loss):
    """Module of ``functional.jaccard``."""

    def __init__(self, per_patch: bool = False, reduce: Reduce = identity) -> None:
        """Pool the batch, or with ``per_patch`` average over patches."""
        super().__init__(functional.jaccard, reduce, per_patch=per_patch)


class Tversky(_Loss):
    """Module of ``functional.tversky``."""

    def __init__(
        self,
        fp_weight: float = 0.7,
        fn_weight: float = 0.3,
        per_patch: bool = False,
        reduce: Reduce = identity,
    ) -> None:
        """Take the weights of false positives and negatives; 0 or more, not both 0."""
        super().__init__(
            functional.tversky,
            reduce,
            fp_weight=fp_weight,
            fn_weight=fn_weight,
            per_patch=per_patch,
        )


class FocalTversky(_Loss):
    """Module of ``functional.focal_tversky``."""

    def __init__(
        self,
        fp_weight: float = 0.7,
        fn_weight: float = 0.3,
        gamma: float = 4 / 3,
        per_patch: bool = False,
        reduce: Reduce = identity,
    ) -> None:
        """Take the Tversky weights and gamma (above 0), the inverse of the exponent."""
        super().__init__(
            functional.focal_tversky,
            reduce,
            fp_weight=fp_weight,
            fn_weight=fn_weight,
            gamma=gamma,
            per_patch=per_patch,
        )


@dataclass(frozen=True, eq=False)
class LossResult:
    """What to minimize, and what it is made of."""

    total: Tensor
    """Scalar, with gradient."""
    parts: dict[str, Tensor]
    """Each loss by name, unweighted; scalars, with gradient (detach them for logs)."""


class WeightedSum(nn.Module):
    """Weighted sum of losses of the same logits and target, and of losses that come from elsewhere.

    With ``learned`` the fixed weights scale the losses first, and the total is that of
    ``LearnedWeights``; all parameters of this module are then its c and must not decay.
    """

    def __init__(
        self,
        losses: Mapping[str, nn.Module],
        weights: Mapping[str, float],
        learned: LearnedWeights | None = None,
        others: Sequence[str] = (),
    ) -> None:
        """Take losses and their weights (0 or more) under the same names.

        Args:
            losses: of logits and target; at least one.
            weights: of each loss, those in ``others`` included.
            learned: of the same names, to learn weights beside the fixed ones.
            others: names of losses that ``forward`` is given as values (domain losses).

        Raises:
            ConfigError: no losses, a name twice, a weight too many, too few or negative, or none
                above 0.
        """
        super().__init__()
        names = [*losses, *others]
        if not losses or len(set(names)) < len(names) or set(names) != set(weights):
            raise ConfigError(
                f"each loss needs one weight: losses {names}, weights {list(weights)}"
            )
        if not (
            all(0 <= weight < math.inf for weight in weights.values()) and any(weights.values())
        ):
            raise ConfigError(
                f"weights of losses must be 0 or more and not all 0, found {dict(weights)}"
            )
        if learned is not None and set(learned.names) != set(names):
            raise ConfigError(
                f"learned weights are named {list(learned.names)}, the losses {names}"
            )
        self.losses = nn.ModuleDict(losses)
        self.weights = {name: float(weights[name]) for name in names}
        self.learned = learned

    def forward(
        self, logits: Tensor, target: Tensor, others: Mapping[str, Tensor] | None = None
    ) -> LossResult:
        """Return the total and the parts for ``logits`` [b, k, h, w] and ``target`` [b, h, w].

        Args:
            logits: of the source.
            target: its labels.
            others: values of the losses that were announced as others.
        """
        parts: dict[str, Tensor] = {n: loss(logits, target) for n, loss in self.losses.items()}
        parts |= others or {}
        if set(parts) != set(self.weights):
            raise ConfigError(f"expected the losses {list(self.weights)}, found {list(parts)}")
        scaled = {name: self.weights[name] * part for name, part in parts.items()}
        if self.learned is not None:
            return LossResult(self.learned(scaled), parts)
        return LossResult(torch.stack(list(scaled.values())).sum(), parts)

    def no_weight_decay(self) -> set[str]:
        """Return the names of the parameters that must not decay: all, if there are any."""
        return {name for name, _ in self.named_parameters()}

    def optimizer_groups(self) -> list[dict[str, Any]]:
        """Return parameter groups for a torch optimizer; none without learned weights."""
        return [] if self.learned is None else [self.learned.optimizer_group()]

    def extra_repr(self) -> str:
        """Return the fixed weights."""
        return f"weights={self.weights}"


_MODULES: dict[str, Callable[..., nn.Module]] = {
    "cross_entropy": CrossEntropy,
    "balanced_cross_entropy": BalancedCrossEntropy,
    "focal": Focal,
    "dice": Dice,
    "jaccard": Jaccard,
    "tversky": Tversky,
    "focal_tversky": FocalTversky,
}


def build_loss(
    terms: Sequence[LossTerm],
    reduce: Reduce = identity,
    learned: bool = False,
    others: Mapping[str, float] | None = None,
) -> WeightedSum:
    """Return the weighted sum that ``terms`` describe.

    A name that occurs again becomes ``name_2``, ``name_3`` and so on. ``reduce`` sums statistics
    over processes (``distributed.all_reduce_sum``); ``learned`` trains the weights; ``others``
    names losses that are computed elsewhere, with their fixed weights.

    Raises:
        ConfigError: there are no terms, or none has a weight above 0.

    >>> from sarwater.losses.terms import CrossEntropyTerm, DiceTerm
    >>> loss = build_loss([CrossEntropyTerm(), DiceTerm(weight=0.5)])
    >>> result = loss(torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 1]]], dtype=torch.uint8))
    >>> {name: round(part.item(), 4) for name, part in result.parts.items()}
    {'cross_entropy': 0.6931, 'dice': 0.5}
    >>> round(result.total.item(), 4)
    0.9431
    """
    losses: dict[str, nn.Module] = {}
    weights: dict[str, float] = {}
    counts: dict[str, int] = {}
    for term in terms:
        counts[term.name] = counts.get(term.name, 0) + 1
        name = term.name if counts[term.name] == 1 else f"{term.name}_{counts[term.name]}"
        parameters = term.model_dump(exclude={"name", "weight"})
        losses[name] = _MODULES[term.name](**parameters, reduce=reduce)
        weights[name] = term.weight
    weights |= others or {}
    return WeightedSum(
        losses, weights, LearnedWeights(list(weights)) if learned else None, list(others or {})
    )
