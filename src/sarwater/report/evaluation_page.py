"""The page of an evaluation."""

from pathlib import Path
from typing import Any

from sarwater.report.section import BlobStore, Section, three

_TITLES = {"chosen": "model's threshold", "half": "at .5", "best": "best here (optimistic)"}
_SCORES = {"precision": "precision", "recall": "recall", "f1": "F1", "iou": "IoU"}


def evaluation_section(path: Path, result: Any, _: BlobStore) -> Section:
    """Return the section of ``evaluation.json`` and what lies beside it."""
    facts = []
    for name, point in result["operating_points"].items():
        pooled = point["pooled"]
        scores = [f"{label} {three(pooled[key]['value'])}" for key, label in _SCORES.items()]
        facts.append((f"{_TITLES[name]} ({point['threshold']:.3f})", ", ".join(scores)))
    return Section(
        "evaluation",
        f"Evaluation: {path.parent.name}",
        facts=facts,
        remarks=[f"counted: {result['rules']['counted']}"],
        data={"table": result["table"]},
    )
