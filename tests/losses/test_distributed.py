from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel

from sarwater.losses.distributed import all_reduce_sum
from sarwater.losses.functional import identity
from sarwater.losses.modules import WeightedSum, build_loss
from sarwater.losses.terms import (
    BalancedCrossEntropyTerm,
    CrossEntropyTerm,
    DiceTerm,
    FocalTerm,
    FocalTverskyTerm,
    JaccardTerm,
    LossTerm,
    TverskyTerm,
)

TERMS: dict[str, list[LossTerm]] = {
    "ce": [CrossEntropyTerm()],
    "ce weighted": [CrossEntropyTerm(class_weights=(1.0, 8.0))],
    "balanced": [BalancedCrossEntropyTerm(alpha=0.8)],
    "focal": [FocalTerm(alpha=0.25)],
    "dice": [DiceTerm()],
    "jaccard": [JaccardTerm()],
    "tversky": [TverskyTerm()],
    "tversky per patch": [TverskyTerm(per_patch=True)],
    "focal tversky": [FocalTverskyTerm()],
    "focal tversky per patch": [FocalTverskyTerm(per_patch=True)],
    "sum": [CrossEntropyTerm(), DiceTerm(weight=0.5), FocalTverskyTerm(weight=2.0)],
}
PROCESSES = 2


class Both(nn.Module):
    """Network and loss in one, so that learned weights are averaged as well."""

    def __init__(self, loss: WeightedSum) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.GELU(), nn.Conv2d(4, 2, 3, padding=1)
        )
        self.loss = loss
        self.double()

    def forward(self, image: Tensor, target: Tensor) -> Tensor:
        total: Tensor = self.loss(self.network(image), target).total
        return total


def joint_batch(dry: bool) -> tuple[Tensor, Tensor]:
    """Four patches: much water and few valid pixels in the first two, none in the others."""
    rng = np.random.default_rng(3)
    target = np.zeros((4, 9, 8), dtype=np.uint8)
    target[:2] = rng.random((2, 9, 8)) < 0.6
    target[:2][rng.random((2, 9, 8)) < 0.7] = 255
    target[3, :4] = 255
    if dry:
        target[2:] = 255  # one process without any valid pixel
    return torch.from_numpy(rng.normal(size=(4, 2, 9, 8))), torch.from_numpy(target)


def gradients(module: nn.Module, image: Tensor, target: Tensor) -> dict[str, Any]:
    total = module(image, target)
    total.backward()
    plain = module.module if isinstance(module, DistributedDataParallel) else module
    assert isinstance(plain, Both)
    parts = [p.grad.flatten() for p in plain.parameters() if p.grad is not None]
    return {"loss": total.item(), "gradient": torch.cat(parts).numpy()}


def turned(rank: int) -> tuple[Any, Any]:
    """Sum of statistics that lie in rows here and in columns there; so does what weighs them."""

    def laid(values: Tensor) -> Tensor:
        return values.T.contiguous().T if rank else values

    numbers = torch.arange(6.0).view(3, 2)
    statistics = laid(numbers * (rank + 1)).requires_grad_()
    assert statistics.is_contiguous() == (rank == 0)
    total = all_reduce_sum(statistics)
    (gradient,) = torch.autograd.grad(total, statistics, laid(numbers + rank))
    return total.detach().numpy(), gradient.numpy()


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=PROCESSES
    )
    results = {}
    for name, terms in TERMS.items():
        for learned in (False, True):
            for dry in (False, True):
                image, target = (t[2 * rank : 2 * rank + 2] for t in joint_batch(dry))
                module = DistributedDataParallel(Both(build_loss(terms, all_reduce_sum, learned)))
                found = gradients(module, image, target)
                results[f"{name} {learned} {dry} loss"] = found["loss"]
                results[f"{name} {learned} {dry} gradient"] = found["gradient"]
    results["turned"], results["turned gradient"] = turned(rank)
    np.savez(Path(folder) / f"{rank}.npz", **results)
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("processes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GLOO_SOCKET_IFNAME", "lo")
        spawn(work, args=(str(folder),), nprocs=PROCESSES)  # type: ignore[no-untyped-call]
    return [dict(np.load(folder / f"{rank}.npz")) for rank in range(PROCESSES)]


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize("name", TERMS)
def test_two_processes_have_the_gradient_of_one(
    name: str, learned: bool, dry: bool, found: list[dict[str, Any]]
) -> None:
    module = Both(build_loss(TERMS[name], identity, learned))
    expected = gradients(module, *joint_batch(dry))
    assert np.abs(expected["gradient"]).max() > 1e-4
    for results in found:
        key = f"{name} {learned} {dry}"
        np.testing.assert_allclose(results[f"{key} loss"], expected["loss"], atol=1e-12)
        np.testing.assert_allclose(
            results[f"{key} gradient"], expected["gradient"], rtol=1e-6, atol=1e-9
        )


def test_processes_need_not_lay_statistics_out_alike(found: list[dict[str, Any]]) -> None:
    numbers = np.arange(6.0).reshape(3, 2)
    for results in found:
        np.testing.assert_array_equal(results["turned"], 3 * numbers)
        np.testing.assert_array_equal(results["turned gradient"], 2 * numbers + 1)


def test_one_process_is_left_alone() -> None:
    tensor = torch.ones(3, requires_grad=True)
    assert all_reduce_sum(tensor) is tensor
