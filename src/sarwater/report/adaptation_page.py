"""The page of an adaptation."""

from pathlib import Path
from typing import Any

from sarwater.report.section import BlobStore, Section, three

_COLUMNS = ("threshold", "water_share", "entropy", "agreement_flips", "agreement_gain")


def adaptation_section(path: Path, result: Any, _: BlobStore) -> Section:
    """Return the section of ``adaptation.json``."""
    names = ("source_only", "adapted")
    return Section(
        "adaptation",
        path.parent.name,
        facts=_facts(result),
        remarks=[f"adapting looks harmful: {warning}" for warning in result["warnings"]],
        data={
            "columns": [name.replace("_", " ") for name in _COLUMNS],
            "rows": [
                (name.replace("_", " "), *(three(result[name][column]) for column in _COLUMNS))
                for name in names
            ],
        },
    )


def _facts(result: Any) -> list[tuple[str, str]]:
    scores = result.get("scores") or {}
    facts = [
        ("methods", ", ".join(result["methods"])),
        ("threshold of the adapted model", result["criterion"]),
        ("pixels whose class differs", f"{result['disagreement']:.1%}"),
        ("overlap of the two maps' water", three(result["overlap"])),
    ]
    for name in ("source_only", "adapted", "oracle"):
        if name in scores:
            found = scores[name]
            text = f"F1 {three(found['f1'])}, IoU {three(found['iou'])} at {found['threshold']:.3f}"
            facts.append((f"{name.replace('_', ' ')}, scored", text))
    if scores.get("gap_recovered") is not None:
        facts.append(("recovered of the gap to the oracle", f"{scores['gap_recovered']:.0%}"))
    if "recommended" in result:  # reports of earlier versions have none
        facts.append(("recommended model", result["recommended"].replace("_", " ")))
    return facts
