"""Encoder weights from a local file, or by TorchGeo's names where TorchGeo is installed."""

import importlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sarwater.errors import ModelError
from sarwater.files import read_refusal
from sarwater.models.plain_files import load_plain

_PREFIXES = ("module.", "state_dict.", "backbone.", "encoder.", "model.")
_HEADS = (
    "fc.", "_fc.", "classifier.", "head.", "last_linear.", "conv_head.", "bn2.", "_conv_head.",
    "_bn1.",
)  # fmt: skip
"""Layers of a classifier, which files may lack: no feature passes through them."""

_SHOWN = 3


def load_encoder_weights(encoder: nn.Module, source: str) -> str:
    """Load weights into an encoder, all that it has, and say how many.

    Names are compared without prefixes such as ``backbone.`` or ``module.``. The first
    convolution is fitted to another number of bands by repeating its mean over bands, scaled so
    that the response to equal bands stays the same. Classification heads are left out; counters of
    batches are loaded where they are there.

    Args:
        encoder: of a ``Segmenter``.
        source: a ``.safetensors`` or PyTorch state-dict file, or a name such as
            ``ResNet50_Weights.SENTINEL1_GRD_MOCO`` of TorchGeo.

    Raises:
        ModelError: no such file or name, a file with more than tensors in it (nothing is
            unpickled), or a file without some of the encoder's weights.
    """
    found = _strip(_read(source))
    own = encoder.state_dict()
    names = {_bare(name): name for name in own}
    first = next((name for name, value in own.items() if value.ndim == 4), "")
    fitting: dict[str, Tensor] = {}
    for bare, value in found.items():
        name = names.get(bare)
        if name is None:
            continue
        fitted = _fit(value, own[name], any_bands=name == first)
        if fitted is not None:
            fitting[name] = fitted
    weights = [name for name, value in own.items() if value.is_floating_point()]
    missing = [bare for bare, name in names.items() if name in weights and name not in fitting]
    missing = [bare for bare in missing if not bare.startswith(_HEADS)]
    loaded = sum(name in fitting for name in weights)
    if missing:
        more = ", ..." if len(missing) > _SHOWN else ""
        raise ModelError(
            f"{source} fits only {loaded} of the encoder's {len(weights)} weights (not "
            f"{', '.join(missing[:_SHOWN])}{more}): it is of another network; set model.encoder to "
            "the encoder that it was made for"
        )
    encoder.load_state_dict(fitting, strict=False)
    rest = sum(bare not in names and not bare.startswith(_HEADS) for bare in found)
    unused = f", which has {rest} more that the encoder does not have" if rest else ""
    return f"{loaded} of {len(weights)} encoder weights from {source}{unused}"


def _read(source: str) -> Mapping[str, Tensor]:
    path = Path(source)
    if path.suffix == ".safetensors" and path.is_file():
        try:
            with path.open("rb"):  # load_file says "no such file" of all that is refused
                return load_file(path)
        except (SafetensorError, OSError) as error:
            refused = read_refusal(path, error)
            raise ModelError(refused or f"{path} is no whole .safetensors file: {error}") from error
    if path.is_file():
        content = load_plain(path, "save its state dict as .safetensors")
        for key in ("state_dict", "model"):
            content = content.get(key, content) if isinstance(content, Mapping) else content
        if not isinstance(content, Mapping):
            raise ModelError(f"{path} holds a {type(content).__name__}, expected a state dict")
        return content
    if "Weights." in source:
        return _torchgeo(source)
    raise ModelError(
        f"there are no encoder weights '{source}': expected a .safetensors or .pth file, or a "
        "name of TorchGeo such as ResNet50_Weights.SENTINEL1_GRD_MOCO"
    )


def _torchgeo(name: str) -> Mapping[str, Tensor]:
    try:
        models = importlib.import_module("torchgeo.models")
    except ImportError as error:
        raise ModelError(
            f"'{name}' is a name of TorchGeo, which is not installed: pip install torchgeo, or "
            "give a file"
        ) from error
    try:
        weights = models.get_weight(name)
    except (KeyError, ValueError, AttributeError) as error:
        raise ModelError(f"TorchGeo has no weights '{name}': {error}") from error
    return dict(weights.get_state_dict(progress=True))


def _strip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {_bare(name): value for name, value in state.items() if isinstance(value, Tensor)}


def _bare(name: str) -> str:
    # Prefixes come in any order: "model.encoder.conv1.weight", "module.model.conv1.weight".
    while prefix := next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None):
        name = name.removeprefix(prefix)
    return name


def _fit(value: Tensor, own: Tensor, *, any_bands: bool) -> Tensor | None:
    if value.shape == own.shape:
        return value
    other_bands = value.ndim == 4 == own.ndim and (value.shape[0], *value.shape[2:]) == (
        own.shape[0],
        *own.shape[2:],
    )
    if not (any_bands and other_bands):
        return None
    repeated = value.mean(dim=1, keepdim=True).repeat(1, own.shape[1], 1, 1)
    return repeated * (value.shape[1] / own.shape[1])
