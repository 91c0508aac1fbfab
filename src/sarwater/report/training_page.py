"""The page of a training run."""

import csv
import json
from pathlib import Path
from typing import Any

from sarwater.evaluation.files import three_digits
from sarwater.report.section import BlobStore, Section


def training_section(path: Path, result: Any, _: BlobStore) -> Section:
    """Return the section of ``train.json`` and what lies beside it."""
    found = result["validation"]
    epochs, sampling, config = (path.with_name(name) for name in _BESIDE)
    rows = _epochs(epochs) if epochs.is_file() else []
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return Section(
        "training",
        path.resolve().parent.name,
        summary=_summary(result),
        facts=[
            ("best epoch", f"{result['best_epoch']} of {result['epochs']}"),
            ("validation F1", three_digits(found["f1"])),
            ("validation IoU", three_digits(found["iou"])),
            ("threshold", three_digits(found["threshold"])),
            ("F1 at .5", three_digits(found["f1_at_half"])),
            ("time", f"{result['seconds']:.0f} s on {result['device']}"),
        ],
        data={
            "best": result["best_epoch"],
            "columns": columns,
            "learned": any(name.startswith("c_") for name in columns),
            "epochs": rows,
            "sampling": json.loads(sampling.read_text("utf-8")) if sampling.is_file() else [],
            "config": config.read_text("utf-8") if config.is_file() else "",
        },
    )


_BESIDE = ("curves.csv", "sampling.json", "config.yaml")


def _summary(result: Any) -> str:
    data = result.get("data") or {}
    if not {"domains", "train_chips", "val_chips"} <= set(data):
        return ""
    text = (
        f"{data['train_chips']:,} training and {data['val_chips']:,} validation chips of "
        f"{', '.join(data['domains'])}"
    )
    target = result.get("target")
    if target:
        text += f"; adapted to {', '.join(target['domains'])} by {', '.join(target['methods'])}"
    return text


def _epochs(path: Path) -> list[dict[str, float | None]]:
    """Read a row an epoch; what an epoch does not have is None."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: _number(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> float | None:
    """Read a number; empty and nan are None, whole numbers have no fraction."""
    value = float(text or "nan")
    if value != value:  # nan
        return None
    return int(value) if value.is_integer() else value
