"""What a person should know before training, each finding with the chips that it is about."""

import enum
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sarwater.datasets.manifest import Manifest
from sarwater.datasets.splits import shared_ground
from sarwater.inspection.chips import ChipSummary
from sarwater.types import Units
from sarwater.units import PLAUSIBLE


class Severity(enum.StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """Training or evaluating on this would fail, or give scores that mean nothing."""
    WARNING = "warning"
    """Probably not meant; look at it."""
    NOTE = "note"
    """Good to know."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found."""

    severity: Severity
    code: str
    message: str
    chips: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return plain values, as written to JSON."""
        return {
            "severity": self.severity.value,
            "code": self.code,
            "message": self.message,
            "chips": list(self.chips),
        }


Chips = Sequence[ChipSummary]


def find_problems(chips: Chips) -> tuple[Finding, ...]:
    """Check all that can be checked, the gravest findings first."""
    checks: list[Callable[[Chips], Iterator[Finding]]] = [
        _shared,
        _unusable,
        _duplicates,
        _guessed_units,
        _mixed_units,
        _implausible,
        _without_radar,
        _constant,
        _filled,
        _unlabelled,
        _foreground,
        _differences,
    ]
    found = [one for check in checks for one in check(chips)]
    order = list(Severity)
    return tuple(sorted(found, key=lambda one: order.index(one.severity)))


def _unusable(chips: Chips) -> Iterator[Finding]:
    for chip in chips:
        if chip.problem:
            yield Finding(Severity.ERROR, chip.problem, chip.message, (chip.record.id,))


def _shared(chips: Chips) -> Iterator[Finding]:
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for pair in shared_ground(Manifest(tuple(chip.record for chip in chips))):
        pairs[pair.split, pair.other_split].append((pair.chip, pair.other_chip))
    for (first, second), found in pairs.items():
        names = tuple(dict.fromkeys(chip for pair in found for chip in pair))
        yield Finding(
            Severity.ERROR,
            "shared-ground",
            f"splits '{first}' and '{second}' share ground in {len(found)} pairs of chips (for "
            f"example {found[0][0]} and {found[0][1]}): scores of one would not be honest about "
            "the other; split by scene, domain or a column",
            names,
        )


def _duplicates(chips: Chips) -> Iterator[Finding]:
    groups: dict[str, list[ChipSummary]] = defaultdict(list)
    for chip in chips:
        if chip.digest:
            groups[chip.digest].append(chip)
    for same in groups.values():
        if len(same) == 1:
            continue
        splits = sorted({chip.record.split for chip in same if chip.record.split})
        yield Finding(
            Severity.ERROR if len(splits) > 1 else Severity.WARNING,
            "duplicate-chips",
            f"{len(same)} chips have identical pixels"
            + (f", across splits {', '.join(splits)}" if len(splits) > 1 else "")
            + "; keep one of them",
            _ids(same),
        )


def _guessed_units(chips: Chips) -> Iterator[Finding]:
    groups: dict[tuple[Units, Units], list[ChipSummary]] = defaultdict(list)
    for chip in chips:
        declared, guessed = chip.record.units, chip.guessed_units
        if declared != Units.OTHER and guessed is not None and guessed != declared:
            groups[declared, guessed].append(chip)
    for (declared, guessed), found in groups.items():
        yield Finding(
            Severity.WARNING,
            "units-guessed",
            f"{_number(found)} declared '{declared.value}' with values that look like "
            f"'{guessed.value}'; correct the column units if they are",
            _ids(found),
        )
    undeclared = [
        chip
        for chip in chips
        if chip.record.units == Units.OTHER and chip.guessed_units is not None
    ]
    kinds = Counter(chip.guessed_units.value for chip in undeclared if chip.guessed_units)
    if len(kinds) > 1:
        most = kinds.most_common(1)[0][0]
        yield Finding(
            Severity.WARNING,
            "mixed-guesses",
            f"chips declared 'other' look like different units: {_listed(kinds)}; the chips that "
            f"do not look like '{most}' are named",
            _ids([chip for chip in undeclared if chip.guessed_units != most]),
        )


def _mixed_units(chips: Chips) -> Iterator[Finding]:
    readable = [chip for chip in chips if chip.bands]
    mixed_within = False
    for domain in dict.fromkeys(chip.record.domain for chip in readable):
        members = [chip for chip in readable if chip.record.domain == domain]
        units = Counter(chip.record.units.value for chip in members)
        if len(units) > 1:
            mixed_within = True
            rare = min(units, key=lambda name: units[name])
            yield Finding(
                Severity.ERROR,
                "mixed-units-in-domain",
                f"domain '{domain}' mixes units: {_listed(units)}; convert or correct them",
                _ids([chip for chip in members if chip.record.units.value == rare]),
            )
    units = Counter(chip.record.units.value for chip in readable)
    if len(units) > 1:
        most = units.most_common(1)[0][0]
        yield Finding(
            Severity.WARNING,
            "mixed-units",
            f"chips are in different units: {_listed(units)}"
            + ("" if mixed_within else ", one kind a domain")
            + f"; the chips that are not in '{most}' are named. A model works in one of them",
            _ids([chip for chip in readable if chip.record.units.value != most]),
        )


def _implausible(chips: Chips) -> Iterator[Finding]:
    groups: dict[Units, list[ChipSummary]] = defaultdict(list)
    for chip in chips:
        limits = PLAUSIBLE.get(chip.record.units)
        if limits and any(b.minimum < limits[0] or b.maximum > limits[1] for b in chip.bands):
            groups[chip.record.units].append(chip)
    for units, found in groups.items():
        low, high = PLAUSIBLE[units]
        extremes = (
            min(band.minimum for chip in found for band in chip.bands),
            max(band.maximum for chip in found for band in chip.bands),
        )
        yield Finding(
            Severity.WARNING,
            "implausible-values",
            f"values outside {low:g} ... {high:g} in {_number(found)} of units '{units.value}' "
            f"(from {extremes[0]:g} to {extremes[1]:g}): wrong units, or a no-data value that "
            "nobody declared (name it in the column nodata)",
            _ids(found),
        )


def _without_radar(chips: Chips) -> Iterator[Finding]:
    empty = [chip for chip in chips if chip.bands and chip.valid_share == 0]
    if empty:
        yield Finding(
            Severity.WARNING,
            "no-valid-pixels",
            f"no valid pixel in {_number(empty)}: all of it is no data; leave it out",
            _ids(empty),
        )
    labelled = [chip for chip in chips if chip.labels and sum(chip.labels.classes)]
    lost = [chip for chip in labelled if chip.labels and not sum(chip.labels.classes_valid)]
    if lost:
        yield Finding(
            Severity.WARNING,
            "label-without-radar",
            f"no valid radar under any label of {_number(lost)} ({_foreground_px(lost):,} px of "
            "foreground): no score can count them",
            _ids(lost),
        )
    partly = [chip for chip in labelled if chip not in lost and _foreground_lost(chip)]
    if partly:
        pixels = sum(_foreground_lost(chip) for chip in partly)
        share = pixels / max(_foreground_px(labelled), 1)
        yield Finding(
            Severity.NOTE,
            "foreground-without-radar",
            f"foreground labels where the radar is no data in {_number(partly)}: "
            f"{pixels:,} px, {share:.2%} of all foreground",
            _ids(partly),
        )


def _constant(chips: Chips) -> Iterator[Finding]:
    constant = [chip for chip in chips if any(band.std == 0 for band in chip.bands)]
    if constant:
        yield Finding(
            Severity.WARNING,
            "constant-band",
            f"a band with one value only in {_number(constant)}; a no-data value, perhaps",
            _ids(constant),
        )


def _filled(chips: Chips) -> Iterator[Finding]:
    filled = [(*chip.fill, chip) for chip in chips if chip.fill]
    for value in dict.fromkeys(value for value, _, _ in filled):
        found = [chip for other, _, chip in filled if other == value]
        most = max(share for other, share, _ in filled if other == value)
        yield Finding(
            Severity.WARNING,
            "filled",
            f"the one value {value:g} dB fills up to {most:.0%} of {_number(found)}: no data that "
            "nobody declared, perhaps (name it in the column nodata)",
            _ids(found),
        )


def _unlabelled(chips: Chips) -> Iterator[Finding]:
    wholly = [chip for chip in chips if chip.labels and not sum(chip.labels.classes)]
    if wholly:
        yield Finding(
            Severity.WARNING,
            "wholly-unlabelled",
            f"label files in which every pixel is unlabelled in {_number(wholly)}",
            _ids(wholly),
        )
    without = [chip for chip in chips if not chip.record.labels]
    if without and len(without) < len(chips):
        yield Finding(
            Severity.NOTE,
            "no-label-files",
            f"no label files for {len(without)} of {_number(chips)}",
            _ids(without),
        )


def _foreground(chips: Chips) -> Iterator[Finding]:
    for split in dict.fromkeys(chip.record.split for chip in chips if chip.record.split):
        labelled = [chip for chip in chips if chip.record.split == split and chip.labels]
        if not labelled:
            continue
        names = labelled[0].record.classes
        totals = [
            sum(chip.labels.classes_valid[index] for chip in labelled if chip.labels)
            for index in range(len(names))
        ]
        missing = [name for name, pixels in zip(names, totals, strict=True) if not pixels]
        if not any(totals[1:]):
            yield Finding(
                Severity.ERROR,
                "split-without-foreground",
                f"no chip of split '{split}' has a pixel of {' or '.join(names[1:])} with valid "
                "radar: neither a loss nor a threshold nor an F1 can be had from it",
                _ids(labelled),
            )
        elif missing:
            yield Finding(
                Severity.WARNING,
                "split-without-class",
                f"no chip of split '{split}' has a pixel of {' or '.join(missing)} with valid "
                "radar",
                _ids(labelled),
            )


def _differences(chips: Chips) -> Iterator[Finding]:
    readable = [chip for chip in chips if chip.bands]
    sizes = Counter(_size(chip) for chip in readable)
    bands = Counter(_bands(chip) for chip in readable)
    for code, what, found, key in (
        ("sizes-differ", "sizes (rows x columns)", sizes, _size),
        ("bands-differ", "bands", bands, _bands),
    ):
        if len(found) > 1:
            most = found.most_common(1)[0][0]
            yield Finding(
                Severity.NOTE,
                code,
                f"chips have different {what}: {_listed(found)}; the chips that are not "
                f"'{most}' are named",
                _ids([chip for chip in readable if key(chip) != most]),
            )


def _size(chip: ChipSummary) -> str:
    return f"{chip.height} x {chip.width} px"


def _bands(chip: ChipSummary) -> str:
    return ";".join(chip.record.bands)


def _foreground_px(chips: Chips) -> int:
    return sum(sum(chip.labels.classes[1:]) for chip in chips if chip.labels)


def _foreground_lost(chip: ChipSummary) -> int:
    if chip.labels is None:
        return 0
    return sum(chip.labels.classes[1:]) - sum(chip.labels.classes_valid[1:])


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.most_common())


def _number(chips: Chips) -> str:
    return "1 chip" if len(chips) == 1 else f"{len(chips)} chips"


def _ids(chips: Chips) -> tuple[str, ...]:
    return tuple(chip.record.id for chip in chips)
