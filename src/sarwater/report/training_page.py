"""The page of a training run."""

from pathlib import Path
from typing import Any

from sarwater.report.section import BlobStore, Section, three


def training_section(path: Path, result: Any, _: BlobStore) -> Section:
    """Return the section of ``train.json`` and what lies beside it."""
    found = result["validation"]
    return Section(
        "training",
        path.parent.name,
        facts=[
            ("best epoch", f"{result['best_epoch']} of {result['epochs']}"),
            ("validation F1", three(found["f1"])),
            ("validation IoU", three(found["iou"])),
            ("threshold", three(found["threshold"])),
            ("F1 at .5", three(found["f1_at_half"])),
            ("time", f"{result['seconds']:.0f} s on {result['device']}"),
        ],
    )
