import pickle
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sarwater.errors import ModelError
from sarwater.models.pretrained import load_encoder_weights
from tests.training.test_checkpoint import Touch

NAME = "mobilenetv3_small_050"
FIRST = "conv_stem.weight"
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def weights() -> State:
    """Weights as timm has them, the classification head included, for three bands."""
    torch.manual_seed(1)
    model = timm.create_model(NAME, in_chans=3)
    state = model.state_dict()
    random = torch.Generator().manual_seed(3)
    for tensor in state.values():
        if tensor.is_floating_point():
            tensor.add_(torch.rand(tensor.shape, generator=random))
    return {name: tensor.clone() for name, tensor in state.items()}


def encoder(bands: int = 3, name: str = f"tu-{NAME}") -> nn.Module:
    torch.manual_seed(7)
    made: nn.Module = smp.encoders.get_encoder(
        name, in_channels=bands, weights=None, output_stride=16
    )
    return made


def assert_loaded(found: nn.Module, weights: State, *, but_first: bool = False) -> None:
    state = {name.removeprefix("model."): value for name, value in found.state_dict().items()}
    assert len(state) > 100
    for name, value in state.items():
        if not (but_first and name == FIRST):
            assert torch.equal(value, weights[name]), name


def save(state: Any, path: Path) -> str:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return str(path)


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "model.",
        "encoder.",
        "backbone.",
        "module.",
        "model.backbone.",
        "module.model.",
        "model.encoder.",
        "encoder.model.",
        "module.encoder.module.",
    ],
)
def test_prefixes_do_not_matter(prefix: str, weights: State, tmp_path: Path) -> None:
    own = encoder()
    renamed = {prefix + name: value for name, value in weights.items()}
    text = load_encoder_weights(own, save(renamed, tmp_path / "w.safetensors"))
    assert_loaded(own, weights)
    floats = sum(value.is_floating_point() for value in own.state_dict().values())
    assert text.startswith(f"{floats} of {floats} encoder weights from ")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "args": {"lr": 0.1}},
    ],
)
def test_state_dicts_of_torch(wrap: Callable[[State], Any], weights: State, tmp_path: Path) -> None:
    own = encoder()
    load_encoder_weights(own, save(wrap(weights), tmp_path / "w.pth"))
    assert_loaded(own, weights)


@pytest.mark.parametrize("bands", [1, 2, 5])
def test_another_number_of_bands_answers_equal_bands_alike(
    bands: int, weights: State, tmp_path: Path
) -> None:
    own = encoder(bands)
    load_encoder_weights(own, save(weights, tmp_path / "w.safetensors"))
    assert_loaded(own, weights, but_first=True)
    kernel = own.state_dict()[f"model.{FIRST}"]
    assert kernel.shape[1] == bands
    band = torch.randn(1, 1, 16, 16)
    expected = nn.functional.conv2d(band.repeat(1, 3, 1, 1), weights[FIRST])
    found = nn.functional.conv2d(band.repeat(1, bands, 1, 1), kernel)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_only_the_first_kernel_is_fitted_to_other_inputs(weights: State, tmp_path: Path) -> None:
    own = encoder()
    name = "blocks.1.0.conv_pw.weight"
    wide = torch.cat([weights[name], weights[name]], dim=1)
    before = {key: value.clone() for key, value in own.state_dict().items()}
    source = save({**weights, name: wide}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=rf"\(not {re.escape(name)}\)"):
        load_encoder_weights(own, source)
    assert all(torch.equal(value, before[key]) for key, value in own.state_dict().items())


def test_weights_of_another_network_are_refused_and_nothing_is_loaded(
    weights: State, tmp_path: Path
) -> None:
    own = encoder(name="tu-lcnet_035")
    before = {name: value.clone() for name, value in own.state_dict().items()}
    source = save(weights, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"fits only \d+ of the encoder's \d+ weights"):
        load_encoder_weights(own, source)
    after = own.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_weights_of_a_smaller_network_of_the_same_kind_are_refused(tmp_path: Path) -> None:
    """All of them fit: the names of a ResNet-18 are those of the first blocks of a ResNet-34."""
    small, large = encoder(name="resnet18"), encoder(name="resnet34")
    source = save(small.state_dict(), tmp_path / "w.pth")
    message = (
        r"fits only 100 of the encoder's 180 weights \(not layer1\.2\.conv1\.weight, .*, \.\.\.\)"
    )
    with pytest.raises(ModelError, match=message):
        load_encoder_weights(large, source)
    wide = save(large.state_dict(), tmp_path / "l.pth")
    assert "has 96 more that the encoder does not have" in load_encoder_weights(small, wide)


def test_layers_of_a_classifier_and_counters_may_be_missing(tmp_path: Path) -> None:
    torch.manual_seed(2)
    given, own = encoder(name="efficientnet-b0"), encoder(name="efficientnet-b0")
    with torch.no_grad():
        for value in given.state_dict().values():
            value += 1
    heads = ("_conv_head.", "_bn1.")
    state = {
        name: value
        for name, value in given.state_dict().items()
        if not name.startswith(heads) and not name.endswith("num_batches_tracked")
    }
    load_encoder_weights(own, save(state, tmp_path / "w.pth"))
    for name, value in state.items():
        assert torch.equal(own.state_dict()[name], value), name


@pytest.mark.parametrize("content", [torch.ones(3), [1, 2], 3, {"state_dict": None}])
def test_files_of_torch_without_a_state_dict(content: Any, tmp_path: Path) -> None:
    source = save(content, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="expected a state dict"):
        load_encoder_weights(encoder(), source)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_damaged_files(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x07" * 50)
    with pytest.raises(ModelError, match=name):
        load_encoder_weights(encoder(), str(path))


@pytest.mark.parametrize("by_torch", [True, False])
def test_code_in_a_file_is_never_run(by_torch: bool, tmp_path: Path) -> None:
    path, made = tmp_path / "w.pth", tmp_path / "made"
    content = {"state_dict": {FIRST: Touch(made)}}
    if by_torch:
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    with pytest.raises(ModelError, match="could run code"):
        load_encoder_weights(encoder(), str(path))
    assert not made.exists()


@pytest.mark.parametrize("source", ["imagenet", "no/such/file.pth", "no.safetensors"])
def test_no_such_file_or_name(source: str) -> None:
    with pytest.raises(ModelError, match=f"no encoder weights '{source}': expected"):
        load_encoder_weights(encoder(), source)


def test_torchgeo_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchgeo", None)
    monkeypatch.setitem(sys.modules, "torchgeo.models", None)
    with pytest.raises(ModelError, match="not installed: pip install torchgeo"):
        load_encoder_weights(encoder(), "ResNet50_Weights.SENTINEL1_GRD_MOCO")


@pytest.fixture
def torchgeo(monkeypatch: pytest.MonkeyPatch, weights: State) -> None:
    """A stand-in with the two functions of TorchGeo that are used."""

    class Weights:
        def get_state_dict(self, *, progress: bool) -> State:
            assert isinstance(progress, bool)
            return weights

    def get_weight(name: str) -> Weights:
        if name != "Small_Weights.SENTINEL1":
            raise ValueError(f"unknown weight {name}")
        return Weights()

    models = ModuleType("torchgeo.models")
    models.get_weight = get_weight  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchgeo", ModuleType("torchgeo"))
    monkeypatch.setitem(sys.modules, "torchgeo.models", models)


@pytest.mark.usefixtures("torchgeo")
def test_weights_by_torchgeos_name(weights: State) -> None:
    own = encoder(2)
    text = load_encoder_weights(own, "Small_Weights.SENTINEL1")
    assert_loaded(own, weights, but_first=True)
    assert text.endswith("from Small_Weights.SENTINEL1")


@pytest.mark.usefixtures("torchgeo")
def test_a_name_that_torchgeo_does_not_know() -> None:
    with pytest.raises(ModelError, match=r"TorchGeo has no weights 'Big_Weights\.X'"):
        load_encoder_weights(encoder(), "Big_Weights.X")
