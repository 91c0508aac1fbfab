"""What tells domains apart, and the gradient reversal that makes features alike instead."""

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sarwater.errors import ConfigError


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def reverse_gradient(x: Tensor, strength: float) -> Tensor:
    """Return ``x`` as it is; gradients that come back are multiplied by -``strength``.

    What follows learns to lower its loss, what comes before learns to raise it.

    Args:
        x: any tensor.
        strength: 0 (no gradient passes) or more.

    References:
        Ganin et al., Domain-Adversarial Training of Neural Networks, JMLR 17 (2016), eq. 17-18.

    >>> x = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> reverse_gradient(x, 0.5).sum().backward()
    >>> x.grad
    tensor([-0.5000, -0.5000])
    """
    reversed_: Tensor = _Reversal.apply(x, strength)
    return reversed_


def reversal_strength(progress: float) -> float:
    """Return 2 / (1 + exp(-10 p)) - 1 at the share p (0 ... 1) of a run's steps that are done.

    A function of the step alone, never of how often it was asked: validation, accumulation and
    a resumed run do not move it. It starts at 0 and ends at .9999 (Ganin et al. 2016, eq. 14).

    >>> [round(reversal_strength(p), 3) for p in (0, 0.1, 0.5, 1)]
    [0.0, 0.462, 0.987, 1.0]
    """
    return 2 / (1 + math.exp(-10 * progress)) - 1


class DomainDiscriminator(nn.Module):
    """Says of each cell of the features which domain it comes from; fully convolutional.

    Three convolutions of one cell: the cells' receptive fields are wide already, and what a
    discriminator of wider ones tells apart is the scenery, which differs between regions by right.
    """

    def __init__(self, features: int, domains: int = 2, hidden: int = 256) -> None:
        """Take the number of feature channels, of domains, and of channels in between.

        Raises:
            ConfigError: fewer than two domains.
        """
        super().__init__()
        _check_domains(domains)
        self.layers = nn.Sequential(
            nn.Conv2d(features, hidden, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(hidden, hidden, 1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(hidden, domains, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return logits [b, domain, h, w] of features [b, f, h, w]."""
        logits: Tensor = self.layers(features)
        return logits


class EntropyDiscriminator(nn.Module):
    """Says of each cell of 16 x 16 pixels of an entropy map which domain it comes from.

    Four strided convolutions, as the discriminator of AdvEnt (Vu et al. 2019) without its last
    two: maps of patches are small.
    """

    def __init__(self, classes: int, domains: int = 2, hidden: int = 64) -> None:
        """Take the number of maps, of domains, and of channels of the first layer.

        Raises:
            ConfigError: fewer than two domains.
        """
        super().__init__()
        _check_domains(domains)
        widths = [classes, hidden, 2 * hidden, 4 * hidden]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], domains, 4, 2, padding=1))

    def forward(self, maps: Tensor) -> Tensor:
        """Return logits [b, domain, h/16, w/16] of maps [b, k, h, w], h and w 16 or more."""
        logits: Tensor = self.layers(maps)
        return logits


def cells_with_data(valid: Tensor, like: Tensor) -> Tensor:
    """Return the share of valid pixels in each cell of the features: float [b, h', w'], 0 ... 1.

    Args:
        valid: bool [b, h, w].
        like: features [b, f, h', w'].

    >>> valid = torch.tensor([[[True, False, True, True]]])
    >>> cells_with_data(valid, torch.zeros(1, 3, 1, 2))
    tensor([[[0.5000, 1.0000]]])
    """
    height, width = like.shape[-2:]
    return F.adaptive_avg_pool2d(valid[:, None].float(), (height, width))[:, 0]


def _check_domains(domains: int) -> None:
    if domains < 2:
        raise ConfigError(f"a discriminator tells two or more domains apart, found {domains}")
