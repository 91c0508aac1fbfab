"""Checkpoints of a training run: whole or not at all, and opened without running code."""

import os
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sarwater.errors import ModelError, OutputError
from sarwater.evaluation.counts import ThresholdCounts
from sarwater.files import atomic_path
from sarwater.models.plain_files import load_plain

_FORMAT = 1


@dataclass
class Progress:
    """Where a run is, and the best that it has reached."""

    epoch: int = 0
    step: int = 0
    """Steps done in the epoch."""
    history: list[dict[str, float]] = field(default_factory=list)
    """A row an epoch."""
    sampling: list[dict[str, Any]] = field(default_factory=list)
    """What the sampler drew, a report an epoch."""
    sums: dict[str, float] = field(default_factory=dict)
    """Sums over the epoch's steps so far."""
    seen: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Places and losses of the epoch's patches so far, those of all processes, in order."""
    best: dict[str, Any] | None = None
    """Validation, epoch and weights of the best checkpoint."""
    stale: int = 0
    """Epochs since then."""
    validated: int = 0
    """Validation chips counted in the epoch so far, by each process."""
    counts: ThresholdCounts = field(default_factory=ThresholdCounts.zeros)
    """Their counts, those of all processes."""
    pseudo: dict[str, Any] = field(
        default_factory=lambda: {"threshold": 0.5, "seed_margin": 0.0, "classes": None}
    )
    """How pseudo-labels divide: water probability, and the two classes of backscatter."""
    first_weights: str = ""
    """Where the encoder's weights come from, in words."""
    seconds: float = 0.0
    """Time spent, by all sessions of the run."""

    def judge(
        self,
        score: float,
        validation: dict[str, Any],
        network: nn.Module,
        target: dict[str, Any],
        *,
        always: bool,
    ) -> None:
        """Keep the network where it is the best so far.

        Args:
            score: by which checkpoints are chosen; the higher the better.
            validation: what it reaches on the source.
            network: whose weights are copied.
            target: threshold and signals on the target, where there is one.
            always: keep it although a former one was better.
        """
        self.stale += 1
        if self.best is not None and not always and score <= self.best["score"]:
            return
        self.best = {
            "score": score,
            "epoch": self.epoch + 1,
            "validation": validation,
            "weights": {k: t.detach().cpu().clone() for k, t in network.state_dict().items()},
            "target": target,
        }
        self.stale = 0

    @property
    def best_note(self) -> str:
        """The best score so far in words; nothing before the first."""
        return f"best F1 {self.best['score']:.3f}" if self.best else ""

    def start_next_epoch(self) -> None:
        """Forget what belonged to the epoch that ended."""
        self.epoch, self.step, self.sums, self.seen = self.epoch + 1, 0, {}, []
        self.validated, self.counts = 0, ThresholdCounts.zeros()

    def is_stale(self, limit: int | None) -> bool:
        """Tell whether so many epochs brought nothing better; None: never."""
        return limit is not None and self.stale >= limit

    def state_dict(self) -> dict[str, Any]:
        """Return it as plain data, for a checkpoint."""
        return {**vars(self), "counts": [torch.from_numpy(a) for a in astuple(self.counts)]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Progress":
        """Return what `state_dict` was made of."""
        return cls(
            **{
                **state,
                "counts": ThresholdCounts.from_arrays(*(t.numpy() for t in state["counts"])),
            }
        )


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors, numbers, texts, lists and dicts, replacing the former one.

    Raises:
        OutputError: it cannot be written; the former one stays.
    """
    with atomic_path(path, overwrite=True) as aside:
        try:
            torch.save({"format": _FORMAT, **state}, aside)
            with aside.open("rb+") as file:
                os.fsync(file.fileno())  # or a machine that goes down may keep the name alone
        except (torch.OutOfMemoryError, torch.AcceleratorError):  # of the device
            raise
        except RuntimeError as error:  # torch's word for a full disk
            raise OutputError(
                f"cannot write {path}: {error}; is there room on the disk? Make some, and go on "
                "with --resume"
            ) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a state.

    Raises:
        ModelError: no such file, a damaged one, or one with more than plain data in it.
    """
    if not path.is_file():
        raise ModelError(
            f"there is no checkpoint {path}: nothing to resume; start the run without --resume"
        )
    state = load_plain(path, "start the run anew")
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise ModelError(f"{path} is no checkpoint of this version of sarwater")
    return state
