"""Pseudo-labels, mixing and their loss against loops over pixels."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from torch import Tensor

from sarwater.adaptation.self_training import (
    PseudoLabelled,
    class_mix,
    jitter,
    pseudo_labels,
    self_training_loss,
)
from sarwater.losses.functional import Reduce
from sarwater.types import IGNORE


def probabilities(classes: int = 2, count: int = 3, sharpness: float = 3.0) -> Tensor:
    torch.manual_seed(0)
    return (sharpness * torch.randn(count, classes, 6, 7)).softmax(dim=1)


def all_valid(probability: Tensor) -> Tensor:
    return torch.ones_like(probability[:, 0], dtype=torch.bool)


def shifted(p: float, t: float) -> float:
    odds = p * (1 - t) / ((1 - p) * t)
    return odds / (1 + odds)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95, None])
def test_pseudo_labels_are_those_of_a_loop(
    classes: int, threshold: float, confidence: float | None
) -> None:
    probability = probabilities(classes)
    valid = torch.rand(3, 6, 7) < 0.7
    labels, weight = pseudo_labels(probability, valid, threshold, confidence)
    assert labels.dtype == torch.uint8
    for patch, kinds in enumerate(probability.double().numpy()):
        sure: list[bool] = []
        for row, col in np.ndindex(6, 7):
            if not valid[patch, row, col]:
                assert labels[patch, row, col] == IGNORE
                continue
            kind = kinds[:, row, col]
            water = shifted(kind[1:].sum() / kind.sum(), threshold)
            expected = 1 + kind[1:].argmax() if water >= 0.5 else 0
            assert labels[patch, row, col] == expected
            if confidence is None:
                assert float(weight[patch, row, col]) == pytest.approx(abs(2 * water - 1), abs=1e-5)
            else:
                sure.append(water >= confidence or 1 - water >= confidence)
        if confidence is not None:
            assert np.unique(weight[patch].numpy()) == pytest.approx([np.mean(sure)], abs=1e-6)


@settings(max_examples=50)
@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.floats(0.5, 0.99))
def test_water_begins_at_the_threshold(p: float, threshold: float, confidence: float) -> None:
    probability = torch.tensor([1 - p, p], dtype=torch.float64)[None, :, None, None]
    labels, weight = pseudo_labels(probability, all_valid(probability), threshold, confidence)
    if abs(p - threshold) > 1e-9:
        assert int(labels) == (p > threshold)
    sure = max(shifted(p, threshold), 1 - shifted(p, threshold))
    if abs(sure - confidence) > 1e-9:
        assert float(weight) == (sure > confidence)


def test_probabilities_of_0_and_1_are_sure() -> None:
    probability = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).T[None, :, None]
    labels, weight = pseudo_labels(probability, all_valid(probability), 0.9, 0.95)
    assert labels.tolist() == [[[0, 1]]]
    assert weight.tolist() == [[[1, 1]]]


def test_a_patch_without_valid_pixels_weighs_nothing() -> None:
    probability = probabilities(sharpness=20)
    valid = all_valid(probability)
    valid[1] = False
    labels, weight = pseudo_labels(probability, valid, 0.5, 0.6)
    assert (labels[1] == IGNORE).all()
    assert not weight[1].any()
    assert (weight[[0, 2]] > 0.5).all()


def sides(
    sources: int = 3, targets: int = 3, classes: int = 2
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Source images and labels, target images, pseudo-labels and weights; no value twice."""
    torch.manual_seed(0)
    images = torch.randperm((sources + targets) * 84).view(-1, 2, 6, 7).float()
    target = torch.randint(0, classes, (sources, 6, 7), dtype=torch.uint8)
    labels = torch.randint(0, classes, (targets, 6, 7), dtype=torch.uint8)
    for one in (target, labels):
        one[torch.rand(one.shape) < 0.2] = IGNORE
    return images[:sources], target, images[sources:], labels, torch.rand(targets, 6, 7) * 0.9


def mix(parts: tuple[Tensor, ...], seed: int = 0) -> PseudoLabelled:
    return class_mix(*parts, torch.Generator().manual_seed(seed))  # type: ignore[call-arg,arg-type]


@pytest.mark.parametrize(("sources", "targets"), [(3, 3), (2, 5), (5, 2), (1, 4)])
def test_every_pixel_comes_from_one_side_in_image_label_and_weight(
    sources: int, targets: int
) -> None:
    parts = sides(sources, targets)
    image, target, onto, labels, weight = parts
    mixed = mix(parts)
    assert mixed.image.shape == onto.shape
    assert mixed.target.dtype == torch.uint8
    for patch in range(targets):
        source, classes = patch % sources, set()
        for row, col in np.ndindex(6, 7):
            pixel = mixed.image[patch, :, row, col]
            label, weighs = mixed.target[patch, row, col], mixed.weight[patch, row, col]
            if torch.equal(pixel, image[source, :, row, col]):
                assert label == target[source, row, col]
                assert label != IGNORE
                assert weighs == 1
                classes.add(int(label))
            else:
                assert torch.equal(pixel, onto[patch, :, row, col])
                assert label == labels[patch, row, col]
                assert weighs == weight[patch, row, col]
        pasted = mixed.weight[patch] == 1
        assert len(classes) == 1
        assert torch.equal(pasted, target[source] == classes.pop())


@pytest.mark.parametrize(("classes", "half"), [(1, 1), (2, 1), (3, 2), (4, 2)])
def test_half_of_the_classes_are_pasted(classes: int, half: int) -> None:
    parts = sides(classes=classes)
    mixed = mix(parts)
    for patch, target in enumerate(parts[1]):
        assert len(set(target[mixed.weight[patch] == 1].tolist())) == half


def test_each_class_is_pasted_about_half_of_the_time() -> None:
    parts = sides(1, 1)
    drawn = [set(parts[1][mix(parts, seed).weight == 1].tolist()) for seed in range(200)]
    assert all(one in ({0}, {1}) for one in drawn)
    assert 60 < drawn.count({1}) < 140


def test_a_source_patch_without_labels_pastes_nothing() -> None:
    image, target, onto, labels, weight = parts = sides()
    target[...] = IGNORE
    mixed = mix(parts)
    assert torch.equal(mixed.image, onto)
    assert torch.equal(mixed.target, labels)
    assert torch.equal(mixed.weight, weight)
    assert not torch.equal(image, onto)


def test_the_seed_decides_and_the_inputs_stay() -> None:
    parts = sides(4, 8)
    before = [tensor.clone() for tensor in parts]
    one, same = mix(parts, 5), mix(parts, 5)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    assert any(not torch.equal(one.image, mix(parts, seed).image) for seed in range(5))
    assert all(torch.equal(a, b) for a, b in zip(parts, before, strict=True))


def test_no_jitter_is_the_image_itself() -> None:
    image = torch.randn(2, 2, 6, 7)
    assert torch.equal(jitter(image, 0.0, torch.Generator().manual_seed(0)), image)


def test_jitter_depends_on_the_seed_alone() -> None:
    image = torch.randn(2, 2, 6, 7)
    before = image.clone()
    one, same, other = (jitter(image, 0.3, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(image, before)


def test_jitter_draws_gain_and_contrast_of_each_patch_and_band_from_normals() -> None:
    image = torch.tensor([0.0, 1.0, -2.0]).expand(2000, 2, 1, 3)
    jittered = jitter(image, 0.3, torch.Generator().manual_seed(0)).double()
    offset = jittered[..., 0, 0]
    factor = jittered[..., 0, 1] - offset
    torch.testing.assert_close(jittered[..., 0, 2], offset - 2 * factor, rtol=0, atol=1e-5)
    drawn = torch.stack([factor.log(), offset]).permute(0, 2, 1).reshape(4, -1).numpy()
    for values in drawn:
        assert kstest(values, "norm", (0, 0.3)).pvalue > 0.001
    correlation = np.corrcoef(drawn)
    assert np.abs(correlation - np.eye(4)).max() < 0.1


def labelled(classes: int = 2) -> tuple[Tensor, PseudoLabelled]:
    image, target, _, _, _ = sides(classes=classes)
    logits = (3 * torch.randn(3, classes, 6, 7)).requires_grad_()
    return logits, PseudoLabelled(image, target, torch.rand(3, 6, 7))


@pytest.mark.parametrize("classes", [2, 3])
def test_the_loss_is_that_of_a_loop(classes: int) -> None:
    logits, mixed = labelled(classes)
    total, count = 0.0, 0
    for patch, row, col in np.ndindex(3, 6, 7):
        wanted = int(mixed.target[patch, row, col])
        if wanted != IGNORE:
            scores = logits[patch, :, row, col].tolist()
            surprise = math.log(sum(math.exp(score) for score in scores)) - scores[wanted]
            total += float(mixed.weight[patch, row, col]) * surprise
            count += 1
    found = float(self_training_loss(logits, mixed).detach())
    assert found == pytest.approx(total / count, rel=1e-5)


def test_without_labels_the_loss_is_0_with_a_live_gradient() -> None:
    logits, mixed = labelled()
    loss = self_training_loss(logits, mixed._replace(target=torch.full_like(mixed.target, IGNORE)))
    torch.autograd.backward(loss)
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_the_loss_is_linear_in_the_weights() -> None:
    logits, mixed = labelled()
    loss = self_training_loss(logits, mixed)
    half = self_training_loss(logits, mixed._replace(weight=0.5 * mixed.weight))
    torch.testing.assert_close(half, 0.5 * loss)
    none = self_training_loss(logits, mixed._replace(weight=torch.zeros_like(mixed.weight)))
    assert float(none.detach()) == 0


def test_processes_add_their_sums_before_they_divide() -> None:
    logits, mixed = labelled()
    mixed.target[0, 1:] = IGNORE
    seen: list[Tensor] = []

    def record(statistics: Tensor) -> Tensor:
        seen.append(statistics.detach())
        return statistics

    def part(patches: slice, reduce: Reduce) -> Tensor:
        own = PseudoLabelled(*(tensor[patches] for tensor in mixed))
        return self_training_loss(logits[patches], own, reduce)

    other = part(slice(1, 3), record)
    assert len(seen) == 1, "one reduction"
    found = part(slice(1), lambda statistics: statistics + seen[0])
    torch.testing.assert_close(found, self_training_loss(logits, mixed))
    assert float((found - other).detach().abs()) > 1e-3


@pytest.mark.parametrize("other", [math.nan, math.inf, -math.inf])
def test_what_is_ignored_need_not_be_a_number(other: float) -> None:
    logits, mixed = labelled()
    mixed.target[:, 2:4] = IGNORE
    ignored = mixed.target == IGNORE
    changed = logits.detach().masked_fill(ignored[:, None], other).requires_grad_()
    weight = mixed.weight.masked_fill(ignored, other)
    loss = self_training_loss(changed, mixed._replace(weight=weight))
    expected = self_training_loss(logits, mixed)
    torch.testing.assert_close(loss, expected)
    (found,) = torch.autograd.grad(loss, changed)
    torch.testing.assert_close(found, torch.autograd.grad(expected, logits)[0])
    assert not found[ignored[:, None].expand_as(found)].any()


def test_evidence_moves_the_log_odds_of_a_pseudo_label() -> None:
    water = torch.tensor([[[0.3, 0.3, 0.9]]])
    probability = torch.stack([1 - water, water], dim=1)
    valid = torch.ones(1, 1, 3, dtype=torch.bool)
    evidence = torch.tensor([[[0.0, 1.0, -3.0]]])
    labels, _ = pseudo_labels(probability, valid, 0.5, 0.9, evidence)
    # ln(.3/.7) = -.85, so one more is water; ln(.9/.1) = 2.2, so three less is land.
    assert labels.tolist() == [[[0, 1, 0]]]
    _, weight = pseudo_labels(probability, valid, 0.5, 0.9, torch.tensor([[[-5.0, 5.0, 5.0]]]))
    assert weight.tolist() == [[[1.0, 1.0, 1.0]]]
