"""The engine of PyTorch, on a CPU or a GPU."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from sarwater.errors import ConfigError, ModelError, nearest
from sarwater.types import FloatArray

_DEVICES = ("auto", "cpu", "cuda", "mps")
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


_one_at_a_time = threading.Lock()
"""Settings of cuDNN and of threads belong to the process: engines take turns to change them."""


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch compute in so many threads of the CPU in the block; None leaves its setting."""
    if count is None:
        yield
        return
    former = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(former)


class TorchEngine:
    """Runs a network that returns logits, in evaluation mode.

    In float32 the convolutions of a GPU are kept from rounding to TF32 and from choosing an
    algorithm by trial, so that batch size and run change a probability by rounding only. In
    bfloat16 they run under autocast with channels last; the softmax is float32 in both. Compiled,
    the first batch takes up to a minute, and the following ones less than without.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        device: str = "auto",
        precision: str = "float32",
        compiled: bool = False,
        threads: int | None = None,
    ) -> None:
        """Move the network to the device and into evaluation mode.

        Args:
            module: maps [n, band, row, col] to logits [n, class, row, col].
            device: ``auto`` (CUDA where there is any), ``cpu``, ``cuda``, ``cuda:1``, ...
            precision: ``float32``, ``bfloat16``, or ``auto`` for bfloat16 on a GPU.
            compiled: by ``torch.compile``, for each size of a batch.
            threads: of the CPU; torch's own setting by default.

        Raises:
            ConfigError: there is no such device.
        """
        self.device = device_named(device)
        if precision == "auto":
            precision = "float32" if self.device.type == "cpu" else "bfloat16"
        self.precision = precision
        self._threads = threads
        is_fast = precision != "float32" or self.device.type == "cuda"
        self._layout = torch.channels_last if is_fast else torch.contiguous_format
        placed = module.to(self.device).to(memory_format=self._layout).eval()
        self.compiled = compiled
        self._module = torch.compile(placed, dynamic=False) if compiled else placed

    @property
    def name(self) -> str:
        """What it is."""
        compiled = " compiled" if self.compiled else ""
        return f"torch {self.device.type} {self.precision}{compiled}"

    @property
    def best_batch(self) -> int:
        """One on a CPU, whose caches hold no more: twice as fast as eight."""
        return 1 if self.device.type == "cpu" else 8

    @property
    def parallel(self) -> int:
        """Two on a GPU, so that one batch is copied while another is computed."""
        return 1 if self.device.type == "cpu" else 2

    def predict(self, patches: FloatArray) -> FloatArray:
        """Return the probability [n, class, row, col] of each class.

        Raises:
            ModelError: the network cannot be compiled.
        """
        image = torch.from_numpy(np.ascontiguousarray(patches, np.float32))
        with torch.inference_mode():
            image = image.to(self.device, memory_format=self._layout)
            with _one_at_a_time, self._arithmetic(), self._compiling():
                probability = self._module(image).float().softmax(dim=1)
        result: FloatArray = probability.cpu().numpy()
        return result

    @contextmanager
    def _arithmetic(self) -> Iterator[None]:
        reduced = self.precision != "float32"
        with (
            torch_threads(self._threads),
            torch.autocast(self.device.type, _DTYPES[self.precision], enabled=reduced),
            torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=False
            ),
        ):
            yield

    @contextmanager
    def _compiling(self) -> Iterator[None]:
        if not self.compiled:
            yield
            return
        from torch._dynamo.exc import TorchDynamoException

        try:
            yield
        except TorchDynamoException as error:
            raise ModelError(
                f"torch cannot compile this network here: {' '.join(str(error).split())[:300]}; "
                "leave out --compile"
            ) from error


def device_named(name: str) -> torch.device:
    """Return a device that is there: ``auto`` (CUDA where there is any), ``cpu``, ``cuda``, ...

    Raises:
        ConfigError: it is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"device '{name}' cannot be used here ({reason}){nearest(name, _DEVICES)}; take 'cpu', "
            "or 'auto' for what there is"
        ) from error
    return device
