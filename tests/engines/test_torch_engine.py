import numpy as np
import pytest
import torch
from torch import nn

from sarwater.engines.torch_engine import TorchEngine
from sarwater.errors import ConfigError, ModelError
from sarwater.types import FloatArray
from tests.tiny_models import convolution


def patches(count: int = 3, bands: int = 2, side: int = 16) -> FloatArray:
    generator = np.random.default_rng(1)
    return generator.normal(size=(count, bands, side, side)).astype(np.float32)


def test_probabilities_are_the_softmax_of_the_logits() -> None:
    module = convolution(classes=3)
    with torch.no_grad():
        logits = module(torch.from_numpy(patches())).numpy().astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = TorchEngine(module, device="cpu").predict(patches())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, shares, rtol=0, atol=1e-6)


def test_the_network_runs_in_evaluation_mode() -> None:
    module = nn.Sequential(convolution(), nn.BatchNorm2d(2), nn.Dropout(0.9))
    module.train()
    engine = TorchEngine(module, device="cpu")
    first = engine.predict(patches())
    np.testing.assert_array_equal(first, engine.predict(patches()))
    assert not module.training
    batch_norm = module[1]
    assert isinstance(batch_norm, nn.BatchNorm2d)
    assert batch_norm.num_batches_tracked is not None
    assert batch_norm.num_batches_tracked.item() == 0


def test_threads_are_those_of_the_engine_and_of_nothing_else() -> None:
    class Noting(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen.append(torch.get_num_threads())
            return image

    before = torch.get_num_threads()
    seen: list[int] = []
    for threads in (before + 1, None):
        TorchEngine(Noting(), device="cpu", threads=threads).predict(patches())
        assert torch.get_num_threads() == before
    assert seen == [before + 1, before]


def test_a_patch_does_not_depend_on_its_batch() -> None:
    engine = TorchEngine(convolution(), device="cpu")
    together = engine.predict(patches(5))
    alone = np.concatenate([engine.predict(patch[None]) for patch in patches(5)])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)


def test_bfloat16_is_near_and_its_softmax_is_float32() -> None:
    exact = TorchEngine(convolution(), device="cpu").predict(patches())
    rough = TorchEngine(convolution(), device="cpu", precision="bfloat16").predict(patches())
    assert not np.array_equal(exact, rough)
    np.testing.assert_allclose(rough, exact, rtol=0, atol=0.02)
    np.testing.assert_allclose(rough.sum(axis=1), 1, rtol=0, atol=1e-6)


def test_no_gradient_is_kept_and_the_settings_of_torch_stay() -> None:
    before = torch.backends.cudnn.deterministic
    engine = TorchEngine(convolution(), device="cpu")
    engine.predict(patches())
    assert torch.backends.cudnn.deterministic == before
    assert torch.is_grad_enabled()


def test_arrays_that_are_not_contiguous_are_taken() -> None:
    engine = TorchEngine(convolution(), device="cpu")
    turned = patches()[:, :, ::-1, ::2]
    np.testing.assert_array_equal(engine.predict(turned), engine.predict(turned.copy()))


@pytest.mark.parametrize("device", ["cuda:63", "mars", "meta:1x"])
def test_a_device_that_is_not_there_is_named(device: str) -> None:
    with pytest.raises(ConfigError, match=f"device '{device}' cannot be used here"):
        TorchEngine(convolution(), device=device)


def test_auto_takes_a_device_that_works() -> None:
    found = TorchEngine(convolution(), device="auto")
    assert found.device.type in ("cpu", "cuda")
    assert found.predict(patches()).shape == (3, 2, 16, 16)


def test_a_compiled_network_says_the_same() -> None:
    plain = TorchEngine(convolution(), device="cpu")
    compiled = TorchEngine(convolution(), device="cpu", compiled=True)
    assert compiled.name == "torch cpu float32 compiled"
    for count in (3, 1):
        np.testing.assert_allclose(
            compiled.predict(patches(count)), plain.predict(patches(count)), rtol=0, atol=1e-5
        )


def test_a_network_that_cannot_be_compiled_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_graph: object, _inputs: object) -> None:
        raise RuntimeError("no compiler here")

    actual = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda module, dynamic: actual(module, dynamic=dynamic, backend=broken)
    )
    engine = TorchEngine(convolution(), device="cpu", compiled=True)
    with pytest.raises(ModelError, match=r"no compiler here.*leave out --compile"):
        engine.predict(patches())
