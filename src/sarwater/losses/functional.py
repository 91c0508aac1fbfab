"""Losses as pure functions of logits and target, reduced over valid pixels.

Every function takes ``logits`` [b, k, h, w] (floating; class 0 is the background) and ``target``
[b, h, w] (uint8 or int64; class indices, ``IGNORE`` where nothing is known) and returns a scalar in
float32, or in float64 for float64 logits: half precision is never summed.

Common to all:

- Ignored pixels, whatever their logits, change neither the value nor a gradient. Without any valid
  pixel the loss is 0 and its gradient is 0, never nan.
- ``reduce`` maps the vector of sufficient statistics (numerators and denominators) to its sum over
  processes before anything is divided; one call, hence one collective, a loss.
- Of two classes the gradient is our own and has none itself: torch refuses a second derivative.
- A target code that is neither a class nor ``IGNORE`` raises on a CPU. On an accelerator, where
  looking would make the host wait, it counts as ignored.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from sarwater.errors import ConfigError
from sarwater.losses.pixels import (
    ERROR,
    HIT,
    SURPRISE,
    class_probabilities,
    class_sums,
    focal_surprise,
    valid_pixels,
)

Reduce: TypeAlias = Callable[[Tensor], Tensor]
"""Sums a tensor of sufficient statistics over processes; gradients must pass through it."""

MIN_CLASS_SHARE = 0.01
"""Share of the valid pixels that region losses fill a rare class up to; see ``tversky``."""

_CANCELS_BELOW = 0.01  # fn_weight: where TP may be all that the loss is divided by

_LINEAR_BELOW = 1e-12  # focal Tversky: where a root's slope is replaced by a chord's


def identity(statistics: Tensor) -> Tensor:
    """Return ``statistics``: the reduction of a single process."""
    return statistics


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    class_weights: Sequence[float] | None = None,
    reduce: Reduce = identity,
) -> Tensor:
    """Cross-entropy, sum of w_t (-log p_t) over the sum of w_t.

    Both sums run over the valid pixels, t is a pixel's class, and w is ``class_weights`` (one a
    class, background first, each 0 or more, not all 0) or 1: torch's own weighted mean.

    Raises:
        ConfigError: ``class_weights`` does not fit the number of classes.
        DataError: logits and target do not fit each other.

    >>> logits = torch.tensor([[0.0, 0.0], [0.0, 2.0]]).view(1, 2, 1, 2)
    >>> target = torch.tensor([[[0, 1]]], dtype=torch.uint8)
    >>> cross_entropy(logits, target)  # the mean of ln 2 and ln(1 + e^-2)
    tensor(0.4100)
    """
    valid = valid_pixels(logits, target)
    sums, counts = class_sums(logits, target, valid, SURPRISE)
    weights = _class_weights(class_weights, len(sums))
    return _ratio(_weighed(weights, sums), _weighed(weights, counts), reduce)


def balanced_cross_entropy(
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float | Sequence[float],
    reduce: Reduce = identity,
) -> Tensor:
    """Balanced cross-entropy, the mean of -alpha_t log p_t over the valid pixels.

    alpha_t is ``alpha`` (0 ... 1) on the foreground classes and 1 - ``alpha`` on class 0, or
    ``alpha[t]`` of one value a class. Unlike the weighted cross-entropy it divides by the number
    of valid pixels, whatever their classes.

    Raises:
        ConfigError: ``alpha`` is out of range or does not fit the number of classes.
        DataError: logits and target do not fit each other.
    """
    return focal(logits, target, gamma=0.0, alpha=alpha, reduce=reduce)


def focal(
    logits: Tensor,
    target: Tensor,
    *,
    gamma: float = 2.0,
    alpha: float | Sequence[float] | None = None,
    reduce: Reduce = identity,
) -> Tensor:
    """Focal loss, the mean of -alpha_t (1 - p_t)^gamma log p_t over the valid pixels.

    ``gamma`` is 0 or more. alpha_t is as in ``balanced_cross_entropy``, which is the case
    gamma = 0; without ``alpha`` it is 1, and gamma = 0 gives the plain cross-entropy.

    Reference: Lin et al., Focal Loss for Dense Object Detection, ICCV 2017.

    Raises:
        ConfigError: ``gamma`` or ``alpha`` is out of range.
        DataError: logits and target do not fit each other.
    """
    if not (gamma >= 0 and math.isfinite(gamma)):
        raise ConfigError(f"gamma of the focal loss must be 0 or more, found {gamma}")
    valid = valid_pixels(logits, target)
    function = SURPRISE if gamma == 0 else focal_surprise(gamma)
    sums, counts = class_sums(logits, target, valid, function)
    weights = _class_weights(_class_alpha(alpha, len(sums)), len(sums), "alpha")
    return _ratio(_weighed(weights, sums), counts.sum(), reduce)


def tversky(
    logits: Tensor,
    target: Tensor,
    *,
    fp_weight: float = 0.7,
    fn_weight: float = 0.3,
    per_patch: bool = False,
    reduce: Reduce = identity,
) -> Tensor:
    """Tversky loss, 1 - TP / (TP + fp_weight FP + fn_weight FN), mean over foreground classes.

    TP, FP and FN are sums of softmax probabilities of one foreground class over the valid pixels
    of the whole batch (of all processes); with ``per_patch`` over those of one patch, and the loss
    is the mean over the patches that have valid pixels.

    A class that covers less than 1 % of the n valid pixels (``MIN_CLASS_SHARE``) is filled up:
    s = max(0, .01 n - pixels of the class) is added to TP, above and below, as if the missing
    pixels existed and were found. So the loss is the plain formula for any class at or above 1 %,
    continuous in the class's share, and without any pixel of the class it is
    fp_weight FP / (fp_weight FP + .01 n), which still pushes false water down: at probability .5
    with about a fifth of the gradient norm of a batch with 1 % water, where the plain formula
    gives none.

    With ``fn_weight`` below .01 TP, which may then be all that is left of the denominator, is
    summed by itself: of two classes this takes twice the time.

    Reference: Salehi, Erdogmus & Gholipour, Tversky Loss Function for Image Segmentation Using 3D
    Fully Convolutional Deep Networks, MLMI 2017 (whose alpha is our ``fp_weight``).

    Raises:
        ConfigError: a weight is negative, or both are 0.
        DataError: logits and target do not fit each other.

    >>> logits = torch.zeros(1, 2, 1, 4)
    >>> target = torch.tensor([[[0, 0, 1, 255]]], dtype=torch.uint8)
    >>> tversky(logits, target)  # TP = FN = .5, FP = 1: 1 - .5 / (.5 + .7 + .15)
    tensor(0.6296)
    """
    return _region_loss(logits, target, fp_weight, fn_weight, 1.0, per_patch, reduce)


def dice(
    logits: Tensor, target: Tensor, *, per_patch: bool = False, reduce: Reduce = identity
) -> Tensor:
    """Dice loss, 1 - 2 TP / (2 TP + FP + FN): ``tversky`` with both weights .5.

    Reference: Milletari, Navab & Ahmadi, V-Net, 3DV 2016.
    """
    return _region_loss(logits, target, 0.5, 0.5, 1.0, per_patch, reduce)


def jaccard(
    logits: Tensor, target: Tensor, *, per_patch: bool = False, reduce: Reduce = identity
) -> Tensor:
    """Jaccard loss, 1 - TP / (TP + FP + FN): ``tversky`` with both weights 1.

    Reference: Rahman & Wang, Optimizing Intersection-Over-Union in Deep Neural Networks for Image
    Segmentation, ISVC 2016.
    """
    return _region_loss(logits, target, 1.0, 1.0, 1.0, per_patch, reduce)


def focal_tversky(
    logits: Tensor,
    target: Tensor,
    *,
    fp_weight: float = 0.7,
    fn_weight: float = 0.3,
    gamma: float = 4 / 3,
    per_patch: bool = False,
    reduce: Reduce = identity,
) -> Tensor:
    """Focal Tversky loss, (1 - index)^(1 / gamma), mean over foreground classes.

    The index is that of ``tversky``, filled up in the same way; ``gamma`` is above 0. Below
    1 - index = 1e-12 the root is replaced by its chord from 0, so that a perfect prediction has a
    finite gradient.

    Reference: Abraham & Khan, A Novel Focal Tversky Loss Function with Improved Attention U-Net
    for Lesion Segmentation, ISBI 2019.

    Raises:
        ConfigError: a weight is negative, both are 0, or ``gamma`` is not above 0.
        DataError: logits and target do not fit each other.
    """
    if not (gamma > 0 and math.isfinite(gamma)):
        raise ConfigError(f"gamma of the focal Tversky loss must be above 0, found {gamma}")
    return _region_loss(logits, target, fp_weight, fn_weight, 1 / gamma, per_patch, reduce)


def _weighed(weights: Sequence[float], values: Tensor) -> Tensor:
    """Return the sum of values [k] times weights, which stay on the host."""
    parts = [weight * value for weight, value in zip(weights, values.unbind(), strict=True)]
    return torch.stack(parts).sum()


def _class_weights(
    weights: Sequence[float] | None, classes: int, name: str = "class_weights"
) -> Sequence[float]:
    """Return a weight a class; ones by default."""
    if weights is None:
        return [1.0] * classes
    found = f"found {list(weights)}"
    if len(weights) != classes:
        raise ConfigError(f"{name} needs {classes} values (one a class, background first), {found}")
    if not all(weight >= 0 and math.isfinite(weight) for weight in weights):
        raise ConfigError(f"{name} must be finite and 0 or more, {found}")
    if not any(weights):
        raise ConfigError(f"{name} must not all be 0, {found}")
    return weights


def _class_alpha(alpha: float | Sequence[float] | None, classes: int) -> Sequence[float] | None:
    if not isinstance(alpha, int | float):
        return alpha
    if not 0 <= alpha <= 1:
        raise ConfigError(f"alpha must lie in 0 ... 1 or be a value a class, found {alpha}")
    return [1 - alpha] + [float(alpha)] * (classes - 1)


def _ratio(numerator: Tensor, denominator: Tensor, reduce: Reduce) -> Tensor:
    """Return the quotient of the two sums over all processes; 0 where nothing was summed."""
    total = reduce(torch.stack([numerator, denominator.to(numerator.dtype)]))
    return total[0] / _or_one(total[1])


def _or_one(denominator: Tensor) -> Tensor:
    return torch.where(denominator > 0, denominator, torch.ones_like(denominator))


def _region_loss(
    logits: Tensor,
    target: Tensor,
    fp_weight: float,
    fn_weight: float,
    exponent: float,
    per_patch: bool,
    reduce: Reduce,
) -> Tensor:
    """Return (1 - Tversky index)^exponent, mean over foreground classes (and patches)."""
    if not (min(fp_weight, fn_weight) >= 0 and 0 < fp_weight + fn_weight < math.inf):
        raise ConfigError(
            "fp_weight and fn_weight must be 0 or more and not both 0, found "
            f"{fp_weight} and {fn_weight}"
        )
    statistics = _region_sums(logits, target, fp_weight, fn_weight, per_patch)
    if not per_patch:
        return _power(_index_complement(reduce(statistics)), exponent).mean()
    losses = _power(_index_complement(statistics), exponent).mean(0)
    return _ratio(losses.sum(), (statistics[0] > 0).sum(), reduce)


def _region_sums(
    logits: Tensor, target: Tensor, fp_weight: float, fn_weight: float, per_patch: bool
) -> Tensor:
    """Return what ``_index_complement`` takes, [1 + 3 (k - 1)] or per patch [..., b]."""
    valid = valid_pixels(logits, target)
    if logits.shape[1] == 2:
        (spurious, missed), (land, water) = class_sums(
            logits, target, valid, ERROR, per_patch=per_patch
        )
        if fn_weight < _CANCELS_BELOW:
            (_, found), _ = class_sums(logits, target, valid, HIT, per_patch=per_patch)
        else:  # its rounding is small beside fn_weight FN
            found = water - missed
        return torch.stack([land + water, water, found, fp_weight * spurious + fn_weight * missed])
    area = (1, 2) if per_patch else (0, 1, 2)
    rows = [valid.sum(area)]
    for code, probability in enumerate(class_probabilities(logits, valid), 1):
        own = target == code
        missed = ((1 - probability) * own).sum(area)
        spurious = (probability * ~own).sum(area)
        found = (probability * own).sum(area)
        rows += [own.sum(area), found, fp_weight * spurious + fn_weight * missed]
    return torch.stack([row.to(rows[-1].dtype) for row in rows])


def _index_complement(statistics: Tensor) -> Tensor:
    """Return 1 - Tversky index of each foreground class, [k - 1, ...]; 0 without valid pixels.

    ``statistics`` [1 + 3 (k - 1), ...] holds the valid pixels, then for each class its pixels, TP
    and fp_weight FP + fn_weight FN. Taking the quotient of what is wrong, not 1 minus a quotient,
    keeps small losses exact and never negative. Where TP, FP and fn_weight FN are all 0 (fn_weight
    is 0, or rounded to it), nothing of the class is found, and the result is 1.
    """
    pixels, found, wrong = (
        statistics[1:].view(len(statistics) // 3, 3, *statistics.shape[1:]).unbind(1)
    )
    filled = torch.maximum(pixels, MIN_CLASS_SHARE * statistics[0])
    total = found + (filled - pixels) + wrong
    wrong, total = (torch.where(total > 0, part, pixels) for part in (wrong, total))
    complement: Tensor = wrong / _or_one(total)
    return complement


def _power(values: Tensor, exponent: float) -> Tensor:
    """Return values^exponent for values in [0, 1], with a finite slope at 0."""
    if exponent == 1:
        return values
    chord = values * _LINEAR_BELOW ** (exponent - 1)
    power = values.clamp(min=_LINEAR_BELOW) ** exponent
    return torch.where(values < _LINEAR_BELOW, chord, power)
