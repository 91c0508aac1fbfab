"""Checkpoints of a training run: whole or not at all, and opened without running code."""

from pathlib import Path
from typing import Any

import torch

from sarwater.errors import ModelError
from sarwater.files import atomic_path

_FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state of tensors, numbers, texts, lists and dicts, replacing the former one."""
    with atomic_path(path, overwrite=True) as aside:
        torch.save({"format": _FORMAT, **state}, aside)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a state.

    Raises:
        ModelError: no such file, a damaged one, or one with more than plain data in it.
    """
    if not path.is_file():
        raise ModelError(
            f"there is no checkpoint {path}: nothing to resume; start the run without --resume"
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelError(f"the checkpoint {path} cannot be read: {error}") from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise ModelError(f"{path} is no checkpoint of this version of sarwater")
    return state
