"""Networks are handed back as they were given, also where the work on them fails."""

from collections.abc import Callable, Iterable

import pytest
import torch
from torch import Tensor, nn

from sarwater.adaptation.batch_norm import reestimate_batch_norm
from sarwater.models.exporting import to_onnx
from sarwater.models.modes import evaluating
from sarwater.training.processes import freeze_unused


class Failing(nn.Module):
    """Trains, but for its frozen batch norm; fails in the middle of its work."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 2, 1)
        self.frozen = nn.BatchNorm2d(2).eval()
        self.seen: list[bool] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen = [module.training for module in self.modules()]
        self.frozen(self.first(image))
        raise ValueError("no")


def reestimate(network: nn.Module) -> None:
    batches: Iterable[Tensor] = [torch.zeros(2, 2, 4, 4)]
    reestimate_batch_norm(network, batches)


@pytest.mark.parametrize(
    "work", [lambda net: to_onnx(net, 2, 32), lambda net: freeze_unused(net, 2), reestimate]
)
def test_modes_are_as_before_where_the_work_fails(work: Callable[[nn.Module], None]) -> None:
    network = Failing()
    with pytest.raises(ValueError, match="no"):
        work(network)
    assert network.seen[:2] == [False, False]  # the network and its convolution
    assert [module.training for module in network.modules()] == [True, True, False]


def test_every_module_gets_its_own_mode_back() -> None:
    network = Failing().eval()
    network.first.train()
    with evaluating(network):
        assert not any(module.training for module in network.modules())
    assert [module.training for module in network.modules()] == [False, True, False]
