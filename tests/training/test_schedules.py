import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from sarwater.config import OptimizationSettings
from sarwater.losses.weighting import LearnedWeights
from sarwater.models.architecture import Architecture
from sarwater.models.segmenter import Segmenter
from sarwater.training.schedules import Schedule, build_optimizer


def planned(steps: int, **changes: Any) -> tuple[torch.optim.Optimizer, Schedule]:
    settings = OptimizationSettings(**changes)
    optimizer = build_optimizer(nn.Conv2d(1, 1, 3), [], settings)
    return optimizer, Schedule(optimizer, settings, steps)


def rates(steps: int, **changes: Any) -> list[float]:
    """Rates of all steps and of the one that would come after."""
    optimizer, schedule = planned(steps, **changes)
    found = [schedule.rate]
    for _ in range(steps):
        optimizer.step()
        schedule.after_step()
        found.append(schedule.rate)
        assert len({group["lr"] for group in optimizer.param_groups}) == 1
    return found


def test_constant() -> None:
    assert set(rates(5, schedule="constant", learning_rate=0.02)) == {0.02}


def test_cosine_rises_in_a_line_and_falls_as_a_cosine() -> None:
    found = rates(100, schedule="cosine", learning_rate=0.5, min_learning_rate=0.1, warmup=0.2)
    rise = [0.5 * (step + 1) / 20 for step in range(20)]
    fall = [0.1 + 0.4 * (1 + math.cos(math.pi * step / 80)) / 2 for step in range(81)]
    assert found == pytest.approx(rise + fall)


@pytest.mark.parametrize(("steps", "warmup"), [(50, 0.1), (50, 0.3), (400, 0.05), (10, 0.5)])
def test_one_cycle_is_that_of_torch(steps: int, warmup: float) -> None:
    found = rates(
        steps, schedule="one_cycle", learning_rate=0.3, min_learning_rate=1e-4, warmup=warmup
    )
    optimizer = torch.optim.SGD(nn.Conv2d(1, 1, 1).parameters(), lr=1)
    torch_one = OneCycleLR(
        optimizer,
        max_lr=0.3,
        total_steps=steps + 1,
        pct_start=warmup,
        div_factor=25,
        final_div_factor=0.3 / 25 / 1e-4,
        cycle_momentum=False,
    )
    expected = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps):
        optimizer.step()
        torch_one.step()
        expected.append(optimizer.param_groups[0]["lr"])
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 60])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_short_runs_and_no_warmup_end_at_the_lowest_rate(
    schedule: str, steps: int, warmup: float
) -> None:
    found = rates(
        steps, schedule=schedule, warmup=warmup, learning_rate=1e-3, min_learning_rate=1e-6
    )
    assert found[-1] == pytest.approx(1e-6)
    assert max(found) <= 1e-3 * (1 + 1e-12)
    peak = found.index(max(found))
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    if warmup == 0:
        assert peak == 0
        assert found[0] == pytest.approx(1e-3)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_the_lowest_rate_may_be_zero(schedule: str) -> None:
    assert rates(20, schedule=schedule, min_learning_rate=0)[-1] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_a_rate_below_the_lowest_one_does_not_rise(schedule: str) -> None:
    found = rates(10, schedule=schedule, learning_rate=1e-8, min_learning_rate=1e-6, warmup=0)
    assert found == pytest.approx([1e-8] * 11)


def test_plateau_falls_by_tens_to_the_lowest_rate() -> None:
    _, schedule = planned(
        1000,
        schedule="plateau",
        learning_rate=1e-2,
        min_learning_rate=1e-6,
        plateau_patience=2,
    )
    found = []
    for epoch in range(20):
        schedule.after_step()
        schedule.after_epoch(0.1 * min(epoch, 2))  # the score grows in the first three epochs
        found.append(schedule.rate)
    # Three epochs until the score stays, then each time two of patience and one that divides.
    expected = [1e-2] * 5 + [1e-3] * 3 + [1e-4] * 3 + [1e-5] * 3 + [1e-6] * 6
    assert found == pytest.approx(expected)


def test_plateau_takes_small_gains_for_gains() -> None:
    _, schedule = planned(1000, schedule="plateau", learning_rate=1e-2, plateau_patience=0)
    for epoch in range(20):
        schedule.after_epoch(0.5 + 0.001 * epoch)
    assert schedule.rate == 1e-2


def test_only_plateau_looks_at_the_score() -> None:
    for name in ("constant", "cosine", "one_cycle"):
        _, schedule = planned(10, schedule=name)
        before = schedule.rate
        for _ in range(20):
            schedule.after_epoch(0.0)
        assert schedule.rate == before


@pytest.mark.parametrize("name", ["constant", "cosine", "one_cycle", "plateau"])
def test_a_schedule_goes_on_from_its_state(name: str) -> None:
    def run(optimizer: torch.optim.Optimizer, schedule: Schedule, steps: range) -> list[float]:
        found = []
        for step in steps:
            optimizer.step()
            schedule.after_step()
            schedule.after_epoch(1.0 if step < 3 else 0.5)
            found.append(schedule.rate)
        return found

    changes: dict[str, Any] = {"schedule": name, "plateau_patience": 1, "warmup": 0.3}
    whole = run(*planned(20, **changes), range(20))
    optimizer, schedule = planned(20, **changes)
    first = run(optimizer, schedule, range(8))
    again, resumed = planned(20, **changes)
    again.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(schedule.state_dict())
    assert resumed.rate == first[-1]
    assert first + run(again, resumed, range(8, 20)) == whole


def test_only_kernels_decay() -> None:
    network = Segmenter(
        Architecture(encoder="tu-mobilenetv3_small_050", decoder_channels=8, detail_channels=4),
        2,
        2,
    )
    next(iter(network.encoder.parameters())).requires_grad_(False)
    weights = LearnedWeights(["a", "b"])
    settings = OptimizationSettings(weight_decay=0.03)
    optimizer = build_optimizer(network, [weights.optimizer_group()], settings)
    decay = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    kernels = {
        id(module.weight)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.requires_grad
    }
    assert {key for key, value in decay.items() if value} == kernels
    assert {value for value in decay.values() if value} == {0.03}
    assert decay[id(weights.rho)] == 0
    trained = {id(p) for p in network.parameters() if p.requires_grad} | {id(weights.rho)}
    assert set(decay) == trained
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(trained)


def test_the_two_optimizers() -> None:
    adamw, _ = planned(1, optimizer="adamw")
    sgd, _ = planned(1, optimizer="sgd", schedule="constant", learning_rate=0.1)
    assert type(adamw) is torch.optim.AdamW
    assert type(sgd) is torch.optim.SGD
    for group in sgd.param_groups:
        assert (group["momentum"], group["nesterov"], group["lr"]) == (0.9, True, 0.1)
