"""A network as ONNX, the exchange format that other programs run."""

import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

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
    """
    example = torch.zeros(1, bands, patch_size, patch_size)
    was_training = network.training
    wrapped = Probabilities(network.cpu().eval())
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        # Sizes are constants of the graph on purpose, and the exporter that traces is six times
        # as fast as its successor.
        warnings.filterwarnings("ignore", message="Converting a tensor to a Python")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            wrapped,
            (example,),
            file,
            input_names=["image"],
            output_names=["probability"],
            dynamic_axes={"image": {0: "patch"}, "probability": {0: "patch"}},
            opset_version=_OPSET,
            dynamo=False,
        )
        network.train(was_training)
        return file.read_bytes()
