"""Domain losses against torch's binary cross-entropy, loops over cells, and their gradients."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import pytest
import torch
from scipy.stats import entropy
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sarwater.adaptation.alignment import (
    Alignment,
    DomainNames,
    FeatureAlignment,
    OutputAlignment,
    Sides,
    entropy_maps,
)
from sarwater.config import DannMethod, OutputSpaceMethod
from sarwater.losses.functional import Reduce, identity

TWO = DomainNames(("north",), ("delta",))
THREE = DomainNames(("north", "south"), ("delta",))


def of_features(names: DomainNames = TWO, reduce: Reduce = identity) -> Alignment:
    torch.manual_seed(1)
    method = DannMethod(hidden=8, domains="each" if names is THREE else "sides", strength=0.7)
    return FeatureAlignment(method, 5, names, reduce)


def of_outputs(reduce: Reduce = identity) -> Alignment:
    torch.manual_seed(1)
    return OutputAlignment(OutputSpaceMethod(hidden=4, strength=0.7), 2, TWO, reduce)


def batch(*domain: int, valid_share: float = 1.0) -> Sides:
    """Patches of 64 x 48 pixels, 4 x 3 cells."""
    torch.manual_seed(0)
    count = len(domain)
    return Sides(
        logits=(2 * torch.randn(count, 2, 64, 48)).requires_grad_(),
        features=(3 * torch.randn(count, 5, 4, 3)).requires_grad_(),
        valid=torch.rand(count, 64, 48) < valid_share,
        domain=torch.tensor(domain),
    )


def binary(logits: Tensor, domain: Tensor) -> Tensor:
    """Torch's binary cross-entropy of each cell."""
    wanted = domain[:, None, None].expand(-1, *logits.shape[-2:]).float()
    odds = logits[:, 1] - logits[:, 0]
    return F.binary_cross_entropy_with_logits(odds, wanted, reduction="none")


def gradients(loss: Tensor, *tensors: Tensor) -> list[Tensor]:
    found = torch.autograd.grad(loss, tensors, retain_graph=True)
    return list(found)


def test_two_domains_of_one_size_have_the_binary_cross_entropy() -> None:
    sides, alignment = batch(0, 0, 1, 1), of_features()
    expected = binary(alignment.discriminator(sides.features), sides.domain).mean()
    torch.testing.assert_close(alignment(sides, 1.0)[0], expected)


@pytest.mark.parametrize("domain", [(0, 1, 1, 1, 1, 1), (0, 0, 0, 0, 0, 1)])
def test_both_sides_weigh_alike_whatever_their_sizes(domain: tuple[int, ...]) -> None:
    sides, alignment = batch(*domain), of_features()
    cells = binary(alignment.discriminator(sides.features), sides.domain)
    expected = (cells[sides.domain == 0].mean() + cells[sides.domain == 1].mean()) / 2
    torch.testing.assert_close(alignment(sides, 1.0)[0], expected)


@pytest.mark.parametrize("names", [TWO, THREE])
def test_loss_and_accuracy_are_those_of_a_loop_over_cells(names: DomainNames) -> None:
    domain = (0, 2, 1, 2, 0, 2, 2) if names is THREE else (0, 1, 0, 1, 1)
    sides, alignment = batch(*domain, valid_share=0.5), of_features(names)
    sides.valid[1] = False
    sides.valid[0, :20, 5:] = False
    logits = alignment.discriminator(sides.features).detach().double().numpy()
    weights = {2: (0.5, 0.5), 3: (0.25, 0.25, 0.5)}[logits.shape[1]]
    loss = hits = 0.0
    for index, weight in enumerate(weights):
        sums = np.zeros(3)
        for patch in np.flatnonzero(np.array(domain) == index):
            for row, col in np.ndindex(4, 3):
                at = slice(16 * row, 16 * row + 16), slice(16 * col, 16 * col + 16)
                share = float(sides.valid[patch][at].double().mean())
                scores = logits[patch, :, row, col]
                surprise = -math.log(np.exp(scores[index]) / np.exp(scores).sum())
                sums += share * np.array([surprise, scores.argmax() == index, 1])
        loss += weight * sums[0] / sums[2]
        hits += weight * sums[1] / sums[2]
    found, accuracy = alignment(sides, 1.0)
    assert float(found.detach()) == pytest.approx(loss, rel=1e-5)
    assert float(accuracy) == pytest.approx(hits, rel=1e-5)
    assert not accuracy.requires_grad
    assert 0 < hits < 1


def test_a_class_a_domain_only_where_it_is_asked_for() -> None:
    sides = FeatureAlignment(DannMethod(hidden=8), 5, THREE)
    assert sides.discriminator(torch.zeros(1, 5, 1, 1)).shape[1] == 2
    assert of_features(THREE).discriminator(torch.zeros(1, 5, 1, 1)).shape[1] == 3


def test_an_absent_domain_leaves_its_share_to_the_others_of_its_side() -> None:
    sides, alignment = batch(0, 2, 2), of_features(THREE)
    surprise = -alignment.discriminator(sides.features).log_softmax(dim=1)
    expected = (surprise[:1, 0].mean() + surprise[1:, 2].mean()) / 2
    torch.testing.assert_close(alignment(sides, 1.0)[0], expected)
    sides = batch(0, 1, 2)
    sides.valid[1] = False  # present without data is absent
    surprise = -alignment.discriminator(sides.features).log_softmax(dim=1)
    expected = (surprise[0, 0].mean() + surprise[2, 2].mean()) / 2
    torch.testing.assert_close(alignment(sides, 1.0)[0], expected)


def test_an_absent_side_leaves_all_to_the_other() -> None:
    only, alignment = batch(0, 0, 1), of_features(THREE)
    surprise = -alignment.discriminator(only.features).log_softmax(dim=1)
    expected = (surprise[:2, 0].mean() + surprise[2, 1].mean()) / 2
    torch.testing.assert_close(alignment(only, 1.0)[0], expected)


@pytest.mark.parametrize("domains", ["sides", "each"])
@pytest.mark.parametrize("domain", [(0, 1, 2, 3, 4, 5), (0, 0, 4, 4), (1, 2, 2, 5), (3, 4, 5)])
def test_who_always_says_target_is_right_half_of_the_time(
    domains: Literal["sides", "each"], domain: tuple[int, ...]
) -> None:
    names = DomainNames(("a", "b", "c", "d"), ("e", "f"))
    alignment = FeatureAlignment(DannMethod(hidden=8, domains=domains), 5, names)
    *_, last = (m for m in alignment.discriminator.modules() if isinstance(m, nn.Conv2d))
    assert last.bias is not None
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
        last.bias[-2 if domains == "each" else -1] = 50.0  # says e, or target
    _, accuracy = alignment(batch(*domain), 1.0)
    targets = set(domain) & {4, 5}
    right = 1.0 if domains == "sides" else (4 in targets) / len(targets)
    assert float(accuracy) == pytest.approx(right / 2)


def test_cells_without_data_count_for_nothing() -> None:
    sides, alignment = batch(0, 1, 1), of_features()
    sides.valid[0, :32] = False
    sides.valid[2] = False
    empty = torch.zeros(3, 1, 4, 3, dtype=torch.bool)
    empty[0, :, :2] = True
    empty[2] = True
    other = torch.where(empty, 100 * torch.randn(3, 5, 4, 3), sides.features.detach())
    changed = Sides(sides.logits, other.requires_grad_(), sides.valid, sides.domain)
    parameters = list(alignment.discriminator.parameters())
    first, second = alignment(sides, 1.0)[0], alignment(changed, 1.0)[0]
    torch.testing.assert_close(first, second)
    one = gradients(first, sides.features, *parameters)
    two = gradients(second, changed.features, *parameters)
    torch.testing.assert_close(one, two)
    assert not one[0][empty.expand_as(one[0])].any()
    assert one[0].any()


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_only_what_comes_before_the_discriminator_gets_the_reversed_gradient(
    strength: float,
) -> None:
    sides, alignment = batch(0, 1), of_features()
    parameters = list(alignment.discriminator.parameters())
    plain = binary(alignment.discriminator(sides.features), sides.domain).mean()
    features, *expected = gradients(plain, sides.features, *parameters)
    reversed_, *found = gradients(alignment(sides, strength)[0], sides.features, *parameters)
    torch.testing.assert_close(reversed_, -strength * 0.7 * features)
    torch.testing.assert_close(found, expected)
    assert all(gradient.any() for gradient in found)


def test_the_logits_get_the_reversed_gradient_of_their_entropy() -> None:
    sides, alignment = batch(0, 1), of_outputs()
    log = sides.logits.log_softmax(dim=1)
    maps = -log.exp() * log / math.log(2)
    plain = binary(alignment.discriminator(maps), sides.domain).mean()
    loss = alignment(sides, 0.5)[0]
    torch.testing.assert_close(loss, plain)
    expected = -0.5 * 0.7 * gradients(plain, sides.logits)[0]
    torch.testing.assert_close(gradients(loss, sides.logits)[0], expected)


@pytest.mark.parametrize("build", [partial(of_features, TWO), of_outputs])
def test_processes_add_their_sums_before_they_divide(
    build: Callable[[Reduce], Alignment],
) -> None:
    joint = batch(0, 0, 1, 1, 1, valid_share=0.6)
    joint.valid[0, 20:] = False
    seen: list[Tensor] = []

    def record(statistics: Tensor) -> Tensor:
        seen.append(statistics.detach())
        return statistics

    def part(*patches: int) -> Sides:
        chosen = list(patches)
        return Sides(
            joint.logits[chosen], joint.features[chosen], joint.valid[chosen], joint.domain[chosen]
        )

    other = build(record)(part(1, 3, 4), 1.0)
    assert len(seen) == 1, "one reduction"
    found = build(lambda statistics: statistics + seen[0])(part(0, 2), 1.0)
    torch.testing.assert_close(found, build(identity)(joint, 1.0))
    assert float((found[0] - other[0]).detach().abs()) > 1e-4


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_entropy_maps_are_parts_of_the_entropy(classes: int) -> None:
    torch.manual_seed(0)
    logits = 4 * torch.randn(2, classes, 6, 7, dtype=torch.float64)
    logits[0, 0, 0, 0] = 500
    total = entropy_maps(logits).sum(dim=1)
    expected = entropy(logits.softmax(dim=1).numpy(), axis=1) / np.log(classes)
    np.testing.assert_allclose(total, expected, atol=1e-6)
    assert float(total.min()) >= 0
    assert float(total.max()) <= 1 + 1e-6
    torch.testing.assert_close(entropy_maps(torch.zeros(1, classes, 1, 1)).sum(), torch.tensor(1.0))


def test_logits_of_pixels_that_are_not_valid_do_not_matter() -> None:
    sides, alignment = batch(0, 1, valid_share=0.7), of_outputs()
    noise = torch.where(sides.valid[:, None], 0.0, 50 * torch.randn(2, 2, 64, 48))
    logits = (sides.logits.detach() + noise).requires_grad_()
    changed = Sides(logits, sides.features, sides.valid, sides.domain)
    loss = alignment(changed, 1.0)[0]
    torch.testing.assert_close(loss, alignment(sides, 1.0)[0])
    gradient = gradients(loss, logits)[0].abs().sum(dim=1)
    assert not gradient[~sides.valid].any()
    assert gradient[sides.valid].any()


@pytest.mark.parametrize("other", [math.nan, math.inf, -math.inf])
def test_logits_that_are_no_numbers_do_not_get_through_where_not_valid(other: float) -> None:
    sides, alignment = batch(0, 1, valid_share=0.7), of_outputs()
    logits = sides.logits.detach().masked_fill(~sides.valid[:, None], other).requires_grad_()
    loss = alignment(replace(sides, logits=logits), 1.0)[0]
    expected = alignment(sides, 1.0)[0]
    torch.testing.assert_close(loss, expected)
    gradient = gradients(loss, logits)[0]
    torch.testing.assert_close(gradient, gradients(expected, sides.logits)[0])
    assert not gradient[~sides.valid[:, None].expand_as(gradient)].any()


def halved(sides: Sides) -> Sides:
    """The same batch as mixed precision has it."""
    logits = sides.logits.detach().bfloat16().requires_grad_()
    features = sides.features.detach().bfloat16().requires_grad_()
    return Sides(logits, features, sides.valid, sides.domain)


@pytest.mark.parametrize("build", [of_features, of_outputs])
def test_half_precision_is_finite(build: Callable[[], Alignment]) -> None:
    sides, alignment = halved(batch(0, 1, 1, valid_share=0.8)), build()
    with torch.autocast("cpu", torch.bfloat16):
        loss = alignment(sides, 1.0)[0]
    torch.autograd.backward(loss)
    inputs = [x.grad for x in (sides.logits, sides.features) if x.grad is not None]
    for gradient in inputs + [p.grad for p in alignment.discriminator.parameters()]:
        assert gradient is not None
        assert gradient.isfinite().all()
    assert loss.isfinite()
    assert len(inputs) == 1


def test_sums_keep_full_precision_in_mixed_precision() -> None:
    sides, alignment = halved(batch(*[0] * 5, *[1] * 8, valid_share=0.8)), of_features()
    with torch.autocast("cpu", torch.bfloat16):
        logits = alignment.discriminator(sides.features).float()
        loss, accuracy = alignment(sides, 1.0)
    data = F.avg_pool2d(sides.valid.float(), 16)
    hits = (logits.argmax(dim=1) == sides.domain[:, None, None]).float()
    for found, values in ((loss, binary(logits, sides.domain)), (accuracy, hits)):
        means = [
            (values * data)[side].sum() / data[side].sum()
            for side in (sides.domain == 0, sides.domain == 1)
        ]
        torch.testing.assert_close(found, sum(means) / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("build", [of_features, of_outputs])
def test_a_batch_without_data_has_no_loss_and_a_finite_gradient(
    build: Callable[[], Alignment],
) -> None:
    sides, alignment = batch(0, 1, valid_share=0.0), build()
    loss, accuracy = alignment(sides, 1.0)
    torch.autograd.backward(loss)
    assert float(loss.detach()) == 0
    assert float(accuracy) == 0
    for parameter in alignment.discriminator.parameters():
        assert parameter.grad is not None
        assert not parameter.grad.any()


@pytest.mark.parametrize("make", [of_features, of_outputs])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_of_other_precision_are_told_apart_too(
    make: Callable[[], Alignment], dtype: torch.dtype
) -> None:
    sides = batch(0, 0, 1)
    alignment = make().to(dtype)
    found, _ = alignment(replace(sides, features=sides.features.to(dtype)), 1.0)
    expected, _ = make()(sides, 1.0)
    torch.testing.assert_close(found.float(), expected, rtol=0.03, atol=0.01)
