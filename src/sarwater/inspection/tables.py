"""An inspection as files for programs: ``inspection.json``, ``chips.csv``, ``histograms.npz``."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sarwater import __version__
from sarwater.files import atomic_path, write_json
from sarwater.inspection import Inspection
from sarwater.inspection.chips import PERCENTILES, BandSummary, ChipSummary
from sarwater.inspection.domains import BandComparison, DomainBand
from sarwater.inspection.histograms import Histogram, scale_of
from sarwater.ratios import RATIO_BINS, ratio_table

SCHEMA = "sarwater-inspection/1"

_ABOUT = {
    "chips": "one entry a chip, in the manifest's order; statistics over valid pixels in the "
    "chip's units; null where there is no valid pixel",
    "chips.valid_share": "share of pixels with data in every band; nodata_share is the rest",
    "chips.labels": "pixels by class, of all labelled pixels (labelled) and of those with valid "
    "radar (labelled_valid); ignored: pixels without a label; ratio: background (class 0) for "
    "each foreground pixel, null without foreground; null without usable labels",
    "ratio_bins": "chips in each bin over labelled pixels, those without usable "
    "labels left out; a ratio of 10 lies in 10-100, of 100 and 1000 in 100-1000; chips "
    "whose every pixel is unlabelled are in the last bin and named",
    "ratio_bins_valid": "the same over labelled pixels with valid radar",
    "domains": "one entry a band and scale; linear power is compared in dB (10 log10), "
    "amplitudes as 20 log10; matrices are [row domain][column domain] in the order of domains; "
    "mean_difference: row minus column; standardized_difference: over sqrt((s1^2 + s2^2) / 2); "
    "jensen_shannon: bits, 0 ... 1; wasserstein: in units of the scale",
    "histogram": "bin i holds start_value + i * width up to the next; below and above: values "
    "outside the bins",
    "findings": "severity error, warning or note; code; message; chips",
}

_BAND_COLUMNS = ("minimum", "maximum", "mean", "std", *(f"p{p}" for p in PERCENTILES))


def save_tables(inspection: Inspection, folder: Path) -> None:
    """Write the three files into a folder that exists."""
    write_json(folder / "inspection.json", inspection_dict(inspection))
    _write_chips(inspection, folder / "chips.csv")
    _write_histograms(inspection, folder / "histograms.npz")


def inspection_dict(inspection: Inspection) -> dict[str, Any]:
    """Return the inspection as plain values without nan; ``about`` says what they mean.

    Histograms of single chips are not in it; they are in ``histograms.npz``.
    """
    return {
        "schema": SCHEMA,
        "version": __version__,
        "about": _ABOUT,
        "classes": list(inspection.classes),
        "percentiles": list(PERCENTILES),
        "chip_count": len(inspection.chips),
        "findings": [finding.as_dict() for finding in inspection.findings],
        "ratio_bins": (inspection.ratios or ratio_table(())).as_dict(),
        "ratio_bins_valid": (inspection.ratios_valid or ratio_table(())).as_dict(),
        "domains": [_comparison(one) for one in inspection.domains],
        "chips": [_chip(chip) for chip in inspection.chips],
    }


def _chip(chip: ChipSummary) -> dict[str, Any]:
    record = chip.record
    return {
        "id": record.id,
        "domain": record.domain,
        "split": record.split,
        "units": record.units.value,
        "guessed_units": chip.guessed_units.value if chip.guessed_units else None,
        "height": chip.height or None,
        "width": chip.width or None,
        "valid_share": chip.valid_share if chip.bands else None,
        "nodata_share": 1 - chip.valid_share if chip.bands else None,
        "sha256": chip.digest or None,
        "problem": chip.problem or None,
        "bands": [_band(band) for band in chip.bands],
        "labels": _labels(chip),
    }


def _band(band: BandSummary) -> dict[str, Any]:
    values = dict(zip(_BAND_COLUMNS, _statistics(band), strict=True))
    return {"band": band.band} | {name: _or_none(value) for name, value in values.items()}


def _labels(chip: ChipSummary) -> dict[str, Any] | None:
    every, seen = chip.label_count(), chip.label_count(valid_only=True)
    if chip.labels is None or every is None or seen is None:
        return None
    names = chip.record.classes
    return {
        "labelled": dict(zip(names, chip.labels.classes, strict=True)),
        "labelled_valid": dict(zip(names, chip.labels.classes_valid, strict=True)),
        "ignored": chip.labels.ignored,
        "ratio": every.ratio,
        "ratio_bin": RATIO_BINS[every.bin],
        "ratio_valid": seen.ratio,
        "ratio_bin_valid": RATIO_BINS[seen.bin],
    }


def _comparison(found: BandComparison) -> dict[str, Any]:
    return {
        "band": found.band,
        "scale": found.scale.value,
        "domains": [_domain(one) for one in found.domains],
        "mean_difference": found.mean_difference,
        "standardized_difference": found.standardized_difference,
        "jensen_shannon": found.jensen_shannon,
        "wasserstein": found.wasserstein,
    }


def _domain(one: DomainBand) -> dict[str, Any]:
    return {
        "domain": one.domain,
        "valid_px": one.count,
        "mean": one.mean,
        "std": one.std,
        "histogram": _histogram(one.histogram),
    }


def _histogram(found: Histogram) -> dict[str, Any]:
    return {
        "start_value": found.start * found.width,
        "width": found.width,
        "counts": found.counts.tolist(),
        "below": found.below,
        "above": found.above,
    }


def _write_chips(inspection: Inspection, path: Path) -> None:
    """Write a row a chip and band; a chip that could not be read has one row without figures."""
    classes = inspection.classes
    columns = ["chip", "domain", "split", "units", "guessed_units", "height", "width"]
    columns += ["valid_share", "band", *_BAND_COLUMNS]
    columns += [f"{name}_px" for name in classes] + ["ignored_px", "ratio", "ratio_bin"]
    columns += [f"{name}_valid_px" for name in classes] + ["ratio_valid", "problem"]
    with atomic_path(path) as aside, aside.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        for chip in inspection.chips:
            for band in chip.bands or (None,):
                writer.writerow(_row(chip, band))


def _row(chip: ChipSummary, band: BandSummary | None) -> list[object]:
    record = chip.record
    first = [record.id, record.domain, record.split, record.units.value]
    guessed = chip.guessed_units.value if chip.guessed_units else ""
    size = [chip.height, chip.width, f"{chip.valid_share:.6g}"] if chip.bands else ["", "", ""]
    figures: Sequence[object] = [""] * (1 + len(_BAND_COLUMNS))
    if band is not None:
        numbers = _statistics(band)
        figures = [band.band, *(f"{v:.7g}" if math.isfinite(v) else "" for v in numbers)]
    return [*first, guessed, *size, *figures, *_label_cells(chip), chip.problem]


def _label_cells(chip: ChipSummary) -> list[object]:
    every, seen = chip.label_count(), chip.label_count(valid_only=True)
    if chip.labels is None or every is None or seen is None:
        return [""] * (2 * len(chip.record.classes) + 4)
    ratios = ["" if one.ratio is None else f"{one.ratio:.7g}" for one in (every, seen)]
    return [
        *chip.labels.classes,
        chip.labels.ignored,
        ratios[0],
        RATIO_BINS[every.bin],
        *chip.labels.classes_valid,
        ratios[1],
    ]


def _write_histograms(inspection: Inspection, path: Path) -> None:
    """Write the histograms of single chips, those of all chips and bands end to end.

    Arrays: ``chip``, ``band``, ``scale`` (text), ``width``, ``start_value``, ``below``, ``above``
    and ``offset`` have an entry a histogram (``offset`` one more); the counts of histogram i are
    ``counts[offset[i]:offset[i + 1]]``.
    """
    found = [
        (chip.record.id, band.band, scale_of(chip.record.units).value, band.histogram)
        for chip in inspection.chips
        for band in chip.bands
        if band.histogram is not None
    ]
    histograms = [one for *_, one in found]
    counts = [one.counts for one in histograms] or [np.zeros(0, np.int64)]
    with atomic_path(path) as aside, aside.open("wb") as out:
        np.savez_compressed(
            out,
            chip=np.array([chip for chip, *_ in found], dtype=np.str_),
            band=np.array([band for _, band, *_ in found], dtype=np.str_),
            scale=np.array([scale for _, _, scale, _ in found], dtype=np.str_),
            width=np.array([one.width for one in histograms], np.float64),
            start_value=np.array([one.start * one.width for one in histograms], np.float64),
            below=np.array([one.below for one in histograms], np.int64),
            above=np.array([one.above for one in histograms], np.int64),
            offset=np.cumsum([0, *(len(one.counts) for one in histograms)], dtype=np.int64),
            counts=np.concatenate(counts),
        )


def _statistics(band: BandSummary) -> tuple[float, ...]:
    return (band.minimum, band.maximum, band.mean, band.std, *band.percentiles)


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
