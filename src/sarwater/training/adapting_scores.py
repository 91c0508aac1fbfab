"""Scores of source-only and adapted model on labelled target chips, and of an oracle."""

import json
from pathlib import Path
from typing import Any

from sarwater.datasets.manifest import Manifest
from sarwater.evaluation.comparison import compare
from sarwater.evaluation.comparison_files import write_comparison
from sarwater.evaluation.files import read_evaluation
from sarwater.evaluation.models import identity_of, predictor_for
from sarwater.evaluation.scores import METRICS
from sarwater.files import atomic_folder, write_json
from sarwater.models.bundle import load_bundle
from sarwater.prediction import PredictionOptions
from sarwater.report.comparison_charts import write_comparison_charts
from sarwater.report.evaluation_report import evaluate_to_folder
from sarwater.training.adapting import AdaptFolder

SMALLEST_GAP = 0.03
"""Difference in F1 between source-only and oracle below which no share of it is given."""


def score_sides(
    out: Path, test: Manifest, oracle: Path | None = None, *, split: str = ""
) -> dict[str, Any]:
    """Evaluate both models of a folder, each at its own threshold, and add it to the report.

    Writes ``evaluation_source_only``, ``evaluation_adapted``, ``evaluation_oracle`` and
    ``comparison`` into the folder, as `sarwater evaluate` and `compare` would.

    Args:
        out: folder of `sarwater adapt`.
        test: labelled chips of the target.
        oracle: a model that was trained on target labels.
        split: of the chips, for the record.

    Returns:
        The report with ``scores``: F1, IoU, precision, recall and threshold by model, and
        ``gap_recovered``, (adapted - source only) / (oracle - source only) in F1; None where the
        gap is under three points or there is no oracle.

    Raises:
        DataError: no labelled chip, or no water in them.
    """
    folder = AdaptFolder(out)
    models = {"source_only": folder.source_only.bundle, "adapted": folder.adapted.bundle}
    if oracle is not None:
        models["oracle"] = oracle
    units = load_bundle(folder.adapted.bundle).info.units
    evaluations = {}
    scores: dict[str, Any] = {}
    for name, path in models.items():
        bundle = load_bundle(path)
        info = bundle.info
        as_is = PredictionOptions(accept_units=info.units != units)
        predictor = predictor_for(bundle, test, as_is)
        identity = identity_of(bundle, name)
        where = out / f"evaluation_{name}"
        summary = evaluate_to_folder(
            predictor,
            test,
            identity,
            where,
            split=split or None,
            normalizer=predictor.info.normalization,
            overwrite=True,
        )
        point = summary["operating_points"]["chosen"]
        pooled = {name: point["pooled"][name]["value"] for name in METRICS}
        scores[name] = {"threshold": point["threshold"], **pooled}
        evaluations[name] = read_evaluation(where)
    comparison = compare(evaluations)
    with atomic_folder(out / "comparison", overwrite=True) as aside:
        write_comparison(aside, comparison, {name: out / f"evaluation_{name}" for name in models})
        write_comparison_charts(comparison, aside)
    scores["gap_recovered"] = gap_recovered(scores) if oracle is not None else None
    found = {**json.loads(folder.report.read_text(encoding="utf-8")), "scores": scores}
    write_json(folder.report, found, overwrite=True)
    return found


def gap_recovered(scores: dict[str, Any]) -> float | None:
    """Return the share of the gap in F1 that adapting recovered, None where there is hardly one.

    >>> gap_recovered({"source_only": {"f1": 0.5}, "adapted": {"f1": 0.65}, "oracle": {"f1": 0.7}})
    0.75
    """
    before, after, best = (scores[name]["f1"] for name in ("source_only", "adapted", "oracle"))
    if best - before < SMALLEST_GAP:
        return None
    return round(float((after - before) / (best - before)), 4)
