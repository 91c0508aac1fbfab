"""The settings of a training run: typed, with units and ranges."""

import enum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from sarwater.config.adaptation import AdaptationSettings
from sarwater.config.base import SettingsBase, listed, named, several
from sarwater.losses.terms import CrossEntropyTerm, LossTerm
from sarwater.models.architecture import Architecture
from sarwater.normalization_kinds import Normalization
from sarwater.threshold_criteria import parse_criterion


class DataSettings(SettingsBase):
    """Which chips train and validate."""

    train_split: str = "train"
    """Split of the manifest whose chips train."""
    val_split: str = Field("val", validate_default=True)
    """Split whose chips choose the checkpoint and the threshold; another one than trains."""
    domains: Annotated[tuple[str, ...] | None, BeforeValidator(several)] = None
    """Only chips of these domains; all by default."""
    cache_gb: float = Field(4.0, gt=0)
    """Memory for decoded chips in GiB; chips beyond it are read again each time."""

    @field_validator("val_split")
    @classmethod
    def _is_another(cls, value: str, others: ValidationInfo) -> str:
        if value == others.data.get("train_split"):
            raise ValueError(
                f"'{value}' is the split that trains: a threshold chosen on chips that are known "
                "is too good to be true; name another (`sarwater split` makes one)"
            )
        return value


class NormalizationSettings(SettingsBase):
    """How backscatter is normalized."""

    kind: Normalization = Normalization.DATASET
    """fixed range, or statistics of the data set, the domain, the scene or each patch."""
    value_range: tuple[float, float] | None = None
    """For fixed: values that become -1 and 1; by default those usual for the units."""

    @field_validator("value_range")
    @classmethod
    def _is_used_and_rises(
        cls, value: tuple[float, float] | None, others: ValidationInfo
    ) -> tuple[float, float] | None:
        if value is None:
            return value
        if not value[0] < value[1]:
            raise ValueError(f"expected the lower value first, found {value[0]:g}, {value[1]:g}")
        kind = others.data.get("kind", Normalization.FIXED)
        if kind != Normalization.FIXED:
            raise ValueError(
                f"only kind fixed has a range, and kind is {kind.value}: set normalization.kind "
                "to fixed, or leave the range out"
            )
        return value


class Strategy(enum.StrEnum):
    """How patches are chosen."""

    GRID = "grid"
    """Each place of a regular grid at most once an epoch, in random order; those that do not fill
    the last batch are left out."""
    UNIFORM = "uniform"
    """Anywhere at random; the borders of a chip more often than its middle."""
    STRATIFIED = "stratified"
    """Each bin of the ratio of background to water equally often."""
    SHORELINE = "shoreline"
    """In proportion to the length of shoreline in the patch."""
    HARD = "hard"
    """In proportion to the patch's recent loss."""


class PatchSettings(SettingsBase):
    """Which patches the network is shown."""

    size: int = Field(256, ge=32, le=2048, multiple_of=16)
    """Side in pixels; a multiple of 16."""
    strategy: Strategy = Strategy.GRID
    """How patches are chosen."""
    per_epoch: int | None = Field(None, ge=1)
    """Patches an epoch; by default as many as a regular grid has."""
    max_nodata: float = Field(0.9, ge=0, lt=1)
    """Patches with a larger share of no data are not used; 0 ... 1."""
    explore: float = Field(0.2, ge=0, le=1)
    """Share of the draws of shoreline and hard that is uniform all the same; 0 ... 1."""


class AugmentationSettings(SettingsBase):
    """Random changes of training patches; each a switch."""

    flips: bool = True
    """Mirror rows and columns."""
    rotations: bool = True
    """Turn by multiples of 90 degrees."""
    gain_db: float = Field(0.0, ge=0, le=20)
    """Standard deviation in dB of a gain common to all bands; 0: off."""
    band_gain_db: float = Field(0.0, ge=0, le=20)
    """Standard deviation in dB of a gain of each band by itself; 0: off."""
    contrast: float = Field(0.0, ge=0, le=1)
    """Standard deviation of the logarithm of a factor on each band's deviations from its mean in
    the patch, in dB; 0: off."""
    speckle_looks: float | None = Field(None, gt=0)
    """Equivalent number of looks of extra multiplicative speckle; none by default."""


class ModelSettings(Architecture):
    """The network and where its first weights come from."""

    encoder_weights: str | None = None
    """A file of encoder weights, or a name of TorchGeo; random by default."""
    init: Path | None = None
    """A sarwater model whose weights are the start (fine-tuning)."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read of the files that the first weights come from."""
        weights = None if self.encoder_weights is None else Path(self.encoder_weights)
        return tuple(path for path in (weights, self.init) if path is not None)

    @property
    def architecture(self) -> Architecture:
        """The network alone."""
        return Architecture(**{name: getattr(self, name) for name in Architecture.model_fields})


class LossSettings(SettingsBase):
    """What is minimized."""

    terms: Annotated[tuple[LossTerm, ...], BeforeValidator(named), Field(min_length=1)] = (
        CrossEntropyTerm(),
    )
    """Terms of the sum; a name alone takes its defaults."""
    learned_weights: bool = False
    """Learn a weight for each term: sum of L/(2c^2) + ln(1 + c^2)."""

    @field_validator("terms")
    @classmethod
    def _some_weight(cls, value: tuple[LossTerm, ...]) -> tuple[LossTerm, ...]:
        if not any(term.weight for term in value):
            raise ValueError("one term at least must have a weight above 0, or nothing is learned")
        return value


class OptimizationSettings(SettingsBase):
    """How it is minimized."""

    epochs: int = Field(30, ge=1)
    """Passes over the epoch's patches."""
    batch_size: int = Field(8, ge=1)
    """Patches a step and process."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or stochastic gradient descent with Nesterov momentum .9."""
    learning_rate: float = Field(1e-3, gt=0)
    """The highest learning rate."""
    min_learning_rate: float = Field(1e-6, ge=0)
    """The lowest learning rate of cosine, one_cycle and plateau; not above the highest."""
    weight_decay: float = Field(1e-2, ge=0)
    """Of convolution kernels; norms, biases and learned loss weights have none."""
    schedule: Literal["constant", "cosine", "one_cycle", "plateau"] = "one_cycle"
    """How the learning rate moves: constant, cosine, one_cycle (by step), plateau (by epoch)."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps in which one_cycle and cosine rise to the highest rate."""
    plateau_patience: int = Field(5, ge=0)
    """Epochs without a better score that plateau bears; the next such epoch divides the rate by
    10. An early_stopping of no more than one above it ends the run before."""
    early_stopping: int | None = Field(None, ge=1)
    """Stop after this many epochs without a better score; never by default, nor while a model is
    adapted unless adaptation.select is source."""
    average_decay: float | None = Field(None, gt=0, lt=1)
    """Decay a step of an exponential average of the weights, which is then what is used."""
    clip_norm: float | None = Field(1.0, gt=0)
    """Largest norm of the gradient."""


class RunSettings(SettingsBase):
    """Where it runs; passed on to Lightning."""

    seed: int = Field(0, ge=0, lt=2**32)
    """The same seed gives the same model."""
    accelerator: str = "auto"
    """cpu, cuda, mps or auto."""
    devices: int | str = "auto"
    """Processes a node, a list such as 0,1, or auto."""
    num_nodes: int = Field(1, ge=1)
    """Machines."""
    strategy: str = "auto"
    """auto, ddp and others of Lightning that keep the whole network in each process."""
    precision: str = "32-true"
    """32-true, bf16-mixed, 16-mixed and others of Lightning."""
    threads: int | None = Field(None, ge=1)
    """CPU threads of PyTorch a process; its own choice by default."""
    workers: int = Field(0, ge=0)
    """Processes that prepare patches; 0: the training process itself."""
    loggers: Annotated[
        tuple[Literal["tensorboard", "mlflow", "wandb"], ...], BeforeValidator(listed)
    ] = ("tensorboard",)
    """Where curves and settings go beside the run's own files: tensorboard, mlflow, wandb."""
    checkpoint_minutes: float = Field(5.0, ge=0)
    """Write a checkpoint at least this often, and after each epoch."""
    criterion: str = "f1"
    """What chooses the threshold on the validation chips: f1 or iou (best score), balanced (area as
    labelled), precision>=P or recall>=R (P, R within 0 ... 1); checkpoints go by the best F1."""

    @field_validator("criterion")
    @classmethod
    def _is_criterion(cls, value: str) -> str:
        parse_criterion(value)
        return value


class TrainSettings(SettingsBase):
    """All settings of ``sarwater train``."""

    data: DataSettings = DataSettings()
    """Which chips."""
    normalization: NormalizationSettings = NormalizationSettings()
    """Normalization."""
    patches: PatchSettings = PatchSettings()
    """Choice of patches."""
    augmentation: AugmentationSettings = AugmentationSettings()
    """Augmentation."""
    model: ModelSettings = ModelSettings()
    """Network."""
    loss: LossSettings = LossSettings()
    """Loss."""
    optimization: OptimizationSettings = OptimizationSettings()
    """Optimization."""
    run: RunSettings = RunSettings()
    """Where it runs."""
    adaptation: AdaptationSettings = AdaptationSettings()
    """Adaptation to a target without labels (`sarwater adapt`)."""

    @field_validator("run")
    @classmethod
    def _averages_what_it_can(cls, value: RunSettings, others: ValidationInfo) -> RunSettings:
        optimization = others.data.get("optimization")
        is_averaged = optimization is not None and optimization.average_decay is not None
        if is_averaged and value.precision == "16-true":
            raise ValueError(
                "precision 16-true cannot hold the averaged weights that "
                "optimization.average_decay asks for; take 16-mixed, or no average"
            )
        return value
