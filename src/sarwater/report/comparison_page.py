"""The page of a comparison of evaluations."""

from pathlib import Path
from typing import Any

from sarwater.report.section import BlobStore, Section, three


def comparison_section(path: Path, result: Any, _: BlobStore) -> Section:
    """Return the section of ``comparison.json``."""
    names = ("precision", "recall", "f1", "iou")
    rows = [
        (
            name,
            three(run["points"]["own"]["threshold"]),
            *tuple(three(run["points"]["own"][metric]["value"]) for metric in names),
        )
        for name, run in result["runs"].items()
    ]
    return Section("comparison", path.parent.name, data={"rows": rows})
