from collections import Counter
from pathlib import Path

import pytest

from sarwater.cli import main
from sarwater.datasets.manifest import ChipRecord, Manifest, read_manifest, write_manifest
from sarwater.types import Units


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = tuple(
        ChipRecord(
            f"{domain}{row}",
            domain,
            (tmp_path / f"{domain}{row}.tif",),
            ("VV",),
            Units.DB,
            scene=domain,
            row=row,
            col=0,
        )
        for domain in ("elbe", "rhine")
        for row in range(20)
    )
    write_manifest(Manifest(rows), tmp_path / "data.csv")
    return tmp_path / "data.csv"


def splits(path: Path) -> Counter[str]:
    return Counter(row.split for row in read_manifest(path))


def test_chips_at_random(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "split.csv"
    assert main(["split", str(data), "--out", str(out)]) == 0
    assert splits(out) == {"train": 28, "val": 6, "test": 6}
    assert "28 chips, 0 labelled, 2 domains" in capsys.readouterr().out
    again = tmp_path / "again.csv"
    command = ["split", str(data), "--out", str(again), "--fractions", "0.5,0.5,0", "--seed", "3"]
    assert main(command) == 0
    assert splits(again) == {"train": 20, "val": 20}


def test_by_rows_and_by_domain(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.csv"
    command = ["split", str(data), "--out", str(out), "--overwrite", "--by"]
    assert main([*command, "row", "--val", "11-12", "--test", "13-"]) == 0
    assert splits(out) == {"train": 22, "val": 4, "test": 14}
    assert main([*command, "row", "--val", "-1", "--test", "2,3", "--train", "4-"]) == 0
    assert splits(out) == {"train": 32, "val": 4, "test": 4}
    assert main([*command, "domain", "--val", "elbe", "--allow-empty"]) == 0
    assert splits(out) == {"train": 20, "val": 20}
    where = ["--where", "domain=rhine", "--assign", "held=19"]
    assert main([*command, "row", "--val", "0", *where]) == 0
    assert splits(out) == {"": 20, "train": 18, "val": 1, "held": 1}


def test_a_split_may_be_refined_in_place(data: Path) -> None:
    command = ["split", str(data), "--out", str(data), "--overwrite", "--by", "row"]
    assert main([*command, "--val", "3", "--where", "domain=elbe"]) == 0
    assert main([*command, "--val", "4", "--where", "domain=rhine"]) == 0
    assert splits(data) == {"train": 38, "val": 2}


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--by", "row", "--test", "13-"], 1, "no chip is left for val"),
        (["--fractions", "1,0,0"], 1, "no chip is left for val"),
        (["--fractions", "0.5,0.5"], 2, "expected three numbers"),
        (["--fractions", "a,b,c"], 2, "expected three numbers"),
        (["--val", "3"], 2, "need a column"),
        (["--by", "row"], 2, "needs values"),
        (["--by", "row", "--val", "1", "--assign", "val=2"], 2, "split val is named twice"),
        (["--by", "row", "--val", "1", "--where", "domain"], 2, "not of the form NAME=VALUES"),
        (["--by", "rows", "--val", "1"], 1, "no column 'rows'"),
    ],
)
def test_mistakes_are_named_and_nothing_is_written(
    options: list[str],
    code: int,
    message: str,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "split.csv"
    assert main(["split", str(data), "--out", str(out), *options]) == code
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_shared_ground_is_refused_unless_allowed(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = data.read_text().splitlines()
    doubled = next(row for row in rows if row.startswith("elbe3,")).replace("elbe3,", "twin,", 1)
    data.write_text("\n".join([*rows, doubled]) + "\n")
    out = tmp_path / "split.csv"
    command = ["split", str(data), "--out", str(out), "--by", "id", "--val", "twin"]
    assert main(command) == 1
    message = capsys.readouterr().err
    assert "elbe3 (train) and twin (val)" in message
    assert "--allow-shared-ground" in message
    assert not out.exists()
    assert main([*command, "--allow-shared-ground"]) == 0


def test_images_are_not_replaced(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = data.with_name("elbe0.tif")
    image.write_text("precious")
    assert main(["split", str(data), "--out", str(image), "--overwrite"]) == 1
    assert "elbe0.tif would be replaced, but it is to be read" in capsys.readouterr().err
    assert image.read_text() == "precious"
