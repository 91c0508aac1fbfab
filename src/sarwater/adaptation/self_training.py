"""Self-training: the averaged network labels the target, on images mixed by class.

References:
    Tranheden et al., DACS: Domain Adaptation via Cross-domain Mixed Sampling, WACV 2021; Olsson et
    al., ClassMix, WACV 2021; the weight of a pseudo-labelled image as in Hoyer et al., DAFormer,
    CVPR 2022.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from sarwater.losses.functional import Reduce, identity
from sarwater.types import IGNORE


class PseudoLabelled(NamedTuple):
    """Patches with labels that are in part a network's own."""

    image: Tensor
    """[b, c, h, w], normalized."""
    target: Tensor
    """uint8 [b, h, w]; ``IGNORE`` where not valid."""
    weight: Tensor
    """float [b, h, w], 0 ... 1: 1 where the label is true."""


def pseudo_labels(
    probability: Tensor,
    valid: Tensor,
    threshold: float,
    confidence: float | None,
    evidence: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Turn a network's probability into labels and weights.

    The odds of water are divided by those of the threshold t, p' = odds / (1 + odds) with
    odds = p (1 - t) / ((1 - p) t), so that water begins at p' = .5. Without a confidence a pixel
    weighs |2 p' - 1|: where the network does not know, as along a shore, it does not learn its own
    guess. With one, all pixels of a patch weigh alike, by the share of its pixels whose p' or
    1 - p' reaches it (DACS).

    Args:
        probability: [b, k, h, w].
        valid: bool [b, h, w].
        threshold: of water probability, within 0 ... 1.
        confidence: .5 ... 1, or None.
        evidence: log-odds [b, h, w] that are added to those of p', from other sources.

    Returns:
        uint8 labels [b, h, w], ``IGNORE`` where not valid, and weights [b, h, w], 0 ... 1.

    >>> p = torch.tensor([[[[0.3, 0.99]], [[0.7, 0.01]]]])
    >>> pseudo_labels(p, torch.ones(1, 1, 2, dtype=torch.bool), 0.8, 0.95)
    (tensor([[[0, 0]]], dtype=torch.uint8), tensor([[[0.5000, 0.5000]]]))
    """
    water = probability[:, 1:].sum(dim=1)
    exact = torch.float32 if water.device.type == "mps" else torch.float64  # which mps has not
    shifted = torch.special.logit(water.to(exact), eps=1e-7) - torch.logit(
        torch.tensor(threshold, dtype=exact), eps=1e-7
    )
    if evidence is not None:
        shifted = shifted + evidence
    is_water = shifted >= 0
    kind = probability[:, 1:].argmax(dim=1) + 1
    labels = torch.where(is_water, kind, 0)
    sureness = torch.sigmoid(shifted.abs())
    if confidence is None:
        weight = 2 * sureness - 1
    else:
        sure = ((sureness >= confidence) & valid).flatten(1).sum(dim=1)
        weight = (sure / valid.flatten(1).sum(dim=1).clamp(min=1))[:, None, None]
    return torch.where(valid, labels, IGNORE).to(torch.uint8), weight.float().expand(labels.shape)


def class_mix(
    image: Tensor,
    target: Tensor,
    onto: Tensor,
    labels: Tensor,
    weight: Tensor,
    generator: torch.Generator,
) -> PseudoLabelled:
    """Paste half of the classes of each source patch over a target patch.

    Args:
        image: source patches [n, c, h, w].
        target: their true labels, uint8 [n, h, w].
        onto: target patches [b, c, h, w]; patch i takes from source patch i modulo n.
        labels: their pseudo-labels, uint8 [b, h, w].
        weight: of their pixels [b, h, w].
        generator: source of randomness, on the CPU.
    """
    take = torch.arange(len(onto)) % len(image)
    image, target = image[take], target[take]
    pasted = torch.zeros_like(target, dtype=torch.bool)
    for index, one in enumerate(target):
        classes = one[one != IGNORE].unique()
        half = torch.randperm(len(classes), generator=generator)[: (len(classes) + 1) // 2]
        chosen = classes[half.to(classes.device)]
        pasted[index] = torch.isin(one, chosen)
    return PseudoLabelled(
        torch.where(pasted[:, None], image, onto),
        torch.where(pasted, target, labels),
        torch.where(pasted, 1.0, weight),
    )


def jitter(image: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """Change gain and contrast of each normalized patch and band: x' = x exp(a) + b.

    ``a`` and ``b`` are normal with the deviation as standard deviation. What is 0 (no data) is no
    longer 0 afterwards, and is not counted by any loss.

    Args:
        image: [b, c, h, w].
        deviation: 0: off.
        generator: source of randomness, on the CPU.
    """
    if deviation == 0:
        return image
    a, b = deviation * torch.randn((2, *image.shape[:2], 1, 1), generator=generator).to(image)
    jittered: Tensor = image * a.exp() + b
    return jittered


def self_training_loss(logits: Tensor, mixed: PseudoLabelled, reduce: Reduce = identity) -> Tensor:
    """Return sum w CE / n over the n valid pixels, w their weights.

    Dividing by the number, not by the weights, keeps the loss of patches that nobody is sure of
    small. Sums are reduced over processes before they are divided. Ignored pixels, whatever their
    logits and weights, change neither the value nor a gradient.

    Args:
        logits: [b, k, h, w] of ``mixed.image``.
        mixed: labels and weights.
        reduce: sums over processes.
    """
    valid = mixed.target != IGNORE
    known = logits.float().masked_fill(~valid[:, None], 0)  # not even nan gets through
    losses = F.cross_entropy(known, mixed.target.long(), ignore_index=IGNORE, reduction="none")
    weight = mixed.weight.masked_fill(~valid, 0)
    sums = reduce(torch.stack([(losses * weight).sum(), valid.sum().to(losses)]))
    return sums[0] / sums[1].detach().clamp(min=1)
