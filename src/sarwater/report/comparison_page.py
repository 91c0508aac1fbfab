"""The page of a comparison: curves, paired differences, and the chips side by side."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sarwater.errors import DataError
from sarwater.evaluation.chips import Evaluation
from sarwater.evaluation.comparison_files import TITLES
from sarwater.evaluation.files import read_evaluation, three_digits
from sarwater.evaluation.scores import METRICS
from sarwater.palette import class_color
from sarwater.report.chip_counts import packed_counts
from sarwater.report.evaluation_page import gallery_entries, worst_chips
from sarwater.report.gallery import STEPS
from sarwater.report.section import BlobStore, Section


def comparison_section(path: Path, result: Any, store: BlobStore) -> Section:
    """Return the section of ``comparison.json``, and chips where the evaluations are found."""
    runs = result["runs"]
    chips, remarks = _chips(path.parent, runs, store)
    return Section(
        "comparison",
        path.resolve().parent.name,
        summary=_summary(result),
        remarks=remarks,
        data={
            "points": [{"key": key, "title": title} for key, title in TITLES.items()],
            "rows": [_row(name, run) for name, run in runs.items()],
            "runs": [
                {
                    "name": name,
                    "thresholds": {key: run["points"][key]["threshold"] for key in TITLES},
                    "curve": run["curve"],
                }
                for name, run in runs.items()
            ],
            "differences": result["differences"],
            **chips,
        },
    )


def _summary(result: Any) -> str:
    bootstrap = result["bootstrap"]
    return (
        f"{len(result['runs'])} evaluations of the same {result['chips']:,} chips, "
        f"{result['pixels']:,} pixels; {bootstrap['resamples']:,} paired resamples"
    )


def _row(name: str, run: Any) -> list[str]:
    own = run["points"]["own"]
    scores = [own[metric] for metric in METRICS] + [run["average_precision"]]
    return [
        name,
        three_digits(own["threshold"]),
        *(three_digits(score["value"]) for score in scores),
    ]


def _chips(
    folder: Path, runs: Mapping[str, Any], store: BlobStore
) -> tuple[dict[str, Any], list[str]]:
    """Return the chips under each run, or why they cannot be shown."""
    nothing: dict[str, Any] = {"chips": [], "counts": [], "classes": [], "steps": STEPS}
    found: dict[str, Evaluation] = {}
    entries: dict[str, dict[str, dict[str, Any]]] = {}
    chosen: set[str] = set()
    for name, run in runs.items():
        where = folder / run["folder"] if "folder" in run else None
        if where is None or not where.is_dir():
            return nothing, [
                f"Chips are not shown: the evaluation of '{name}' is not where it was when the "
                "runs were compared; compare anew."
            ]
        evaluation = read_evaluation(where)
        if (evaluation.model.hash, evaluation.threshold) != (
            run["hash"],
            run["points"]["own"]["threshold"],
        ):
            return nothing, [
                f"Chips are not shown: {where} was evaluated anew since the runs were compared; "
                "compare anew."
            ]
        found[name] = evaluation
        chosen = chosen or worst_chips(evaluation, store.most_chips)
        listed = gallery_entries(where, evaluation, chosen, store)
        entries[name] = {chip.id: one for chip, one in zip(evaluation.chips, listed, strict=False)}
    if not all(entries.values()):
        return nothing, ["Chips are not shown: not every evaluation has a gallery; evaluate anew."]
    return _side_by_side(found, entries, store), []


def _side_by_side(
    runs: Mapping[str, Evaluation],
    entries: Mapping[str, Mapping[str, dict[str, Any]]],
    store: BlobStore,
) -> dict[str, Any]:
    first, *others = (run.in_order_of(next(iter(runs.values()))) for run in runs.values())
    shown = next(iter(entries.values()))
    for listed in entries.values():
        if any(one.get("step") != shown[name].get("step") for name, one in listed.items()):
            raise DataError(
                "the galleries of the evaluations differ in size; evaluate all with one "
                "--gallery-size"
            )
    return {
        "counts": [store.add(packed_counts(run.counts)) for run in (first, *others)],
        "steps": STEPS,
        "classes": [
            {"name": name, "color": class_color(i)} for i, name in enumerate(first.model.classes)
        ],
        "chips": [
            {
                **shown[chip.id],
                "id": chip.id,
                "domain": chip.domain,
                "counted": chip.counted,
                **_maps([listed[chip.id] for listed in entries.values()]),
            }
            for chip in first.chips
        ],
    }


def _maps(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the pictures of a chip's maps under each run, nothing for a chip without pictures."""
    return {"maps": [one["maps"] for one in entries]} if "maps" in entries[0] else {}
