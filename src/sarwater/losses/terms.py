"""What a config says about the loss: a list of terms, each named, weighted and checked."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sarwater.errors import ConfigError

NonNegative: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
PerClass: TypeAlias = Annotated[tuple[NonNegative, ...], Field(min_length=2)]


class _Term(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )

    weight: NonNegative = 1.0
    """Factor of this term in the sum; 0 or more."""


class CrossEntropyTerm(_Term):
    """Cross-entropy, divided by the sum of the class weights of the valid pixels."""

    name: Literal["cross_entropy"] = "cross_entropy"
    class_weights: PerClass | None = None
    """A weight a class, background first, each 0 or more; None weighs all alike."""

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        _require_some(self.class_weights, "class_weights")
        return self


class BalancedCrossEntropyTerm(_Term):
    """Cross-entropy times alpha on the foreground and 1 - alpha on class 0."""

    name: Literal["balanced_cross_entropy"] = "balanced_cross_entropy"
    alpha: Share | PerClass
    """Weight of the foreground classes, 0 ... 1, or a weight a class, background first."""

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        _require_some(self.alpha, "alpha")
        return self


class FocalTerm(_Term):
    """Focal loss, -alpha_t (1 - p_t)^gamma log p_t."""

    name: Literal["focal"] = "focal"
    gamma: NonNegative = 2.0
    """Exponent that quiets easy pixels; 0 or more, 0 is cross-entropy."""
    alpha: Share | PerClass | None = None
    """As for the balanced cross-entropy; None weighs all classes alike."""

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        _require_some(self.alpha, "alpha")
        return self


class DiceTerm(_Term):
    """Dice loss: Tversky with both weights .5."""

    name: Literal["dice"] = "dice"
    per_patch: bool = False
    """Average over patches instead of pooling the batch."""


class JaccardTerm(_Term):
    """Jaccard (intersection over union) loss: Tversky with both weights 1."""

    name: Literal["jaccard"] = "jaccard"
    per_patch: bool = False
    """Average over patches instead of pooling the batch."""


class TverskyTerm(_Term):
    """Tversky loss, 1 - TP / (TP + fp_weight FP + fn_weight FN)."""

    name: Literal["tversky"] = "tversky"
    fp_weight: NonNegative = 0.7
    """Weight of false positives (false water); 0 or more, not 0 together with fn_weight."""
    fn_weight: NonNegative = 0.3
    """Weight of false negatives (missed water); 0 or more."""
    per_patch: bool = False
    """Average over patches instead of pooling the batch."""

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        _require_some((self.fp_weight, self.fn_weight), "fp_weight and fn_weight")
        return self


class FocalTverskyTerm(_Term):
    """Focal Tversky loss, (1 - index)^(1 / gamma)."""

    name: Literal["focal_tversky"] = "focal_tversky"
    fp_weight: NonNegative = 0.7
    """Weight of false positives (false water); 0 or more, not 0 together with fn_weight."""
    fn_weight: NonNegative = 0.3
    """Weight of false negatives (missed water); 0 or more."""
    gamma: Positive = 4 / 3
    """The exponent's inverse; above 0, the paper uses 1 ... 3."""
    per_patch: bool = False
    """Average over patches instead of pooling the batch."""

    @model_validator(mode="after")
    def _some_weight(self) -> Self:
        _require_some((self.fp_weight, self.fn_weight), "fp_weight and fn_weight")
        return self


LossTerm: TypeAlias = Annotated[
    CrossEntropyTerm
    | BalancedCrossEntropyTerm
    | FocalTerm
    | DiceTerm
    | JaccardTerm
    | TverskyTerm
    | FocalTverskyTerm,
    Field(discriminator="name"),
]
"""One term of the loss; ``name`` says which."""


def check_values_per_class(terms: Sequence[LossTerm], classes: Sequence[str]) -> None:
    """Check that every list with a value a class has as many values as there are classes.

    Args:
        terms: of a config's ``loss.terms``.
        classes: names of the data's classes.

    Raises:
        ConfigError: naming each list that has not.
    """
    wrong = [
        f"loss.terms.{index}.{name} has {len(values)} values"
        for index, term in enumerate(terms)
        for name in ("class_weights", "alpha")
        if isinstance(values := getattr(term, name, None), tuple) and len(values) != len(classes)
    ]
    if wrong:
        raise ConfigError(
            f"{', '.join(wrong)}, the chips have {len(classes)} classes ({', '.join(classes)}): "
            "give one value a class, in that order"
        )


def _require_some(weights: float | tuple[float, ...] | None, what: str) -> None:
    if isinstance(weights, tuple) and not math.fsum(weights) > 0:
        raise ValueError(f"{what} must not all be 0")
