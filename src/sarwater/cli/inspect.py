"""``sarwater inspect``: look at the data before training."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sarwater.cli.results import Result, add_json
from sarwater.errors import ConfigError, DataError
from sarwater.files import atomic_folder, refuse_existing, refuse_inputs

if TYPE_CHECKING:
    from sarwater.inspection import Finding, Inspection
    from sarwater.ratios import RatioTable

_NAMED = 6
"""Chips that a finding names on the terminal; the files name all of them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add("manifest", type=Path, nargs="?", help="manifest of the chips (CSV)")
    add(
        "--counts",
        type=Path,
        metavar="FILE",
        help="in place of a manifest, a table of label counts (CSV: chip, event or domain, split, "
        "nonwater_px, water_px, ignored_px): the ratio bins only",
    )
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder to write: inspection.json, chips.csv, histograms.npz and plots; with --counts "
        "ratios.json and ratio_bins.png, and not required",
    )
    add("--overwrite", action="store_true", help="replace the folder if it exists")
    add_json(parser)
    add(
        "--contact-sheet",
        type=int,
        default=64,
        metavar="N",
        help="chips on the contact sheet, 0 ... 256, evenly chosen from all sorted by ratio",
    )
    add("--strict", action="store_true", help="exit with 1 when a finding is an error")


def run(args: argparse.Namespace) -> Result:
    """Inspect a manifest's chips, or a table of counts."""
    if (args.manifest is None) == (args.counts is None):
        raise ConfigError("give either a manifest or --counts FILE, one of the two")
    if not 0 <= args.contact_sheet <= 256:
        raise ConfigError(f"--contact-sheet is {args.contact_sheet}; expected 0 ... 256")
    if args.out is None and args.manifest is not None:
        raise ConfigError("name the folder to write with --out DIR")
    if args.out is not None:
        refuse_existing(args.out, overwrite=args.overwrite, folder=True)
    return _inspect_manifest(args) if args.counts is None else _inspect_counts(args)


def _inspect_counts(args: argparse.Namespace) -> Result:
    from sarwater.files import write_json
    from sarwater.ratios import ratio_table, read_counts

    table = ratio_table(read_counts(args.counts))
    if args.out is not None:
        refuse_inputs(args.out, [args.counts])
        from sarwater.report.inspection_charts import ratio_figure
        from sarwater.report.saving import save_figure

        with atomic_folder(args.out, overwrite=args.overwrite) as folder:
            write_json(folder / "ratios.json", table.as_dict())
            save_figure(
                ratio_figure(table, ("non-water", "water")), folder / "ratio_bins.png", dpi=130
            )
    where = f"\n\nwritten to {args.out}" if args.out is not None else ""
    return Result(table.as_dict(), lambda: ratio_text(table) + where)


def _inspect_manifest(args: argparse.Namespace) -> Result:
    from sarwater.datasets.manifest import read_manifest
    from sarwater.inspection import inspect_manifest
    from sarwater.inspection.tables import inspection_dict, save_tables
    from sarwater.inspection.thumbnails import choose_chips, read_thumbnails
    from sarwater.report.inspection_charts import save_charts

    manifest = read_manifest(args.manifest)
    refuse_inputs(args.out, manifest.files)
    inspection = inspect_manifest(manifest)
    chosen = choose_chips(inspection.chips, args.contact_sheet)
    thumbnails = read_thumbnails(chosen, inspection.domains)
    with atomic_folder(args.out, overwrite=args.overwrite) as folder:
        save_tables(inspection, folder)
        save_charts(inspection, thumbnails, folder)
    return Result(
        inspection_dict(inspection),
        lambda: f"{inspection_text(inspection)}\n\nwritten to {args.out}",
        _failure(args, inspection) if args.strict and inspection.errors else None,
    )


def _failure(args: argparse.Namespace, inspection: "Inspection") -> DataError:
    codes = ", ".join(dict.fromkeys(found.code for found in inspection.errors))
    return DataError(
        f"{len(inspection.errors)} findings are errors ({codes}) and --strict was given; "
        f"correct {args.manifest}, see {args.out / 'inspection.json'}"
    )


def inspection_text(inspection: "Inspection") -> str:
    """Return what the terminal shows: ratio bins, distances and findings."""
    parts = [f"{len(inspection.chips)} chips, classes {', '.join(inspection.classes)}"]
    if inspection.ratios is not None:
        parts.append(ratio_text(inspection.ratios, inspection.classes))
        if inspection.ratios_valid != inspection.ratios and inspection.ratios_valid is not None:
            parts.append(
                "over labelled pixels with valid radar: "
                + "  ".join(str(count) for count in inspection.ratios_valid.total)
            )
    parts += _distances(inspection)
    found = [_finding(one) for one in inspection.findings]
    parts.append("\n".join(found) if found else "nothing found that is wrong")
    return "\n\n".join(parts)


def ratio_text(table: "RatioTable", classes: tuple[str, ...] = ("non-water", "water")) -> str:
    """Return the ratio bins as a table for the terminal."""
    from sarwater.datasets.listing import some
    from sarwater.ratios import RATIO_BINS

    bins = [name.replace("water", " + ".join(classes[1:])) for name in RATIO_BINS]
    rows = [("split " + name, row) for name, row in table.by_split.items()]
    rows += [("domain " + name, row) for name, row in table.by_domain.items()]
    rows.append(("all", table.total))
    width = max(len(name) for name, _ in rows)
    head = f"{classes[0]} px : {' + '.join(classes[1:])} px, chips in each bin"
    lines = [head, " " * width + "".join(f"{name:>{_cell(name)}}" for name in bins)]
    for name, row in rows:
        cells = (f"{n:>{_cell(title)}}" for n, title in zip(row, bins, strict=True))
        lines.append(f"{name:<{width}}" + "".join(cells))
    if table.unlabelled:
        lines.append(f"every pixel unlabelled (in the last bin): {some(table.unlabelled)}")
    return "\n".join(lines)


def _distances(inspection: "Inspection") -> list[str]:
    lines = []
    for found in inspection.domains:
        pairs = [
            (found.wasserstein[i][j] or 0.0, one.domain, found.domains[j].domain)
            for i, one in enumerate(found.domains)
            for j in range(i)
        ]
        if pairs:
            far = max(pairs)
            lines.append(
                f"{found.band}: domains farthest apart {far[2]} and {far[1]}, earth mover's "
                f"distance {far[0]:.3g} ({found.scale.value})"
            )
    return ["\n".join(lines)] if lines else []


def _finding(one: "Finding") -> str:
    from sarwater.datasets.listing import some

    named = f" [{some(one.chips, _NAMED)}]" if one.chips else ""
    return f"{one.severity.value} {one.code}: {one.message}{named}"


def _cell(title: str) -> int:
    return max(len(title), 6) + 2
