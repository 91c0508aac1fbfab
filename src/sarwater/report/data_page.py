"""The page of an inspection: what is in the data."""

from pathlib import Path
from typing import Any

from sarwater.report.section import BlobStore, Section

_SHEETS = {"contact_sheet.png": "Contact sheet"}


def data_section(path: Path, result: Any, store: BlobStore) -> Section:
    """Return the section of ``inspection.json`` and the contact sheet beside it."""
    ratios = result["ratio_bins"]
    rows = [
        (name, *map(str, counts))
        for group in ("by_split", "by_domain")
        for name, counts in ratios[group].items()
    ]
    sheets = [(path.with_name(name), title) for name, title in _SHEETS.items()]
    classes = ", ".join(result.get("classes", []))
    chips = result.get("chips", [])
    return Section(
        "data",
        path.resolve().parent.name,
        summary=f"{len(chips):,} chips, classes {classes}" if chips else "",
        data={
            "bins": ratios["bins"],
            "ratios": [*rows, ("all", *map(str, ratios["total"]))],
            "findings": result["findings"],
            "bands": result.get("domains", []),
            "chips": [_chip(chip) for chip in chips],
            "sheets": [
                {"title": title, "blob": store.add(sheet.read_bytes())}
                for sheet, title in sheets
                if sheet.is_file()
            ],
        },
    )


def _chip(chip: Any) -> dict[str, Any]:
    """Return what the table of chips shows."""
    labels = chip["labels"]
    kept = ("id", "domain", "split", "units", "height", "width", "valid_share", "problem")
    figures = ("band", "minimum", "p50", "maximum")
    return {name: chip[name] for name in kept} | {
        "water_share": _water_share(labels["labelled"]) if labels else None,
        "bands": [{name: band[name] for name in figures} for band in chip["bands"]],
    }


def _water_share(labelled: dict[str, int]) -> float | None:
    """Return the share of every class but the first."""
    counts = list(labelled.values())
    return sum(counts[1:]) / sum(counts) if sum(counts) else None
