"""Random changes of training patches, in the units of the backscatter and before normalization."""

import numpy as np

from sarwater.config import AugmentationSettings
from sarwater.types import AnyArray, BoolArray, ByteArray, FloatArray, Units
from sarwater.units import BYTE_COUNTS_PER_DB, add_decibels, in_decibels


def augment(
    image: FloatArray,
    valid: BoolArray,
    target: ByteArray,
    units: Units,
    settings: AugmentationSettings,
    random: np.random.Generator,
) -> tuple[FloatArray, BoolArray, ByteArray]:
    """Flip, turn, and change contrast, gain and speckle of a square patch as the settings say.

    Gain and speckle are multiplicative on linear power: x' = x g s with 10 log10 g normal of the
    given standard deviation and s gamma distributed with mean 1 and variance 1/looks (Goodman
    1976). In dB they add, amplitudes take the square root, and 8-bit values are taken as 30 dB
    over 0 ... 255 and stay within it. Contrast comes first: in dB each band's deviations from its
    mean over the valid pixels are multiplied by exp(c), c normal. Images that are no radar (units
    ``other``) keep their values.

    Args:
        image: [band, row, col] in ``units``.
        valid: [row, col].
        target: [row, col].
        units: of the image.
        settings: which changes.
        random: source of all randomness.
    """
    turns = int(random.integers(4)) if settings.rotations else 0
    flips = (False, False)
    if settings.flips:
        flips = (bool(random.integers(2)), bool(random.integers(2)))
    changed = _place(image, turns, flips)
    usable = _place(valid, turns, flips)
    decibel = _decibels(changed.shape, settings, random)
    if settings.contrast and units != Units.OTHER:
        stretched = _stretch(changed, usable, units, settings.contrast, random)
        decibel = stretched if decibel is None else decibel + stretched
    if decibel is not None:
        changed = np.where(usable, add_decibels(changed, decibel, units), 0)
    return (
        np.ascontiguousarray(changed, np.float32),
        np.ascontiguousarray(usable),
        np.ascontiguousarray(_place(target, turns, flips)),
    )


def _place(array: AnyArray, turns: int, flips: tuple[bool, bool]) -> AnyArray:
    turned = np.rot90(array, turns, axes=(-2, -1))
    return turned[..., :: -1 if flips[0] else 1, :: -1 if flips[1] else 1]


def _decibels(
    shape: tuple[int, ...], settings: AugmentationSettings, random: np.random.Generator
) -> FloatArray | None:
    change: FloatArray | None = None
    if settings.gain_db or settings.band_gain_db:
        common = random.normal(0, settings.gain_db)
        own = random.normal(0, settings.band_gain_db, shape[0])
        change = np.broadcast_to((common + own)[:, None, None], shape).astype(np.float32)
    if settings.speckle_looks is not None:
        looks = settings.speckle_looks
        speckle = random.standard_gamma(looks, shape, np.float32) / np.float32(looks)
        decibel = 10 * np.log10(np.maximum(speckle, np.float32(1e-6)))
        change = decibel if change is None else change + decibel
    return change


def _stretch(
    image: AnyArray, valid: BoolArray, units: Units, deviation: float, random: np.random.Generator
) -> FloatArray:
    """Return the change in dB that stretches each band about its mean."""
    factors = np.expm1(random.normal(0, deviation, image.shape[0])).astype(np.float32)
    logarithm = in_decibels(image, units)
    if units == Units.BYTE:
        logarithm = logarithm / np.float32(BYTE_COUNTS_PER_DB)
    change = np.zeros(image.shape, np.float32)
    for band, factor in enumerate(factors):
        values = logarithm[band][valid]
        if values.size:
            change[band] = factor * (logarithm[band] - values.mean())
    return change
