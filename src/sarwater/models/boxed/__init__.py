"""The model that comes with the package; experiments/boxed_model.py trains it."""

from importlib.resources import files
from pathlib import Path

from sarwater.errors import ModelError


def boxed_model() -> Path:
    """Return where the model lies.

    Raises:
        ModelError: the installation lacks it.
    """
    path = Path(str(files(__name__) / "water.safetensors"))
    if not path.is_file():
        raise ModelError(
            f"this installation of sarwater has no model at {path}; install it anew, or name one "
            "with --model"
        )
    return path
