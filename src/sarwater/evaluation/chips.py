"""Evaluation: a model's predictions on labelled chips become exact counts, chip by chip.

A model is never altered here: its threshold was chosen on other chips, and is applied as it is.
"""

import enum
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.errors import DataError
from sarwater.evaluation.counts import (
    IntArray,
    ThresholdCounts,
    confusion_matrix,
    count,
    threshold_index,
)
from sarwater.normalize import BandStatistics, Normalizer, group_statistics
from sarwater.prediction import classify, water_probability
from sarwater.progress import track
from sarwater.raster import pixel_area, read_chip
from sarwater.types import IGNORE, BoolArray, ByteArray, Chip, FloatArray


class MissingRadar(enum.StrEnum):
    """What becomes of labelled pixels where the image has no data."""

    EXCLUDE = "exclude"
    """They do not count."""
    AS_LAND = "as-land"
    """They count as predicted land: labelled water there is missed."""

    @property
    def sentence(self) -> str:
        """Which pixels count, in words."""
        if self is MissingRadar.EXCLUDE:
            return "labelled pixels where every band of the image is valid; all others do not count"
        return (
            "all labelled pixels; where the image has no data they count as predicted land, so "
            "that labelled water there is missed"
        )


class Predicts(Protocol):
    """What evaluation needs of a model."""

    def model_chip(self, chip: Chip) -> Chip:
        """Return the chip with the model's bands, in its units."""
        ...

    def predict_chip(self, chip: Chip, group: BandStatistics | None = None) -> FloatArray:
        """Return the probabilities of the classes, float32 [k, row, col]."""
        ...


@dataclass(frozen=True)
class ModelIdentity:
    """Which model is evaluated, and the threshold that it brings."""

    name: str
    hash: str
    classes: tuple[str, ...]
    threshold: float
    criterion: str
    """How the threshold was chosen, and on what."""
    scene_threshold: bool = False
    """Whether ``map`` lets each scene move it."""
    is_probability: bool = True
    """Whether it gives probabilities; the scores of a threshold on backscatter only rank pixels."""


@dataclass(frozen=True)
class ChipPixels:
    """Which pixels of a chip counted."""

    id: str
    domain: str
    total: int
    labelled: int
    counted: int
    without_radar: int
    """Labelled pixels without data in the image."""
    water_without_radar: int
    """Those of them that are labelled water."""
    pixel_area: float | None
    """Square metres; None without a CRS."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Exact counts of a model on some chips; everything else is computed from them."""

    model: ModelIdentity
    data: str
    """Name of the manifest."""
    split: str | None
    missing_radar: MissingRadar
    groups: str
    """Where statistics for normalization came from, in words."""
    threshold: float
    criterion: str
    chips: tuple[ChipPixels, ...]
    """Chips with at least one pixel that counts."""
    counts: ThresholdCounts
    """Of those chips [chip, 1000]; water is every class but the first."""
    confusion: IntArray
    """Of those chips at the threshold [chip, true class, predicted class]."""
    not_counted: Mapping[str, str]
    """Why a labelled chip is left out, by its id."""
    left_out: tuple[ChipPixels, ...] = ()
    """Pixels of the chips that are left out."""

    def in_order_of(self, other: "Evaluation") -> "Evaluation":
        """Return the evaluation with its chips in the order of another one of the same chips."""
        places = {chip.id: place for place, chip in enumerate(self.chips)}
        order = np.array([places[chip.id] for chip in other.chips])
        return replace(
            self,
            chips=tuple(self.chips[place] for place in order),
            counts=self.counts[order],
            confusion=self.confusion[order],
        )


@dataclass(frozen=True, eq=False)
class Observed:
    """What is seen of a chip while it is evaluated, for pictures."""

    chip: Chip
    predicted: ByteArray
    """Class indices [row, col]."""
    counted: BoolArray
    confusion: IntArray
    water: FloatArray
    """Probability of water [row, col], 0 where the image has no data."""


@dataclass(frozen=True, eq=False)
class _Measured:
    pixels: ChipPixels
    counts: ThresholdCounts
    confusion: IntArray


GIVEN = "given with --threshold"
"""The criterion of a threshold that is not the model's own."""

_BLIND = "no labelled pixel has data"


def evaluate(
    predictor: Predicts,
    manifest: Manifest,
    model: ModelIdentity,
    *,
    split: str | None = None,
    missing_radar: MissingRadar = MissingRadar.EXCLUDE,
    threshold: float | None = None,
    allow_dry: bool = False,
    normalizer: Normalizer | None = None,
    watch: Callable[[Observed], None] = lambda _: None,
) -> Evaluation:
    """Predict the labelled chips of a manifest and count.

    Args:
        predictor: the model.
        manifest: the chips, already selected; those without labels are passed over.
        model: who the predictor is.
        split: name of the split they are of, for the record.
        missing_radar: rule for labelled pixels without data in the image.
        threshold: use this one instead of the model's (a multiple of .001).
        allow_dry: go on when no counted pixel is water: only false alarms can be scored then.
        normalizer: the model's; statistics of each domain or scene are taken of all chips given
            where it normalizes by them.
        watch: is shown every counted chip.

    Raises:
        DataError: no labelled chip, no pixel that counts, no water, other classes than the
            model's, or a threshold off the grid.
        RasterError: a file cannot be read.
    """
    used = model.threshold if threshold is None else threshold
    threshold_index(used)
    records = labelled_records(manifest, split)
    _check_classes(manifest, model, split)
    group, groups = _group_lookup(normalizer, manifest, predictor.model_chip)
    kept: list[_Measured] = []
    left_out: list[tuple[str, ChipPixels]] = []
    for record in track(records, "evaluating", len(records)):
        chip = read_chip(record)
        target = _target(chip)
        counted = _counted(chip, target, missing_radar)
        pixels = _pixels(chip, target, counted)
        if not pixels.counted:
            left_out.append(("no pixel is labelled" if not pixels.labelled else _BLIND, pixels))
            continue
        probability = _predict(predictor, chip, group(record), len(model.classes))
        predicted = classify(probability, used)
        matrix = confusion_matrix(predicted, target, counted, len(model.classes))
        water = water_probability(probability)
        counts = count(water, target != 0, counted)
        kept.append(_Measured(pixels, counts, matrix))
        watch(Observed(chip, predicted, counted, matrix, water))
    _check_counted(kept, left_out, _place(manifest, split), allow_dry=allow_dry)
    return Evaluation(
        model=model,
        data=manifest.path.name if manifest.path else "",
        split=split,
        missing_radar=missing_radar,
        groups=groups,
        threshold=used,
        criterion=model.criterion if threshold is None else GIVEN,
        chips=tuple(measured.pixels for measured in kept),
        counts=ThresholdCounts.stack(measured.counts for measured in kept),
        confusion=np.stack([measured.confusion for measured in kept]),
        not_counted={pixels.id: reason for reason, pixels in left_out},
        left_out=tuple(pixels for _, pixels in left_out),
    )


def _group_lookup(
    normalizer: Normalizer | None, manifest: Manifest, view: Callable[[Chip], Chip]
) -> tuple[Callable[[ChipRecord], BandStatistics | None], str]:
    """Take the statistics of each domain or scene, where a model normalizes by them.

    All pixels with data of all chips count, labelled or not; labels are not read.

    Returns:
        What gives a chip's statistics (None where the model needs none), and where they come from
        in words.
    """
    if normalizer is None:
        return (lambda _: None), "the model's own"
    if not normalizer.needs_group:
        return (lambda _: None), f"'{normalizer.kind.value}', which needs nothing of other chips"

    def named(record: ChipRecord) -> str:
        return normalizer.group_of(record.domain, record.scene, record.id)

    def chips() -> Iterator[tuple[str, Chip]]:
        for record in track(manifest, "statistics", len(manifest)):
            yield named(record), view(read_chip(record, with_target=False))

    found = group_statistics(chips())
    text = (
        f"'{normalizer.kind.value}': mean and standard deviation of all pixels with data of each "
        f"{normalizer.kind.value} in the {len(manifest)} chips chosen, labelled or not; no label "
        "is used"
    )
    return (lambda record: found.get(named(record))), text


def _predict(
    predictor: Predicts, chip: Chip, group: BandStatistics | None, classes: int
) -> FloatArray:
    """Predict; where the image has no data every pixel is certain background."""
    if not chip.valid.any():
        probability = np.zeros((classes, *chip.valid.shape), np.float32)
    else:
        probability = predictor.predict_chip(chip, group)
    if probability.shape != (classes, *chip.valid.shape):
        raise DataError(
            f"the model gave {probability.shape} for chip '{chip.id}': expected "
            f"{(classes, *chip.valid.shape)} (class, row, column)"
        )
    background = np.zeros((classes, 1, 1), np.float32)
    background[0] = 1
    return np.where(chip.valid, probability, background)


def _target(chip: Chip) -> ByteArray:
    if chip.target is None:
        raise DataError(f"chip '{chip.id}' has no labels")
    return chip.target


def _counted(chip: Chip, target: ByteArray, rule: MissingRadar) -> BoolArray:
    labelled: BoolArray = target != IGNORE
    return labelled & chip.valid if rule is MissingRadar.EXCLUDE else labelled


def _pixels(chip: Chip, target: ByteArray, counted: BoolArray) -> ChipPixels:
    labelled = target != IGNORE
    missing = labelled & ~chip.valid
    return ChipPixels(
        id=chip.id,
        domain=chip.domain,
        total=int(target.size),
        labelled=int(labelled.sum()),
        counted=int(counted.sum()),
        without_radar=int(missing.sum()),
        water_without_radar=int((missing & (target != 0)).sum()),
        pixel_area=pixel_area(chip.grid),
    )


def labelled_records(manifest: Manifest, split: str | None = None) -> list[ChipRecord]:
    """Return the chips that can be scored.

    Args:
        manifest: the chips, already selected.
        split: where they are from, for the message.

    Raises:
        DataError: none has labels.
    """
    records = [record for record in manifest if record.is_labelled]
    if not records:
        raise DataError(
            f"{_place(manifest, split)} has {len(manifest)} chips, none of them with labels; "
            "evaluation needs labelled chips: name another split or other domains"
        )
    return records


def _check_classes(manifest: Manifest, model: ModelIdentity, split: str | None) -> None:
    if manifest.classes != model.classes:
        raise DataError(
            f"{_place(manifest, split)} has the classes {', '.join(manifest.classes)}, but the "
            f"model {model.name} has {', '.join(model.classes)}; index the data with the model's "
            "classes"
        )


def _check_counted(
    kept: list[_Measured], left_out: list[tuple[str, ChipPixels]], where: str, *, allow_dry: bool
) -> None:
    if not kept:
        reasons = ", ".join(f"{pixels.id}: {reason}" for reason, pixels in left_out)
        raise DataError(f"{where} has no pixel that counts ({reasons[:300]})")
    if not allow_dry and not any(measured.counts.water for measured in kept):
        raise DataError(
            f"{where} has no water in its {len(kept)} labelled chips: recall and F1 are "
            "undefined; choose chips with water, or pass --allow-dry to count false alarms only"
        )


def _place(manifest: Manifest, split: str | None) -> str:
    return f"{manifest.path or 'the manifest'}" + (f" (split '{split}')" if split else "")
