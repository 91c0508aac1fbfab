"""Gradient reversal against finite differences, its schedule, and what a discriminator learns."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sarwater.errors import ConfigError
from sarwater.models.domain import (
    DomainDiscriminator,
    EntropyDiscriminator,
    cells_with_data,
    reversal_strength,
    reverse_gradient,
)


@given(st.floats(0, 3))
def test_the_reversed_gradient_is_minus_strength_times_finite_differences(strength: float) -> None:
    torch.manual_seed(0)
    weights = torch.randn(5, dtype=torch.float64)
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)

    def loss(at: Tensor) -> Tensor:
        return (torch.sin(at) * weights).sum() ** 2

    torch.testing.assert_close(reverse_gradient(x, strength), x, rtol=0, atol=0)
    torch.autograd.backward(loss(reverse_gradient(x, strength)))
    step = 1e-6
    numeric = [
        float(loss(x.detach() + step * unit) - loss(x.detach() - step * unit)) / (2 * step)
        for unit in torch.eye(5, dtype=torch.float64)
    ]
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, -strength * np.array(numeric), rtol=1e-6, atol=1e-7)


def test_what_follows_the_reversal_learns_as_usual() -> None:
    after = nn.Linear(3, 1)
    x = torch.randn(4, 3)
    after(x).square().sum().backward()
    assert after.weight.grad is not None
    usual = after.weight.grad.clone()
    after.zero_grad()
    after(reverse_gradient(x.requires_grad_(), 0.3)).square().sum().backward()
    torch.testing.assert_close(after.weight.grad, usual)


@given(st.floats(0, 1))
def test_the_strength_is_a_hyperbolic_tangent(progress: float) -> None:
    assert reversal_strength(progress) == pytest.approx(math.tanh(5 * progress), abs=1e-12)


def test_the_strength_starts_at_zero_and_reaches_one() -> None:
    assert reversal_strength(0) == 0
    assert reversal_strength(1) > 0.9999


class Shift(nn.Module):
    """Moves one of two blobs; where it belongs nobody says but the reversed gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.zeros(()))

    def forward(self, count: int) -> tuple[Tensor, Tensor]:
        """Return features of blobs three standard deviations apart, moved, and their domains."""
        domain = torch.arange(count) % 2
        x = torch.randn(count, 2)
        first = x[:, 0] + (3 + self.by) * domain
        features = torch.stack([first, x[:, 1]], dim=1)
        return features[..., None, None], domain[:, None, None]


def train_discriminator(shift: Shift, *, adversarial: bool) -> float:
    """Train a new discriminator, and return its share of hits on new features."""
    discriminator = DomainDiscriminator(2, hidden=16)
    groups: list[dict[str, Any]] = [{"params": discriminator.parameters()}]
    if adversarial:
        groups.append({"params": shift.parameters(), "lr": 0.003})
    optimizer = torch.optim.Adam(groups, lr=0.01, betas=(0.5, 0.9))
    for step in range(1500 if adversarial else 300):
        features, domain = shift(256)
        strength = reversal_strength(step / 1500) if adversarial else 0.0
        loss = F.cross_entropy(discriminator(reverse_gradient(features, strength)), domain)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    features, domain = shift(4000)
    return float((discriminator(features).argmax(dim=1) == domain).float().mean())


def test_a_discriminator_separates_shifted_blobs_and_ends_at_chance_once_they_are_aligned() -> None:
    torch.manual_seed(0)
    shift = Shift()
    assert train_discriminator(shift, adversarial=False) > 0.9
    train_discriminator(shift, adversarial=True)
    assert float(shift.by.detach()) == pytest.approx(-3, abs=0.5)
    assert train_discriminator(shift, adversarial=False) < 0.6


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4, 7)])
def test_it_takes_features_of_any_size_and_any_number_of_domains(height: int, width: int) -> None:
    logits = DomainDiscriminator(6, domains=4, hidden=8)(torch.randn(3, 6, height, width))
    assert logits.shape == (3, 4, height, width)


def test_one_domain_is_refused() -> None:
    with pytest.raises(ConfigError, match="two or more domains apart, found 1"):
        DomainDiscriminator(6, domains=1)


def test_cells_hold_the_share_of_their_valid_pixels() -> None:
    valid = np.random.default_rng(0).random((2, 32, 48)) < 0.4
    found = cells_with_data(torch.from_numpy(valid), torch.zeros(2, 5, 2, 3))
    expected = valid.reshape(2, 2, 16, 3, 16).mean(axis=(2, 4))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (128, 96), (50, 70)])
def test_an_entropy_map_is_judged_in_cells_of_sixteen_pixels(height: int, width: int) -> None:
    network = EntropyDiscriminator(classes=2, domains=3, hidden=4)
    assert network(torch.zeros(2, 2, height, width)).shape == (2, 3, height // 16, width // 16)
    with pytest.raises(ConfigError, match="two or more"):
        EntropyDiscriminator(classes=2, domains=1)
