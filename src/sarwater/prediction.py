"""From a chip or a scene to the probability of each class, as a model wants it."""

from collections.abc import Generator, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sarwater.engines import Engine as Engine
from sarwater.engines import engine_for
from sarwater.errors import ConfigError, ModelError
from sarwater.normalization_kinds import Normalization
from sarwater.normalize import BandStatistics
from sarwater.stitching import (
    DEFAULT_BATCH_SIZE,
    Normalize,
    ReadRows,
    Strip,
    Windows,
    predict_strips,
)
from sarwater.tiling import default_overlap
from sarwater.types import AnyArray, BoolArray, ByteArray, Chip, FloatArray, Units
from sarwater.units import can_convert, convert

if TYPE_CHECKING:
    from sarwater.models.bundle import Bundle, ModelInfo


def predict_image(
    image: FloatArray,
    valid: BoolArray,
    engine: Engine,
    patch_size: int,
    overlap: int | None = None,
    batch_size: int = DEFAULT_BATCH_SIZE,
    *,
    classes: int = 2,
    normalize: Normalize | None = None,
) -> FloatArray:
    """Predict an image that is in memory.

    An image of one window gets the engine's own numbers, bit for bit (the background but for
    rounding: it is what the other classes leave to 1). Smaller images are padded
    with zeros after normalization; windows without a valid pixel are not run.

    Args:
        image: float32 [band, row, col], normalized unless ``normalize`` does that.
        valid: bool [row, col].
        engine: runs the network.
        patch_size: side of the windows in pixels.
        overlap: pixels that neighbors share; ``default_overlap`` of the patch size if None.
        batch_size: windows that the network sees at once.
        classes: number of classes k.
        normalize: applied to each window by itself, after it was cut.

    Returns:
        Probability float32 [k, row, col]; 0 where not valid.

    Raises:
        ConfigError: overlap or batch size is out of range.
        ModelError: the engine returns another shape, or numbers that are not finite.
    """
    height, width = valid.shape
    if overlap is None:
        overlap = default_overlap(patch_size)
    strips = predict_strips(
        lambda row, rows: (image[:, row : row + rows], valid[row : row + rows]),
        (height, width),
        engine,
        Windows(patch_size, overlap, batch_size),
        classes=classes,
        normalize=normalize,
    )
    return _joined(strips)


def _joined(strips: Iterable[Strip]) -> FloatArray:
    """Join strips, and add the background: what is left to 1."""
    parts = [(strip.foreground, strip.valid) for strip in strips]
    foreground = np.concatenate([part for part, _ in parts], axis=1)
    valid = np.concatenate([part for _, part in parts])
    background = np.where(valid, (1 - foreground.sum(axis=0)).clip(0, 1), np.float32(0))
    return np.concatenate([background[None], foreground])


def water_probability(probability: FloatArray) -> FloatArray:
    """Sum the foreground classes of a probability [k, row, col] (class 0 is the background).

    >>> water_probability(np.float32([[[0.25]], [[0.5]], [[0.25]]])).tolist()
    [[0.75]]
    """
    return sum_of_foreground(probability[1:])


def classify(probability: FloatArray, threshold: float) -> ByteArray:
    """Return the class [row, col] of a probability [k, row, col].

    Where ``water_probability`` is at least the threshold (compared in float32) it is the most
    probable foreground class, elsewhere 0.

    >>> classify(np.float32([[[0.45, 0.8]], [[0.2, 0.2]], [[0.35, 0.0]]]), 0.5).tolist()
    [[2, 0]]
    """
    return classify_foreground(probability[1:], threshold)


def sum_of_foreground(foreground: FloatArray) -> FloatArray:
    """Return ``water_probability`` of a probability without its background [k - 1, row, col]."""
    if foreground.shape[0] == 1:
        return np.asarray(foreground[0], np.float32)
    return np.asarray(foreground.sum(axis=0).clip(0, 1), np.float32)


def classify_foreground(foreground: FloatArray, threshold: float) -> ByteArray:
    """Return ``classify`` of a probability without its background [k - 1, row, col]."""
    is_water: BoolArray = sum_of_foreground(foreground) >= np.float32(threshold)
    if foreground.shape[0] == 1:
        return is_water.view(np.uint8)
    best = foreground.argmax(axis=0).astype(np.uint8) + np.uint8(1)
    return np.where(is_water, best, np.uint8(0))


def _renormalized(info: "ModelInfo", kind: Normalization | None) -> "ModelInfo":
    if kind is None:
        return info
    normalization = replace(info.normalization, kind=kind)
    return info.model_copy(update={"normalization": normalization})


@dataclass(frozen=True)
class PredictionOptions:
    """How a model is run."""

    engine: str = "auto"
    """What runs it: one of ``engine_kinds.ENGINES``."""
    precision: str = "float32"
    """One of ``engine_kinds.PRECISIONS``."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ..."""
    batch_size: int | None = None
    """Windows that the network sees at once; by default the engine's best."""
    overlap: int | None = None
    """Pixels that windows share; ``default_overlap`` of the patch size if None."""
    normalization: Normalization | None = None
    """Normalize in this way in place of the model's own; ``domain`` carries a model to another
    processing chain."""
    accept_units: bool = False
    """Take values in units that do not convert as they are, which makes sense only where the
    image's own statistics normalize it."""
    threads: int | None = None
    """CPU threads of the engine; all cores by default."""
    compiled: bool = False
    """Let torch compile the network, which pays where many windows follow; OpenVINO always does."""


class Predictor:
    """A model ready to predict chips and scenes: its bands, units, normalization and windows."""

    def __init__(
        self,
        bundle: "Bundle",
        options: PredictionOptions | None = None,
        *,
        engine: Engine | None = None,
    ) -> None:
        """Make a model ready.

        Args:
            bundle: the model.
            options: how it is run.
            engine: what runs it, in place of one that the options name.

        Raises:
            ConfigError: overlap or batch size is out of range, or there is no such engine or
                device.
            ModelError: the model cannot be built.
        """
        self.bundle = bundle
        self.options = options = options or PredictionOptions()
        self.info = _renormalized(bundle.info, options.normalization)
        self._is_engine_given = engine is not None
        self.engine = engine or self._engine_for(bundle)
        patch = self.info.window_size
        self.windows = Windows(
            patch,
            default_overlap(patch) if options.overlap is None else options.overlap,
            self.engine.best_batch if options.batch_size is None else options.batch_size,
        )

    def _engine_for(self, bundle: "Bundle") -> Engine:
        options = self.options
        return engine_for(
            bundle,
            engine=options.engine,
            device=options.device,
            precision=options.precision,
            threads=options.threads,
            compiled=options.compiled,
        )

    def with_bundle(self, bundle: "Bundle") -> "Predictor":
        """Return a predictor of the same windows and options that runs other weights.

        Args:
            bundle: with the same description as this one's.

        Raises:
            ConfigError: this one runs by an engine that was handed over, which knows its own
                weights only.
            ModelError: the model cannot be built.
        """
        if self._is_engine_given:
            raise ConfigError(
                f"the engine '{self.engine.name}' was made for other weights; name an engine in "
                "the options in place of handing one over, or make a predictor for each model"
            )
        other = copy(self)
        other.bundle = bundle
        other.engine = self._engine_for(bundle)
        return other

    def for_units(self, *units: Units) -> "Predictor":
        """Return a predictor of the same network that takes values in these units, if it can.

        See ``ModelInfo.for_units``; `PredictionOptions.accept_units` takes them as they are.
        """
        info = self.bundle.info.for_units(*units)
        if info is self.bundle.info or self.options.accept_units:
            return self
        other = copy(self)
        other.info = _renormalized(info, self.options.normalization)
        return other

    def takes_as_is(self, units: Units) -> bool:
        """Whether values in these units are not converted although they are not the model's."""
        return self.options.accept_units and not can_convert(units, self.info.units)

    def misfits(self, bands: Sequence[str], units: Units) -> list[str]:
        """List why an image cannot be given to the model; see ``ModelInfo.misfits``."""
        return self.info.misfits(bands, self.info.units if self.takes_as_is(units) else units)

    def model_chip(self, chip: Chip) -> Chip:
        """Return the chip with the model's bands in its order and in its units.

        Statistics of a domain or scene are to be taken from such chips.

        Raises:
            ModelError: a band is missing, or the units do not convert.
        """
        problems = self.misfits(chip.bands, chip.units)
        if problems:
            raise ModelError(f"chip '{chip.id}' does not fit the model: " + "; ".join(problems))
        there = [band.lower() for band in chip.bands]
        order = [there.index(band.lower()) for band in self.info.bands]
        image = self.in_model_units(chip.image[order], chip.valid, chip.units)
        return replace(chip, bands=self.info.bands, units=self.info.units, image=image)

    def in_model_units(self, image: AnyArray, valid: BoolArray, units: Units) -> AnyArray:
        """Convert an image to the model's units; 0 where not valid.

        Raises:
            DataError: the units do not convert.
        """
        if units == self.info.units or self.takes_as_is(units):
            return image
        values = image.astype(np.float32, copy=False)
        return np.where(valid, convert(values, units, self.info.units), np.float32(0))

    def predict_chip(self, chip: Chip, group: BandStatistics | None = None) -> FloatArray:
        """Predict a chip.

        Args:
            chip: with the model's bands in any order, in the model's units or convertible ones.
            group: statistics of the chip's domain or scene (of ``model_chip``), where
                ``info.normalization.needs_group``.

        Returns:
            Probability float32 [k, row, col]; 0 where not valid.

        Raises:
            ModelError: the chip does not fit the model.
            DataError: the statistics are missing.
        """
        chip = self.model_chip(chip)
        strips = self.predict_rows(
            lambda row, rows: (chip.image[:, row : row + rows], chip.valid[row : row + rows]),
            (chip.valid.shape[0], chip.valid.shape[1]),
            group,
        )
        return _joined(strips)

    def predict_rows(
        self,
        read: ReadRows,
        shape: tuple[int, int],
        group: BandStatistics | None = None,
        begin: int = 0,
    ) -> Generator[Strip, None, None]:
        """Predict an image of any height that is read by rows.

        Args:
            read: gives rows with the model's bands, in its order and units.
            shape: rows and columns of the image.
            group: statistics of its domain or scene, where the normalization needs them.
            begin: first row to yield; see ``predict_strips``.

        Raises:
            ConfigError: no strip begins at ``begin``.
            DataError: the statistics are missing.
            ModelError: the network returns something else than probabilities.
        """

        def normalize(image: FloatArray, valid: BoolArray) -> FloatArray:
            return self.info.normalization.apply(image, valid, group)

        return predict_strips(
            read,
            shape,
            self.engine,
            self.windows,
            classes=len(self.info.classes),
            normalize=normalize,
            begin=begin,
        )
