import math
import subprocess
import sys
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from sarwater.errors import ConfigError
from sarwater.losses import functional, modules
from sarwater.losses.modules import WeightedSum, build_loss
from sarwater.losses.terms import CrossEntropyTerm, DiceTerm, FocalTerm, LossTerm, TverskyTerm
from sarwater.losses.weighting import LearnedWeights

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("CrossEntropy", "cross_entropy", {"class_weights": (1.0, 3.0)}),
    ("BalancedCrossEntropy", "balanced_cross_entropy", {"alpha": 0.7}),
    ("Focal", "focal", {"gamma": 1.0, "alpha": 0.3}),
    ("Dice", "dice", {"per_patch": True}),
    ("Jaccard", "jaccard", {"per_patch": True}),
    ("Tversky", "tversky", {"fp_weight": 0.2, "fn_weight": 0.9, "per_patch": True}),
    (
        "FocalTversky",
        "focal_tversky",
        {"fp_weight": 0.2, "fn_weight": 0.9, "gamma": 2.0, "per_patch": True},
    ),
]


@pytest.fixture
def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, 6, 5, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 2, (2, 6, 5), generator=generator, dtype=torch.uint8)
    target[0, 0] = 255
    return logits.requires_grad_(), target


@pytest.mark.parametrize(("module", "function", "parameters"), CASES)
def test_module_is_its_function(
    module: str, function: str, parameters: dict[str, Any], batch: tuple[Tensor, Tensor]
) -> None:
    calls: list[int] = []

    def count(statistics: Tensor) -> Tensor:
        calls.append(statistics.numel())
        return statistics

    loss = getattr(modules, module)(**parameters, reduce=count)
    assert torch.equal(loss(*batch), getattr(functional, function)(*batch, **parameters))
    assert len(calls) == 1
    assert not list(loss.parameters())
    for name, value in parameters.items():
        assert f"{name}={value}" in repr(loss)


@pytest.mark.parametrize(("module", "function", "parameters"), CASES)
def test_terms_build_the_same_loss(
    module: str, function: str, parameters: dict[str, Any], batch: tuple[Tensor, Tensor]
) -> None:
    adapter: TypeAdapter[LossTerm] = TypeAdapter(LossTerm)
    term = adapter.validate_python({"name": function, "weight": 2.5, **parameters})
    built = build_loss([term])
    result = built(*batch)
    expected = getattr(functional, function)(*batch, **parameters)
    torch.testing.assert_close(result.parts, {function: expected})
    torch.testing.assert_close(result.total, 2.5 * expected)
    assert type(built.losses[function]) is getattr(modules, module)


@pytest.mark.parametrize("name", [function for _, function, _ in CASES])
def test_defaults_of_terms_are_those_of_functions(name: str, batch: tuple[Tensor, Tensor]) -> None:
    alpha = {"alpha": 0.6} if name == "balanced_cross_entropy" else {}
    adapter: TypeAdapter[LossTerm] = TypeAdapter(LossTerm)
    result = build_loss([adapter.validate_python({"name": name, **alpha})])(*batch)
    assert torch.equal(result.total, getattr(functional, name)(*batch, **alpha))


def test_sum_weighs_its_parts(batch: tuple[Tensor, Tensor]) -> None:
    loss = WeightedSum({"a": modules.CrossEntropy(), "b": modules.Dice()}, {"b": 3.0, "a": 0.5})
    result = loss(*batch)
    ce, dice = functional.cross_entropy(*batch), functional.dice(*batch)
    torch.testing.assert_close(result.parts, {"a": ce, "b": dice})
    torch.testing.assert_close(result.total, 0.5 * ce + 3 * dice)
    assert loss.optimizer_groups() == []
    assert loss.no_weight_decay() == set()
    assert "weights={'a': 0.5, 'b': 3.0}" in repr(loss)


def test_gradient_is_that_of_the_sum(batch: tuple[Tensor, Tensor]) -> None:
    logits, target = batch
    build_loss([FocalTerm(weight=2), TverskyTerm(weight=0.5)])(logits, target).total.backward()
    total = 2 * functional.focal(logits, target) + 0.5 * functional.tversky(logits, target)
    (expected,) = torch.autograd.grad(total, logits)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, expected)


def test_repeated_names_are_numbered(batch: tuple[Tensor, Tensor]) -> None:
    terms: list[LossTerm] = [TverskyTerm(), DiceTerm(), TverskyTerm(fp_weight=0.1, weight=2)]
    result = build_loss(terms)(*batch)
    assert list(result.parts) == ["tversky", "dice", "tversky_2"]


def test_learned_weights_are_trained_and_do_not_decay(batch: tuple[Tensor, Tensor]) -> None:
    loss = build_loss([CrossEntropyTerm(weight=0.5), DiceTerm()], learned=True)
    assert loss.learned is not None
    result = loss(*batch)
    ce, dice = result.parts["cross_entropy"], result.parts["dice"]
    expected = 0.25 * ce + 0.5 * dice + 2 * torch.log(torch.tensor(2.0))
    torch.testing.assert_close(result.total, expected)
    result.total.backward()
    assert loss.learned.rho.grad is not None
    assert (loss.learned.rho.grad != 0).all()
    assert loss.no_weight_decay() == {"learned.rho"}
    (group,) = loss.optimizer_groups()
    assert group["weight_decay"] == 0
    assert group["params"] == list(loss.parameters())
    assert set(loss.state_dict()) == {"learned.rho"}


def test_bad_sums_are_refused() -> None:
    losses: dict[str, nn.Module] = {"dice": modules.Dice()}
    with pytest.raises(ConfigError, match="each loss needs one weight"):
        WeightedSum(losses, {"dise": 1.0})
    with pytest.raises(ConfigError, match="each loss needs one weight"):
        build_loss([])
    with pytest.raises(ConfigError, match="0 or more"):
        WeightedSum(losses, {"dice": -1.0})
    with pytest.raises(ConfigError, match="0 or more"):
        WeightedSum(losses, {"dice": math.inf})
    with pytest.raises(ConfigError, match="not all 0"):
        build_loss([DiceTerm(weight=0), FocalTerm(weight=0)])
    assert build_loss([DiceTerm(weight=0), FocalTerm()]).weights == {"dice": 0, "focal": 1}
    with pytest.raises(ConfigError, match="learned weights are named"):
        WeightedSum(losses, {"dice": 1.0}, LearnedWeights(["focal"]))


def test_terms_do_not_import_torch() -> None:
    code = "import sys, sarwater.losses.terms; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_losses_from_elsewhere_are_weighed_and_learned_like_the_others(
    batch: tuple[Tensor, Tensor],
) -> None:
    domain = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    fixed = build_loss([CrossEntropyTerm()], others={"dann": 0.5})
    result = fixed(*batch, {"dann": domain})
    assert result.parts["dann"] is domain
    torch.testing.assert_close(result.total, result.parts["cross_entropy"] + 0.5 * domain)
    learned = build_loss([CrossEntropyTerm()], learned=True, others={"dann": 0.5})
    assert learned.learned is not None
    assert learned.learned.values() == {"cross_entropy": 1.0, "dann": 1.0}
    for others in (None, {"dann": domain, "more": domain}):
        with pytest.raises(ConfigError, match="expected the losses"):
            fixed(*batch, others)
