import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from rasterio.crs import CRS

from sarwater.cli import main
from sarwater.errors import DataError, OutputExistsError
from sarwater.report import page
from sarwater.report.page import write_page
from sarwater.report.section import Section


def write_run(folder: Path, name: str = "run <1>") -> Path:
    run = folder / name
    run.mkdir(parents=True)
    summary = {
        "best_epoch": 3,
        "epochs": 4,
        "seconds": 12.0,
        "device": "cpu",
        "validation": {"f1": 0.912, "iou": 0.838, "threshold": 0.41, "f1_at_half": 0.9},
    }
    (run / "train.json").write_text(json.dumps(summary))
    Figure(figsize=(1, 1)).savefig(run / "curves.png")
    return run


def write_map(folder: Path) -> Path:
    folder.mkdir()
    summary = {"scene": "delta", "water": {"km2": 1.25, "px": 12500}, "notes": []}
    summary["crs"] = CRS.from_epsg(32633).to_wkt()
    (folder / "delta_summary.json").write_text(json.dumps(summary))
    Figure(figsize=(1, 1)).savefig(folder / "delta_quicklook.png")
    return folder


def test_a_page_shows_each_result_and_needs_no_network(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    sections = write_page([write_run(tmp_path), write_map(tmp_path / "map")], out)
    assert [section.kind for section in sections] == ["training", "map"]
    html = out.read_text()
    assert "<td>EPSG:32633</td>" in html
    assert "0.912" in html
    assert "1.25" in html
    shell = html[: html.index('<script type="text/plain" id="plotly">')]
    assert re.search(r"""(src|href)=["'](https?:)?//""", shell) is None


def test_names_are_escaped(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    write_page([write_run(tmp_path)], out)
    assert "run &lt;1&gt;" in out.read_text()


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no result"):
        write_page([tmp_path], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    (run / "train.json").write_text("{")
    with pytest.raises(DataError, match=r"train\.json is damaged .*; make it anew"):
        write_page([run], tmp_path / "page.html")


def test_an_existing_page_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    out.write_text("mine")
    with pytest.raises(OutputExistsError):
        write_page([write_run(tmp_path)], out)
    assert out.read_text() == "mine"


def test_the_command_says_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "page.html"
    assert main(["report", str(write_run(tmp_path)), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert re.search(r"1 results, \d\.\d MB; open it in a browser", text)
    assert "Training: run <1>: validation F1: 0.912" in text


@pytest.mark.parametrize("name", ["evaluation.json", "delta_summary.json", "train.json"])
@pytest.mark.parametrize(
    "text", ["", "[]", "5", "NaN", '"x"', "[" * 100_000, '{"operating_points": []}']
)
def test_a_result_of_another_form_is_named(name: str, text: str, tmp_path: Path) -> None:
    if name.endswith("summary.json") and text.startswith("{"):
        return
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=re.escape(name) + " is damaged"):
        write_page([tmp_path], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_what_lies_within_an_adaptation_is_shown_too(tmp_path: Path) -> None:
    folder = tmp_path / "carried"
    write_run(folder, "adapted")
    side = {"threshold": 0.4, "water_share": 0.1}
    result = {
        "methods": ["dann"],
        "criterion": "chosen on the source",
        "source_only": side,
        "adapted": side,
        "overlap": None,
        "disagreement": 0.125,
        "warnings": ["the two maps share 2% of their water only"],
    }
    (folder / "adaptation.json").write_text(json.dumps(result))
    sections = write_page([folder], tmp_path / "page.html")
    assert [(one.kind, one.title) for one in sections] == [
        ("adaptation", "carried"),
        ("training", "carried: adapted"),
    ]
    html = (tmp_path / "page.html").read_text()
    assert "Adapting looks harmful: the two maps share 2% of their water only." in html


def test_too_few_chips_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = write_run(tmp_path), tmp_path / "page.html"
    assert main(["report", str(run), "--out", str(out), "--chips", "-1"]) == 2
    assert "--chips must be 0 or more, found -1" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e400", "-Infinity"])
def test_numbers_that_json_has_not_are_named_with_their_file(text: str, tmp_path: Path) -> None:
    run = write_run(tmp_path)
    summary = run / "train.json"
    summary.write_text(summary.read_text().replace("0.912", text))
    with pytest.raises(DataError, match=rf"train\.json is damaged .*{text} is no number"):
        write_page([run], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def said_of(folders: list[Path], out: Path) -> str:
    try:
        write_page(folders, out)
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("value", [None, "x", [], {"km2": "x"}, True])
@pytest.mark.parametrize("name", ["water", "notes", "crs", "scene"])
def test_values_of_other_types_are_shown_or_named_with_their_folder(
    name: str, value: object, tmp_path: Path
) -> None:
    run, folder = write_run(tmp_path), write_map(tmp_path / "map")
    summary = folder / "delta_summary.json"
    summary.write_text(json.dumps({**json.loads(summary.read_text()), name: value}))
    said = said_of([run, folder], tmp_path / "page.html")
    assert said == "" or str(folder) in said
    assert "\n" not in said


def test_the_folder_whose_result_cannot_be_shown_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = page._READERS["*_summary.json"]

    def damaged(*given: Any) -> Section:
        section = reader(*given)
        return replace(section, data={**section.data, "share": float("nan")})

    monkeypatch.setitem(page._READERS, "*_summary.json", damaged)
    folders = [write_run(tmp_path), write_map(tmp_path / "map")]
    with pytest.raises(DataError, match=r"/map: its map cannot be shown \(ValueError: .*anew$"):
        write_page(folders, tmp_path / "page.html")


def test_a_page_does_not_replace_a_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path)
    before = (run / "train.json").read_text()
    command = ["report", str(run), "--overwrite", "--out"]
    assert main([*command, str(run / "train.json")]) == 1
    assert "train.json would be replaced, but it is to be read" in capsys.readouterr().err
    assert (run / "train.json").read_text() == before
    for _ in range(2):
        assert main([*command, str(run / "page.html")]) == 0
