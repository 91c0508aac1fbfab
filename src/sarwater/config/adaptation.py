"""The settings of adaptation: which methods carry a model to a target without labels."""

from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, field_validator

from sarwater.config.base import SettingsBase, named, several


class _Method(SettingsBase):
    weight: float = Field(1.0, ge=0)
    """Factor of this loss in the sum; 0 or more."""


class _Adversarial(_Method):
    strength: float = Field(1.0, ge=0)
    """Highest factor of the reversed gradient, reached at the run's end."""
    domains: Literal["sides", "each"] = "sides"
    """What the discriminator tells apart: source and target, or each domain."""


class DannMethod(_Adversarial):
    """Domain-adversarial training on the ASPP features (Ganin et al. 2016)."""

    name: Literal["dann"] = "dann"
    hidden: int = Field(256, ge=1, le=4096)
    """Channels within the discriminator."""


class OutputSpaceMethod(_Adversarial):
    """Adversarial alignment of entropy maps (AdvEnt, Vu et al. 2019)."""

    name: Literal["output_space"] = "output_space"
    strength: float = Field(0.1, ge=0)
    """Highest factor of the reversed gradient, reached at the run's end."""
    hidden: int = Field(64, ge=1, le=1024)
    """Channels of the discriminator's first layer."""


class SelfTrainingMethod(_Method):
    """Pseudo-labels of the averaged network, on images mixed by class (DACS, DAFormer)."""

    name: Literal["self_training"] = "self_training"
    confidence: float | None = Field(None, ge=0.5, lt=1)
    """A target patch weighs by its share of pixels whose class is at least this probable; by
    default each pixel weighs by its own certainty."""
    mix: bool = True
    """Paste the pixels of one class of a source patch over the target patch (ClassMix)."""
    threshold: Literal["target", "half"] = "target"
    """What pseudo-labels call water: what the target's threshold and seeds do, chosen without
    labels each epoch, or all from .5."""
    backscatter: float = Field(0.25, ge=0, le=1)
    """Weight of the target's own two classes of backscatter beside the network's logit."""
    jitter: float = Field(0.2, ge=0, le=2)
    """Standard deviation of a random gain and contrast of mixed patches, in units of the
    normalized bands."""


class BatchNormMethod(SettingsBase):
    """Batch norm statistics of the target in the finished model (AdaBN, Li et al. 2016)."""

    name: Literal["adabn"] = "adabn"


AdaptationMethod: TypeAlias = Annotated[
    DannMethod | OutputSpaceMethod | SelfTrainingMethod | BatchNormMethod,
    Field(discriminator="name"),
]
"""One method; ``name`` says which."""


class AdaptationSettings(SettingsBase):
    """How a model is carried to a target without labels."""

    methods: Annotated[tuple[AdaptationMethod, ...], BeforeValidator(named)] = ()
    """dann, output_space, self_training, adabn, alone or together; a name takes its defaults."""
    target_splits: Annotated[tuple[str, ...] | None, BeforeValidator(several)] = None
    """Only target chips of these splits; all by default."""
    target_domains: Annotated[tuple[str, ...] | None, BeforeValidator(several)] = None
    """Only target chips of these domains; all by default."""
    target_batch_size: int | None = Field(None, ge=1)
    """Target patches a step and process; by default as many as of the source."""
    start: Literal["source_only", "scratch"] = "source_only"
    """Weights that adapting begins with: those of the source-only model, or random ones."""
    epochs: int | None = Field(None, ge=1)
    """Epochs of adapting; by default those of optimization."""
    learning_rate: float | None = Field(None, gt=0)
    """Highest learning rate of adapting; by default that of optimization."""
    source_share: float = Field(0.5, ge=0, le=1)
    """Share of the source-only model's weights in the adapted ones, which are averaged with them
    (Wortsman et al. 2022); 0 leaves them as they are. Nothing is averaged from scratch."""
    select: Literal["last", "source"] = "last"
    """Which epoch is kept: the last one, or the best on the source's validation chips."""
    threshold: Literal["seeds", "separation", "source"] = "seeds"
    """What is water in the target: what passes the source's threshold beside sure water, sure being
    where its own backscatter separates (seeds); what passes there (separation); the source's."""
    match_classes: Literal["auto", "always", "never"] = "auto"
    """Lay the target's land and water, as the source-only model finds them, on those of the source
    in every band: auto where the units of the two have no calibration in common."""
    own_statistics: Literal["auto", "always", "never"] = "auto"
    """Normalize each domain of the target by its own mean and deviation where the source has its
    data set's: auto where a band's mean lies more than half a deviation from the source's."""
    sample_mpx: float = Field(2.0, gt=0)
    """Million pixels of the target that signals and threshold are taken from."""

    @field_validator("methods")
    @classmethod
    def _once(cls, methods: tuple[AdaptationMethod, ...]) -> tuple[AdaptationMethod, ...]:
        names = [method.name for method in methods]
        if len(set(names)) < len(names):
            raise ValueError(f"each method at most once, found {', '.join(names)}")
        return methods

    @property
    def self_training(self) -> SelfTrainingMethod | None:
        """The settings of self-training, None without it."""
        return next((one for one in self.methods if isinstance(one, SelfTrainingMethod)), None)

    @property
    def adabn(self) -> bool:
        """Whether the finished model takes the target's batch norm statistics."""
        return any(isinstance(one, BatchNormMethod) for one in self.methods)

    @property
    def losses(self) -> dict[str, float]:
        """Weights of the methods' losses by name."""
        return {one.name: one.weight for one in self.methods if isinstance(one, _Method)}
