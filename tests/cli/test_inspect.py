"""``sarwater inspect`` from the command line."""

import json
from pathlib import Path

import pytest

from sarwater.cli import main
from sarwater.datasets.manifest import write_manifest
from tests.inspection.cases import healthy, troubled

COUNTS = (
    "chip,event,split,nonwater_px,water_px,ignored_px\n"
    "a,Ghana,train,9,1,0\nb,Ghana,test,10,1,0\nc,USA,test,0,0,11\n"
)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    write_manifest(healthy(tmp_path), path)
    return path


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "counts.csv"
    path.write_text(COUNTS, encoding="utf-8")
    return path


def test_a_manifest_becomes_a_folder(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["inspect", str(manifest), "--out", str(out)]) == 0
    assert sorted(path.name for path in out.glob("[!.]*")) == [
        "chips.csv",
        "contact_sheet.png",
        "domain_distances.png",
        "histograms.npz",
        "histograms.png",
        "inspection.json",
        "ratio_bins.png",
    ]
    text = capsys.readouterr().out
    assert "4 chips, classes land, water" in text
    assert "nothing found that is wrong" in text
    assert "VV: domains farthest apart here and there" in text


def test_nothing_is_overwritten_unasked(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine", encoding="utf-8")
    assert main(["inspect", str(manifest), "--out", str(out)]) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    arguments = ["inspect", str(manifest), "--out", str(out), "--overwrite"]
    assert main([*arguments, "--contact-sheet", "0"]) == 1
    assert "sarwater did not write" in capsys.readouterr().err
    (out / "mine.txt").unlink()
    assert main(arguments) == 0
    assert main([*arguments, "--contact-sheet", "0"]) == 0
    assert not (out / "contact_sheet.png").exists()


def test_json_is_what_the_file_holds(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["inspect", str(manifest), "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "inspection.json").read_text(encoding="utf-8"))


def test_findings_are_printed_and_strict_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "data.csv", tmp_path / "out"
    write_manifest(troubled(tmp_path), path)
    arguments = ["inspect", str(path), "--out", str(out)]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    assert "error duplicate-chips: 2 chips have identical pixels" in text
    assert "[good, twin]" in text
    assert main([*arguments, "--overwrite", "--strict"]) == 1
    assert "--strict" in capsys.readouterr().err
    assert (out / "inspection.json").exists()


def test_counts_are_tabled(counts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "--counts", str(counts)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["split", "train", "1", "0", "0", "0"] in lines
    assert ["split", "test", "0", "1", "0", "1"] in lines
    assert ["domain", "USA", "0", "0", "0", "1"] in lines
    assert ["all", "1", "1", "0", "1"] in lines
    assert lines[-1][-1] == "c"


def test_counts_are_written(
    counts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["inspect", "--counts", str(counts), "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["total"] == [1, 1, 0, 1]
    assert printed["unlabelled_chips"] == ["c"]
    assert printed == json.loads((out / "ratios.json").read_text(encoding="utf-8"))
    assert (out / "ratio_bins.png").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "either a manifest or --counts"),
        (["data.csv", "--counts", "counts.csv"], 2, "either a manifest or --counts"),
        (["data.csv"], 2, "--out DIR"),
        (["data.csv", "--out", "x", "--contact-sheet", "-1"], 2, "0 ... 256"),
        (["no.csv", "--out", "x"], 1, "cannot read the manifest"),
        (["--counts", "no.csv"], 1, "cannot read the table of counts"),
    ],
)
def test_wrong_usage_leaves_nothing(
    arguments: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["inspect", *arguments]) == code
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.real_data
def test_official_counts(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = real_data / "sen1floods11" / "label_counts.csv"
    assert main(["inspect", "--counts", str(table)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["all", "123", "171", "75", "77"] in lines
