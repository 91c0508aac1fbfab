"""Adversarial alignment: a discriminator learns the domain, the network learns to hide it."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sarwater.config import DannMethod, OutputSpaceMethod
from sarwater.losses.functional import Reduce, identity
from sarwater.models.domain import (
    DomainDiscriminator,
    EntropyDiscriminator,
    cells_with_data,
    reverse_gradient,
)


@dataclass(frozen=True, eq=False)
class Sides:
    """What the network made of source and target patches, which went through it together."""

    logits: Tensor
    """[b, k, h, w]"""
    features: Tensor
    """ASPP features [b, f, h', w']."""
    valid: Tensor
    """bool [b, h, w]"""
    domain: Tensor
    """int64 [b], index of the patch's domain; those of the source come first."""


@dataclass(frozen=True)
class DomainNames:
    """The domains of both sides, in the order of their indices."""

    source: tuple[str, ...]
    target: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """Names of both sides."""
        return self.source + self.target

    def classes(self, domains: str) -> tuple[int, ...]:
        """Return the class of each domain for a discriminator.

        Args:
            domains: ``sides`` (source 0, target 1) or ``each`` (a class a domain).

        >>> DomainNames(("north", "south"), ("delta",)).classes("sides")
        (0, 0, 1)
        """
        if domains == "each":
            return tuple(range(len(self.all)))
        return (0,) * len(self.source) + (1,) * len(self.target)


class Alignment(nn.Module, ABC):
    """Domain cross-entropy behind a gradient reversal; what is aligned, subclasses say.

    The loss is the mean of the two sides, a side's being the mean of CE_d over its domains d in
    the batch, with CE_d the mean cross-entropy over the cells of domain d that hold data (cells
    count by their share of valid pixels). So source and target weigh alike whatever the sizes of
    their batches and whichever domains are in them; a side without data is left out. For two
    domains this is the binary cross-entropy. Sums are reduced over processes before they are
    divided.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        names: DomainNames,
        domains: str,
        strength: float,
        reduce: Reduce = identity,
    ) -> None:
        """Take what tells domains apart, and the highest factor of the reversed gradient."""
        super().__init__()
        self.discriminator = discriminator
        self.strength = strength
        self.reduce = reduce
        self.register_buffer("classes", torch.tensor(names.classes(domains)), persistent=False)
        side = torch.tensor(names.classes("sides"))
        sides = torch.stack([side == 0, side == 1])  # [side, domain]
        self.register_buffer("sides", sides, persistent=False)

    @abstractmethod
    def seen(self, sides: Sides) -> Tensor:
        """Return what the discriminator sees."""

    def forward(self, sides: Sides, strength: float) -> tuple[Tensor, Tensor]:
        """Return the loss, and the discriminator's accuracy (both sides weighing alike).

        Args:
            sides: of one batch.
            strength: share (0 ... 1) of the highest factor of the reversed gradient.
        """
        seen = reverse_gradient(self.seen(sides), strength * self.strength)
        own = next(self.discriminator.parameters()).dtype  # of networks in half precision
        logits = self.discriminator(seen.to(own)).float()
        assert isinstance(self.classes, Tensor)
        assert isinstance(self.sides, Tensor)
        wanted = self.classes[sides.domain][:, None, None].expand(-1, *logits.shape[-2:])
        data = cells_with_data(sides.valid, logits)
        losses = F.cross_entropy(logits, wanted, reduction="none")
        hits = (logits.detach().argmax(dim=1) == wanted).float()
        of_domain = F.one_hot(sides.domain, self.sides.shape[1]).to(data.dtype)
        sums = [  # no matrix product: autocast would take it in half precision
            (of_domain * (values * data).flatten(1).sum(dim=1)[:, None]).sum(dim=0)
            for values in (losses, hits, torch.ones_like(data))
        ]
        loss, hit, cells = self.reduce(torch.stack(sums))
        present = self.sides & (cells > 0)
        shares = present / present.sum(dim=1, keepdim=True).clamp(min=1)
        weights = shares.sum(dim=0) / shares.sum().clamp(min=1)
        cells = cells.detach().clamp(min=1e-12)
        return (weights * loss / cells).sum(), (weights * hit / cells).sum().detach()


class FeatureAlignment(Alignment):
    """DANN on the ASPP features.

    References:
        Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17 (2016).
    """

    def __init__(
        self, method: DannMethod, features: int, names: DomainNames, reduce: Reduce = identity
    ) -> None:
        """Build the discriminator for a number of feature channels."""
        classes = max(names.classes(method.domains)) + 1
        super().__init__(
            DomainDiscriminator(features, classes, method.hidden),
            names,
            method.domains,
            method.strength,
            reduce,
        )

    def seen(self, sides: Sides) -> Tensor:
        """Return the features."""
        return sides.features


class OutputAlignment(Alignment):
    """Adversarial alignment of entropy maps, -p log p of each class.

    References:
        Vu et al., ADVENT: Adversarial Entropy Minimization for Domain Adaptation in Semantic
        Segmentation, CVPR 2019.
    """

    def __init__(
        self, method: OutputSpaceMethod, classes: int, names: DomainNames, reduce: Reduce = identity
    ) -> None:
        """Build the discriminator for a number of classes of the network."""
        domains = max(names.classes(method.domains)) + 1
        super().__init__(
            EntropyDiscriminator(classes, domains, method.hidden),
            names,
            method.domains,
            method.strength,
            reduce,
        )

    def seen(self, sides: Sides) -> Tensor:
        """Return the entropy maps [b, k, h, w], 0 where not valid."""
        valid = sides.valid[:, None]
        # Replaced before, too: the gradient of what is not finite would be nan in spite of the 0.
        return entropy_maps(sides.logits.masked_fill(~valid, 0)) * valid


def entropy_maps(logits: Tensor) -> Tensor:
    """Return -p ln p / ln k of each class [b, k, h, w]; their sum over classes is 0 ... 1.

    >>> entropy_maps(torch.zeros(1, 2, 1, 1)).flatten().tolist()
    [0.5, 0.5]
    """
    log = F.log_softmax(logits.float(), dim=1)
    maps: Tensor = -(log.exp() * log) / math.log(logits.shape[1])
    return maps
