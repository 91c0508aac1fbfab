"""What a checkpoint belongs to: chips and what they hold, settings, and the number of processes."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sarwater.datasets.listing import some
from sarwater.errors import ModelError
from sarwater.types import Chip

_CHECKSUMS = 2
"""Values of a fingerprint that are compared exactly."""

_TOLERANCE = 1e-5
"""Relative; of means and deviations, which other processors and libraries round differently."""

_FREE = {
    "data.cache_gb",
    "model.init",
    "model.encoder_weights",
    "run.accelerator",
    "run.devices",
    "run.num_nodes",
    "run.strategy",
    "run.threads",
    "run.workers",
    "run.loggers",
    "run.checkpoint_minutes",
}
"""Settings that may change while a run is halted: they say where it runs, not what it learns. All
first weights are in the checkpoint."""

_MOVED_BY_EPOCHS = ("cosine", "one_cycle")
"""Schedules whose every step follows from the number of epochs."""


def fingerprint(chip: Chip) -> tuple[float, ...]:
    """Say in a few numbers what a chip holds.

    Returns:
        Checksums of what is valid and of the labels (0 without any); mean and deviation of each
        band.
    """
    target = 0 if chip.target is None else zlib.crc32(chip.target.tobytes())
    bands = chip.image.reshape(len(chip.image), -1)
    return (
        float(zlib.crc32(chip.valid.tobytes())),
        float(target),
        *bands.mean(axis=1, dtype=np.float64).tolist(),
        *bands.std(axis=1, dtype=np.float64).tolist(),
    )


@dataclass(frozen=True, eq=False)
class Contents:
    """What the rows of a table say, and what its chips hold."""

    hash: str
    """SHA-256 of the rows."""
    ids: tuple[str, ...]
    """Of each chip; parts of an image share one."""
    values: NDArray[np.float64]
    """[chip, value], a fingerprint each."""

    @classmethod
    def of(
        cls, rows: str, ids: Sequence[str], fingerprints: Sequence[Sequence[float]]
    ) -> "Contents":
        """Put fingerprints together."""
        return cls(rows, tuple(ids), np.asarray(fingerprints, np.float64))

    def changed(self, then: NDArray[np.float64]) -> list[str]:
        """Name the chips that held something else; all where even their number was another."""
        now = self.values
        if then.shape != now.shape:
            return list(dict.fromkeys(self.ids))
        is_same = np.isclose(now, then, rtol=_TOLERANCE, atol=1e-7)
        is_same[:, :_CHECKSUMS] = now[:, :_CHECKSUMS] == then[:, :_CHECKSUMS]
        return list(dict.fromkeys(self.ids[i] for i in np.flatnonzero(~is_same.all(axis=1))))


@dataclass(frozen=True, eq=False)
class Identity:
    """What must be the same again where a run goes on."""

    settings: Mapping[str, Any]
    """All of them, as plain data."""
    world_size: int
    source: Contents
    target: Contents | None

    def state_dict(self) -> dict[str, Any]:
        """Return it as plain data, for a checkpoint."""
        return {
            "settings": dict(self.settings),
            "world_size": self.world_size,
            "manifest": self.source.hash,
            "contents": torch.from_numpy(self.source.values),
            "target": self.target.hash if self.target else None,
            "target_contents": torch.from_numpy(self.target.values) if self.target else None,
        }

    def check(self, state: Mapping[str, Any], run: Path, settings: Path) -> None:
        """Check that a checkpoint was written by the run that is to go on.

        What an older version of sarwater did not write is not looked at.

        Args:
            state: of the checkpoint.
            run: the folder, for the message.
            settings: its file of settings, for the message.

        Raises:
            ModelError: it belongs to other chips, other settings or another number of processes.
        """
        check_settings(state, self.settings, run, settings)
        if not state["target"] or not self.target:
            if state["target"] or self.target:
                had = "with" if state["target"] else "without"
                raise ModelError(f"{run} was started {had} a target: resume it in the same way")
        else:
            _check_chips(state, "target", self.target, "target_contents", run)
        _check_chips(state, "manifest", self.source, "contents", run)
        if state["world_size"] != self.world_size:
            raise ModelError(
                f"{run} ran in {state['world_size']} processes, this is {self.world_size}: "
                f"resume on as many devices, or name them in {settings} (run.devices)"
            )


def check_settings(
    state: Mapping[str, Any],
    settings: Mapping[str, Any],
    run: Path,
    file: Path,
    *,
    may_end_otherwise: bool = True,
) -> None:
    """Check that a run was begun under the settings that are to go on.

    Args:
        state: of its checkpoint; ``settings`` and ``target`` are looked at.
        settings: those that are to go on, as plain data.
        run: the folder, for the message.
        file: its file of settings, for the message.
        may_end_otherwise: whether it may end sooner or later, where nothing but the end changes.

    Raises:
        ModelError: they differ in what decides over the result; all such keys are named.
    """
    then = state.get("settings")
    if then is None:  # of an older version
        return
    free = set(_FREE)
    if may_end_otherwise:
        free.add("optimization.early_stopping")
        if then["optimization"]["schedule"] not in _MOVED_BY_EPOCHS and not state["target"]:
            free.add("optimization.epochs")
    found = [
        f"{key} is {now} and was {before}"
        for key, before, now in _differences(then, settings)
        if key not in free
    ]
    if found:
        raise ModelError(
            f"the settings have changed since {run} was started: {', '.join(found)}; set them "
            f"back in {file}, or start a new run"
        )


def _check_chips(
    state: Mapping[str, Any], name: str, contents: Contents, held: str, run: Path
) -> None:
    table = "target's manifest" if name == "target" else name
    if state[name] != contents.hash:
        raise ModelError(
            f"the chips of the {table} have changed since {run} was started: resume with the "
            "manifest of then, or start a new run"
        )
    if state.get(held) is None:  # of an older version
        return
    changed = contents.changed(state[held].numpy())
    if changed:
        raise ModelError(
            f"images or labels of the {table} have changed since {run} was started "
            f"({some(changed, 3)}): bring back those of then, or start a new run"
        )


def _differences(then: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield path, former and present value of each leaf that differs.

    Keys that one side alone has are those of another version of sarwater, and are passed over.
    """
    pairs: list[tuple[Any, Any, Any]]
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        pairs = [(key, then[key], now[key]) for key in then if key in now]
    elif _are_groups(then) and _are_groups(now) and len(then) == len(now):
        pairs = [(index, *pair) for index, pair in enumerate(zip(then, now, strict=True))]
    else:
        if then != now:
            yield path, then, now
        return
    for key, before, after in pairs:
        yield from _differences(before, after, f"{path}.{key}" if path else str(key))


def _are_groups(values: Any) -> bool:
    """Whether it is a list of settings, as the terms of a loss are; other lists are one value."""
    return isinstance(values, list) and all(isinstance(one, Mapping) for one in values)
