"""Stands in for Weights & Biases: the part of its API that Lightning calls, kept in memory."""

from typing import Any

from wandb.wandb_run import Run

run: Run | None = None
runs: dict[str, Run] = {}
began: list[dict[str, Any]] = []


def init(**options: Any) -> Run:
    global run
    began.append(options)
    name = options["id"] or f"id{len(runs)}"
    run = runs.setdefault(name, Run(name))
    return run
