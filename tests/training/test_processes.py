"""What a run hands to Lightning, and what it makes of its answers."""

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sarwater.config import RunSettings
from sarwater.errors import ConfigError, DataError
from sarwater.models.architecture import Architecture
from sarwater.models.segmenter import Segmenter
from sarwater.ranks import is_first_process
from sarwater.training.processes import (
    agree,
    clip_gradients,
    freeze_unused,
    launched_fabric,
    share_buffers,
)
from tests.training.lakes import settings


@pytest.mark.parametrize(
    ("encoder", "frozen"),
    [
        ("efficientnet-b0", {"_conv_head.weight", "_bn1.weight", "_bn1.bias"}),
        ("mobilenet_v2", set()),
    ],
)
def test_layers_that_nothing_comes_from_are_frozen(encoder: str, frozen: set[str]) -> None:
    """Several processes would wait for their gradients forever."""
    network = Segmenter(Architecture(encoder=encoder), 2, 2).train()
    network.encoder.eval()
    freeze_unused(network, 2)
    found = {name for name, one in network.named_parameters() if not one.requires_grad}
    assert found == {f"encoder.{name}" for name in frozen}
    assert network.training
    assert not network.encoder.training
    network.train()(torch.randn(2, 2, 64, 64)).sum().backward()
    assert all(one.grad is not None for one in network.parameters() if one.requires_grad)


class Clipping:
    """A Lightning whose gradients cannot be clipped, for some reason."""

    def __init__(self, words: str = "", scaler: object = None) -> None:
        self.strategy = SimpleNamespace(precision=SimpleNamespace(scaler=scaler))
        self.words = words
        self.asked: dict[str, Any] = {}

    def clip_gradients(self, *_: object, **asked: Any) -> None:
        self.asked = asked
        if self.words:
            raise RuntimeError(self.words)


def clipped(fabric: Clipping) -> None:
    one: Any = fabric
    clip_gradients(one, None, None, settings(), "in step 3")


def test_only_gradients_that_are_not_finite_are_called_so() -> None:
    words = "The total norm of order 2.0 for gradients from `parameters` is non-finite, so ..."
    with pytest.raises(DataError, match=r"not finite in step 3; lower optimization\.learning_rate"):
        clipped(Clipping(words))
    with pytest.raises(RuntimeError, match="illegal memory access"):
        clipped(Clipping("CUDA error: an illegal memory access was encountered"))


@pytest.mark.parametrize("scaler", [None, object()])
def test_a_scaler_may_find_gradients_too_large(scaler: object) -> None:
    """However half precision was asked for: Lightning calls it 16, 16-mixed and more."""
    fabric = Clipping(scaler=scaler)
    clipped(fabric)
    assert fabric.asked["error_if_nonfinite"] == (scaler is None)


def test_a_strategy_that_cannot_begin_is_named() -> None:
    with pytest.raises(ConfigError, match="this machine cannot run what is set under run"):
        launched_fabric(RunSettings(accelerator="cpu", devices=2, strategy="ddp_spawn"))


@pytest.mark.parametrize("name", ["LOCAL_RANK", "SLURM_PROCID", "RANK", "NODE_RANK", "GROUP_RANK"])
def test_one_of_all_processes_is_the_first(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_first_process()
    monkeypatch.setenv(name, "1")
    assert not is_first_process()


def test_averages_of_half_precision_are_refused_beforehand() -> None:
    with pytest.raises(
        ConfigError, match=r"run: precision 16-true cannot hold the averaged weights"
    ):
        settings(optimization={"average_decay": 0.9}, run={"precision": "16-true"})


def one_of_two(rank: int, port: int, out: str) -> None:
    """Say what a process does and has, when it has met the other one."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    fabric: Any = SimpleNamespace(
        world_size=2, is_global_zero=rank == 0, device=torch.device("cpu")
    )
    network = torch.nn.BatchNorm1d(2)
    for value in (*network.parameters(), *network.buffers()):
        value.data.fill_(rank + 5)
    share_buffers(fabric, network)
    # (due, stop) of each process.
    cases = [
        ((0, 0), (0, 0)),
        ((1, 0), (0, 0)),
        ((0, 0), (1, 0)),
        ((0, 1), (0, 0)),
        ((0, 0), (0, 1)),
    ]
    agreed = [agree(fabric, *map(bool, case[rank])) for case in cases]
    state = {name: value.clone() for name, value in network.state_dict().items()}
    torch.save({"agreed": agreed, "state": state}, f"{out}{rank}")
    torch.distributed.destroy_process_group()


def test_two_processes_do_the_same_and_validate_with_the_statistics_of_the_first(
    tmp_path: Path,
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    out = str(tmp_path / "found")
    torch.multiprocessing.spawn(one_of_two, (port, out), nprocs=2)  # type: ignore[attr-defined,no-untyped-call]
    for rank in range(2):
        found = torch.load(f"{out}{rank}", weights_only=True)
        # The first one's clock says when to save; whichever is asked to stop, both do.
        assert found["agreed"] == [
            (False, False),
            (True, False),
            (False, False),
            (False, True),
            (False, True),
        ]
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            assert set(found["state"][name].flatten().tolist()) == {5}, name
        assert set(found["state"]["weight"].tolist()) == {rank + 5}


def test_one_process_does_what_it_is_asked() -> None:
    fabric: Any = SimpleNamespace(world_size=1)
    for due in (False, True):
        for stop in (False, True):
            assert agree(fabric, due, stop) == (due, stop)
