"""What all losses are made of: valid pixels, and sums over the pixels of each class.

Of two classes everything about a pixel follows from one number, o = log((1 - p_t) / p_t), the
log-odds against its true class t: its sigmoid is 1 - p_t, its softplus -log p_t, and neither p_t
nor 1 - p_t is rounded to 0 or 1 before its logarithm. Their sums have a gradient of their own, in
a few passes over memory.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy, softplus

from sarwater.errors import DataError
from sarwater.types import IGNORE

_LARGEST_LOGIT = 1e30  # the sum over a batch of anything above would overflow float32
_CERTAIN = -1e4  # log-odds against a class whose cross-entropy is exactly 0

_CODES = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)  # torch compares no other


def valid_pixels(logits: Tensor, target: Tensor) -> Tensor:
    """Check the shapes and codes; return where the target is a class, bool [b, h, w]."""
    if logits.ndim != 4 or not logits.is_floating_point() or not 2 <= logits.shape[1] <= IGNORE:
        raise DataError(
            f"logits must be floating [batch, 2 ... {IGNORE} classes, row, col], found "
            f"{logits.dtype} {list(logits.shape)}"
        )
    if target.shape != logits.shape[:1] + logits.shape[2:]:
        raise DataError(
            f"the target must be [batch, row, col] like logits {list(logits.shape)}, "
            f"found {list(target.shape)}"
        )
    if target.dtype not in _CODES:
        raise DataError(f"the target must hold class indices (uint8 or int64), not {target.dtype}")
    classes = logits.shape[1]
    valid = target < classes
    if target.dtype != torch.uint8:
        valid &= target >= 0
    if target.device.type == "cpu" and not valid.all():
        unknown = ~(valid | (target == IGNORE))
        if unknown.any():
            codes = sorted(set(target[unknown].tolist()))
            raise DataError(
                f"the target holds the codes {codes}, expected 0 ... {classes - 1} or {IGNORE} "
                "(ignored): declare these classes or map the codes"
            )
    return valid


def _sane(logits: Tensor) -> Tensor:
    """Return the logits in float32 (float64 stays), bounded so that no sum overflows."""
    if logits.dtype in (torch.bfloat16, torch.float16):  # which may overflow to infinity
        largest = min(_LARGEST_LOGIT, torch.finfo(logits.dtype).max)
        logits = logits.clamp(-largest, largest)
    return logits if logits.dtype == torch.float64 else logits.float()


def _known(logits: Tensor, valid: Tensor) -> Tensor:
    """Return the logits with 0 where ignored, so that not even nan gets through."""
    return _sane(logits).masked_fill(~valid[:, None], 0)


@dataclass(frozen=True)
class PixelFunction:
    """A function of the log-odds against the true class [b, h, w], with its derivative."""

    value: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    of_classes: Callable[[Tensor, Tensor, Tensor], Tensor]
    """The value by logits, target and valid, for any number of classes, with torch's gradient."""


def class_sums(
    logits: Tensor,
    target: Tensor,
    valid: Tensor,
    function: PixelFunction,
    *,
    per_patch: bool = False,
) -> tuple[Tensor, Tensor]:
    """Sum a function over the valid pixels of each class, and count them.

    Returns:
        Sums and counts, each [k], or [k, b] per patch, in float32 (float64 for such logits).
    """
    area = (1, 2) if per_patch else (0, 1, 2)
    classes = logits.shape[1]
    if classes == 2:
        water = target == 1
        known, own = valid.sum(area), water.sum(area)
        # Looking whether pixels are ignored would make the host wait for an accelerator.
        is_whole = valid.device.type == "cpu" and int(known.sum()) == valid.numel()
        ignored = None if is_whole else ~valid
        sums: Tensor = _SumsOfTwo.apply(logits, water, ignored, function, area)
        return sums, torch.stack([known - own, own]).to(sums.dtype)
    masks = [target == code for code in range(classes)]
    values = function.of_classes(logits, target, valid)
    sums = torch.stack([(values * mask).sum(area) for mask in masks])
    return sums, torch.stack([mask.sum(area) for mask in masks]).to(sums.dtype)


class _SumsOfTwo(Function):
    """``class_sums`` of two classes."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        own: Tensor,
        ignored: Tensor | None,
        function: PixelFunction,
        area: tuple[int, ...],
    ) -> Tensor:
        land, water = _sane(logits).unbind(1)
        odds = land - water
        is_water = own.to(odds.dtype)  # products with numbers are ten times as fast as choices
        odds.mul_(is_water.mul(2).sub_(1))
        if ignored is not None:
            odds.masked_fill_(ignored, _CERTAIN)
        ctx.save_for_backward(odds, is_water)
        ctx.function, ctx.logits = function, (logits.shape, logits.dtype)
        values = function.value(odds)
        of_water = is_water * values
        foreground = of_water.sum(area)
        return torch.stack([values.sub_(of_water).sum(area), foreground])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None]:
        odds, is_water = ctx.saved_tensors
        shape, dtype = ctx.logits
        land, water = gradient.unbind(0) if gradient.ndim == 1 else gradient[..., None, None]
        slope = ctx.function.slope(odds)
        # d o / d (land's logit) is 1 where the pixel is water, -1 where it is land
        slope.mul_((is_water * (land + water)).sub_(land))
        result = torch.empty(shape, dtype=dtype, device=odds.device)
        result[:, 0] = slope
        result[:, 1] = slope.neg_()
        return result, None, None, None, None


def _error_slope(odds: Tensor) -> Tensor:
    error = torch.sigmoid(odds)
    return error.addcmul_(error, error, value=-1)


def _surprise_of(odds: Tensor) -> Tensor:
    """Return softplus(o) = max(o, 0) + log(1 + z), z = exp(-|o|), to the last digit but one.

    Torch's ``log1p`` takes forty times as long as its ``log``; what 1 + z is rounded by is added.
    """
    small = odds.abs().neg_().exp_()
    one_more = small + 1
    missing = small.sub_(one_more - 1).div_(one_more)
    return one_more.log_().add_(missing).add_(odds.clamp(min=0))


def _surprise_of_classes(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    index = target.long().masked_fill(~valid, IGNORE)
    return cross_entropy(_known(logits, valid), index, ignore_index=IGNORE, reduction="none")


def _odds_of_classes(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    values = _known(logits, valid)
    index = target.long().masked_fill(~valid, 0)[:, None]
    others = values.scatter(1, index, -torch.inf).logsumexp(1)
    return (others - values.gather(1, index)[:, 0]).masked_fill(~valid, _CERTAIN)


ERROR = PixelFunction(
    torch.sigmoid,
    _error_slope,
    lambda logits, target, valid: torch.sigmoid(_odds_of_classes(logits, target, valid)),
)
"""1 - p_t."""

HIT = PixelFunction(
    lambda odds: torch.sigmoid(-odds),
    lambda odds: _error_slope(-odds).neg_(),
    lambda logits, target, valid: torch.sigmoid(-_odds_of_classes(logits, target, valid)),
)
"""p_t."""

SURPRISE = PixelFunction(_surprise_of, torch.sigmoid, _surprise_of_classes)
"""-log p_t."""


def focal_surprise(gamma: float) -> PixelFunction:
    """-(1 - p_t)^gamma log p_t; ``gamma`` above 0."""

    def value(odds: Tensor) -> Tensor:
        surprise = _surprise_of(odds)
        # log(1 - p_t) = o + log p_t: no power of a rounded 1 - p_t
        return (odds - surprise).mul_(gamma).exp_().mul_(surprise)

    def slope(odds: Tensor) -> Tensor:
        surprise, error = _surprise_of(odds), torch.sigmoid(odds)
        power = (odds - surprise).mul_(gamma).exp_()
        hardly = surprise.mul_(gamma).addcmul_(surprise, error, value=-1)
        return error.add_(hardly).mul_(power)

    def of_classes(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        odds = _odds_of_classes(logits, target, valid)
        surprise = softplus(odds, threshold=50)  # torch's own of 20 is exact in float32 only
        return surprise * torch.exp(gamma * (odds - surprise))

    return PixelFunction(value, slope, of_classes)


def class_probabilities(logits: Tensor, valid: Tensor) -> list[Tensor]:
    """Return the probability of each foreground class, each [b, h, w]; 0 where ignored."""
    return list((_known(logits, valid).softmax(1) * valid[:, None]).unbind(1)[1:])
