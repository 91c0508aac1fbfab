"""The engine of OpenVINO, the fastest on CPUs."""

import ctypes
import gc
import os
import queue
from functools import cache
from typing import Any

import numpy as np
import openvino as ov

from sarwater.errors import ModelError
from sarwater.machine import usable_cores
from sarwater.types import FloatArray


class OpenvinoEngine:
    """Runs a network on the CPU, a patch at a time in each of several streams.

    One stream a core keeps every core busy on a patch of its own, which is faster than all cores
    on one: nothing waits for the slowest.
    """

    best_batch = 1

    def __init__(
        self,
        graph: bytes,
        bands: int,
        patch_size: int,
        *,
        precision: str = "auto",
        threads: int | None = None,
    ) -> None:
        """Compile the network for this CPU.

        Args:
            graph: an ONNX model from patches to probabilities, of ``models.graphs``.
            bands: of the patches.
            patch_size: rows and columns of the patches.
            precision: ``float32``, ``bfloat16``, or ``auto`` for bfloat16 where the CPU
                multiplies in it.
            threads: as many patches are computed at once; by default as there are cores.

        Raises:
            ModelError: OpenVINO cannot run the network.
        """
        core = _core()
        if precision == "auto":
            precision = "bfloat16" if multiplies_in_bfloat16() else "float32"
        self.precision = precision
        self.parallel = threads or usable_cores()
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        try:
            model = core.read_model(graph)
            model.reshape([1, bands, patch_size, patch_size])
            self._compiled = core.compile_model(
                model,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": "bf16" if precision == "bfloat16" else "f32",
                    "NUM_STREAMS": self.parallel,
                    "INFERENCE_NUM_THREADS": self.parallel,
                },
            )
        except RuntimeError as error:
            raise ModelError(
                f"OpenVINO cannot run this network: {str(error)[:300]}; pass --engine torch"
            ) from error
        _give_back()

    @property
    def name(self) -> str:
        """What it is."""
        return f"openvino cpu {self.precision}"

    def predict(self, patches: FloatArray) -> FloatArray:
        """Return the probability [n, class, row, col] of each class."""
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._compiled.create_infer_request()
        found = np.empty((len(patches), *self._compiled.output(0).shape[1:]), np.float32)
        for patch, probability in zip(
            np.ascontiguousarray(patches, np.float32), found, strict=True
        ):
            request.infer([patch[None]], share_inputs=True)
            probability[:] = request.get_output_tensor(0).data[0]
        self._idle.put(request)
        return found


def multiplies_in_bfloat16() -> bool:
    """Tell whether this CPU does, which is about twice as fast as in float32."""
    return "BF16" in _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@cache
def _core() -> Any:
    """The one OpenVINO of this process, which is never given up.

    It sets the stack on which signals of the thread that begins it are handled. Given up in
    another thread it would free that stack and leave it set, and the next SIGTERM would crash.

    A first array is handed over here, by one thread: where two threads do it first at the same
    time, one waits for the interpreter's lock and the other, which holds it, for the first one's
    guard (pybind11's ``npy_api``), forever.
    """
    ov.Tensor(np.zeros(1, np.float32), shared_memory=True)
    return ov.Core()


def _give_back() -> None:
    """Return to the system what compiling has used: glibc keeps it, some hundred megabytes."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        gc.collect()
        trim(0)
