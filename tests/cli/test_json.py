"""``--json``: one document on standard output, with the numbers of the files, as documented."""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sarwater.cli import COMMANDS, full_parser, main
from sarwater.datasets import download
from sarwater.datasets.manifest import read_manifest
from sarwater.models.bundle import load_bundle
from sarwater.raster import read_header

PAGE = Path(__file__).parents[2] / "docs" / "command-line.md"

TINY = """
patches: {size: 32, per_epoch: 8}
model: {encoder: tu-mobilenetv3_small_050, decoder_channels: 16, detail_channels: 8}
optimization: {epochs: 2, batch_size: 4, average_decay: .9}
run: {threads: 1, accelerator: cpu}
"""

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, settings, a model and evaluations."""
    root = tmp_path_factory.mktemp("world")
    (root / "tiny.yaml").write_text(TINY)
    data, run, model = root / "sim" / "data.csv", root / "run", root / "run" / "model.safetensors"
    scored = ["--bootstrap", "5", "--panels", "1", "--domains", "north"]
    for line in (
        ["simulate", "--out", root / "sim", "--size", "192", "--chip-size", "64"],
        ["train", data, "--out", run, "--config", root / "tiny.yaml"],
        ["evaluate", model, data, "--out", root / "model", *scored],
        ["baseline", "otsu", data, "--out", root / "otsu", *scored],
    ):
        assert main([str(part) for part in line]) == 0
    return root


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, world: Path) -> Ask:
    """Run a command with ``--json`` and return the document that it prints."""
    monkeypatch.chdir(world)

    def run(line: str, *more: Path) -> dict[str, Any]:
        capsys.readouterr()
        assert main([*line.split(), *map(str, more), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert isinstance(found, dict)
        assert set(found) == documented()[line.split()[0]]
        return found

    return run


def documented() -> dict[str, set[str]]:
    """Keys of each command's document, by the page's table."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", keys)) for name, keys in rows}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_every_command_that_prints_figures_is_on_the_page_and_takes_the_option() -> None:
    parser = full_parser()
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    takes = {
        name
        for name, one in commands.choices.items()
        if any("--json" in action.option_strings for action in one._actions)
    }
    assert set(COMMANDS) - takes == {"completion"}
    assert takes - {"map"} == set(documented())


def test_simulate(ask: Ask, tmp_path: Path) -> None:
    found = ask("simulate --size 192 --chip-size 64 --out", tmp_path / "pair")
    manifest = read_manifest(found["manifest"])
    north = manifest.select(domains=["north"])
    assert found["regions"][0]["splits"]["train"] == len(north.select(split="train"))
    assert len(read_manifest(found["scenes"])) == 2


def test_index_and_split(ask: Ask, tmp_path: Path) -> None:
    table, divided = tmp_path / "data.csv", tmp_path / "split.csv"
    found = ask("index sim --layout folder --images */chips/*_c0?.tif --out", table)
    manifest = read_manifest(table)
    assert found["chips"] == sum(found["domains"].values()) == len(manifest)
    assert found["splits"] == {"": len(manifest)}
    found = ask(f"split {table} --fractions .5,.25,.25 --allow-shared-ground --out", divided)
    assert {name: one["chips"] for name, one in found["splits"].items()} == {
        name: len(read_manifest(divided).select(split=name)) for name in ("train", "val", "test")
    }


def test_mosaic(ask: Ask, tmp_path: Path) -> None:
    found = ask("mosaic sim/data.csv --scene north_scene --out", tmp_path / "north.tif")
    grid = read_header(Path(found["file"])).grid
    assert (found["height"], found["width"]) == (grid.height, grid.width) == (192, 192)


def test_inspect(ask: Ask, tmp_path: Path) -> None:
    found = ask("inspect sim/data.csv --contact-sheet 2 --out", tmp_path / "look")
    assert found == read(tmp_path / "look" / "inspection.json")


def test_train(ask: Ask, tmp_path: Path) -> None:
    found = ask("train sim/data.csv --config tiny.yaml --out", tmp_path / "run")
    folder = found.pop("folder")
    assert found == read(Path(folder) / "train.json")
    assert found["model_sha256"] == load_bundle(tmp_path / "run" / "model.safetensors").hash


def test_evaluate_and_baseline(ask: Ask, tmp_path: Path) -> None:
    for line in ("evaluate run/model.safetensors", "baseline otsu"):
        out = tmp_path / line.split()[0]
        found = ask(f"{line} sim/data.csv --domains north --bootstrap 5 --panels 1 --out", out)
        written = read(out / "evaluation.json")
        assert len(written.pop("curve")["threshold"]) > 100
        assert found == {"folder": str(out), **written}


def test_report(ask: Ask, tmp_path: Path) -> None:
    found = ask("report run model --out", tmp_path / "page.html")
    page = Path(found["page"]).read_text(encoding="utf-8")
    assert found["bytes"] == len(page.encode())
    trained, scored = found["sections"]
    assert (trained["kind"], trained["title"]) == ("training", "run")
    assert (scored["kind"], scored["title"]) == ("evaluation", "model")
    best = read(Path("run", "train.json"))["validation"]["f1"]
    assert trained["facts"]["validation F1"] == f"{best:.3f}"
    assert all(f'id="{one["anchor"]}"' in page for one in found["sections"])


def test_compare(ask: Ask, tmp_path: Path) -> None:
    found = ask("compare model otsu --bootstrap 5 --out", tmp_path / "both")
    written = read(tmp_path / "both" / "comparison.json")
    assert found["differences"] == written["differences"]
    assert list(found["runs"]) == ["model", "otsu"]


def test_adapt(ask: Ask, tmp_path: Path) -> None:
    target = "--target sim/scenes.csv --adaptation.target_domains south"
    adabn = "--adaptation.methods adabn --config tiny.yaml --optimization.epochs 1"
    found = ask(
        f"adapt sim/data.csv {target} {adabn} --model run/model.safetensors --out", tmp_path / "out"
    )
    assert found == {"folder": str(tmp_path / "out"), **read(tmp_path / "out" / "adaptation.json")}


def test_map(
    world: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(world)
    scenes = ["sim/north/unseen_VV_VH.tif", "sim/south/unseen_VV_VH.tif"]
    for scene in scenes:
        out = tmp_path / Path(scene).parent.name
        command = ["map", scene, "--model", "run/model.safetensors", "--out", str(out)]
        capsys.readouterr()
        assert main([*command, "--json"]) == 0
        (found,) = json.loads(capsys.readouterr().out)
        assert found == read(out / "unseen_VV_VH_summary.json")


def test_export(ask: Ask, tmp_path: Path, world: Path) -> None:
    found = ask("export run/model.safetensors --out", tmp_path / "m.onnx")
    info = load_bundle(world / "run" / "model.safetensors").info
    assert found["threshold"] == info.threshold
    assert found["patch_size"] == info.patch_size
    assert (tmp_path / "m.onnx").stat().st_size > 1000


def test_doctor(ask: Ask) -> None:
    assert ask("doctor")["works"] is True


def test_download(ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = download.DownloadSummary(12, 5, 2_500_000)
    monkeypatch.setattr(download, "download_sen1floods11", lambda *_, **__: summary)
    assert ask("download sen1floods11 --out", tmp_path) == {
        "folder": str(tmp_path),
        "files": 12,
        "fetched": 5,
        "bytes_fetched": 2_500_000,
    }


def test_what_a_library_prints_is_no_part_of_the_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sarwater.cli.results import Result, add_json
    from sarwater.errors import DataError

    def run(_: argparse.Namespace) -> Result:
        print("a library greets")
        return Result({"water": 0.25}, lambda: "water 25%", DataError("one chip is odd"))

    module = ModuleType("sarwater.cli.fake")
    module.add_arguments, module.run = add_json, run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sarwater.cli.fake", module)
    monkeypatch.setitem(COMMANDS, "fake", "a command of the test")
    assert main(["fake", "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == {"water": 0.25}
    assert err == "a library greets\nsarwater fake: error: one chip is odd\n"
    assert main(["fake"]) == 1
    assert capsys.readouterr().out == "a library greets\nwater 25%\n"


def test_an_error_leaves_standard_output_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["split", "no.csv", "--out", "never.csv", "--json"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "cannot read the manifest no.csv" in err


DRY = [
    ("train sim/data.csv --config tiny.yaml", "training: 2 epochs of 2 steps (3 chips, "),
    (
        "adapt sim/data.csv --target sim/data.csv --config tiny.yaml --adaptation.methods "
        "[self_training,adabn] --adaptation.target_splits adapt",
        "adapted: 2 epochs of 2 steps",
    ),
    (
        "adapt sim/data.csv --target sim/data.csv --config tiny.yaml --adaptation.methods adabn "
        "--model run/model.safetensors --adaptation.target_splits adapt",
        "adapted: 2 epochs of 2 steps",
    ),
    ("evaluate run/model.safetensors sim/data.csv --split= --bootstrap 5", "18 labelled chips, "),
]


@pytest.mark.parametrize(("line", "words"), DRY)
def test_a_dry_run_times_a_little_and_writes_nothing(
    line: str,
    words: str,
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(world)
    before = sorted(world.rglob("*"))
    command = [*line.split(), "--out", str(tmp_path / "out"), "--dry-run"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert words in said
    assert said.rstrip().endswith("nothing was written")
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seconds"] > 0
    assert 0.05 < found["memory_gb"] < 100
    for run in found.get("runs", ()):
        steps = run["epochs"] * run["steps_per_epoch"] * run["seconds_per_step"]
        assert run["seconds"] >= round(steps, 1) - 0.1
    assert list(tmp_path.iterdir()) == []
    assert sorted(world.rglob("*")) == before


def test_an_estimated_checkpoint_is_as_large_as_the_real_one(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world)
    command = ["train", "sim/data.csv", "--config", "tiny.yaml", "--out", str(tmp_path / "out")]
    assert main([*command, "--dry-run", "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    model, checkpoint = (
        world / "run" / "model.safetensors",
        world / "run" / "checkpoints" / "last.pt",
    )
    sizes = model.stat().st_size + 2 * checkpoint.stat().st_size
    assert run["disk_gb"] * 1e9 == pytest.approx(sizes, rel=0.1, abs=1e6)
    network = load_bundle(model).build()
    assert run["parameters"] == sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        (
            "train sim/data.csv --config tiny.yaml --data.train_split trian",
            1,
            "did you mean 'train'",
        ),
        ("train sim/data.csv --config tiny.yaml --optimization.batch_size 64", 1, "fewer than one"),
        ("train sim/data.csv --config tiny.yaml --model.encoder resnet19", 1, "mean 'resnet18'"),
        ("adapt sim/data.csv --target sim/data.csv --config tiny.yaml", 2, "methods is empty"),
        ("evaluate run/model.safetensors sim/data.csv --domains nort", 1, "did you mean 'north'"),
    ],
)
def test_a_dry_run_finds_what_the_run_would_fail_on(
    line: str,
    code: int,
    message: str,
    world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(world)
    assert main([*line.split(), "--out", str(tmp_path / "out"), "--dry-run"]) == code
    assert message in capsys.readouterr().err


def test_a_dry_run_refuses_a_place_that_is_taken(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world)
    assert main(["train", "sim/data.csv", "--out", "run", "--dry-run"]) == 1
    assert "--overwrite" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["train", "sim/data.csv", "--resume", "run", "--dry-run"])
    assert "leave out --resume" in capsys.readouterr().err
