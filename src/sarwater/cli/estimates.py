"""``--dry-run`` of long jobs: everything is checked, a little is timed, nothing is written."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from sarwater.cli.results import Result, in_words

if TYPE_CHECKING:
    from sarwater.report.estimating import EvaluationEstimate
    from sarwater.training.estimating import RunEstimate


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add the option."""
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="read and check the data, time a little of the work, say what all of it will take "
        "(time, memory, disk), and write nothing",
    )


def evaluating(one: "EvaluationEstimate") -> Result:
    """Return what an evaluation will take."""
    return Result(
        asdict(one),
        lambda: (
            f"{one.chips} labelled chips, {one.seconds_per_chip:.2g} s each with {one.engine}, and "
            f"{one.seconds_besides:.2g} s besides\n"
            f"all: about {', '.join([in_words(one.seconds), *_memory(one.memory_gb)])}; nothing "
            "was written"
        ),
    )


def estimated(runs: "Sequence[RunEstimate]") -> Result:
    """Return what trainings will take."""
    from sarwater.training.estimating import as_json

    return Result(as_json(runs), lambda: "\n".join([*map(_run, runs), _sum(runs)]))


def _run(one: "RunEstimate") -> str:
    where = one.device if one.processes == 1 else f"{one.processes} x {one.device}"
    needs = [in_words(one.seconds), *_memory(one.memory_gb)]
    if one.accelerator_gb is not None:
        needs.append(f"{one.accelerator_gb:.1f} GB of the GPU's")
    return (
        f"{one.name.replace('_', ' ')}: {one.epochs} epochs of {one.steps_per_epoch} steps "
        f"({one.train_chips} chips, {one.parameters / 1e6:.1f} million parameters, {where}); a "
        f"step {one.seconds_per_step:.2g} s, a validation ({one.val_chips} chips) "
        f"{one.seconds_per_validation:.2g} s\n"
        f"  about {', '.join(needs)}, {one.disk_gb:.2g} GB of disk"
    )


def _memory(gigabytes: float | None) -> list[str]:
    return [] if gigabytes is None else [f"{gigabytes:.1f} GB of memory"]


def _sum(runs: "Sequence[RunEstimate]") -> str:
    return f"all: about {in_words(sum(one.seconds for one in runs))}; nothing was written"
