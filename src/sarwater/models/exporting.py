"""Networks and whole models as ONNX, the exchange format that other programs run."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from sarwater.errors import ModelError
from sarwater.models.bundle import Bundle, ModelInfo
from sarwater.models.modes import evaluating
from sarwater.normalization_kinds import Normalization
from sarwater.normalize import FIXED_RANGES, SMALLEST_STD, BandStatistics
from sarwater.quiet import quiet
from sarwater.tiling import default_overlap

_OPSET = 18
"""Version of ONNX's operators."""


class Probabilities(nn.Module):
    """A network whose output is the probability of each class."""

    def __init__(self, network: nn.Module) -> None:
        """Wrap a network that returns logits [b, k, h, w]."""
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return the softmax of the logits over the classes, float32 [b, k, h, w]."""
        logits: Tensor = self.network(image)
        return logits.float().softmax(dim=1)


def to_onnx(network: nn.Module, bands: int, patch_size: int) -> bytes:
    """Return a network as an ONNX model from ``image`` to ``probability``.

    Args:
        network: maps [n, band, row, col] to logits [n, class, row, col]; taken in evaluation mode.
        bands: of the image.
        patch_size: rows and columns of the image, fixed in the model; the number of patches is
            not.

    The network is handed back on its device and in its modes.
    """
    return _to_onnx(Probabilities(network), bands, patch_size, "probability")


def _to_onnx(network: nn.Module, bands: int, patch_size: int, output: str) -> bytes:
    example = torch.zeros(1, bands, patch_size, patch_size)
    with (
        _on_cpu(network),
        tempfile.TemporaryDirectory() as folder,
        # Sizes are constants of the graph on purpose, and the exporter that traces is six times
        # as fast as its successor.
        quiet("Converting a tensor to a Python"),
        quiet(category=DeprecationWarning),
        torch.no_grad(),
        evaluating(network),
    ):
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            network,
            (example,),
            file,
            input_names=["image"],
            output_names=[output],
            dynamic_axes={"image": {0: "patch"}, output: {0: "patch"}},
            opset_version=_OPSET,
            dynamo=False,
        )
        return file.read_bytes()


@contextmanager
def _on_cpu(network: nn.Module) -> Iterator[None]:
    device = next((one.device for one in network.parameters()), torch.device("cpu"))
    network.cpu()
    try:
        yield
    finally:
        network.to(device)


class Decision(nn.Module):
    """A whole model: from the image's values to what tells its classes by one threshold.

    A model of two classes returns the probability of water [b, 1, h, w]. One of more returns a
    score of each class [b, k, h, w] whose largest is the class: the background scores 1 where all
    water together is under the threshold and 0 elsewhere, the others their probability.
    """

    def __init__(
        self,
        network: nn.Module,
        info: ModelInfo,
        statistics: BandStatistics | None,
        scale: float,
    ) -> None:
        """Wrap a network.

        Args:
            network: returns logits.
            info: of the model.
            statistics: for its normalization, where that takes those of images.
            scale: what the image was divided by.
        """
        super().__init__()
        self._mean: Tensor
        self._std: Tensor
        self._probabilities = Probabilities(network)
        self._scale, self._threshold = scale, info.threshold
        self._is_patchwise = info.normalization.kind == Normalization.PATCH
        bands = len(info.bands)
        if info.normalization.kind == Normalization.FIXED:
            low, high = info.normalization.value_range or FIXED_RANGES[info.normalization.units]
            mean, std = [(low + high) / 2] * bands, [(high - low) / 2] * bands
            self._range: tuple[float, float] | None = (low, high)
        else:
            mean = list(statistics.mean) if statistics else [0.0] * bands
            std = list(statistics.std) if statistics else [1.0] * bands
            self._range = None
        self.register_buffer("_mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("_std", torch.tensor(std).clamp(min=SMALLEST_STD)[:, None, None])

    def forward(self, image: Tensor) -> Tensor:
        """Return the scores of an image [b, band, h, w].

        A pixel that is not finite in one band has no data, as everywhere in this package; what is
        said of it means nothing.
        """
        values = image * self._scale
        seen = torch.isfinite(values).all(dim=1, keepdim=True)
        values = torch.where(seen, values, torch.zeros_like(values))
        if self._range is not None:
            values = values.clamp(*self._range)
        if self._is_patchwise:
            count = seen.sum(dim=(2, 3), keepdim=True).clamp(min=1)
            mean = values.sum(dim=(2, 3), keepdim=True) / count
            off = torch.where(seen, values - mean, torch.zeros_like(values))
            std = (off.square().sum(dim=(2, 3), keepdim=True) / count).sqrt()
            normalized = off / std.clamp(min=SMALLEST_STD)
        else:
            normalized = (values - self._mean) / self._std
        normalized = torch.where(seen, normalized, torch.zeros_like(normalized))
        probability: Tensor = self._probabilities(normalized)
        if probability.shape[1] == 2:
            return probability[:, 1:]
        land = (probability[:, 1:].sum(dim=1, keepdim=True) < self._threshold).float()
        return torch.cat([land, probability[:, 1:]], dim=1)


DEEPNESS_SCALE = 255.0
"""What QGIS's Deepness divides the values of a layer by."""


def export_bundle(
    bundle: Bundle, statistics: BandStatistics | None = None, *, scale: float = DEEPNESS_SCALE
) -> bytes:
    """Return a whole model as ONNX, with the metadata that QGIS's Deepness plugin reads.

    Normalization is part of it: the image is given as it is, in the model's units and bands,
    divided by ``scale``. See ``Decision`` for the output.

    Args:
        bundle: the model.
        statistics: of the scene or domain that is to be mapped, where the normalization takes them;
            those of the training chips by default.
        scale: what the image is divided by; 1 for nothing.

    Raises:
        ModelError: the normalization needs statistics, and the model knows none.
    """
    info = bundle.info
    kind = info.normalization.kind
    if kind not in (Normalization.FIXED, Normalization.PATCH):
        statistics = statistics or info.normalization.statistics
        if statistics is None:
            raise ModelError(
                f"'{kind.value}' normalization needs the statistics of images, and the model knows "
                "none; name a scene whose statistics are to be part of the export"
            )
    whole = Decision(bundle.build(), info, statistics, scale)
    model = onnx.load_model_from_string(_to_onnx(whole, len(info.bands), info.window_size, "score"))
    for name, text in _metadata(bundle, scale).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, text
    return bytes(model.SerializeToString())


def _metadata(bundle: Bundle, scale: float) -> dict[str, str]:
    """Values are JSON, as Deepness expects them."""
    info = bundle.info
    overlap = round(100 * default_overlap(info.window_size) / info.window_size)
    known = {
        "model_type": "Segmentor",
        "class_names": {str(index): name for index, name in enumerate(info.classes)},
        "tile_size": info.window_size,
        "tiles_overlap": overlap,
        # More than two classes are decided within the model.
        "seg_thresh": info.threshold if len(info.classes) == 2 else 0.0,
        "seg_small_segment": 0,
        "sarwater": {
            "version": info.version,
            "model_sha256": bundle.hash,
            "bands": info.bands,
            "units": info.units.value,
            "values_divided_by": scale,
            "threshold": info.threshold,
            "threshold_criterion": info.threshold_criterion,
        },
    }
    if info.pixel_size is not None:
        known["resolution"] = round(info.pixel_size * 100, 3)  # centimetres a pixel
    return {name: json.dumps(value) for name, value in known.items()}
