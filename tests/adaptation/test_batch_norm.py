"""Re-estimated batch norm against NumPy, and what must not change."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sarwater.adaptation.batch_norm import reestimate_batch_norm
from sarwater.errors import DataError, ModelError


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 3, 3),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv2d(3, 2, 1),
        nn.BatchNorm2d(2),
    )


def statistics(layer: nn.Module) -> tuple[Any, Any]:
    """Running mean and variance of a batch norm layer."""
    assert isinstance(layer, nn.BatchNorm2d)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    return layer.running_mean.numpy(), layer.running_var.numpy()


def batches(gain: float = 1.0, offset: float = 0.0) -> list[Tensor]:
    """Batches of unequal size that lie apart."""
    random = np.random.default_rng(0)
    drawn = [random.normal(mean, 1, (n, 2, 9, 8)) for mean, n in ((0, 4), (3, 2), (-5, 7))]
    return [torch.from_numpy(gain * values + offset).float() for values in drawn]


def test_the_statistics_are_those_of_all_inputs_together() -> None:
    found = network()
    reestimate_batch_norm(found, batches())
    inputs = found[0](torch.cat(batches())).detach().double().numpy()
    mean, var = statistics(found[1])
    np.testing.assert_allclose(mean, inputs.mean(axis=(0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(var, inputs.var(axis=(0, 2, 3), ddof=1), rtol=1e-5)


def test_deeper_layers_see_inputs_normalized_by_batch() -> None:
    found = network()
    reestimate_batch_norm(found, batches())
    values = []
    for batch in batches():
        x = found[0](batch).detach().double()
        mean, var = (
            x.mean(dim=(0, 2, 3), keepdim=True),
            x.var(dim=(0, 2, 3), keepdim=True, correction=0),
        )
        values.append(found[4](torch.relu((x - mean) / torch.sqrt(var + 1e-5)).float()).detach())
    inputs = np.concatenate([v.double().numpy() for v in values])
    kept_mean, kept_var = statistics(found[5])
    np.testing.assert_allclose(kept_mean, inputs.mean(axis=(0, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(kept_var, inputs.var(axis=(0, 2, 3), ddof=1), rtol=1e-4)


def test_a_gain_and_an_offset_of_the_sensor_no_longer_matter() -> None:
    one, other = network(), network()
    reestimate_batch_norm(one, batches())
    reestimate_batch_norm(other, batches(gain=1.7, offset=2.0))
    x, y = batches()[0], batches(gain=1.7, offset=2.0)[0]
    torch.testing.assert_close(one.eval()(x), other.eval()(y), rtol=1e-3, atol=1e-3)
    assert float((network().eval()(x) - network().eval()(y)).detach().abs().max()) > 0.1


@pytest.mark.parametrize("training", [True, False])
def test_nothing_but_the_statistics_changes(training: bool) -> None:
    found = network().train(training)
    before = {name: tensor.clone() for name, tensor in found.state_dict().items()}
    reestimate_batch_norm(found, batches())
    assert set(found.state_dict()) == set(before)
    changed = {n for n, t in found.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {f"{i}.running_{what}" for i in (1, 5) for what in ("mean", "var")}
    assert all(module.training == training for module in found.modules())
    assert found[1].momentum == 0.1


def test_once_more_on_the_same_data_changes_nothing() -> None:
    found = network()
    reestimate_batch_norm(found, batches())
    before = {name: tensor.clone() for name, tensor in found.state_dict().items()}
    reestimate_batch_norm(found, batches())
    torch.testing.assert_close(dict(found.state_dict()), before)


def test_a_network_without_batch_norm_is_refused() -> None:
    with pytest.raises(ModelError, match="no batch normalization"):
        reestimate_batch_norm(nn.Conv2d(2, 2, 1), batches())


@pytest.mark.parametrize("training", [True, False])
def test_an_error_between_batches_leaves_the_network_as_it_is(training: bool) -> None:
    found = network().train(training)
    before = {name: tensor.clone() for name, tensor in found.state_dict().items()}

    def breaking() -> Iterator[Tensor]:
        yield batches()[1]
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        reestimate_batch_norm(found, breaking())
    after = found.state_dict()
    assert set(after) == set(before)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(module.training == training for module in found.modules())
    assert found[1].momentum == 0.1


def test_no_data_leaves_the_network_as_it_is() -> None:
    found = network()
    with pytest.raises(DataError, match="every pixel is no data"):
        reestimate_batch_norm(found, [])
    assert statistics(found[1])[1].tolist() == [1, 1, 1]
