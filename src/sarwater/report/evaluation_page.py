"""The page of an evaluation: scores at any threshold, calibration, domains, and every chip."""

from pathlib import Path
from typing import Any

import numpy as np

from sarwater.errors import DataError
from sarwater.evaluation.bands import INDICES, Bands, read_bands
from sarwater.evaluation.chips import Evaluation
from sarwater.evaluation.counts import threshold_at, threshold_index
from sarwater.evaluation.files import read_evaluation, three_digits
from sarwater.evaluation.scores import METRICS, plain
from sarwater.evaluation.summary import chip_scores, counts_at, point_title
from sarwater.palette import class_color
from sarwater.report.chip_counts import packed_counts
from sarwater.report.gallery import GALLERY, STEPS, Gallery
from sarwater.report.section import BlobStore, Section

_SCORES = {"precision": "precision", "recall": "recall", "f1": "F1", "iou": "IoU"}


def evaluation_section(path: Path, result: Any, store: BlobStore) -> Section:
    """Return the section of ``evaluation.json`` and what lies beside it."""
    facts = []
    for name, point in result["operating_points"].items():
        pooled = point["pooled"]
        scores = [f"{label} {three_digits(pooled[key]['value'])}" for key, label in _SCORES.items()]
        facts.append((f"{point_title(name, point)} ({point['threshold']:.3f})", ", ".join(scores)))
    evaluation = read_evaluation(path.parent)
    chosen = worst_chips(evaluation, store.most_chips)
    pictures = gallery_entries(path.parent, evaluation, chosen, store)
    return Section(
        "evaluation",
        path.resolve().parent.name,
        summary=_summary(result),
        facts=facts,
        remarks=_remarks(result, len(chosen), has_gallery=bool(pictures)),
        data={
            "points": [
                {
                    "key": name,
                    "title": point_title(name, point),
                    "threshold": point["threshold"],
                }
                for name, point in result["operating_points"].items()
            ],
            "operating_rows": [
                _operating_row(point_title(name, point), point)
                for name, point in result["operating_points"].items()
            ],
            "criterion": result["operating_points"]["chosen"]["criterion"],
            "table": result["table"],
            "average_precision": result["average_precision"],
            "calibration": result["calibration"],
            "per_chip": result["operating_points"]["chosen"]["per_chip"],
            "false_alarms": result["operating_points"]["chosen"]["false_alarms"],
            "class_rows": _class_rows(result),
            "domains": _domains(evaluation),
            "bands": _bands(path.parent),
            **chips_data(evaluation, pictures, store),
        },
    )


def chips_data(
    evaluation: Evaluation, pictures: list[dict[str, Any]], store: BlobStore
) -> dict[str, Any]:
    """Return what a script needs to score and to show the chips of an evaluation.

    Args:
        evaluation: the counts.
        pictures: of ``gallery_entries``; empty where there is no gallery.
        store: takes the counts.
    """
    names = evaluation.model.classes
    chips = [
        {
            "id": chip.id,
            "domain": chip.domain,
            "counted": chip.counted,
            "pixels": chip.total,
            "unlabelled": 1 - chip.labelled / chip.total,
            "nodata": chip.without_radar / chip.labelled if chip.labelled else 0,
            **(pictures[number] if pictures else {}),
        }
        for number, chip in enumerate(evaluation.chips)
    ]
    return {
        "counts": store.add(packed_counts(evaluation.counts)),
        "steps": STEPS,
        "classes": [{"name": name, "color": class_color(i)} for i, name in enumerate(names)],
        "chips": chips,
    }


def gallery_entries(
    folder: Path, evaluation: Evaluation, chosen: set[str], store: BlobStore
) -> list[dict[str, Any]]:
    """Return what the gallery of an evaluation knows of each chip.

    Evaluations of earlier versions, and those with ``--gallery-size 0``, have none: the list is
    empty.

    Args:
        folder: of the evaluation.
        evaluation: its counts.
        chosen: ids of the chips whose pictures are stored.
        store: takes the pictures.

    Raises:
        DataError: the gallery is damaged, or is not of these chips.
    """
    path = folder / GALLERY
    if not path.is_file():
        return []
    entries = []
    with Gallery(path) as gallery:
        if [one["id"] for one in gallery.chips] != [chip.id for chip in evaluation.chips]:
            raise DataError(f"{path} shows other chips than the evaluation has; evaluate anew")
        for number, one in enumerate(gallery.chips):
            entry = {"values": one["values"], "valid": one["valid_share"]}
            if one["id"] in chosen:
                image, maps = gallery.pictures(number)
                entry |= {name: one[name] for name in ("width", "height", "step", "bands")}
                entry |= {"image": store.add(image), "maps": store.add(maps)}
            entries.append(entry)
    return entries


def worst_chips(evaluation: Evaluation, most: int) -> set[str]:
    """Return the ids of the chips with the lowest F1 at the evaluation's threshold.

    Those without water come after the others, the most false alarms first.
    """
    index = threshold_index(evaluation.threshold)
    f1 = chip_scores(evaluation.counts, index).f1
    _, false, missed, _ = counts_at(evaluation.counts, index)
    order = np.lexsort((-(false + missed), np.where(np.isfinite(f1), f1, 2.0)))
    return {evaluation.chips[place].id for place in order[:most].tolist()}


def _summary(result: Any) -> str:
    data, pixels = result["data"], result["pixels"]
    split = f", split {data['split']}" if data["split"] else ""
    count = len(data["domains"])
    domains = data["domains"][0] if count == 1 else f"{count} domains"
    share = f"{pixels['water'] / pixels['counted']:.1%} of them water"
    return (
        f"{result['model']['name']} on {data['manifest'] or 'a manifest'}{split}: {data['chips']} "
        f"chips of {domains}, {pixels['counted']:,} pixels that count, {share}"
    )


def _operating_row(title: str, point: Any) -> list[tuple[str, str]]:
    """Return the cells of a row: text, and smaller below it the interval."""
    alarms = point["false_alarms"]
    return [
        (title, ""),
        (three_digits(point["threshold"]), ""),
        *(_bounded(point["pooled"][name]) for name in METRICS),
        _bounded(point["per_chip"]["f1"]),
        (f"{alarms['pixels']:,} px", f"{alarms['chips_without_water']:,} chips"),
    ]


def _bounded(score: Any) -> tuple[str, str]:
    bounds = score["interval"]
    return three_digits(score["value"]), f"{bounds[0]:.3f} – {bounds[1]:.3f}" if bounds else ""


def _class_rows(result: Any) -> list[list[str]]:
    """Return each class with its scores at the threshold in use; empty for land and water."""
    scores = result["classes"]["scores"]
    if len(scores) == 2:
        return []
    return [
        [name, *(three_digits(one[metric]) for metric in METRICS)] for name, one in scores.items()
    ]


def _remarks(result: Any, shown: int, *, has_gallery: bool) -> list[str]:
    remarks = []
    missing = result["pixels"]["water_without_radar"]
    if missing:
        remarks.append(
            f"Labelled water without radar: {missing:,} pixels "
            f"({result['pixels']['water_without_radar_share']:.1%} of the labelled water)."
        )
    left_out = result["data"]["not_counted"]
    if left_out:
        named = "; ".join(f"{name}: {why}" for name, why in list(left_out.items())[:8])
        more = f"; and {len(left_out) - 8} more" if len(left_out) > 8 else ""
        remarks.append(f"Chips left out: {named}{more}.")
    if has_gallery and shown < result["data"]["chips"]:
        those = f"of the {shown:,} worst" if shown else "of none"
        remarks.append(
            f"Pictures are {those} of {result['data']['chips']:,} chips only; "
            "`sarwater report --chips` shows more."
        )
    if not has_gallery:
        remarks.append(
            "This evaluation has no pictures of its chips; evaluate anew with --gallery-size to "
            "see them here."
        )
    return remarks


def _domains(evaluation: Evaluation) -> list[dict[str, Any]]:
    names = [chip.domain for chip in evaluation.chips]
    return [{"name": name, "chips": names.count(name)} for name in dict.fromkeys(names)]


def _bands(folder: Path) -> dict[str, Any] | None:
    """Return the intervals along the threshold, for all chips and for each domain in turn."""
    found = read_bands(folder)
    if found is None or not np.isfinite(found.bounds).any():
        return None
    return {
        "thresholds": [threshold_at(index) for index in INDICES.tolist()],
        "groups": [
            {name: _pairs(found, group, place) for place, name in enumerate(METRICS)}
            for group in range(len(found.groups))
        ],
    }


def _pairs(bands: Bands, group: int, place: int) -> list[list[float | None]]:
    return [
        [None if (value := plain(bound)) is None else round(value, 4) for bound in pair]
        for pair in bands.bounds[group, place]
    ]
