"""Engines turn patches into probabilities; whichever runs, the numbers are the same."""

from typing import TYPE_CHECKING, Protocol

from sarwater.types import FloatArray

if TYPE_CHECKING:
    from sarwater.models.bundle import Bundle


class Engine(Protocol):
    """Runs a network on normalized patches."""

    def predict(self, patches: FloatArray) -> FloatArray:
        """Return the probability of each class.

        Args:
            patches: float32 [n, band, row, col], normalized, 0 where not valid.

        Returns:
            float32 [n, class, row, col] in 0 ... 1, which adds up to 1 over the classes.
        """
        ...


def engine_for(bundle: "Bundle", *, device: str = "auto", precision: str = "float32") -> Engine:
    """Build the engine that runs a model.

    Args:
        bundle: the model.
        device: ``auto`` (CUDA where there is any), ``cpu``, ``cuda`` or ``cuda:1``.
        precision: ``float32`` or ``bfloat16``.

    Raises:
        ModelError: the model cannot be built, or there is no such device or precision.
    """
    from sarwater.engines.torch_engine import TorchEngine

    return TorchEngine(bundle.build(), device=device, precision=precision)
