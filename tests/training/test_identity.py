"""What must be the same where a run goes on, and what may differ."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sarwater.config import TrainSettings
from sarwater.errors import ModelError
from sarwater.training.identity import Contents, Identity, check_settings, fingerprint
from sarwater.types import Chip, Grid, Units
from tests.training.lakes import settings

RUN, FILE = Path("run"), Path("run/config.yaml")


def chip(**changes: Any) -> Chip:
    random = np.random.default_rng(0)
    image = random.normal(-12, 4, (2, 16, 16)).astype(np.float32)
    target = (random.random((16, 16)) < 0.3).astype(np.uint8)
    valid = random.random((16, 16)) < 0.9
    made = Chip("c", "d", ("VV", "VH"), Units.DB, image, valid, target, Grid(16, 16))
    return replace(made, **changes)


def contents(*chips: Chip, hash_: str = "rows") -> Contents:
    return Contents.of(hash_, [one.id for one in chips], [fingerprint(one) for one in chips])


def moved(array: Any) -> Any:
    """The same values in other places."""
    return np.roll(array, 3, axis=-1)


@pytest.mark.parametrize(
    "changes",
    [
        {"image": chip().image + np.float32(0.01)},
        {"image": chip().image * np.array([[[1.0]], [[1.001]]], np.float32)},
        {"target": moved(chip().target)},
        {"target": None},
        {"valid": moved(chip().valid)},
    ],
)
def test_a_chip_that_holds_something_else_is_named(changes: dict[str, Any]) -> None:
    first, second = chip(id="first"), chip(id="second")
    then = contents(first, second)
    assert contents(first, second).changed(then.values) == []
    assert contents(first, replace(second, **changes)).changed(then.values) == ["second"]


def test_values_of_another_processor_are_the_same() -> None:
    """Conversions of units differ in the last bit from one library to the next."""
    then, other = chip(), chip(image=np.nextafter(chip().image, np.float32(0)))
    assert contents(other).changed(contents(then).values) == []


def test_another_number_of_parts_is_a_change() -> None:
    assert contents(chip(), chip()).changed(contents(chip()).values) == ["c"]


def checked(then: TrainSettings, now: TrainSettings, *, target: str | None = None) -> None:
    state = {"settings": then.model_dump(mode="json"), "target": target}
    check_settings(state, now.model_dump(mode="json"), RUN, FILE)


@pytest.mark.parametrize(
    ("concern", "name", "value"),
    [
        ("patches", "size", 64),
        ("optimization", "learning_rate", 0.5),
        ("optimization", "schedule", "constant"),
        ("optimization", "average_decay", 0.9),
        ("optimization", "epochs", 30),  # of one_cycle
        ("normalization", "kind", "patch"),
        ("augmentation", "flips", False),
        ("model", "decoder_channels", 32),
        ("run", "seed", 1),
        ("run", "precision", "bf16-mixed"),
        ("run", "criterion", "iou"),
        ("adaptation", "source_share", 0.25),
    ],
)
def test_settings_that_decide_over_the_result_must_be_the_same(
    concern: str, name: str, value: Any
) -> None:
    then, now = settings(), settings(**{concern: {name: value}})
    before = getattr(getattr(then, concern), name)
    with pytest.raises(
        ModelError, match=rf"{concern}\.{name} is {value} and was {before}"
    ) as error:
        checked(then, now)
    assert str(FILE) in str(error.value)
    assert error.value.args[0].count(" and was ") == 1


def test_all_that_differ_are_named_losses_too() -> None:
    then = settings(loss={"terms": ["cross_entropy", {"name": "focal", "gamma": 2}]})
    now = settings(
        loss={"terms": ["cross_entropy", {"name": "focal", "gamma": 3}]}, run={"seed": 4}
    )
    with pytest.raises(ModelError) as error:
        checked(then, now)
    assert "loss.terms.1.gamma is 3.0 and was 2.0, run.seed is 4 and was 0" in str(error.value)


@pytest.mark.parametrize(
    ("concern", "name", "value"),
    [
        ("run", "threads", 2),
        ("run", "workers", 2),
        ("run", "loggers", "mlflow"),
        ("run", "checkpoint_minutes", 1),
        ("run", "accelerator", "auto"),
        ("run", "devices", 2),
        ("run", "num_nodes", 2),
        ("run", "strategy", "ddp"),
        ("data", "cache_gb", 1),
        ("model", "init", "elsewhere.safetensors"),
        ("model", "encoder_weights", "elsewhere.pth"),
        ("optimization", "early_stopping", 3),
    ],
)
def test_where_it_runs_and_when_it_ends_may_differ(concern: str, name: str, value: Any) -> None:
    checked(settings(), settings(**{concern: {name: value}}))


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_more_epochs_are_possible_where_no_step_follows_from_their_number(schedule: str) -> None:
    then, now = (
        settings(optimization={"schedule": schedule, "epochs": number}) for number in (2, 4)
    )
    checked(then, now)
    with pytest.raises(ModelError, match=r"optimization\.epochs is 4 and was 2"):
        checked(then, now, target="rows")  # the reversal of the gradient follows from it


def identity(**changes: Any) -> Identity:
    made = Identity(settings().model_dump(mode="json"), 1, contents(chip()), None)
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"world_size": 2}, "ran in 1 processes, this is 2"),
        ({"source": contents(chip(), hash_="other")}, "chips of the manifest have changed"),
        ({"source": contents(chip(valid=~chip().valid))}, r"images or labels of .* \(c\)"),
        ({"target": contents(chip())}, "was started without a target"),
    ],
)
def test_a_run_that_is_another_one_is_refused(changes: dict[str, Any], message: str) -> None:
    state = identity().state_dict()
    identity().check(state, RUN, FILE)
    with pytest.raises(ModelError, match=message):
        identity(**changes).check(state, RUN, FILE)


def test_the_target_is_known_again_too() -> None:
    there, other = contents(chip(target=None)), contents(chip(target=None, valid=~chip().valid))
    state = identity(target=there).state_dict()
    identity(target=there).check(state, RUN, FILE)
    with pytest.raises(ModelError, match=r"images or labels of the target's manifest"):
        identity(target=other).check(state, RUN, FILE)
    with pytest.raises(ModelError, match="was started with a target"):
        identity().check(state, RUN, FILE)


def test_a_checkpoint_of_an_older_version_goes_on() -> None:
    """It knows the hashes of the rows and the number of processes alone."""
    state = identity(target=contents(chip())).state_dict()
    old = {name: state[name] for name in ("manifest", "target", "world_size")}
    changed = contents(chip(valid=~chip().valid))
    anew = settings(run={"seed": 1}).model_dump(mode="json")
    identity(settings=anew, source=changed, target=changed).check(old, RUN, FILE)


def test_settings_that_another_version_has_are_passed_over() -> None:
    then = settings().model_dump(mode="json")
    now = copy.deepcopy(then)
    del then["optimization"]["warmup"]
    then["run"]["forgotten"] = 1
    check_settings({"settings": then, "target": None}, now, RUN, FILE)
