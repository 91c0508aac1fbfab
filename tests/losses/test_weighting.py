import math

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor, nn

from sarwater.errors import ConfigError
from sarwater.losses.weighting import SMALLEST, LearnedWeights


def train(weights: LearnedWeights, losses: dict[str, float], steps: int = 1000) -> None:
    optimizer = torch.optim.Adam([weights.optimizer_group()], lr=0.05)
    fixed = {name: torch.tensor(value) for name, value in losses.items()}
    for _ in range(steps):
        optimizer.zero_grad()
        weights(fixed).backward()
        optimizer.step()


def test_starts_at_exactly_one() -> None:
    assert LearnedWeights(["a", "b"]).values() == {"a": 1.0, "b": 1.0}


def test_follows_the_formula() -> None:
    weights = LearnedWeights(["a", "b"])
    with torch.no_grad():
        weights.rho.copy_(torch.tensor([-0.7, 1.3]))
    losses = {"b": 2.5, "a": 0.4}
    expected = sum(
        losses[name] / (2 * c**2) + math.log(1 + c**2) for name, c in weights.values().items()
    )
    total = weights({name: torch.tensor(loss) for name, loss in losses.items()})
    assert total.item() == pytest.approx(expected, rel=1e-6)


def test_converges_to_the_stationary_point() -> None:
    losses = {"small": 0.01, "middle": 0.7, "large": 30.0}
    weights = LearnedWeights(list(losses))
    train(weights, losses)
    for name, loss in losses.items():
        # d/dc of L / (2 c^2) + ln(1 + c^2)
        expected = brentq(lambda c, at=loss: -at / c**3 + 2 * c / (1 + c**2), 1e-3, 1e3)
        assert weights.values()[name] == pytest.approx(expected, rel=1e-3)


def test_passes_gradcheck() -> None:
    weights = LearnedWeights(["a", "b"]).double()
    values = torch.tensor([0.3, 4.0], dtype=torch.float64, requires_grad=True)

    def total(rho: Tensor, loss: Tensor) -> Tensor:
        parts = {"a": loss[0], "b": loss[1]}
        result: Tensor = torch.func.functional_call(weights, {"rho": rho}, (parts,))
        return result

    rho = torch.tensor([-2.0, 1.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(total, (rho, values))


def test_each_loss_gets_the_gradient_over_two_c_squared() -> None:
    weights = LearnedWeights(["a"])
    with torch.no_grad():
        weights.rho.fill_(0.9)
    loss = torch.tensor(3.0, requires_grad=True)
    weights({"a": loss}).backward()
    assert loss.grad is not None
    assert loss.grad.item() == pytest.approx(1 / (2 * weights.values()["a"] ** 2), rel=1e-6)


@pytest.mark.parametrize("loss", [0.0, -1.0, 1e-20, 1e12])
def test_stays_positive_and_finite(loss: float) -> None:
    weights = LearnedWeights(["a"])
    for learning_rate in (0.1, 100.0):
        optimizer = torch.optim.SGD(weights.parameters(), lr=learning_rate)
        for _ in range(50):
            optimizer.zero_grad()
            total = weights({"a": torch.tensor(loss)})
            total.backward()
            assert total.isfinite()
            optimizer.step()
            assert weights.rho.isfinite().all()
            assert weights.values()["a"] >= SMALLEST


def test_zero_loss_lowers_c_without_reaching_zero() -> None:
    weights = LearnedWeights(["a"])
    train(weights, {"a": 0.0}, steps=400)
    assert SMALLEST <= weights.values()["a"] < 0.2


def test_c_grows_with_rho() -> None:
    weights = LearnedWeights([f"loss {i}" for i in range(401)])
    with torch.no_grad():
        weights.rho.copy_(torch.linspace(-1e4, 1e4, 401))
    c = weights.c.detach().numpy()
    assert np.isfinite(c).all()
    assert (np.diff(c) >= 0).all()
    assert c[0] >= SMALLEST


def test_does_not_decay() -> None:
    weights = LearnedWeights(["a"])
    network = nn.Linear(2, 1)
    optimizer = torch.optim.AdamW(
        [{"params": network.parameters()}, weights.optimizer_group()], lr=0.1, weight_decay=0.5
    )
    with torch.no_grad():
        weights.rho.fill_(1.0)
    before = network.weight.detach().clone()
    for parameter in (*network.parameters(), weights.rho):
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert weights.rho.item() == 1.0
    assert not torch.equal(network.weight, before)
    assert weights.no_weight_decay() == {name for name, _ in weights.named_parameters()}


def test_half_precision_losses_are_weighed_in_single() -> None:
    weights = LearnedWeights(["a"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        total = weights({"a": torch.tensor(0.4)})
    assert total.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_c_learns_in_single_precision_beside_a_network_in_half(dtype: torch.dtype) -> None:
    losses = {"small": 0.02, "large": 30.0}
    alone, beside = LearnedWeights(list(losses)), LearnedWeights(list(losses))
    with torch.no_grad():
        beside.rho.copy_(torch.tensor([1e-4, -0.3]))
        alone.rho.copy_(beside.rho)
    both = nn.ModuleList([nn.Linear(2, 1), beside]).to(dtype)
    assert both[0].weight.dtype == dtype
    assert beside.rho.dtype == torch.float32
    assert torch.equal(beside.rho, alone.rho)
    for weights in (alone, beside):
        optimizer = torch.optim.AdamW([weights.optimizer_group()], lr=1e-4)
        for _ in range(50):
            optimizer.zero_grad()
            weights({name: torch.tensor(loss) for name, loss in losses.items()}).backward()
            optimizer.step()
    assert beside.values() == alone.values()
    both.to(dtype)
    assert beside.rho.grad is not None
    assert beside.rho.grad.dtype == torch.float32
    assert both.double()[1].rho.dtype == torch.float64


@pytest.mark.parametrize("names", [[], ["a", "a"]])
def test_names_must_be_unique(names: list[str]) -> None:
    with pytest.raises(ConfigError, match="unique names"):
        LearnedWeights(names)


def test_losses_must_be_those_named() -> None:
    with pytest.raises(ConfigError, match=r"expect the losses \['a', 'b'\], found \['a'\]"):
        LearnedWeights(["a", "b"])({"a": torch.tensor(1.0)})
