"""One self-contained HTML page from result folders; reads results only, computes nothing anew."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2

from sarwater import __version__
from sarwater.errors import DataError
from sarwater.files import write_text
from sarwater.raster import short_crs


@dataclass(frozen=True)
class Picture:
    """A PNG with a title."""

    title: str
    path: Path

    @property
    def source(self) -> str:
        """The picture itself, as the address of an ``img`` element."""
        return "data:image/png;base64," + base64.b64encode(self.path.read_bytes()).decode()


@dataclass(frozen=True)
class Section:
    """What the page shows of one result."""

    kind: str
    title: str
    facts: Sequence[tuple[str, str]] = ()
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    remarks: Sequence[str] = ()
    pictures: Sequence[Picture] = field(default=())


def write_page(folders: Sequence[Path], out: Path, *, overwrite: bool = False) -> list[Section]:
    """Write a page with a section for each result that lies in the folders.

    Args:
        folders: of ``inspect``, ``train``, ``adapt``, ``evaluate``, ``compare`` and ``map``.
        out: the page.
        overwrite: replace it.

    Returns:
        The sections, in the order of the folders.

    Raises:
        DataError: a folder holds no result, or one that cannot be read.
        OutputExistsError: the page exists and ``overwrite`` is false.
    """
    sections = [section for folder in folders for section in _sections(folder)]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sarwater.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html").render(sections=sections, version=__version__)
    write_text(out, page, overwrite=overwrite)
    return sections


def _sections(folder: Path) -> list[Section]:
    found = [
        _read(path, reader)
        for pattern, reader in _READERS.items()
        for path in sorted(folder.glob(pattern))
    ]
    if not found:
        raise DataError(
            f"{folder} holds no result: expected a folder of `sarwater inspect`, `train`, "
            "`adapt`, `evaluate`, `compare` or `map`"
        )
    return found


def _read(path: Path, reader: Callable[[Path, Any], Section]) -> Section:
    try:
        return reader(path, json.loads(path.read_text(encoding="utf-8")))
    # Whatever is in the file: ValueError is also that of JSON and of UTF-8.
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path} cannot be read as a result ({type(error).__name__}: {error}); make it anew"
        ) from error


def _data(path: Path, result: Any) -> Section:
    ratios = result["ratio_bins"]
    rows = [
        (name, *map(str, counts))
        for group in ("by_split", "by_domain")
        for name, counts in ratios[group].items()
    ]
    return Section(
        "data",
        f"Data: {path.parent.name}",
        header=("non-water : water", *ratios["bins"]),
        rows=[*rows, ("all", *map(str, ratios["total"]))],
        remarks=[f"{one['severity']}: {one['message']}" for one in result["findings"]],
        pictures=_pictures(path.parent),
    )


def _training(path: Path, result: Any) -> Section:
    found = result["validation"]
    return Section(
        "training",
        f"Training: {path.parent.name}",
        facts=[
            ("best epoch", f"{result['best_epoch']} of {result['epochs']}"),
            ("validation F1", _three(found["f1"])),
            ("validation IoU", _three(found["iou"])),
            ("threshold", _three(found["threshold"])),
            ("F1 at .5", _three(found["f1_at_half"])),
            ("time", f"{result['seconds']:.0f} s on {result['device']}"),
        ],
        pictures=_pictures(path.parent),
    )


def _evaluation(path: Path, result: Any) -> Section:
    facts = []
    titles = {"chosen": "model's threshold", "half": "at .5", "best": "best here (optimistic)"}
    for name, point in result["operating_points"].items():
        pooled = point["pooled"]
        scores = ", ".join(
            f"{label} {_three(pooled[key]['value'])}"
            for key, label in (
                ("precision", "precision"),
                ("recall", "recall"),
                ("f1", "F1"),
                ("iou", "IoU"),
            )
        )
        facts.append((f"{titles.get(name, name)} ({point['threshold']:.3f})", scores))
    columns = ("threshold", "precision", "recall", "f1", "iou")
    return Section(
        "evaluation",
        f"Evaluation: {path.parent.name}",
        facts=facts,
        header=("threshold", "precision", "recall", "F1", "IoU"),
        rows=[[_three(row[name]) for name in columns] for row in result["table"]],
        remarks=[f"counted: {result['rules']['counted']}"],
        pictures=_pictures(path.parent),
    )


def _comparison(path: Path, _: Any) -> Section:
    return Section("comparison", f"Comparison: {path.parent.name}", pictures=_pictures(path.parent))


def _adaptation(path: Path, result: Any) -> Section:
    columns = ("threshold", "water_share", "entropy", "agreement_flips", "agreement_gain")
    names = ("source_only", "adapted")
    scores = result.get("scores") or {}
    facts = [
        ("methods", ", ".join(result["methods"])),
        ("threshold of the adapted model", result["criterion"]),
        ("pixels whose class differs", f"{result['disagreement']:.1%}"),
        ("overlap of the two maps' water", _three(result["overlap"])),
    ]
    for name in (*names, "oracle"):
        if name in scores:
            found = scores[name]
            facts.append(
                (
                    f"{name.replace('_', ' ')}, scored",
                    f"F1 {_three(found['f1'])}, IoU "
                    f"{_three(found['iou'])} at {found['threshold']:.3f}",
                )
            )
    if scores.get("gap_recovered") is not None:
        facts.append(("recovered of the gap to the oracle", f"{scores['gap_recovered']:.0%}"))
    if "recommended" in result:  # reports of earlier versions have none
        facts.append(("recommended model", result["recommended"].replace("_", " ")))
    return Section(
        "adaptation",
        f"Adaptation: {path.parent.name}",
        facts=facts,
        header=("on the target, without labels", *(name.replace("_", " ") for name in columns)),
        rows=[
            [name.replace("_", " "), *(_three(result[name][column]) for column in columns)]
            for name in names
        ],
        remarks=[f"adapting looks harmful: {warning}" for warning in result["warnings"]],
        pictures=_pictures(path.parent),
    )


def _map(path: Path, result: Any) -> Section:
    name = path.name.removesuffix("_summary.json")
    if isinstance(result.get("crs"), str):
        result = {**result, "crs": short_crs(result["crs"])}
    return Section(
        "map",
        f"Map: {name}",
        facts=[(key.replace("_", " "), _fact(value)) for key, value in _flat(result)],
        pictures=[Picture(name, one) for one in path.parent.glob(f"{name}_quicklook.png")],
    )


_READERS: dict[str, Callable[[Path, Any], Section]] = {
    "inspection.json": _data,
    "train.json": _training,
    "adaptation.json": _adaptation,
    "evaluation.json": _evaluation,
    "comparison.json": _comparison,
    "*_summary.json": _map,
}


def _pictures(folder: Path) -> list[Picture]:
    return [
        Picture(path.stem.replace("_", " "), path)
        for path in sorted(folder.glob("*.png"))
        if path.is_file()
    ]


def _flat(result: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for key, value in result.items():
        if isinstance(value, Mapping):
            pairs += _flat(value, f"{prefix}{key} ")
        elif isinstance(value, str | int | float) or value is None:
            pairs.append((prefix + key, value))
    return pairs


def _fact(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
