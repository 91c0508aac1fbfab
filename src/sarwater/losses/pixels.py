"""Per-pixel quantities that all losses are made of: validity, log-odds, errors, weights."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, softplus

from sarwater.errors import ConfigError, DataError
from sarwater.types import IGNORE

_LARGEST_LOGIT = 1e30  # the sum over a batch of anything above would overflow float32
_CERTAIN = -1e4  # log-odds against a class whose cross-entropy is exactly 0


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
    if target.is_floating_point() or target.dtype == torch.bool:
        raise DataError(f"the target must hold class indices (uint8 or int64), not {target.dtype}")
    classes = logits.shape[1]
    valid = target < classes
    if target.dtype != torch.uint8:
        valid &= target >= 0
    if target.device.type == "cpu":
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
    if logits.dtype == torch.bfloat16:
        logits = logits.clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT)
    return logits if logits.dtype == torch.float64 else logits.float()


def _known(logits: Tensor, valid: Tensor) -> Tensor:
    """Return the logits with 0 where ignored, so that not even nan gets through."""
    return _sane(logits).masked_fill(~valid[:, None], 0)


def odds_against(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return log((1 - p_t) / p_t) of the true class, [b, h, w]; ``_CERTAIN`` where ignored.

    This one number a pixel is enough for any loss of two classes: its sigmoid is 1 - p_t, its
    softplus -log p_t, and neither p_t nor 1 - p_t is rounded to 0 or 1 before its logarithm.
    """
    if logits.shape[1] == 2:
        land, water = _sane(logits).unbind(1)
        sign = (target == 1).to(water.dtype).mul_(2).sub_(1)
        return ((land - water) * sign).masked_fill(~valid, _CERTAIN)
    values = _known(logits, valid)
    index = target.long().masked_fill(~valid, 0)[:, None]
    others = values.scatter(1, index, -torch.inf).logsumexp(1)
    return (others - values.gather(1, index)[:, 0]).masked_fill(~valid, _CERTAIN)


def surprise_of(odds: Tensor) -> Tensor:
    """Return -log p_t for what ``odds_against`` returned; 0 where ignored."""
    # torch's own threshold of 20 is exact in float32 only
    return softplus(odds, threshold=50)


def surprise(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return -log p_t of the true class, [b, h, w]; 0 where ignored."""
    if logits.shape[1] == 2:
        return surprise_of(odds_against(logits, target, valid))
    index = target.long().masked_fill(~valid, IGNORE)
    return cross_entropy(_known(logits, valid), index, ignore_index=IGNORE, reduction="none")


def weight_map(
    weights: Sequence[float], classes: int, target: Tensor, valid: Tensor, dtype: torch.dtype
) -> Tensor:
    """Return each pixel's class weight, [b, h, w]; 0 where ignored."""
    if len(weights) != classes:
        raise ConfigError(f"expected {classes} class weights (one a class), found {list(weights)}")
    if not all(weight >= 0 and math.isfinite(weight) for weight in weights):
        raise ConfigError(f"class weights must be finite and 0 or more, found {list(weights)}")
    values = torch.full(target.shape, weights[0], dtype=dtype, device=target.device)
    for code, weight in enumerate(weights[1:], 1):
        values.masked_fill_(target == code, weight)
    return values.masked_fill_(~valid, 0)


def class_errors(logits: Tensor, target: Tensor, valid: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return (p, 1 - p) of each foreground class, each [b, h, w].

    The first is of meaning at valid pixels of other classes only, the second at pixels of the
    class.
    """
    if logits.shape[1] == 2:
        error = torch.sigmoid(odds_against(logits, target, valid))
        return [(error, error)]
    probability = _known(logits, valid).softmax(1).unbind(1)[1:]
    return [(own, 1 - own) for own in probability]
