"""Weights of several losses, learned beside the network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from sarwater.errors import ConfigError

SMALLEST = 2.0**-10
"""Lower bound of c: no loss is multiplied by more than 1 / (2 c^2) = 2^19."""


class LearnedWeights(nn.Module):
    """Sum of L / (2 c^2) + ln(1 + c^2) over the losses L, with a learned c > 0 for each.

    A loss that stays high gets a large c and so a small weight; ln(1 + c^2) keeps c from growing
    without need and, unlike ln c, is never negative. For a constant L > 0 the sum is lowest where
    2 c^4 = L (1 + c^2). Every c is 1 at the start, so every weight is 1/2.

    c = m + (1 - m) exp(asinh(rho)) with m = ``SMALLEST``: positive for every rho, 1 at rho = 0,
    and only linear in rho upwards, so that one large loss cannot make it overflow. Losses are
    expected to be 0 or more; for a negative one c falls to m, and the sum stays finite.

    c stays in float32 or float64 when a module that holds it is turned to half precision, where
    small steps would be rounded away.

    Weight decay would pull c towards 1 against the data: pass ``optimizer_group()`` to the
    optimizer, or leave out the names in ``no_weight_decay()``.

    References:
        Liebel & Koerner, Auxiliary Tasks in Multi-task Learning, arXiv:1805.06334 (2018), eq. 4;
        after Kendall, Gal & Cipolla, Multi-Task Learning Using Uncertainty to Weigh Losses for
        Scene Geometry and Semantics, CVPR 2018.

    >>> weights = LearnedWeights(["focal", "dice"])
    >>> weights.values()
    {'focal': 1.0, 'dice': 1.0}
    >>> total = weights({"focal": torch.tensor(0.4), "dice": torch.tensor(0.8)})
    >>> round(total.item(), 4)  # (.4 + .8) / 2 + 2 ln 2
    1.9863
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Start with c = 1 for each of ``names`` (unique, at least one).

        Raises:
            ConfigError: names are missing or repeated.
        """
        super().__init__()
        if not names or len(set(names)) != len(names):
            raise ConfigError(f"learned weights need unique names of losses, found {list(names)}")
        self.names = tuple(names)
        self.rho = nn.Parameter(torch.zeros(len(self.names)))

    @property
    def c(self) -> Tensor:
        """The learned c of each loss, [number of losses], above ``SMALLEST``."""
        return SMALLEST + (1 - SMALLEST) * torch.exp(torch.asinh(self.rho))

    def forward(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return the scalar sum for ``losses``, which must have exactly the names given before."""
        if set(losses) != set(self.names):
            raise ConfigError(
                f"learned weights expect the losses {sorted(self.names)}, found {sorted(losses)}"
            )
        values = torch.stack([losses[name] for name in self.names])
        square = self.c.to(values.dtype).square()
        return (values / (2 * square) + torch.log1p(square)).sum()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def in_full(tensor: Tensor) -> Tensor:
            result = fn(tensor)
            is_half = result.dtype in (torch.float16, torch.bfloat16)
            return tensor.to(result.device) if is_half else result

        applied: Self = super()._apply(in_full, recurse)  # type: ignore[no-untyped-call]
        return applied

    def values(self) -> dict[str, float]:
        """Return the present c of each loss, for logs."""
        return dict(zip(self.names, self.c.detach().tolist(), strict=True))

    def no_weight_decay(self) -> set[str]:
        """Return the names of the parameters that must not decay (timm's convention)."""
        return {"rho"}

    def optimizer_group(self) -> dict[str, Any]:
        """Return a parameter group for a torch optimizer, without weight decay."""
        return {"params": [self.rho], "weight_decay": 0.0}

    def extra_repr(self) -> str:
        """Return the names of the losses."""
        return ", ".join(self.names)
