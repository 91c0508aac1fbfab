"""The segmentation network: DeepLabV3+ with a branch at full resolution."""

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sarwater.errors import ModelError
from sarwater.models.architecture import Architecture

STRIDE = 16
"""Height and width are padded to a multiple of this inside the network."""


class Segmenter(nn.Module):
    """DeepLabV3+ (Chen et al. 2018) that keeps the detail of the image.

    Encoder and decoder are those of segmentation-models-pytorch. Two things differ: the pooled
    branch of the ASPP is normalized over channels, not over the batch, so that a batch of one
    can train; and with ``detail_channels`` the decoder's features (a quarter of the resolution)
    are joined by shallow features of the image before the last convolutions, so that the edges of
    the water follow the image's pixels and not a grid of four.
    """

    def __init__(self, architecture: Architecture, bands: int, classes: int) -> None:
        """Build the network with random weights.

        Raises:
            ModelError: there is no such encoder, or it has no dilated form.
        """
        super().__init__()
        try:
            base = smp.DeepLabV3Plus(
                encoder_name=architecture.encoder,
                encoder_weights=None,
                encoder_output_stride=architecture.output_stride,
                decoder_channels=architecture.decoder_channels,
                decoder_atrous_rates=architecture.atrous_rates,
                decoder_aspp_dropout=architecture.dropout,
                in_channels=bands,
                classes=classes,
            )
        except (KeyError, RuntimeError, ValueError) as error:
            raise ModelError(
                f"encoder '{architecture.encoder}' cannot be built: {error}; take one of "
                "segmentation-models-pytorch, or 'tu-NAME' with a NAME of timm"
            ) from error
        self.encoder: nn.Module = base.encoder
        self.decoder: nn.Module = base.decoder
        _normalize_pooled_branch_over_channels(self.decoder)
        channels, detail = architecture.decoder_channels, architecture.detail_channels
        self.detail = _convolution(bands, detail) if detail else None
        self.reduce = _convolution(channels, detail, kernel=1) if detail else None
        self.join = _convolution(2 * detail, 2 * detail) if detail else None
        self.classify = nn.Conv2d(2 * detail if detail else channels, classes, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [b, k, h, w] of a normalized image [b, c, h, w]."""
        return self.logits_and_features(image)[0]

    def logits_and_features(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [b, k, h, w] and ASPP features [b, f, h/16, w/16] (or /8) in one pass."""
        height, width = image.shape[-2:]
        padded = _pad(image)
        encoded = self.encoder(padded)
        features = self.decoder.aspp(encoded[-1])  # type: ignore[operator]
        decoded = self._decode(features, encoded[2])
        if self.detail is None or self.reduce is None or self.join is None:
            logits = _resize(self.classify(decoded), padded)
        else:
            coarse = _resize(self.reduce(decoded), padded)
            logits = self.classify(self.join(torch.cat([coarse, self.detail(padded)], dim=1)))
        return logits[..., :height, :width], features

    def _decode(self, features: Tensor, high_resolution: Tensor) -> Tensor:
        skip = self.decoder.block1(high_resolution)  # type: ignore[operator]
        raised = _resize(features, skip)
        return self.decoder.block2(torch.cat([raised, skip], dim=1))  # type: ignore[operator,no-any-return]


def _convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _resize(x: Tensor, like: Tensor) -> Tensor:
    # Pixel centres, not corners, are aligned: the result does not depend on the patch's size.
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def _pad(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    bottom, right = -height % STRIDE, -width % STRIDE
    return F.pad(image, (0, right, 0, bottom), mode="replicate") if bottom or right else image


def _normalize_pooled_branch_over_channels(decoder: nn.Module) -> None:
    for module in decoder.modules():
        if isinstance(module, nn.Sequential) and isinstance(module[0], nn.AdaptiveAvgPool2d):
            for name, child in module.named_children():
                if isinstance(child, nn.BatchNorm2d):
                    setattr(module, name, nn.GroupNorm(1, child.num_features))
