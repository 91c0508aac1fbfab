"""Opening PyTorch files that hold tensors and plain data only; nothing in them is ever run."""

from pathlib import Path
from typing import Any

import torch

from sarwater.errors import ModelError
from sarwater.files import read_refusal
from sarwater.quiet import quiet


def load_plain(path: Path, advice: str) -> Any:
    """Read a file of ``torch.save`` onto the CPU.

    Args:
        path: an existing file.
        advice: what the user can do where it cannot be read.

    Raises:
        ModelError: it cannot be read, is damaged, or holds more than tensors and plain data.
    """
    try:
        with quiet(category=UserWarning):  # torch's word on pickles
            return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle fails in every way
        # Not torch's own advice, which is to run what the file says.
        raise ModelError(
            read_refusal(path, error)
            or f"{path} cannot be read ({type(error).__name__}): it is damaged, or holds more than "
            f"tensors, and is then not opened, since that could run code; {advice}"
        ) from error
