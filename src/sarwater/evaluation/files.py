"""The folder of an evaluation: written for people and programs, read back to compare.

============== ==================================================================================
evaluation.json  all scores, rules and the curve
table.txt        precision, recall, F1 and IoU at .1 ... .8, as it is printed
chips.csv        a row a chip
counts.npz       the histograms of each chip; everything can be computed anew from them
intervals.npz    bootstrap intervals at the thresholds .01 ... .99, of all chips and each domain
============== ==================================================================================
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sarwater.errors import DataError
from sarwater.evaluation.chips import ChipPixels, Evaluation, MissingRadar, ModelIdentity
from sarwater.evaluation.counts import BINS, RANKS, ThresholdCounts
from sarwater.evaluation.summary import MOVED, chip_rows, point_title
from sarwater.files import read_errors, write_json, write_text
from sarwater.types import AnyArray

SUMMARY = "evaluation.json"
COUNTS = "counts.npz"
CHIPS = "chips.csv"
TABLE = "table.txt"


def write_evaluation(folder: Path, evaluation: Evaluation, summary: Mapping[str, Any]) -> None:
    """Write the four files of an evaluation into an existing folder."""
    write_json(folder / SUMMARY, dict(summary))
    write_text(folder / TABLE, format_table(summary["table"]) + "\n")
    write_text(folder / CHIPS, csv_text(chip_rows(evaluation)))
    counts = evaluation.counts
    np.savez_compressed(
        folder / COUNTS,
        **vars(counts),
        confusion=evaluation.confusion,
        evaluation=np.frombuffer(json.dumps(_header(evaluation)).encode(), np.uint8),
    )


def read_evaluation(folder: str | Path) -> Evaluation:
    """Read the counts of an evaluation back.

    Raises:
        DataError: the folder holds no evaluation, or a damaged one.
    """
    path = Path(folder) / COUNTS
    if not path.is_file():
        raise DataError(
            f"{folder} holds no evaluation (no {COUNTS}); give the --out folder of "
            "`sarwater evaluate`"
        )
    with (
        read_errors(path, "evaluate anew"),
        path.open("rb") as file,
        np.load(file, allow_pickle=False) as arrays,
    ):
        header = _read_header(arrays["evaluation"].tobytes())
        names = [field.name for field in fields(ThresholdCounts)]
        if names[-1] not in arrays:  # written before finer bins were counted
            names = names[:4]
        histograms = [arrays[name] for name in names]
        _check_arrays(histograms, arrays["confusion"])
        counts = ThresholdCounts.from_arrays(*histograms)
        return _evaluation(header, counts, arrays["confusion"])


def _check_arrays(histograms: Sequence[AnyArray], confusion: AnyArray) -> None:
    """Raise ValueError unless the arrays are counts of as many chips and bins."""
    if any(array.dtype.kind not in "uif" for array in (*histograms, confusion)):
        raise ValueError("it holds something else than numbers")
    chips = len(histograms[0])
    bins = [BINS] * 4 + [RANKS] * 2
    if any(array.shape != (chips, n) for array, n in zip(histograms, bins, strict=False)):
        raise ValueError(f"counts of shapes {', '.join(str(array.shape) for array in histograms)}")
    if confusion.ndim != 3 or len(confusion) != chips:
        raise ValueError(f"confusion matrices of shape {confusion.shape} for {chips} chips")


def format_table(rows: Sequence[Mapping[str, float | None]]) -> str:
    """Set the table of thresholds as text.

    >>> print(format_table([{"threshold": 0.1, "precision": 0.5, "recall": 1, "f1": 2 / 3,
    ...                      "iou": None}]))
    threshold  precision  recall      F1     IoU
          0.1      0.500   1.000   0.667       -
    """
    lines = ["threshold  precision  recall      F1     IoU"]
    for row in rows:
        cells = [three_digits(row[name]) for name in ("precision", "recall", "f1", "iou")]
        lines.append(
            f"{row['threshold']:9.1f}  {cells[0]:>9}  {cells[1]:>6}  {cells[2]:>6}  {cells[3]:>6}"
        )
    return "\n".join(lines)


def format_points(summary: Mapping[str, Any]) -> str:
    """Set the scores at the threshold in use, at .5 and at the best as text."""
    lines = [f"{'':24}threshold  precision  recall  F1 [95 % interval]       IoU"]
    for name, point in summary["operating_points"].items():
        pooled = point["pooled"]
        bounds = pooled["f1"]["interval"]
        within = f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else ""
        lines.append(
            f"{point_title(name, point):24}{point['threshold']:9.3f}  "
            f"{three_digits(pooled['precision']['value']):>9}  "
            f"{three_digits(pooled['recall']['value']):>6}  "
            f"{three_digits(pooled['f1']['value']) + within:<23}"
            f"{three_digits(pooled['iou']['value']):>6}"
        )
    return "\n".join(lines)


def format_result(summary: Mapping[str, Any]) -> str:
    """Set what a person wants to know first as text: rules, table, scores, domains."""
    data, pixels = summary["data"], summary["pixels"]
    chosen, half = (summary["operating_points"][name] for name in ("chosen", "half"))
    lines = [
        f"{data['chips']} chips, {pixels['counted']:,} pixels that count, "
        f"{pixels['water']:,} of them water ({pixels['water'] / pixels['counted']:.1%})",
        f"counted: {summary['rules']['counted']}",
    ]
    if pixels["water_without_radar"]:
        lines.append(
            f"labelled water without radar: {pixels['water_without_radar']:,} pixels "
            f"({pixels['water_without_radar_share']:.1%} of the labelled water)"
        )
    if data["not_counted"]:
        lines.append(f"left out: {', '.join(data['not_counted'])}")
    lines += ["", format_table(summary["table"]), "", format_points(summary)]
    lines.append(f"\nthreshold {chosen['threshold']:g}: {chosen['criterion']}")
    rule = summary["rules"]["threshold"]
    if rule.endswith(MOVED):
        lines.append(f"threshold: {rule}")
    if len(chosen["domains"]) > 1:
        lines += [f"  {name}: {_domain(summary, name)}" for name in chosen["domains"]]
    mean = chosen["per_chip"]
    lines.append(
        f"mean over {mean['chips']} chips with water: F1 {_bounded(mean['f1'])}, "
        f"IoU {_bounded(mean['iou'])}" + _at_half(summary, half["per_chip"])
    )
    lines.append(f"average precision {_bounded(summary['average_precision'])}")
    lines.append(_false_alarms(chosen["false_alarms"]))
    return "\n".join(lines)


def _domain(summary: Mapping[str, Any], name: str) -> str:
    points = summary["operating_points"]
    found, half = (points[point]["domains"][name] for point in ("chosen", "half"))
    if found["water"]:
        scores = f"F1 {_bounded(found['f1'])}, IoU {_bounded(found['iou'])}"
        return scores + _at_half(summary, half)
    return _false_alarms(found["false_alarms"])


def _at_half(summary: Mapping[str, Any], scores: Mapping[str, Any]) -> str:
    """Set the scores at .5, for the end of a line; nothing where that is the threshold."""
    points = summary["operating_points"]
    if points["chosen"]["threshold"] == points["half"]["threshold"]:
        return ""
    f1, iou = (three_digits(scores[name]["value"]) for name in ("f1", "iou"))
    return f"; at .5: F1 {f1}, IoU {iou}"


def _false_alarms(found: Mapping[str, Any]) -> str:
    chips = found["chips_without_water"]
    if not chips:
        return "every chip has water"
    area = "" if found["area_m2"] is None else f", {found['area_m2'] / 1e6:.3f} km2"
    return (
        f"{chips} chips without water: {found['pixels']:,} pixels of false alarms "
        f"({found['share']:.2%}{area})"
    )


def _bounded(score: Mapping[str, Any]) -> str:
    bounds = score["interval"]
    within = f" [{bounds[0]:.3f}, {bounds[1]:.3f}]" if bounds else ""
    return three_digits(score["value"]) + within


def three_digits(value: float | None) -> str:
    """Set a score with three digits, ``-`` where it is undefined."""
    return "-" if value is None else f"{value:.3f}"


def _header(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "format": 1,
        "model": asdict(evaluation.model),
        "data": evaluation.data,
        "split": evaluation.split,
        "missing_radar": evaluation.missing_radar.value,
        "groups": evaluation.groups,
        "threshold": evaluation.threshold,
        "criterion": evaluation.criterion,
        "chips": [asdict(chip) for chip in evaluation.chips],
        "not_counted": dict(evaluation.not_counted),
        "left_out": [asdict(chip) for chip in evaluation.left_out],
    }


class _Header(BaseModel):
    """What ``counts.npz`` holds beside its arrays."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    format: Literal[1]
    model: ModelIdentity
    data: str
    split: str | None
    missing_radar: MissingRadar
    groups: str
    threshold: float = Field(gt=0, lt=1)
    criterion: str
    chips: tuple[ChipPixels, ...]
    not_counted: dict[str, str]
    left_out: tuple[ChipPixels, ...]


def _read_header(text: bytes) -> _Header:
    """Raise ValueError, in one line, unless the text is a header."""
    try:
        return _Header.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the header"
        raise ValueError(f"{place}: {first['msg']}") from error


def _evaluation(header: _Header, counts: ThresholdCounts, confusion: Any) -> Evaluation:
    if len(header.chips) != len(counts.positives):
        raise ValueError(f"{len(header.chips)} chips but counts of {len(counts.positives)}")
    known = {name: getattr(header, name) for name in _Header.model_fields if name != "format"}
    return Evaluation(**known, counts=counts, confusion=confusion)


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Set rows of equal columns as CSV: six digits, an empty cell for None."""
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value
