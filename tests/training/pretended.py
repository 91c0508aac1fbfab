"""A device that computes on the CPU and is as strict as a GPU: what lies elsewhere is refused.

Its tensors meet none of the CPU in one operation, but for single values and indices, as on CUDA. So
that a run on it fails where a tensor was made on the wrong device, which no CPU can show.

``python -m tests.training.pretended CASE FOLDER`` works there, in a process of its own: torch
ends badly once it has had a device made of Python.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.accelerators import ACCELERATOR_REGISTRY
from lightning.fabric.accelerators.cpu import CPUAccelerator
from torch.utils import backend_registration
from torch.utils._pytree import tree_leaves, tree_map

from sarwater.config import TrainSettings
from sarwater.datasets.manifest import read_manifest
from sarwater.models.exporting import to_onnx
from sarwater.training.run import Run
from sarwater.training.start import resume, train
from tests.training.lakes import EVERYTHING_RANDOM, settings, write_chips

NAME = "pretended"
CASES: dict[str, TrainSettings] = {
    "train": settings(EVERYTHING_RANDOM),
    "adapt": settings(
        EVERYTHING_RANDOM,
        patches={"strategy": "stratified"},
        adaptation={
            "methods": ["dann", "output_space", "self_training", "adabn"],
            "sample_mpx": 0.02,
        },
    ),
}


class PretendedTensor(torch.Tensor):
    """A tensor of the device: a shell around one of the CPU."""

    held: torch.Tensor
    __torch_function__: Any = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "PretendedTensor":
        shell: PretendedTensor = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=torch.device(NAME, 0),
            requires_grad=held.requires_grad,
        )
        shell.held = held
        return shell

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return computed(operation, args, kwargs or {})

    def tolist(self) -> Any:
        return self.held.tolist()

    def __reduce_ex__(self, protocol: Any) -> Any:
        # As of a GPU's checkpoint that is read to the CPU.
        return self.held.clone().__reduce_ex__(protocol)  # type: ignore[no-untyped-call]


def computed(operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Run an operation of which at least one tensor is the device's."""
    given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
    goes_to = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.device)]
    refuse_mixed(operation, args, given)

    def outer(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        shells = (one for one in given if isinstance(one, PretendedTensor) and one.held is value)
        if (shell := next(shells, None)) is not None:
            return shell
        is_given = any(one is value for one in given)
        leaves = bool(goes_to) and goes_to[0].type != NAME
        return value if is_given or leaves else PretendedTensor(value)

    if operation in (torch.ops.aten.to.device, torch.ops.aten.to.dtype_layout):
        kwargs = {**kwargs, "copy": True}
    result = operation(*tree_map(inner, args), **tree_map(inner, kwargs))
    return tree_map(outer, result)


def inner(value: Any) -> Any:
    """Return the CPU's side of a value."""
    if isinstance(value, PretendedTensor):
        return value.held
    return torch.device("cpu") if isinstance(value, torch.device) else value


def refuse_mixed(operation: Any, args: Sequence[Any], given: Sequence[torch.Tensor]) -> None:
    """Raise the error that CUDA would."""
    name = operation.overloadpacket.__name__
    is_indexed = name in ("index", "index_put_", "_index_put_impl_")
    if name == "copy_" or (is_indexed and isinstance(args[0], PretendedTensor)):
        return
    others = [one for one in given if not isinstance(one, PretendedTensor) and one.dim() > 0]
    if others:
        shape = tuple(others[0].shape)
        raise RuntimeError(f"{operation} met a tensor {shape} that is not on the device")


class PretendedAccelerator(CPUAccelerator):
    """Lightning's word for the device."""

    def setup_device(self, device: torch.device) -> None:
        pass

    @staticmethod
    def parse_devices(devices: Any) -> int:
        return int(devices)

    @staticmethod
    def get_parallel_devices(devices: int | str) -> list[torch.device]:
        return [torch.device(NAME, index) for index in range(int(devices))]

    @staticmethod
    def name() -> str:
        return NAME


class Module(backend_registration._DummyBackendModule):
    """``torch.pretended``."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


_KEPT: list[Any] = []
"""Kernels are there as long as their library is."""


def register() -> None:
    """Make the device known to torch and to Lightning."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, Module())
    library: Any = torch.library
    kernels = library.Library("aten", "IMPL")

    def empty(size: Any, *, dtype: Any = None, memory_format: Any = None, **_: Any) -> Any:
        return PretendedTensor(torch.empty(size, dtype=dtype, memory_format=memory_format))

    def empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> Any:
        return PretendedTensor(torch.empty_strided(size, stride, dtype=dtype))

    kernels.impl("empty.memory_format", empty, "PrivateUse1")
    kernels.impl("empty_strided", empty_strided, "PrivateUse1")
    _KEPT.append(kernels)
    ACCELERATOR_REGISTRY.register(NAME, PretendedAccelerator)


def manifests(folder: Path) -> tuple[Path, Path]:
    """Write chips to train with, and brighter ones to adapt to."""
    target = write_chips(folder / "target", domain="other", brighter_db=2.0)
    return write_chips(folder / "chips"), target


def train_there(case: str, folder: Path) -> None:
    """Train on the device: once as it is, and once halted in the second epoch and gone on with."""
    chips, other = map(read_manifest, manifests(folder))
    target = other if CASES[case].adaptation.methods else None
    run = CASES[case].run.model_copy(update={"accelerator": NAME})
    chosen = CASES[case].model_copy(update={"run": run})
    train(chosen, chips, folder / "whole", target=target)
    former = Run._maybe_save

    def halt(self: Run) -> None:
        former(self)
        if (self.progress.epoch, self.progress.step) == (1, 2):
            raise KeyboardInterrupt

    Run._maybe_save = halt  # type: ignore[method-assign]
    try:
        train(chosen, chips, folder / "halted", target=target)
    except KeyboardInterrupt:
        Run._maybe_save = former  # type: ignore[method-assign]
        resume(chips, folder / "halted", target)


if __name__ == "__main__":
    register()
    case = sys.argv[1]
    if case == "mixed":
        torch.ones(2).to(NAME) + torch.ones(2)
    elif case == "export":
        network = torch.nn.Conv2d(2, 2, 1).to(NAME)
        to_onnx(network, 2, 32)
        print(network.weight.device, flush=True)
    else:
        train_there(case, Path(sys.argv[2]))
    os._exit(0)
