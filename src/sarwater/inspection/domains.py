"""Domains side by side: how far apart their backscatter lies, band by band."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sarwater.inspection.chips import BandSummary, ChipSummary
from sarwater.inspection.histograms import (
    Histogram,
    Scale,
    add,
    jensen_shannon,
    scale_of,
    wasserstein,
)

Matrix = tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, eq=False)
class DomainBand:
    """One band of all chips of a domain, over valid pixels, on the histogram's axis."""

    domain: str
    band: str
    scale: Scale
    count: int
    """Valid pixels."""
    mean: float
    std: float
    histogram: Histogram


@dataclass(frozen=True, eq=False)
class BandComparison:
    """One band on one scale: each domain against each other, [row domain][column domain]."""

    band: str
    scale: Scale
    domains: tuple[DomainBand, ...]
    mean_difference: Matrix
    """Mean of the row's domain minus that of the column's, in units of the scale."""
    standardized_difference: Matrix
    """The same over the pooled standard deviation, sqrt((s1^2 + s2^2) / 2) (Cohen's d, pixels
    not weighted); None where both are constant."""
    jensen_shannon: Matrix
    """Divergence in bits: 0 where the histograms are equal, 1 where nothing overlaps."""
    wasserstein: Matrix
    """1-Wasserstein distance of the histograms, in units of the scale."""


def compare_domains(chips: Iterable[ChipSummary]) -> tuple[BandComparison, ...]:
    """Compare the domains in each band that they share by name (in any case of letters).

    Bands whose values lie on different scales (bytes and decibels, for example) cannot be
    compared and stand side by side as a comparison each.
    """
    groups: dict[tuple[str, Scale], dict[str, list[BandSummary]]] = {}
    for chip in chips:
        for band in chip.bands:
            if band.histogram is not None:
                key = (band.band.lower(), scale_of(chip.record.units))
                groups.setdefault(key, {}).setdefault(chip.record.domain, []).append(band)
    return tuple(
        _comparison(scale, [_pooled(name, scale, bands) for name, bands in domains.items()])
        for (_, scale), domains in groups.items()
    )


def standardized_difference(first: DomainBand, second: DomainBand) -> float | None:
    """Return the difference of means in pooled standard deviations."""
    pooled = math.sqrt((first.std**2 + second.std**2) / 2)
    return (first.mean - second.mean) / pooled if pooled > 0 else None


def _pooled(domain: str, scale: Scale, bands: Sequence[BandSummary]) -> DomainBand:
    histograms = [band.histogram for band in bands if band.histogram is not None]
    counts = [found.total for found in histograms]
    total = sum(counts)
    mean = sum(n * band.scale_mean for n, band in zip(counts, bands, strict=True)) / total
    squares = sum(
        n * (band.scale_std**2 + (band.scale_mean - mean) ** 2)
        for n, band in zip(counts, bands, strict=True)
    )
    std = math.sqrt(squares / total)
    return DomainBand(domain, bands[0].band, scale, total, mean, std, add(histograms))


def _comparison(scale: Scale, domains: Sequence[DomainBand]) -> BandComparison:
    def matrix(measure: Callable[[DomainBand, DomainBand], float | None]) -> Matrix:
        return tuple(tuple(measure(one, other) for other in domains) for one in domains)

    return BandComparison(
        domains[0].band,
        scale,
        tuple(domains),
        mean_difference=matrix(lambda one, other: one.mean - other.mean),
        standardized_difference=matrix(standardized_difference),
        jensen_shannon=matrix(lambda a, b: jensen_shannon(a.histogram, b.histogram)),
        wasserstein=matrix(lambda a, b: wasserstein(a.histogram, b.histogram)),
    )
