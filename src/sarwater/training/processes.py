"""The processes of a run, and what they tell each other; one that is alone sends nothing."""

from dataclasses import astuple
from typing import Any, cast

import torch
from lightning.fabric import Fabric
from lightning.fabric.accelerators import ACCELERATOR_REGISTRY
from lightning.fabric.strategies import STRATEGY_REGISTRY
from lightning.fabric.utilities.exceptions import MisconfigurationException
from torch import Tensor, distributed, nn

from sarwater.config import RunSettings, TrainSettings
from sarwater.errors import ConfigError, DataError, nearest
from sarwater.evaluation.counts import ThresholdCounts
from sarwater.losses.distributed import all_reduce_sum
from sarwater.models.modes import evaluating


def launched_fabric(chosen: RunSettings) -> Fabric:
    """Hand the settings of processes, devices and precision to Lightning as they are, and begin.

    Raises:
        ConfigError: this machine cannot run them.
    """
    try:
        fabric = Fabric(
            accelerator=chosen.accelerator,
            devices=_devices(chosen.devices),
            num_nodes=chosen.num_nodes,
            strategy=chosen.strategy,
            precision=cast(Any, chosen.precision),
        )
        fabric.launch()
    except (ValueError, TypeError, RuntimeError, ImportError, MisconfigurationException) as error:
        raise ConfigError(
            "this machine cannot run what is set under run (accelerator, devices, num_nodes, "
            f"strategy, precision): {error}{_nearest_names(chosen)}"
        ) from error
    return fabric


_PRECISIONS = (
    "32-true", "64-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true", "transformer-engine",
    "transformer-engine-float16",
)  # fmt: skip


def _nearest_names(chosen: RunSettings) -> str:
    """Suggest a name for each that Lightning does not know."""
    known = {
        "accelerator": ["auto", "gpu", *ACCELERATOR_REGISTRY.available_accelerators()],
        "strategy": ["auto", *STRATEGY_REGISTRY.available_strategies()],
        "precision": _PRECISIONS,
    }
    found = {name: str(getattr(chosen, name)) for name in known}
    return "".join(
        f"; {name} '{found[name]}'{nearest(found[name], names)}"
        for name, names in known.items()
        if found[name] not in names and nearest(found[name], names)
    )


def clip_gradients(
    fabric: Fabric, learner: Any, optimizer: Any, settings: TrainSettings, where: str
) -> None:
    """Clip the norm of the gradients as the settings say.

    Args:
        fabric: the processes.
        learner: whose gradients; as set up by ``fabric``.
        optimizer: likewise.
        settings: of the run.
        where: the step, for the message.

    Raises:
        DataError: a gradient is not finite.
    """
    norm = settings.optimization.clip_norm
    if norm is None:
        return
    try:
        fabric.clip_gradients(
            learner,
            optimizer,
            max_norm=norm,
            # Half precision tries scales until one fits, and skips the steps till then.
            error_if_nonfinite=getattr(fabric.strategy.precision, "scaler", None) is None,
        )
    except RuntimeError as error:
        if "non-finite" not in str(error):  # a fault of the device, which shows itself here
            raise
        raise DataError(
            f"the gradient is not finite {where}; lower optimization.learning_rate"
        ) from error


def freeze_unused(network: nn.Module, bands: int) -> None:
    """Freeze the weights that no output depends on; several processes would wait for them.

    Encoders may come with layers of the classifier that they were, which are never called.
    """
    parameters = [one for one in network.parameters() if one.requires_grad]
    with torch.enable_grad(), evaluating(network):
        total = network(torch.zeros(1, bands, 64, 64)).sum()
        found = torch.autograd.grad(total, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, found, strict=True):
        parameter.requires_grad_(gradient is not None)


def gather(fabric: Fabric, tensor: Tensor) -> Tensor:
    """Return a tensor of every process, [process, ...], on the CPU; all shapes must be equal."""
    if fabric.world_size == 1:
        return tensor.cpu()[None]
    gathered = fabric.all_gather(tensor)
    assert isinstance(gathered, Tensor)
    return gathered.cpu()


def agree(fabric: Fabric, due: bool, stop: bool) -> tuple[bool, bool]:
    """Return what all processes do: save where the first one is due, stop where any was asked to.

    A scheduler may tell one process alone, and clocks differ.
    """
    if fabric.world_size == 1:
        return due, stop
    own = torch.tensor([due and fabric.is_global_zero, stop], dtype=torch.int32)
    own = own.to(fabric.device)
    distributed.all_reduce(own, op=distributed.ReduceOp.MAX)
    return bool(own[0]), bool(own[1])


def share_buffers(fabric: Fabric, network: nn.Module) -> None:
    """Give every process the buffers of the first, whose weights are the ones that are kept.

    Running statistics of batch norm differ between processes after a step, since each saw patches
    of its own; validating with them as they are would score networks that nobody saves.
    """
    if fabric.world_size > 1:
        for buffer in network.buffers():
            distributed.broadcast(buffer, src=0)


def sum_counts(fabric: Fabric, counts: ThresholdCounts) -> ThresholdCounts:
    """Add up the counts of all processes."""
    if fabric.world_size == 1:
        return counts
    own = [torch.from_numpy(array).to(fabric.device) for array in astuple(counts)]
    return ThresholdCounts(*(all_reduce_sum(array).cpu().numpy() for array in own))


def _devices(text: int | str) -> Any:
    if isinstance(text, str) and text.lstrip("-").isdigit():
        return int(text)
    return text
