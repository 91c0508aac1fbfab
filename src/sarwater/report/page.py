"""One self-contained HTML page from result folders; reads results only, computes nothing anew."""

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sarwater import __version__
from sarwater.errors import DataError
from sarwater.evaluation.files import three_digits
from sarwater.files import DAMAGE, in_a_line, read_errors, write_text
from sarwater.report.adaptation_page import adaptation_section
from sarwater.report.comparison_page import comparison_section
from sarwater.report.data_page import data_section
from sarwater.report.evaluation_page import evaluation_section
from sarwater.report.images import FALSE_NEGATIVE, FALSE_POSITIVE, LAND, OTHER_WATER, WATER
from sarwater.report.map_page import map_section
from sarwater.report.section import MOST_CHIPS, BlobStore, Section
from sarwater.report.training_page import training_section

_STYLES = (
    "base.css",
    "layout.css",
    "parts.css",
    "evaluation.css",
    "dialog.css",
    "map.css",
    "print.css",
)
_SCRIPTS = (
    "core.js",
    "charts.js",
    "tables.js",
    "counts.js",
    "threshold.js",
    "pictures.js",
    "gallery.js",
    "dialog.js",
    "evaluation.js",
    "evaluation_charts.js",
    "hardness.js",
    "comparison.js",
    "data.js",
    "training.js",
    "adaptation.js",
    "map.js",
    "start.js",
)
_PALETTE = {
    "land": LAND,
    "water": WATER,
    "false-water": FALSE_POSITIVE,
    "missed-water": FALSE_NEGATIVE,
    "other-water": OTHER_WATER,
}

_DAMAGES = (*DAMAGE, jinja2.TemplateError)
"""What other content than sarwater writes leads to."""

Reader = Callable[[Path, Any, BlobStore], Section]
"""From a result file, its content and the store of blobs to a section."""

_READERS: dict[str, Reader] = {
    "inspection.json": data_section,
    "train.json": training_section,
    "adaptation.json": adaptation_section,
    "evaluation.json": evaluation_section,
    "comparison.json": comparison_section,
    # What lies within the folder of an adaptation.
    "adapted/train.json": training_section,
    "comparison/comparison.json": comparison_section,
    "*_summary.json": map_section,
}


def write_page(
    folders: Sequence[Path], out: Path, *, chips: int = MOST_CHIPS, overwrite: bool = False
) -> list[Section]:
    """Write a page with a section for each result that lies in the folders.

    Args:
        folders: of ``inspect``, ``train``, ``adapt``, ``evaluate``, ``compare`` and ``map``.
        out: the page.
        chips: of how many chips of an evaluation the page has pictures, the worst ones.
        overwrite: replace it.

    Returns:
        The sections, in the order of the folders.

    Raises:
        DataError: a folder holds no result, or one that cannot be read.
        OutputExistsError: the page exists and ``overwrite`` is false.
    """
    store = BlobStore(chips)
    found = [(section, folder) for folder in folders for section in _sections(folder, store)]
    times = Counter(section.title for section, _ in found)
    sections = [
        replace(
            section,
            id=f"{section.kind}-{number}",
            title=section.title if times[section.title] == 1 else f"{section.title} ({folder})",
        )
        for number, (section, folder) in enumerate(found, 1)
    ]
    try:
        page = _render(sections, store)
    except _DAMAGES as error:
        for section, (_, folder) in zip(sections, found, strict=True):
            _check_renders(section, folder, store)
        raise DataError(f"the page cannot be written ({in_a_line(error)})") from error
    write_text(out, page, overwrite=overwrite)
    return sections


def _check_renders(section: Section, folder: Path, store: BlobStore) -> None:
    """Raise a ``DataError`` that names the folder whose section cannot be shown."""
    try:
        _render([section], store)
    except _DAMAGES as error:
        raise DataError(
            f"{folder}: its {section.kind} cannot be shown ({in_a_line(error)}); a file in it is "
            "damaged, or was changed: make it anew"
        ) from error


def _render(sections: Sequence[Section], store: BlobStore) -> str:
    from plotly.offline import get_plotlyjs

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sarwater.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["asset"] = lambda name: Markup(_source(environment, name))
    environment.globals["json"] = json_for_script
    environment.filters["three"] = three_digits
    return environment.get_template("page.html").render(
        sections=sections,
        store=store,
        styles=_STYLES,
        scripts=_SCRIPTS,
        palette=_PALETTE,
        plotly=Markup(get_plotlyjs()),
        title=sections[0].title if len(sections) == 1 else f"{len(sections)} results",
        version=__version__,
    )


def json_for_script(value: Any) -> Markup:
    """Set plain data as JSON that can stand within a script element, whatever names are in it.

    >>> json_for_script({"name": "</script><!--"})
    Markup('{"name":"\\\\u003c/script\\\\u003e\\\\u003c!--"}')
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _source(environment: jinja2.Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _sections(folder: Path, store: BlobStore) -> list[Section]:
    found = []
    for pattern, reader in _READERS.items():
        for path in sorted(folder.glob(pattern)):
            section = _read(path, reader, store)
            if path.parent != folder:
                section = replace(section, title=f"{folder.resolve().name}: {section.title}")
            found.append(section)
    if not found:
        raise DataError(
            f"{folder} holds no result: expected a folder of `sarwater inspect`, `train`, "
            "`adapt`, `evaluate`, `compare` or `map`"
        )
    return found


def _read(path: Path, reader: Reader, store: BlobStore) -> Section:
    with read_errors(path, "make it anew"):
        content = json.loads(
            path.read_text(encoding="utf-8"), parse_constant=_finite, parse_float=_finite
        )
        return reader(path, content, store)


def _finite(text: str) -> float:
    """Return a number of a JSON document; NaN, infinity and what is too large are none."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number of JSON")
    return value
