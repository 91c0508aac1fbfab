"""Radiometry of a target whose values have no calibration in common with the source's.

Mean and standard deviation of all pixels depend on how much water is in the images: a wet target
that is normalized by them has its land where the source had its shores. Between processing chains
nothing else is known at first. Once a network has found most of the water, land and water of
the target can be laid on those of the source, band by band.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from sarwater.normalize import SMALLEST_STD, BandStatistics
from sarwater.types import BoolArray, FloatArray

DoubleArray = NDArray[np.float64]

SAME_WATER = 0.8
"""Intersection over union of the water before and after, from which matching is believed."""

_FEWEST = 1000
"""Pixels that each class must have."""


def class_medians(
    images: Iterable[tuple[FloatArray, BoolArray, BoolArray]],
) -> DoubleArray | None:
    """Return the medians [2, band] of land and of water.

    Args:
        images: values [band, row, col], water [row, col] and valid [row, col] of each.

    Returns:
        None where a class has fewer than a thousand pixels.
    """
    classes: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    for image, water, valid in images:
        classes[0].append(image[:, valid & ~water])
        classes[1].append(image[:, valid & water])
    if min(sum(part.shape[1] for part in parts) for parts in classes) < _FEWEST:
        return None
    return np.stack([np.median(np.concatenate(parts, axis=1), axis=1) for parts in classes])


def matching_statistics(
    target: DoubleArray, source: DoubleArray, count: int
) -> BandStatistics | None:
    """Return mean m and standard deviation s that lay the target's classes on the source's.

    (x - m) / s of the target's land and water medians are those of the source, so that
    s = (land_t - water_t) / (land_s - water_s) and m = land_t - s land_s.

    Args:
        target: medians [2, band] of land and water.
        source: the same of the source, normalized.
        count: pixels of the target, for the record.

    Returns:
        None where water is not on the same side of land in every band of both.

    >>> matching_statistics(np.array([[-9.0], [-21.0]]), np.array([[0.5], [-2.5]]), 10)
    BandStatistics(mean=(-11.0,), std=(4.0,), count=10)
    """
    apart, wanted = target[0] - target[1], source[0] - source[1]
    if not (apart * wanted > 0).all():
        return None
    std = apart / wanted
    mean = target[0] - std * source[0]
    return BandStatistics(tuple(mean.tolist()), tuple(std.tolist()), count)


def overlap(one: Iterable[BoolArray], other: Iterable[BoolArray]) -> float:
    """Return the intersection over union of the water of two maps, image by image; 0 without any.

    >>> overlap([np.array([[True, True, False]])], [np.array([[True, False, False]])])
    0.5
    """
    both = either = 0
    for first, second in zip(one, other, strict=True):
        both += int((first & second).sum())
        either += int((first | second).sum())
    return both / either if either else 0.0


_SHIFTED = 0.5
"""Standard deviations by which means differ that a network was not trained for."""


def shift_in_words(
    source: BandStatistics, target: BandStatistics, bands: Sequence[str]
) -> str | None:
    """Say which band's mean lies far from that of the source; None where none does.

    >>> one = BandStatistics((-10.0, -17.0), (4.0, 4.0), 1)
    >>> shift_in_words(one, BandStatistics((-10.5, -20.0), (4.0, 4.0), 1), ("VV", "VH"))
    "the target's mean of VH lies 0.8 standard deviations below the source's"
    >>> shift_in_words(one, one, ("VV", "VH")) is None
    True
    """
    shifts = [
        (after - before) / max(std, SMALLEST_STD)
        for before, std, after in zip(source.mean, source.std, target.mean, strict=True)
    ]
    index = max(range(len(shifts)), key=lambda i: abs(shifts[i]))
    if abs(shifts[index]) <= _SHIFTED:
        return None
    side = "below" if shifts[index] < 0 else "above"
    return (
        f"the target's mean of {bands[index]} lies {abs(shifts[index]):.1f} standard deviations "
        f"{side} the source's"
    )
