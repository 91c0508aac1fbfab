"""The one-file model: weights and all that mapping needs, as safetensors.

Opening a bundle runs no code from it: tensors are raw bytes, the rest is checked JSON. Nor does it
load torch, whose import takes longer than a small map: only the weights need it.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open

from sarwater.datasets.records import check_names
from sarwater.errors import ModelError
from sarwater.files import atomic_path, read_refusal
from sarwater.models.architecture import Architecture
from sarwater.normalize import BandStatistics, Normalization, Normalizer
from sarwater.types import Units
from sarwater.units import can_convert

if TYPE_CHECKING:
    from torch import Tensor

    from sarwater.models.segmenter import Segmenter

_KEY = "sarwater"
_FORMAT = 1

_LARGEST = 8192
"""Side in pixels of a window; larger ones are a damaged description."""


class ModelInfo(BaseModel):
    """What a model knows of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    format: int = _FORMAT
    """Version of this description."""
    version: str
    """Version of sarwater that trained the model."""
    classes: tuple[str, ...] = Field(min_length=2)
    """Names; the first is the background."""
    bands: tuple[str, ...] = Field(min_length=1)
    """Names, in the order that the network takes them."""
    units: Units
    """What the image's values measure before normalization."""
    normalization: Normalizer
    """How values are normalized."""
    patch_size: int = Field(ge=16, le=_LARGEST)
    """Side in pixels of the patches that the network was trained on."""
    window: int | None = Field(None, ge=16, le=_LARGEST)
    """Side in pixels of the windows that images are predicted by; ``patch_size`` if None."""
    architecture: Architecture
    """The network."""
    threshold: float = Field(0.5, ge=0, le=1)
    """Foreground probability from which a pixel is mapped as foreground."""
    threshold_criterion: str = "none: not tuned"
    """How and on what the threshold was chosen."""
    scene_threshold: bool = False
    """Whether each scene had better choose its own, near this one: `map` then lets it."""
    seed_margin: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Log-odds by which water must have surer water beside it; 0 asks for none."""
    pixel_size: float | None = Field(None, gt=0)
    """Side in metres that scenes had better have, as the training data; None where unknown."""
    decibel_statistics: BandStatistics | None = None
    """Mean and deviation in dB by which calibrated scenes (dB, linear power) are normalized by a
    model whose training data had no calibration; None: such scenes are refused."""
    scores: dict[str, Any] = {}
    """Validation scores of the chosen checkpoint."""
    data: dict[str, Any] = {}
    """What it was trained on: domains, chips, a hash of the manifest."""
    card: str = ""
    """What a user should know of it, as Markdown: data, scores, where it fails."""

    @property
    def window_size(self) -> int:
        """Side in pixels of the windows that images are predicted by."""
        return self.patch_size if self.window is None else self.window

    def for_units(self, *units: Units) -> "ModelInfo":
        """Return the description of the model as it takes values in these units.

        A model without a calibration that knows ``decibel_statistics`` takes what converts to dB
        in dB, normalized by those; every other model stays as it is.
        """
        known = self.decibel_statistics
        fits = all(can_convert(one, self.units) for one in units)
        if known is None or fits or not all(can_convert(one, Units.DB) for one in units):
            return self
        normalization = Normalizer(Normalization.DATASET, Units.DB, known)
        return self.model_copy(update={"units": Units.DB, "normalization": normalization})

    def misfits(self, bands: Sequence[str], units: Units) -> list[str]:
        """List why an image cannot be given to the model: its bands by name, units.

        Args:
            bands: names of the image's bands.
            units: what the image's values measure.
        """
        there = {band.lower() for band in bands}
        missing = [band for band in self.bands if band.lower() not in there]
        problems = []
        if missing:
            problems.append(
                f"the model needs the bands {', '.join(self.bands)} but {', '.join(missing)} "
                f"{'is' if len(missing) == 1 else 'are'} not among those found: "
                f"{', '.join(bands)}; name the image's bands in their order, or take a model of "
                "these bands"
            )
        if not can_convert(units, self.units):
            problems.append(
                f"the model was trained on values in units '{self.units.value}', these are "
                f"'{units.value}', and one cannot be computed from the other without the sensor's "
                "calibration; declare the units if they were mistaken, calibrate the image, or "
                "pass --accept-units with --normalization domain"
            )
        return problems

    @model_validator(mode="after")
    def _names(self) -> "ModelInfo":
        check_names("bands", self.bands)
        check_names("classes", self.classes)
        return self

    @model_validator(mode="after")
    def _numbers(self) -> "ModelInfo":
        known = {
            "normalization.statistics": self.normalization.statistics,
            "decibel_statistics": self.decibel_statistics,
        }
        for name, statistics in known.items():
            if statistics is not None:
                _check_statistics(name, statistics, len(self.bands))
        low, high = self.normalization.value_range or (0, 1)
        if not -math.inf < low < high < math.inf:
            raise ValueError(f"normalization.value_range: expected low < high, found {low}, {high}")
        return self


def _check_statistics(name: str, found: BandStatistics, bands: int) -> None:
    if not len(found.mean) == len(found.std) == bands:
        raise ValueError(
            f"{name}: {len(found.mean)} means and {len(found.std)} deviations of {bands} bands"
        )
    if not all(map(math.isfinite, (*found.mean, *found.std))) or min(found.std) < 0:
        raise ValueError(
            f"{name}: expected finite means, and finite deviations of 0 or more, found "
            f"{found.mean} and {found.std}"
        )


class StoredWeights(Mapping[str, "Tensor"]):
    """The weights in a file that was read, made tensors when they are first asked for."""

    def __init__(self, content: bytes) -> None:
        """Keep the content of a safetensors file."""
        self._content = content
        self.hash = hashlib.sha256(content).hexdigest()
        """SHA-256 of the file."""

    @cached_property
    def _tensors(self) -> "dict[str, Tensor]":
        from safetensors.torch import load

        return load(self._content)

    def __getitem__(self, name: str) -> "Tensor":
        """Return the tensor of that name."""
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._tensors)

    def __len__(self) -> int:
        """Return how many tensors there are."""
        return len(self._tensors)


@dataclass(frozen=True, eq=False)
class Bundle:
    """A model in memory: its description, its weights, and the hash of the two."""

    info: ModelInfo
    state: "Mapping[str, Tensor]"
    hash: str = ""
    """SHA-256 of the file; empty before it is saved."""
    path: Path | None = None

    def build(self) -> "Segmenter":
        """Build the network with these weights, in evaluation mode.

        Raises:
            ModelError: the weights do not fit the described network.
        """
        from sarwater.models.segmenter import Segmenter

        info = self.info
        network = Segmenter(info.architecture, len(info.bands), len(info.classes))
        try:
            network.load_state_dict(self.state)
        except RuntimeError as error:
            raise ModelError(
                f"the weights in {self.path or 'the bundle'} do not fit the network that it "
                f"describes ({info.architecture.encoder}): {' '.join(str(error).split())[:300]}"
            ) from error
        network.seed_margin = info.seed_margin
        return network.eval()


def save_bundle(path: str | Path, bundle: Bundle, *, overwrite: bool = False) -> str:
    """Write a bundle and return the SHA-256 of the file; equal bundles give equal bytes.

    Raises:
        OutputExistsError: the file exists and ``overwrite`` is false.
    """
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in bundle.state.items()}
    content = save(tensors, metadata={_KEY: bundle.info.model_dump_json()})
    with atomic_path(path, overwrite=overwrite) as aside:
        aside.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def load_bundle(path: str | Path) -> Bundle:
    """Read a bundle.

    Raises:
        ModelError: no such file, one that cannot be read, not safetensors, or not written by
            sarwater.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise ModelError(f"there is no model file {path}; `sarwater train` writes one")
        # By itself safe_open says "no such file" of all that is refused.
        with path.open("rb"), safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
        weights = StoredWeights(path.read_bytes())
    except (SafetensorError, OSError) as error:
        raise ModelError(
            read_refusal(path, error)
            or f"{path} is not a model of sarwater (a .safetensors file): {error}; models of other "
            "kinds are not opened, since opening them could run code"
        ) from error
    if _KEY not in metadata:
        raise ModelError(
            f"{path} holds weights but no description by sarwater; it was not written by "
            "`sarwater train`"
        )
    try:
        description = json.loads(metadata[_KEY])
        if description.get("format", 0) > _FORMAT:
            raise ModelError(
                f"{path} was written by a newer sarwater ({description.get('version')}); update"
            )
        info = ModelInfo.model_validate(description)
    except ValidationError as error:
        found = "; ".join(
            ".".join(map(str, one["loc"])) + f": {one['msg']}" if one["loc"] else one["msg"]
            for one in error.errors()
        )
        raise ModelError(f"the description in {path} is damaged: {found}; train anew") from error
    except (json.JSONDecodeError, AttributeError, TypeError, RecursionError) as error:
        raise ModelError(f"the description in {path} is damaged: {error}; train anew") from error
    return Bundle(info, weights, weights.hash, path)
