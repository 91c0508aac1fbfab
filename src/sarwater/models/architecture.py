"""What a segmenter is built from; plain data, stored in the model file."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Encoder = str
Rate: TypeAlias = Annotated[int, Field(ge=1)]


class Architecture(BaseModel):
    """A DeepLabV3+ (Chen et al. 2018, arXiv:1802.02611) and its encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    encoder: Encoder = "tu-mobilenetv3_large_100"
    """Any encoder of segmentation-models-pytorch; ``tu-NAME`` is timm's NAME."""
    output_stride: Literal[8, 16] = 16
    """Pixels of the image to one of the deepest features."""
    decoder_channels: int = Field(128, ge=8, le=1024)
    """Channels of the ASPP features and of the decoder."""
    atrous_rates: tuple[Rate, Rate, Rate] = (6, 12, 18)
    """Dilations of the ASPP branches, in pixels of the deepest features; 1 or more."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of ASPP features that are dropped in training."""
    detail_channels: int = Field(16, ge=0, le=256)
    """Channels of the branch at full resolution that sharpens shorelines; 0: none, the logits of
    a quarter of the resolution are interpolated as in the paper."""
