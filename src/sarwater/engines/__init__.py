"""Engines turn patches into probabilities; whichever runs, the numbers are the same."""

from typing import TYPE_CHECKING, Protocol

from sarwater.engine_kinds import ENGINES, PRECISIONS
from sarwater.errors import ConfigError, ModelError, nearest
from sarwater.types import FloatArray

if TYPE_CHECKING:
    from sarwater.models.bundle import Bundle


class Engine(Protocol):
    """Runs a network on normalized patches."""

    @property
    def name(self) -> str:
        """What it is, its device and precision, such as ``openvino cpu bfloat16``."""
        ...

    @property
    def parallel(self) -> int:
        """Calls of ``predict`` that are worth running at once, each in a thread of its own."""
        ...

    @property
    def best_batch(self) -> int:
        """Patches to a call with which it is fastest."""
        ...

    def predict(self, patches: FloatArray) -> FloatArray:
        """Return the probability of each class; several threads may call it at once.

        Args:
            patches: float32 [n, band, row, col], normalized, 0 where not valid.

        Returns:
            float32 [n, class, row, col] in 0 ... 1, which adds up to 1 over the classes.
        """
        ...


def engine_for(
    bundle: "Bundle",
    *,
    engine: str = "auto",
    device: str = "auto",
    precision: str = "float32",
    threads: int | None = None,
    compiled: bool = False,
) -> Engine:
    """Build the engine that runs a model.

    Args:
        bundle: the model.
        engine: one of ``ENGINES``; ``auto`` is torch on a GPU, and on a CPU OpenVINO where it is
            installed.
        device: ``auto`` (CUDA where there is any), ``cpu``, ``cuda`` or ``cuda:1``.
        precision: one of ``PRECISIONS``.
        threads: CPU threads; all cores by default, and for torch its own setting.
        compiled: by torch's compiler; OpenVINO always compiles.

    Raises:
        ConfigError: there is no such engine, precision or device.
        ModelError: the model cannot be built, or OpenVINO is asked for on another device.
    """
    for kind, found, known in (("engine", engine, ENGINES), ("precision", precision, PRECISIONS)):
        if found not in known:
            raise ConfigError(
                f"{kind} '{found}' is unknown{nearest(found, known)}; take one of "
                f"{', '.join(known)}"
            )
    on_cpu = _is_cpu(device)
    if engine == "openvino" and not on_cpu:
        raise ModelError(
            f"OpenVINO runs on the CPU here, but the device is '{device}'; pass --device cpu, or "
            "--engine torch for the GPU"
        )
    if engine == "openvino" or (engine == "auto" and on_cpu and _has_openvino()):
        from sarwater.engines.openvino_engine import OpenvinoEngine
        from sarwater.models.graphs import graph_of

        return OpenvinoEngine(
            graph_of(bundle),
            len(bundle.info.bands),
            bundle.info.window_size,
            precision=precision,
            threads=threads,
        )
    from sarwater.engines.torch_engine import TorchEngine

    return TorchEngine(
        bundle.build(), device=device, precision=precision, compiled=compiled, threads=threads
    )


def engine_kinds_here() -> dict[str, str]:
    """Say of each engine whether it runs here, and which one and which precision are ``auto``."""
    from importlib.util import find_spec

    found = {"torch": "there" if find_spec("torch") else "not installed"}
    if _has_openvino():
        from sarwater.engines.openvino_engine import multiplies_in_bfloat16

        precision = "bfloat16" if multiplies_in_bfloat16() else "float32"
        found["openvino"] = f"there; precision auto is {precision}"
    else:
        found["openvino"] = "not installed"
    on_cpu = "openvino" if _has_openvino() else "torch"
    found["auto"] = on_cpu if _is_cpu("auto") else "torch on the GPU"
    return found


def _is_cpu(device: str) -> bool:
    """Tell whether a device is the CPU, where it can be told without loading torch."""
    if device == "cpu" or (device == "auto" and not _has_gpu_driver()):
        return True
    from sarwater.engines.torch_engine import device_named

    return device_named(device).type == "cpu"


def _has_gpu_driver() -> bool:
    """Tell whether torch may find a GPU: it takes NVIDIA's driver, or AMD's."""
    from ctypes import CDLL
    from pathlib import Path

    if Path("/dev/kfd").exists():  # torch brings AMD's library itself
        return True
    for name in ("libcuda.so.1", "nvcuda.dll", "amdhip64.dll"):
        try:
            CDLL(name)
        except OSError:
            continue
        return True
    return False


def _has_openvino() -> bool:
    from importlib.util import find_spec

    return find_spec("openvino") is not None
