"""Look before training: what is in the data, what is wrong with it, how far domains lie apart."""

from collections.abc import Sequence
from dataclasses import dataclass

from sarwater.datasets.manifest import Manifest
from sarwater.inspection.chips import PERCENTILES, BandSummary, ChipSummary, summarize_chip
from sarwater.inspection.domains import BandComparison, compare_domains
from sarwater.inspection.findings import Finding, Severity, find_problems
from sarwater.progress import track
from sarwater.ratios import LabelCount, RatioTable, ratio_table

__all__ = [
    "PERCENTILES",
    "BandComparison",
    "BandSummary",
    "ChipSummary",
    "Finding",
    "Inspection",
    "Severity",
    "inspect_manifest",
]


@dataclass(frozen=True, eq=False)
class Inspection:
    """All that was found in a manifest's chips, in the manifest's order."""

    classes: tuple[str, ...]
    chips: tuple[ChipSummary, ...]
    ratios: RatioTable | None
    """Over labelled pixels, whatever the radar says; None without any usable labels."""
    ratios_valid: RatioTable | None
    """Over labelled pixels with valid radar: what training and evaluation count."""
    domains: tuple[BandComparison, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Findings of the gravest kind."""
        return tuple(one for one in self.findings if one.severity == Severity.ERROR)


def inspect_manifest(manifest: Manifest) -> Inspection:
    """Read every chip once, one at a time, and tell what is in the data.

    Chips without label files are in no ratio table. A chip that cannot be read, or whose labels
    cannot be used, becomes a finding and the inspection goes on.
    """
    chips = tuple(track(map(summarize_chip, manifest), "inspecting", len(manifest)))
    return Inspection(
        classes=manifest.classes,
        chips=chips,
        ratios=_ratios(chips, valid_only=False),
        ratios_valid=_ratios(chips, valid_only=True),
        domains=compare_domains(chips),
        findings=find_problems(chips),
    )


def _ratios(chips: Sequence[ChipSummary], *, valid_only: bool) -> RatioTable | None:
    found = [chip.label_count(valid_only=valid_only) for chip in chips]
    counts: list[LabelCount] = [count for count in found if count is not None]
    return ratio_table(counts) if counts else None
