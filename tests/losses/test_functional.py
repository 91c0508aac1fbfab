import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import brentq
from sklearn.metrics import f1_score, jaccard_score, log_loss
from torch import Tensor

from sarwater.errors import ConfigError, DataError
from sarwater.losses import functional as losses
from sarwater.types import IGNORE

Loss = Callable[..., Tensor]
Array = NDArray[Any]

BINARY: dict[str, tuple[Loss, dict[str, Any]]] = {
    "ce": (losses.cross_entropy, {}),
    "ce [1,3]": (losses.cross_entropy, {"class_weights": [1.0, 3.0]}),
    "ce [1,8]": (losses.cross_entropy, {"class_weights": (1.0, 8.0)}),
    "balanced": (losses.balanced_cross_entropy, {"alpha": 0.75}),
    "balanced per class": (losses.balanced_cross_entropy, {"alpha": [0.4, 0.9]}),
    "focal": (losses.focal, {"gamma": 2.0}),
    "focal alpha": (losses.focal, {"gamma": 1.5, "alpha": 0.25}),
    "focal flat": (losses.focal, {"gamma": 0.5, "alpha": 0.6}),
    "dice": (losses.dice, {}),
    "dice per patch": (losses.dice, {"per_patch": True}),
    "jaccard": (losses.jaccard, {}),
    "jaccard per patch": (losses.jaccard, {"per_patch": True}),
    "tversky": (losses.tversky, {}),
    "tversky .2/.8": (losses.tversky, {"fp_weight": 0.2, "fn_weight": 0.8}),
    "tversky per patch": (losses.tversky, {"per_patch": True}),
    "focal tversky": (losses.focal_tversky, {}),
    "focal tversky 3": (losses.focal_tversky, {"gamma": 3.0, "fp_weight": 0.3, "fn_weight": 0.7}),
    "focal tversky per patch": (losses.focal_tversky, {"per_patch": True}),
}
TERNARY: dict[str, tuple[Loss, dict[str, Any]]] = {
    **{n: c for n, c in BINARY.items() if n not in ("ce [1,3]", "ce [1,8]", "balanced per class")},
    "ce [1,3,8]": (losses.cross_entropy, {"class_weights": [1.0, 3.0, 8.0]}),
    "focal per class": (losses.focal, {"gamma": 2.0, "alpha": [0.1, 0.5, 0.9]}),
}
CASES = [(2, *c) for c in BINARY.values()] + [(3, *c) for c in TERNARY.values()]
IDS = [f"2 {n}" for n in BINARY] + [f"3 {n}" for n in TERNARY]
REGION = {"dice", "jaccard", "tversky", "focal_tversky"}

each_case = pytest.mark.parametrize(("classes", "loss", "parameters"), CASES, ids=IDS)


def batch(
    classes: int, seed: int = 0, share: float = 0.3, ignored: float = 0.2, size: int = 11
) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (3, classes, size, size + 2))
    target = rng.integers(1, classes, (3, size, size + 2))
    target[rng.random(target.shape) > share] = 0
    target[rng.random(target.shape) < ignored] = IGNORE
    return torch.from_numpy(logits), torch.from_numpy(target.astype(np.uint8))


# --- the reference: loops over pixels in NumPy, written from the formulas alone


def probabilities(logits: Array) -> Array:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: Array = shifted / shifted.sum(axis=1, keepdims=True)
    return result


def pixel_reference(
    logits: Array,
    target: Array,
    gamma: float = 0.0,
    weights: Sequence[float] | None = None,
    divide_by_weights: bool = False,
) -> float:
    p = probabilities(logits)
    total, divisor = 0.0, 0.0
    for b, r, c in np.ndindex(*target.shape):
        t = int(target[b, r, c])
        if t == IGNORE:
            continue
        own = float(p[b, t, r, c])
        weight = 1.0 if weights is None else weights[t]
        total += -weight * (1 - own) ** gamma * math.log(own)
        divisor += weight if divide_by_weights else 1.0
    return total / divisor


def region_reference(
    logits: Array, target: Array, fp_weight: float, fn_weight: float, power: float, patches: bool
) -> float:
    groups = [[b] for b in range(len(target))] if patches else [list(range(len(target)))]
    values = []
    for group in groups:
        p, t = probabilities(logits[group]), target[group]
        if (t == IGNORE).all():
            continue
        for code in range(1, logits.shape[1]):
            tp = fp = fn = found = valid = 0.0
            for b, r, c in np.ndindex(*t.shape):
                if t[b, r, c] == IGNORE:
                    continue
                own = float(p[b, code, r, c])
                valid += 1
                if t[b, r, c] == code:
                    tp, fn, found = tp + own, fn + 1 - own, found + 1
                else:
                    fp += own
            tp += max(0.0, 0.01 * valid - found)
            values.append((1 - tp / (tp + fp_weight * fp + fn_weight * fn)) ** power)
    return float(np.mean(values))


def reference(loss: Loss, parameters: dict[str, Any], logits: Tensor, target: Tensor) -> float:
    x, t, k = logits.double().numpy(), target.numpy(), logits.shape[1]
    name, given_ = loss.__name__, dict(parameters)
    if name == "cross_entropy":
        return pixel_reference(x, t, weights=given_.get("class_weights"), divide_by_weights=True)
    if name in ("focal", "balanced_cross_entropy"):
        alpha = given_.get("alpha")
        if isinstance(alpha, float):
            alpha = [1 - alpha] + [alpha] * (k - 1)
        return pixel_reference(x, t, given_.get("gamma", 0.0), alpha)
    fp, fn = {"dice": (0.5, 0.5), "jaccard": (1.0, 1.0)}.get(
        name, (given_.get("fp_weight", 0.7), given_.get("fn_weight", 0.3))
    )
    power = 1 / given_.get("gamma", 4 / 3) if name == "focal_tversky" else 1.0
    return region_reference(x, t, fp, fn, power, given_.get("per_patch", False))


def gradient(loss: Loss, parameters: dict[str, Any], logits: Tensor, target: Tensor) -> Tensor:
    leaf = logits.detach().clone().requires_grad_()
    (slope,) = torch.autograd.grad(loss(leaf, target, **parameters), leaf)
    return slope


# --- values


@each_case
@pytest.mark.parametrize("share", [0.3, 0.004, 0.0])
def test_agrees_with_the_loop(
    classes: int, loss: Loss, parameters: dict[str, Any], share: float
) -> None:
    logits, target = batch(classes, seed=classes, share=share)
    value = loss(logits, target, **parameters)
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(reference(loss, parameters, logits, target), abs=1e-9)
    single = loss(logits.float(), target.long(), **parameters)
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(value.item(), rel=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_common_classes_follow_the_plain_tversky_formula(classes: int) -> None:
    logits, target = batch(classes, ignored=0.0)
    p = logits.softmax(1)
    plain = []
    for code in range(1, classes):
        own, truth = p[:, code], (target == code).double()
        tp, fp, fn = (own * truth).sum(), (own * (1 - truth)).sum(), ((1 - own) * truth).sum()
        plain.append(1 - tp / (tp + 0.7 * fp + 0.3 * fn))
    expected = torch.stack(plain)
    assert losses.tversky(logits, target).item() == pytest.approx(expected.mean().item(), abs=1e-12)
    focal = losses.focal_tversky(logits, target)
    assert focal.item() == pytest.approx((expected**0.75).mean().item(), abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_that_of_torch(classes: int, weighted: bool) -> None:
    logits, target = batch(classes)
    weights = [1.0, 8.0, 3.0][:classes] if weighted else None
    expected = torch.nn.functional.cross_entropy(
        logits,
        target.long(),
        weight=None if weights is None else torch.tensor(weights, dtype=torch.float64),
        ignore_index=IGNORE,
    )
    ours = losses.cross_entropy(logits, target, class_weights=weights)
    assert ours.item() == pytest.approx(expected.item(), abs=1e-12)


def test_cross_entropy_is_that_of_sklearn() -> None:
    logits, target = batch(3)
    valid = target != IGNORE
    p = logits.softmax(1).permute(0, 2, 3, 1)[valid].numpy()
    truth = target[valid].numpy()
    expected = log_loss(truth, p, sample_weight=np.array([1.0, 3.0, 8.0])[truth])
    ours = losses.cross_entropy(logits, target, class_weights=[1, 3, 8])
    assert ours.item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("classes", [2, 3])
def test_certain_predictions_score_as_in_sklearn(classes: int) -> None:
    logits, target = batch(classes)
    certain = (logits == logits.amax(1, keepdim=True)).double() * 200
    valid = target != IGNORE
    truth, found = target[valid].numpy(), certain.argmax(1)[valid].numpy()
    foreground = list(range(1, classes))
    f1 = f1_score(truth, found, labels=foreground, average="macro")
    iou = jaccard_score(truth, found, labels=foreground, average="macro")
    assert losses.dice(certain, target).item() == pytest.approx(1 - f1, abs=1e-12)
    assert losses.jaccard(certain, target).item() == pytest.approx(1 - iou, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_special_cases_coincide(classes: int) -> None:
    logits, target = batch(classes)
    plain = losses.cross_entropy(logits, target)
    torch.testing.assert_close(losses.focal(logits, target, gamma=0), plain)
    torch.testing.assert_close(
        losses.focal(logits, target, gamma=0, alpha=0.75),
        losses.balanced_cross_entropy(logits, target, alpha=0.75),
    )
    torch.testing.assert_close(
        losses.balanced_cross_entropy(logits, target, alpha=0.5), 0.5 * plain
    )
    torch.testing.assert_close(
        losses.tversky(logits, target, fp_weight=0.5, fn_weight=0.5), losses.dice(logits, target)
    )
    torch.testing.assert_close(
        losses.tversky(logits, target, fp_weight=1, fn_weight=1), losses.jaccard(logits, target)
    )
    torch.testing.assert_close(
        losses.focal_tversky(logits, target, gamma=1.0), losses.tversky(logits, target)
    )


def test_alpha_weighs_water_and_the_rest_weighs_land() -> None:
    logits = torch.zeros(1, 2, 1, 2, dtype=torch.float64)
    land, water = torch.tensor([[[0, IGNORE]]]), torch.tensor([[[IGNORE, 1]]])
    for gamma in (0.0, 2.0):
        for target, weight in ((land, 0.25), (water, 0.75)):
            value = losses.focal(logits, target, gamma=gamma, alpha=0.75)
            assert value.item() == pytest.approx(weight * 0.5**gamma * math.log(2), abs=1e-12)


def of_one_pixel(loss: Loss, classes: int, odds: float, dtype: torch.dtype, **more: Any) -> float:
    """Loss of a pixel whose log-odds against its class, water, are as given."""
    logits = torch.full((1, classes, 1, 1), -math.inf if dtype == torch.float64 else -1e9)
    logits[:, 0], logits[:, 1] = odds, 0.0
    return loss(logits.to(dtype), torch.ones(1, 1, 1, dtype=torch.uint8), **more).item()


@pytest.mark.parametrize("odds", [-30.0, -20.0, -16.6, -10.0, -1.0, 1.0, 10.0, 20.0])
def test_losses_of_sure_pixels_keep_their_digits(odds: float) -> None:
    expected = math.log1p(math.exp(odds))
    found = of_one_pixel(losses.cross_entropy, 2, odds, torch.float32)
    assert found == pytest.approx(expected, rel=1e-6, abs=0)
    focal = expected * (math.exp(odds) / (1 + math.exp(odds))) ** 1.5
    found = of_one_pixel(losses.focal, 2, odds, torch.float32, gamma=1.5)
    assert found == pytest.approx(focal, rel=1e-5, abs=0)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("odds", [-25.0, 15.0, 20.5, 24.0, 40.0, 60.0])
def test_focal_keeps_the_digits_of_float64(classes: int, odds: float) -> None:
    surprise = math.log1p(math.exp(odds))
    expected = surprise * math.exp(-3 * math.log1p(math.exp(-odds)))
    found = of_one_pixel(losses.focal, classes, odds, torch.float64, gamma=3.0)
    assert found == pytest.approx(expected, rel=1e-12, abs=0)


# --- gradients


@each_case
def test_gradcheck(classes: int, loss: Loss, parameters: dict[str, Any]) -> None:
    logits, target = batch(classes, size=3)
    target[2] = IGNORE
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, target, **parameters), (logits,))


@pytest.mark.parametrize(("loss", "parameters"), BINARY.values(), ids=list(BINARY))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_land_only_has_a_tenth_of_the_gradient_of_one_percent_water(
    loss: Loss, parameters: dict[str, Any], dtype: torch.dtype
) -> None:
    logits = torch.zeros(4, 2, 50, 50, dtype=dtype)
    land = torch.zeros(4, 50, 50, dtype=torch.uint8)
    water = land.clone()
    water[:, :5, :5] = 1
    ratio = (
        gradient(loss, parameters, logits, land).norm()
        / gradient(loss, parameters, logits, water).norm()
    )
    assert ratio.item() >= 0.1


@pytest.mark.parametrize("weight", [0.05, 0.3, 0.5, 0.9])
def test_land_only_gradient_holds_for_other_tversky_weights(weight: float) -> None:
    logits = torch.zeros(1, 2, 50, 50, dtype=torch.float64)
    land = torch.zeros(1, 50, 50, dtype=torch.uint8)
    water = land.clone()
    water[:, :5, :5] = 1
    for loss in (losses.tversky, losses.focal_tversky):
        given_ = {"fp_weight": weight, "fn_weight": 1 - weight}
        alone = gradient(loss, given_, logits, land).norm()
        assert alone >= 0.1 * gradient(loss, given_, logits, water).norm()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("per_patch", [False, True])
@pytest.mark.parametrize("logit", [-5.0, -12.0, -17.0, -20.0, -40.0, -80.0])
def test_water_that_costs_nothing_when_missed_is_found_all_the_same(
    classes: int, per_patch: bool, logit: float
) -> None:
    """Without a price for misses the loss depends on the ratio of TP to FP, however small both."""
    target = torch.zeros(2, 10, 10, dtype=torch.uint8)
    target[:, :3] = 1
    logits = torch.zeros(2, classes, 10, 10)
    logits[:, 1] = logit
    if classes == 3:
        target[:, 3:5] = 2
    weights: dict[str, Any] = {"fp_weight": 1.0, "fn_weight": 0.0, "per_patch": per_patch}
    single = losses.tversky(logits, target, **weights).item()
    exact = losses.tversky(logits.double(), target, **weights).item()
    assert single == pytest.approx(exact, rel=1e-5)
    assert exact == pytest.approx(0.7 if classes == 2 else (0.7 + 0.8) / 2, rel=1e-6)
    slope = gradient(losses.tversky, weights, logits, target)
    expected = gradient(losses.tversky, weights, logits.double(), target)
    torch.testing.assert_close(slope.double(), expected, rtol=1e-4, atol=1e-9)
    assert (slope[:, 1][target == 1] < -1e-4).all(), "descent finds more water"


@pytest.mark.parametrize("classes", [2, 3])
def test_nothing_found_is_never_perfect(classes: int) -> None:
    logits = torch.zeros(1, classes, 4, 4)
    logits[:, 1:] = -200.0  # below what float32 holds as a probability
    target = torch.zeros(1, 4, 4, dtype=torch.uint8)
    target[:, 0], target[:, 1] = 1, classes - 1
    for per_patch in (False, True):
        for fn_weight in (0.0, 1e-30, 0.5):
            given_: dict[str, Any] = {"fn_weight": fn_weight, "per_patch": per_patch}
            assert losses.tversky(logits, target, **given_).item() == 1
            assert losses.focal_tversky(logits, target, **given_).item() == 1
            assert gradient(losses.tversky, given_, logits, target).isfinite().all()


@pytest.mark.parametrize("gamma", [0.5, 4 / 3, 3.0])
@pytest.mark.parametrize("side", [1 - 1e-4, 1 + 1e-4])
def test_the_root_goes_over_into_its_chord_without_a_step(gamma: float, side: float) -> None:
    target = torch.zeros(1, 10, 10, dtype=torch.uint8)
    target[:, :5] = 1
    signs = torch.where(target == 1, 1.0, -1.0).double()

    def logits(size: float) -> Tensor:
        return torch.stack([-size / 2 * signs, size / 2 * signs], 1)

    size = brentq(lambda x: losses.tversky(logits(x), target).item() / (1e-12 * side) - 1, 20, 40)
    found = losses.focal_tversky(logits(size), target, gamma=gamma).item()
    assert found == pytest.approx((1e-12 * side) ** (1 / gamma), rel=1e-3)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", sorted(REGION))
def test_dry_patch_pushes_false_water_down(classes: int, name: str) -> None:
    logits = torch.zeros(2, classes, 20, 20, dtype=torch.float64)
    logits[:, 1] = 3
    target = torch.zeros(2, 20, 20, dtype=torch.uint8)
    target[0, :10] = 1
    for per_patch in (False, True):
        slope = gradient(getattr(losses, name), {"per_patch": per_patch}, logits, target)
        assert (slope[1, 0] < -1e-7).all(), "descent makes every false pixel more like land"


@pytest.mark.parametrize("name", sorted(REGION))
def test_fill_is_continuous_where_a_class_reaches_one_percent(name: str) -> None:
    loss = getattr(losses, name)
    torch.manual_seed(0)
    logits = torch.randn(1, 2, 100, 100, dtype=torch.float64)
    values = []
    for pixels in (99, 100, 101):
        target = torch.zeros(1, 10_000, dtype=torch.uint8)
        target[:, :pixels] = 1
        values.append(loss(logits, target.view(1, 100, 100)).item())
    steps = np.diff(values)
    assert np.abs(steps).max() < 1e-2


@each_case
def test_perfect_prediction_has_no_loss_and_a_finite_gradient(
    classes: int, loss: Loss, parameters: dict[str, Any]
) -> None:
    _, target = batch(classes)
    codes = torch.where(target == IGNORE, 0, target).long()
    sharp = torch.nn.functional.one_hot(codes, classes).permute(0, 3, 1, 2)
    for scale in (16.0, 30.0, 100.0, 1e4):
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            logits = (sharp * scale).to(dtype)
            if scale >= 100:
                assert loss(logits, target, **parameters).item() < 1e-12
            assert gradient(loss, parameters, logits, target).isfinite().all()


# --- reductions and ignored pixels


@each_case
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_no_valid_pixel_gives_zero_with_a_live_gradient(
    classes: int, loss: Loss, parameters: dict[str, Any], dtype: torch.dtype
) -> None:
    logits = torch.randn(2, classes, 4, 4, dtype=dtype, requires_grad=True)
    value = loss(logits, torch.full((2, 4, 4), IGNORE, dtype=torch.uint8), **parameters)
    assert value.requires_grad
    assert value.item() == 0
    (slope,) = torch.autograd.grad(value, logits)
    assert (slope == 0).all()


@each_case
def test_an_empty_batch_gives_zero_with_a_live_gradient(
    classes: int, loss: Loss, parameters: dict[str, Any]
) -> None:
    logits = torch.randn(0, classes, 4, 4, requires_grad=True)
    value = loss(logits, torch.zeros(0, 4, 4, dtype=torch.uint8), **parameters)
    assert value.item() == 0
    (slope,) = torch.autograd.grad(value, logits)
    assert slope.shape == logits.shape


@each_case
@pytest.mark.parametrize("other", [math.nan, math.inf, -1e30, 7.0])
def test_ignored_logits_change_nothing(
    classes: int, loss: Loss, parameters: dict[str, Any], other: float
) -> None:
    logits, target = batch(classes)
    changed = logits.masked_fill((target == IGNORE)[:, None], other)
    value = loss(logits, target, **parameters)
    assert loss(changed, target, **parameters).item() == value.item()
    before, after = (gradient(loss, parameters, x, target) for x in (logits, changed))
    assert torch.equal(before, after)
    assert (after.permute(0, 2, 3, 1)[target == IGNORE] == 0).all()


@each_case
def test_nine_of_ten_pixels_ignored_do_not_shrink_the_loss(
    classes: int, loss: Loss, parameters: dict[str, Any]
) -> None:
    logits, target = batch(classes, ignored=0.0)
    wide = torch.randn(3, classes, 11, 130, dtype=torch.float64)
    far = torch.full((3, 11, 130), IGNORE, dtype=torch.uint8)
    wide[..., :13], far[..., :13] = logits, target
    expected = loss(logits, target, **parameters).item()
    assert loss(wide, far, **parameters).item() == pytest.approx(expected, abs=1e-12)
    more = loss(
        torch.cat([logits, torch.randn_like(logits)]),
        torch.cat([target, torch.full_like(target, IGNORE)]),
        **parameters,
    )
    assert more.item() == pytest.approx(expected, abs=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1), ignored=st.floats(0, 1))
def test_invariants(seed: int, share: float, ignored: float) -> None:
    classes = 2 + seed % 2
    logits, target = batch(classes, seed=seed, share=share, ignored=ignored, size=4)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(24))
    for loss, parameters in (BINARY if classes == 2 else TERNARY).values():
        value = loss(logits, target, **parameters)
        assert value >= 0
        if loss.__name__ in REGION:
            assert value <= 1 + 1e-12
        shuffled = loss(
            logits.flatten(2)[..., order].view_as(logits),
            target.flatten(1)[..., order].view_as(target),
            **parameters,
        )
        torch.testing.assert_close(shuffled, value)
        shift = torch.full_like(logits[:, :1], 5.0)
        torch.testing.assert_close(loss(logits + shift, target, **parameters), value)
        slope = gradient(loss, parameters, logits, target)
        torch.testing.assert_close(slope.sum(1), torch.zeros_like(slope[:, 0]))


@each_case
@pytest.mark.parametrize("scale", [1.0, 100.0, 1e5, 1e30, math.inf])
def test_finite_in_bfloat16(
    classes: int, loss: Loss, parameters: dict[str, Any], scale: float
) -> None:
    logits, target = batch(classes)
    largest = torch.finfo(torch.bfloat16).max
    rough = logits.bfloat16().sign() * largest if scale == math.inf else (logits * scale).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(rough, target, **parameters)
        slope = gradient(loss, parameters, rough, target)
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert slope.dtype == torch.bfloat16
    assert slope.isfinite().all()
    if scale == 1.0:
        exact = loss(rough.double(), target, **parameters)
        assert value.item() == pytest.approx(exact.item(), rel=1e-5)


@each_case
@pytest.mark.parametrize("scale", [1.0, 100.0, math.inf])
def test_finite_in_float16(
    classes: int, loss: Loss, parameters: dict[str, Any], scale: float
) -> None:
    logits, target = batch(classes)
    logits[0, 0, 0, 0] = 0.0
    rough = (logits.sign() if scale == math.inf else logits).half() * scale
    rough = rough.nan_to_num(0.0, math.inf, -math.inf)
    value = loss(rough, target, **parameters)
    slope = gradient(loss, parameters, rough, target)
    assert value.dtype == torch.float32
    assert value.isfinite()
    assert slope.dtype == torch.float16
    assert slope.isfinite().all()
    bounded = rough.double().clamp(-65504, 65504)
    assert value.item() == pytest.approx(loss(bounded, target, **parameters).item(), rel=1e-5)


# --- traps of other libraries


def test_tversky_weights_act_on_water_only() -> None:
    water_everywhere = torch.tensor([0.0, 50.0], dtype=torch.float64).view(1, 2, 1, 1)
    logits = water_everywhere.expand(1, 2, 1, 10).contiguous()
    target = torch.zeros(1, 1, 10, dtype=torch.uint8)
    target[..., :5] = 1  # TP 5, FP 5, FN 0
    for fp_weight, fn_weight in ((0.7, 0.3), (0.3, 0.7), (0.7, 0.9)):
        value = losses.tversky(logits, target, fp_weight=fp_weight, fn_weight=fn_weight)
        assert value.item() == pytest.approx(1 - 5 / (5 + fp_weight * 5), abs=1e-9)
        missed = losses.tversky(-logits, target, fp_weight=fp_weight, fn_weight=fn_weight)
        assert missed.item() == pytest.approx(1, abs=1e-9)  # TP 0, FN 5
    default = losses.tversky(logits, target)
    assert default > losses.tversky(logits, target, fp_weight=0.3, fn_weight=0.7)


def test_focal_tversky_takes_the_root_not_the_power() -> None:
    logits, target = batch(2)
    complement = losses.tversky(logits, target)
    value = losses.focal_tversky(logits, target, gamma=4 / 3)
    assert value.item() == pytest.approx(complement.item() ** 0.75, abs=1e-12)
    assert value > complement


def test_dry_batch_predicted_as_water_is_nearly_the_worst() -> None:
    logits = torch.zeros(2, 2, 8, 8, dtype=torch.float64)
    logits[:, 1] = 50
    target = torch.zeros(2, 8, 8, dtype=torch.uint8)
    for name in sorted(REGION):
        assert getattr(losses, name)(logits, target) > 0.95
        assert getattr(losses, name)(-logits, target) < 1e-9


def test_batch_is_pooled_unless_per_patch() -> None:
    logits, target = batch(2)
    target[0] = torch.where(target[0] == 1, 0, target[0])
    target[2] = IGNORE
    for name in sorted(REGION):
        loss = getattr(losses, name)
        alone = [loss(logits[i : i + 1], target[i : i + 1]).item() for i in range(2)]
        assert loss(logits, target, per_patch=True).item() == pytest.approx(np.mean(alone))
        assert loss(logits, target).item() != pytest.approx(np.mean(alone), abs=1e-3)


# --- sums over processes


@each_case
def test_statistics_are_summed_before_they_are_divided(
    classes: int, loss: Loss, parameters: dict[str, Any]
) -> None:
    logits, target = batch(classes)
    target[2, 2:] = IGNORE
    halves = (slice(0, 1), slice(1, 3))
    seen: list[Tensor] = []

    def record(statistics: Tensor) -> Tensor:
        seen.append(statistics.detach())
        return statistics

    for half in halves:
        loss(logits[half], target[half], reduce=record, **parameters)
    assert len(seen) == 2, "one reduction a loss"
    joint = loss(
        logits[halves[0]], target[halves[0]], reduce=lambda part: part + seen[1], **parameters
    )
    assert joint.item() == pytest.approx(loss(logits, target, **parameters).item(), abs=1e-12)


# --- bad input


@pytest.mark.parametrize("code", [2, 254, -1])
def test_unknown_code_is_named(code: int) -> None:
    logits, target = batch(2)
    target = target.long()
    target[0, 0, 0] = code
    with pytest.raises(DataError, match=rf"codes \[{code}\]"):
        losses.cross_entropy(logits, target)


@pytest.mark.parametrize(
    ("logits", "target", "message"),
    [
        (torch.zeros(1, 1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.uint8), "2 ... 255 classes"),
        (torch.zeros(2, 2, 2), torch.zeros(2, 2, dtype=torch.uint8), "logits must be"),
        (torch.zeros(1, 2, 2, 2, dtype=torch.int64), torch.zeros(1, 2, 2).byte(), "int64"),
        (torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 3, dtype=torch.uint8), "like logits"),
        (torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2), "float32"),
        (torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, dtype=torch.bool), "bool"),
        (torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, dtype=torch.uint16), "not torch.uint16"),
        (torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, dtype=torch.uint32), "not torch.uint32"),
    ],
)
def test_shapes_and_types_are_checked(logits: Tensor, target: Tensor, message: str) -> None:
    for loss in (losses.cross_entropy, losses.dice):
        with pytest.raises(DataError, match=message):
            loss(logits, target)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("cross_entropy", {"class_weights": [1.0]}, "class_weights needs 2 values"),
        ("cross_entropy", {"class_weights": [1.0, 3.0, 8.0]}, "class_weights needs 2 values"),
        ("cross_entropy", {"class_weights": [1.0, -1.0]}, "0 or more"),
        ("cross_entropy", {"class_weights": [1.0, math.inf]}, "class_weights must be finite"),
        ("cross_entropy", {"class_weights": [math.nan, 1.0]}, "class_weights must be finite"),
        ("cross_entropy", {"class_weights": [0, 0]}, "class_weights must not all be 0"),
        ("balanced_cross_entropy", {"alpha": 1.5}, "alpha"),
        ("balanced_cross_entropy", {"alpha": [0.0, 0.0]}, "^alpha must not all be 0"),
        ("focal", {"alpha": [0.1, 0.5, 0.9]}, "^alpha needs 2 values"),
        ("focal", {"gamma": -1.0}, "gamma"),
        ("focal", {"gamma": math.nan}, "gamma"),
        ("tversky", {"fp_weight": -0.1}, "fp_weight"),
        ("tversky", {"fp_weight": 0.0, "fn_weight": 0.0}, "not both 0"),
        ("focal_tversky", {"gamma": 0.0}, "gamma"),
    ],
)
def test_parameters_are_checked(name: str, parameters: dict[str, Any], message: str) -> None:
    logits, target = batch(2)
    with pytest.raises(ConfigError, match=message):
        getattr(losses, name)(logits, target, **parameters)
