"""Random fields from which simulated landscapes are made: fractals, meanders, field parcels."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from sarwater.types import BoolArray, FloatArray

_HASHES = 4096
"""Size of the table from which parcels draw their random values (a power of two)."""


def fractal_field(
    shape: tuple[int, int], scale: float, slope: float, rng: np.random.Generator
) -> FloatArray:
    """Draw a stationary Gaussian field with spectrum (k^2 + 1/scale^2)^(-slope/2).

    The field is drawn on a larger torus and cut, so that opposite edges do not match; smooth ones
    (slope 3 or more) at half the resolution.

    Args:
        shape: rows and columns.
        scale: pixels over which it is correlated (outer scale, 2 pi included).
        slope: decay of the power spectrum; 2 is rugged, 4 smooth.
        rng: source of randomness.

    Returns:
        float32 [row, col], mean about 0 and variance about 1 over many draws.
    """
    if slope >= 3:
        half = (shape[0] // 2 + 2, shape[1] // 2 + 2)
        return double(_fractal(half, scale / 2, slope, rng), shape)
    return _fractal(shape, scale, slope, rng)


def _fractal(
    shape: tuple[int, int], scale: float, slope: float, rng: np.random.Generator
) -> FloatArray:
    rows, cols = (fft.next_fast_len(int(1.25 * n) + 16, real=True) for n in shape)
    noise = rng.standard_normal((rows, cols), dtype=np.float32)
    ky = 2 * np.pi * fft.fftfreq(rows).astype(np.float32)[:, None]
    kx = 2 * np.pi * fft.rfftfreq(cols).astype(np.float32)[None, :]
    outer = 2 * np.pi / scale
    amplitude = (kx**2 + ky**2 + np.float32(outer**2)) ** np.float32(-slope / 4)
    # Each column of the half spectrum but the first (and the last, for an even width) counts twice.
    weight = np.full(amplitude.shape[1], 2.0)
    weight[0] = 1
    if cols % 2 == 0:
        weight[-1] = 1
    power = float((amplitude.astype(np.float64) ** 2 * weight).sum()) / (rows * cols)
    spectrum = fft.rfft2(noise) * (amplitude / np.float32(math.sqrt(power)))
    field = fft.irfft2(spectrum, s=(rows, cols))[: shape[0], : shape[1]]
    return np.ascontiguousarray(field, dtype=np.float32)


def top_share(score: FloatArray, free: BoolArray, share: float) -> BoolArray:
    """Choose the pixels of highest score among the free ones until they are ``share`` of all.

    Args:
        score: [row, col].
        free: [row, col], which pixels may be chosen.
        share: wanted share of the whole array, 0 ... 1; at most all free pixels are chosen.
    """
    wanted = round(share * score.size)
    candidates = score[free]
    if wanted <= 0 or candidates.size == 0:
        return np.zeros(score.shape, np.bool_)
    if wanted >= candidates.size:
        return free.copy()
    cut = np.partition(candidates, candidates.size - wanted)[candidates.size - wanted]
    return np.asarray(free & (score >= cut))


def meander(
    shape: tuple[int, int], wavelength: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw a river's centerline: a sine-generated curve (Langbein and Leopold 1966).

    Its direction is phi(s) = phi_0 + omega sin(2 pi s / wavelength) with an omega that varies
    along the river and a slow drift; steps are half a pixel long.

    Returns:
        [point, (row, col)]; points may lie outside the scene.
    """
    rows, cols = shape
    count = int(6 * math.hypot(rows, cols))
    steps = np.arange(count) * 0.5

    def slow(scale: float) -> NDArray[np.float64]:
        noise = ndimage.gaussian_filter1d(rng.standard_normal(count), scale * 2, mode="wrap")
        return np.asarray(noise / noise.std())

    phase = 2 * np.pi * steps / wavelength + 0.9 * slow(wavelength)
    omega = np.clip(0.95 + 0.3 * slow(2 * wavelength), 0.2, 1.5)
    down = rng.random() < 0.5
    start = rng.uniform(0.2, 0.8)
    heading = (np.pi / 2 if down else 0) + rng.uniform(-0.35, 0.35)
    direction = heading + omega * np.sin(phase) + 0.3 * slow(3 * wavelength)
    origin = np.array([-10.0, start * cols]) if down else np.array([start * rows, -10.0])
    moves = 0.5 * np.stack([np.sin(direction), np.cos(direction)], axis=1)
    return np.asarray(origin + np.cumsum(moves, axis=0))


def distance_to_points(shape: tuple[int, int], points: NDArray[np.float64]) -> FloatArray:
    """Return each pixel's distance in pixels to the nearest point (to about a pixel).

    It is found at half the resolution and interpolated. Far away everywhere without points.
    """
    half = (shape[0] // 2 + 2, shape[1] // 2 + 2)
    cells = np.rint(points / 2).astype(int)
    cells = cells[((cells >= 0) & (cells < half)).all(axis=1)]
    if not len(cells):
        return np.full(shape, 4.0 * max(shape), np.float32)
    away = np.ones(half, np.bool_)
    away[cells[:, 0], cells[:, 1]] = False
    distance = ndimage.distance_transform_edt(away).astype(np.float32)
    return 2 * double(distance, shape)


def double(field: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Interpolate a field of half the resolution (with at least one row and column to spare)."""
    rows = np.empty((2 * field.shape[0] - 1, field.shape[1]), np.float32)
    rows[::2] = field
    rows[1::2] = (field[:-1] + field[1:]) / 2
    full = np.empty((rows.shape[0], 2 * rows.shape[1] - 1), np.float32)
    full[:, ::2] = rows
    full[:, 1::2] = (rows[:, :-1] + rows[:, 1:]) / 2
    return np.ascontiguousarray(full[: shape[0], : shape[1]])


class Parcels:
    """Field parcels: rotated, warped, staggered rectangles, each with random values of its own."""

    def __init__(
        self, shape: tuple[int, int], sides: Sequence[float], rng: np.random.Generator
    ) -> None:
        """Lay out parcels.

        Args:
            shape: rows and columns.
            sides: length and width of a parcel in pixels.
            rng: source of randomness.
        """
        length, width = sides
        angle = rng.uniform(0, np.pi)
        col = np.arange(shape[1], dtype=np.float32)[None, :]
        row = np.arange(shape[0], dtype=np.float32)[:, None]
        warp = fractal_field(shape, 900, 4, rng) * np.float32(0.5 * length)
        along = col * np.float32(math.cos(angle)) + row * np.float32(math.sin(angle)) + warp
        across = row * np.float32(math.cos(angle)) - col * np.float32(math.sin(angle)) - warp
        strip = np.floor(across / np.float32(width)).astype(np.int32)
        strip -= strip.min()
        shifts = rng.random(_HASHES).astype(np.float32)
        item = np.floor(along / np.float32(length) + shifts[strip & (_HASHES - 1)])
        item -= item.min()
        self.labels = strip * np.int32(item.max() + 1) + item.astype(np.int32)
        """Number of each pixel's parcel, [row, col]; some numbers may have no pixel."""
        self.count = int(self.labels.max()) + 1
        sizes = np.bincount(self.labels.ravel(), minlength=self.count)
        self._sizes = np.maximum(sizes, 1)

    def uniform(self, rng: np.random.Generator) -> FloatArray:
        """Draw a value in [0, 1) for each parcel, spread over its pixels [row, col]."""
        return np.asarray(rng.random(self.count, dtype=np.float32)[self.labels])

    def normal(self, rng: np.random.Generator) -> FloatArray:
        """Draw a standard normal value for each parcel, spread over its pixels [row, col]."""
        return np.asarray(rng.standard_normal(self.count, dtype=np.float32)[self.labels])

    def mean(self, field: FloatArray) -> FloatArray:
        """Replace a field by its mean over each parcel."""
        sums = np.bincount(self.labels.ravel(), weights=field.ravel(), minlength=self.count)
        return np.asarray((sums / self._sizes).astype(np.float32)[self.labels])
