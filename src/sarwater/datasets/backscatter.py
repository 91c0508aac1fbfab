"""What a C-band radar measures over simulated ground: backscatter, noise floor, speckle.

The mean backscatter of each cover lies where Sentinel-1 IW finds it, at an incidence angle of 38
degrees. Look-alikes of water are dark for reasons of their own and give themselves away by them:
dry sand by a higher cross-polarised share (volume scattering), by ripples and a flatter trend
with incidence; tarmac by its shape; shadow by returning noise alone, as strong in VH as in VV,
and by the bright slope before it. Wind roughens water, which brightens VV far more than VH.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, special

from sarwater.datasets.fields import fractal_field
from sarwater.datasets.landscape import PIXEL, Cover, Landscape
from sarwater.types import BoolArray, FloatArray

REFERENCE_INCIDENCE = 38.0
"""Incidence angle in degrees to which the means in ``SIGNATURES`` belong."""

SPECKLE_KERNEL = 0.3
"""Weight of the neighbors, against 1 of the pixel, in the kernel that correlates speckle."""

_FLOOR_DB = -60.0


@dataclass(frozen=True)
class Signature:
    """How one cover scatters; decibel, VV first."""

    mean: tuple[float, float]
    """Sigma nought at 38 degrees."""
    trend: tuple[float, float]
    """Change per degree of incidence."""
    texture: float
    """Standard deviation of the texture over a few pixels."""
    tone: float = 0.0
    """Standard deviation from one field parcel to another."""


SIGNATURES: dict[Cover, Signature] = {
    Cover.CROP: Signature((-10.8, -17.3), (-0.13, -0.12), 0.6, 1.3),
    Cover.BARE: Signature((-14.0, -21.5), (-0.18, -0.15), 0.4, 0.9),
    Cover.GRASS: Signature((-12.5, -19.5), (-0.14, -0.12), 0.5, 0.6),
    Cover.FOREST: Signature((-8.2, -13.8), (-0.09, -0.09), 0.8),
    Cover.URBAN: Signature((-4.5, -12.0), (-0.05, -0.05), 4.0),
    Cover.SAND: Signature((-19.5, -23.5), (-0.12, -0.12), 1.0),
    Cover.TARMAC: Signature((-19.5, -25.5), (-0.22, -0.15), 0.5),
    Cover.SHADOW: Signature((-27.0, -30.0), (0.0, 0.0), 0.5),
    Cover.RIVER: Signature((-20.5, -28.0), (-0.40, -0.20), 0.4),
    Cover.LAKE: Signature((-21.5, -28.5), (-0.40, -0.20), 0.3),
    Cover.FLOOD: Signature((-18.8, -26.5), (-0.35, -0.20), 0.8, 0.6),
}
"""Backscatter by cover, of the order that is reported for water, crops and forest (Twele et al.
2016; Bauer-Marschallinger et al. 2022) and for sand (Martinis et al. 2018); it falls off fastest
with incidence over water (O'Grady et al. 2014)."""


@dataclass(frozen=True)
class Wind:
    """Wind over water: how strong it roughens, and how much of the water lies sheltered."""

    roughening: tuple[float, float]
    """Rise of VV and VH in decibel where the wind is strongest and the fetch long."""
    calm: float
    """Share of the area that is calm, 0 ... 1."""
    fetch: float = 8.0
    """Distance from the shore in pixels over which the roughness builds up."""


def mean_backscatter(
    ground: Landscape, incidence: FloatArray, wind: Wind, rng: np.random.Generator
) -> FloatArray:
    """Return the backscatter without noise and speckle, linear power [band, row, col].

    Decibels add up: the cover's mean, its trend with incidence, parcel tone, texture, wind
    roughening on water (CMOD-like for VV, weak for VH: Hersbach 2010, Mouche and Chapron 2015),
    and on slopes the ground area that a slant-range cell gathers, tan(incidence) / tan(local
    incidence) (Ulander 1996, Small 2011). The result is blurred to the sensor's resolution, of
    about 20 m.

    Args:
        ground: what is there; the sensor looks from column 0.
        incidence: degrees on flat ground, [col].
        wind: wind over water.
        rng: source of randomness.
    """
    cover = ground.cover
    shape = (cover.shape[0], cover.shape[1])
    rough = _roughness(ground, wind, rng)
    slopes = _slope_gain(ground.height, incidence)
    slopes[(cover >= Cover.RIVER) | (cover == Cover.SHADOW)] = 0
    shared = fractal_field(shape, 12, 2, rng)
    ripples = np.sin(fractal_field(shape, 90, 3.5, rng) * 14)
    offset = (incidence - np.float32(REFERENCE_INCIDENCE))[None, :]
    texture = _lookup([s.texture for s in SIGNATURES.values()])[cover]
    tone = _lookup([s.tone for s in SIGNATURES.values()])[cover] * ground.tone
    common = tone + texture * shared + slopes + np.where(cover == Cover.SAND, ripples, 0)
    common += _bright_targets(cover == Cover.URBAN, rng)
    power = np.empty((2, *shape), np.float32)
    for band in range(2):
        mean = _lookup([s.mean[band] for s in SIGNATURES.values()])[cover]
        trend = _lookup([s.trend[band] for s in SIGNATURES.values()])[cover]
        level = mean + trend * offset + common + np.float32(wind.roughening[band]) * rough
        linear = np.float32(10) ** (level / np.float32(10))
        power[band] = ndimage.gaussian_filter(linear, 0.6, mode="nearest", truncate=3)
    return power


def noise_floor(incidence: FloatArray, level: float) -> FloatArray:
    """Return the noise-equivalent sigma nought along range, linear power [col].

    It is lowest in the middle of each of three sub-swaths and 3 dB higher at their edges, as the
    antenna patterns of Sentinel-1 IW make it.

    Args:
        incidence: degrees, [col], rising or falling.
        level: lowest value in decibel, for example -30.
    """
    lowest, highest = float(incidence.min()), float(incidence.max())
    place = (incidence - lowest) / max(highest - lowest, 1e-6) * 3 % 1
    scallop = 3 * (2 * place - 1) ** 2
    return np.asarray(10 ** ((level + scallop) / 10), dtype=np.float32)


def speckle(shape: tuple[int, int], looks: float, rng: np.random.Generator) -> FloatArray:
    """Draw multiplicative speckle: gamma distributed, mean 1, variance 1 / looks.

    The intensity of fully developed speckle averaged over L looks is gamma distributed (Goodman
    1976; Oliver and Quegan 2004). Detected products are sampled finer than they resolve, so that
    neighbors correlate: a Gaussian field of lag-one correlation about .5 is mapped through
    the normal to the gamma distribution, which keeps the latter exact for every pixel.

    Args:
        shape: rows and columns.
        looks: equivalent number of looks, above 0 (4.4 for Sentinel-1 IW GRDH).
        rng: source of randomness.
    """
    normal = rng.standard_normal(shape, dtype=np.float32)
    kernel = np.array([SPECKLE_KERNEL, 1, SPECKLE_KERNEL])
    kernel /= math.sqrt(float((kernel**2).sum()))
    for axis in (0, 1):
        normal = ndimage.correlate1d(normal, kernel, axis=axis, mode="wrap")
    knots = np.linspace(-6, 6, 6001)
    # Both tails by the smaller probability, where the other would round to 1.
    quantiles = np.where(
        knots < 0,
        special.gammaincinv(looks, special.ndtr(knots)),
        special.gammainccinv(looks, special.ndtr(-knots)),
    )
    return np.asarray(np.interp(normal, knots, quantiles / looks), dtype=np.float32)


def to_decibel(power: FloatArray, gain: tuple[float, float]) -> FloatArray:
    """Convert linear power [band, row, col] to decibel, and add the sensor's gain by band.

    Values are rounded to 1/128 dB, far below the speckle, which halves the files.
    """
    level = 10 * np.log10(np.maximum(power, np.float32(10 ** (_FLOOR_DB / 10))))
    level += np.asarray(gain, np.float32)[:, None, None]
    return np.asarray(np.rint(level * 128) / 128, dtype=np.float32)


def _lookup(values: list[float]) -> FloatArray:
    return np.asarray(values, dtype=np.float32)


def _roughness(ground: Landscape, wind: Wind, rng: np.random.Generator) -> FloatArray:
    """Roughness of water by wind, 0 ... about 1: gusts and lulls, built up along the fetch."""
    shape = (ground.cover.shape[0], ground.cover.shape[1])
    gusts = fractal_field(shape, 350, 3, rng)
    sheltered = float(np.quantile(gusts[::4, ::4], min(max(wind.calm, 0.0), 1.0)))
    strength = np.clip((gusts - np.float32(sheltered)) * 2.5, 0, 1)
    fetch = 1 - np.exp(-ground.shore / np.float32(wind.fetch))
    # Stubble and shallow water damp waves on flooded fields.
    damped = np.where(ground.cover == Cover.FLOOD, np.float32(0.5), np.float32(1))
    return np.asarray(strength * fetch * damped, dtype=np.float32)


def _slope_gain(height: FloatArray, incidence: FloatArray) -> FloatArray:
    slope = np.gradient(height, PIXEL, axis=1)
    flat = np.deg2rad(incidence)[None, :]
    local = np.clip(flat - np.arctan(slope), np.deg2rad(8), np.deg2rad(87))
    gain = 10 * np.log10(np.tan(flat) / np.tan(local))
    return np.asarray(np.clip(gain, -9, 7), dtype=np.float32)


def _bright_targets(urban: BoolArray, rng: np.random.Generator) -> FloatArray:
    """Buildings that face the sensor: a few pixels in a town return 8 to 16 dB more."""
    extra = np.zeros(urban.shape, np.float32)
    count = int(urban.sum())
    values = np.where(rng.random(count) < 0.06, rng.uniform(8, 16, count), 0)
    extra[urban] = values.astype(np.float32)
    return extra
