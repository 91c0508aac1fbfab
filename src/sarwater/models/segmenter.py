"""The segmentation network: DeepLabV3+ with a branch at full resolution."""

import segmentation_models_pytorch as smp
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sarwater.errors import ModelError, nearest
from sarwater.models.architecture import Architecture

STRIDE = 16
"""Height and width are padded to a multiple of this inside the network."""

SEED_REACH = 2
"""Pixels, in rows and columns, within which a pixel finds its seed: Sentinel-1's ground range
products resolve about 20 m at pixels of 10 m, so that a shore is mixed over two of them."""


class Segmenter(nn.Module):
    """DeepLabV3+ (Chen et al. 2018) that keeps the detail of the image.

    Encoder and decoder are those of segmentation-models-pytorch. Two things differ: the pooled
    branch of the ASPP is normalized over channels, not over the batch, so that a batch of one
    can train; and with ``detail_channels`` the decoder's features (a quarter of the resolution)
    are joined by the encoder's at a half and by shallow ones of the image itself before the last
    convolution, so that the edges of the water follow the image's pixels and not a grid of four.
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
        # timm's and smp's ways to say no, those of networks that take no output stride included.
        except (KeyError, RuntimeError, ValueError, TypeError, AssertionError) as error:
            raise ModelError(
                f"encoder '{architecture.encoder}'{_nearest_encoder(architecture.encoder)} cannot "
                f"be built: {str(error) or 'it has no dilated form'}; take a convolutional one of "
                "segmentation-models-pytorch, or 'tu-NAME' with a NAME of timm"
            ) from error
        self.encoder: nn.Module = base.encoder
        self.decoder: nn.Module = base.decoder
        _normalize_pooled_branch_over_channels(self.decoder)
        channels, detail = architecture.decoder_channels, architecture.detail_channels
        half = base.encoder.out_channels[1]
        self.sharpen = _Sharpen(bands, half, channels, detail) if detail else None
        self.classify = nn.Conv2d(detail or channels, classes, 1)
        self.seed_margin = 0.0
        """Log-odds by which water must have surer water beside it; see ``require_seeds``."""

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [b, k, h, w] of a normalized image [b, c, h, w]."""
        logits = self.logits_and_features(image)[0]
        return require_seeds(logits, self.seed_margin) if self.seed_margin else logits

    def logits_and_features(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits [b, k, h, w] and ASPP features [b, f, h/16, w/16] (or /8) in one pass."""
        height, width = image.shape[-2:]
        padded = _pad(image)
        encoded = self.encoder(padded)
        features = self.decoder.aspp(encoded[-1])  # type: ignore[operator]
        decoded = self._decode(features, encoded[2])
        if self.sharpen is not None:
            decoded = self.sharpen(padded, encoded[1], decoded)
        logits = _resize(self.classify(decoded), padded)
        return logits[..., :height, :width], features

    def _decode(self, features: Tensor, high_resolution: Tensor) -> Tensor:
        skip = self.decoder.block1(high_resolution)  # type: ignore[operator]
        raised = _resize(features, skip)
        return self.decoder.block2(torch.cat([raised, skip], dim=1))  # type: ignore[operator,no-any-return]


def _nearest_encoder(name: str) -> str:
    """Suggest an encoder for a name that there is not."""
    known = [*smp.encoders.get_encoder_names(), *(f"tu-{one}" for one in timm.list_models())]
    return "" if name in known else nearest(name, known)


def require_seeds(logits: Tensor, margin: float) -> Tensor:
    """Let water grow from seeds: it counts as far as surer water lies beside it.

    With the log-odds of water L = ln sum_k>0 exp z_k - z_0, each pixel's become
    min(L, max L - margin), the maximum over the pixels within ``SEED_REACH`` rows and columns. At
    a threshold of log-odds l a pixel is then water where L >= l and where some pixel beside it
    reaches l + margin: look-alikes without a sure core go, shores stay where they are. The
    logits of the foreground classes move alike.

    Args:
        logits: [b, k, h, w], the background first.
        margin: 0 or more; 0 changes nothing.

    References:
        Region growing from a sure core: Matgen et al., Towards an automated SAR-based flood
        monitoring system, Physics and Chemistry of the Earth 36 (2011) 241-252.

    >>> logits = torch.tensor([4.0, 1.0, 1.0, 1.0, 1.0])[None, None, None]
    >>> logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
    >>> require_seeds(logits, 2.0)[0, 1, 0].tolist()
    [2.0, 1.0, 1.0, -1.0, -1.0]
    """
    water = logits[:, 1:].logsumexp(dim=1, keepdim=True) - logits[:, :1]
    surest = F.max_pool2d(water, 2 * SEED_REACH + 1, stride=1, padding=SEED_REACH)
    lowered = (surest - margin - water).clamp(max=0)
    return torch.cat([logits[:, :1], logits[:, 1:] + lowered], dim=1)


class _Sharpen(nn.Module):
    """Raises decoder features to full resolution by way of the encoder's half resolution."""

    def __init__(self, bands: int, half: int, decoded: int, detail: int) -> None:
        super().__init__()
        self.image = nn.Sequential(_convolution(bands, detail), _convolution(detail, detail))
        self.reduce = _convolution(decoded, detail, kernel=1)
        self.join_half = _convolution(detail + half, detail)
        self.join_full = _convolution(2 * detail, detail)

    def forward(self, image: Tensor, half: Tensor, decoded: Tensor) -> Tensor:
        raised = _resize(self.reduce(decoded), half)
        raised = _resize(self.join_half(torch.cat([raised, half], dim=1)), image)
        joined: Tensor = self.join_full(torch.cat([raised, self.image(image)], dim=1))
        return joined


def _convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def _resize(x: Tensor, like: Tensor) -> Tensor:
    if x.shape[-2:] == like.shape[-2:]:
        return x
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
