"""The page of an adaptation: before and after on the target."""

from pathlib import Path
from typing import Any

from sarwater.evaluation.files import three_digits
from sarwater.report.gallery import EXAMPLES, STEPS, Gallery
from sarwater.report.section import BlobStore, Section

SIGNALS = {
    "threshold": "threshold",
    "water_share": "share called water",
    "entropy": "entropy (bits)",
    "separation": "cost of dividing the backscatter (lower is clearer)",
    "agreement_flips": "agreement with itself mirrored",
    "agreement_gain": "agreement with itself 1 dB brighter",
}
_SIDES = ("source_only", "adapted")


def adaptation_section(path: Path, result: Any, store: BlobStore) -> Section:
    """Return the section of ``adaptation.json`` and what lies beside it."""
    return Section(
        "adaptation",
        path.resolve().parent.name,
        summary=_summary(result),
        facts=_facts(result),
        remarks=[
            *(f"Adapting looks harmful: {warning}." for warning in result["warnings"]),
            *(f"Note: {note}." for note in result.get("notes", [])),
        ],
        data={
            "criterion": result["criterion"],
            "signals": [
                (title, *(three_digits(result[side].get(name)) for side in _SIDES))
                for name, title in SIGNALS.items()
            ],
            "scores": _scores(result.get("scores") or {}),
            "thresholds": [result[side]["threshold"] for side in _SIDES],
            "history": result.get("history", []),
            "steps": STEPS,
            "chips": _examples(path.with_name(EXAMPLES), store),
        },
    )


def _summary(result: Any) -> str:
    domains = result.get("domains")
    if not domains:
        return ""
    return f"from {', '.join(domains['source'])} to {', '.join(domains['target'])}"


def _facts(result: Any) -> list[tuple[str, str]]:
    scores = result.get("scores") or {}
    facts = [
        ("methods", ", ".join(result["methods"])),
        ("pixels whose class differs", f"{result['disagreement']:.1%}"),
        ("overlap of the two maps' water", three_digits(result["overlap"])),
    ]
    if "recommended" in result:  # reports of earlier versions have none
        facts.append(("recommended model", result["recommended"].replace("_", " ")))
    if scores.get("gap_recovered") is not None:
        facts.append(("recovered of the gap to the oracle", f"{scores['gap_recovered']:.0%}"))
    return facts


def _scores(scores: Any) -> list[list[str]]:
    """Return the rows of the models that were scored on labelled target chips."""
    names = ("threshold", "precision", "recall", "f1", "iou")
    return [
        [side.replace("_", " "), *(three_digits(scores[side].get(name)) for name in names)]
        for side in (*_SIDES, "oracle")
        if side in scores
    ]


def _examples(path: Path, store: BlobStore) -> list[dict[str, Any]]:
    """Return the chips whose two maps differ most; none where there is no gallery."""
    if not path.is_file():
        return []
    chips = []
    with Gallery(path) as gallery:
        for number, one in enumerate(gallery.chips):
            image, maps = gallery.pictures(number)
            chips.append({**one, "image": store.add(image), "maps": store.add(maps)})
    return chips
