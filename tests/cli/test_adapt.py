import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from sarwater.cli import full_parser, main
from sarwater.config import write_settings
from sarwater.datasets.manifest import Manifest, read_manifest, write_manifest
from sarwater.files import refuse_existing
from sarwater.models.bundle import load_bundle
from sarwater.normalize import group_statistics
from sarwater.prediction import PredictionOptions, Predictor, water_probability
from sarwater.raster import read_chip
from sarwater.training.adapting_scores import SMALLEST_GAP, gap_recovered
from sarwater.training.folder import RunFolder
from sarwater.training.start import train
from sarwater.training.target import without_labels
from sarwater.types import Units
from tests.conftest import RecordMaker, TifMaker
from tests.training.lakes import settings, write_chips

ADABN = ("--adaptation.methods", "adabn", "--adaptation.epochs", "1")

METHODS = ["dann", "self_training", "adabn"]

CHOSEN = settings(
    patches={"per_epoch": 8},
    optimization={"epochs": 1, "average_decay": 0.9, "learning_rate": 5e-3},
    adaptation={"methods": METHODS, "epochs": 2},
)


class Case(NamedTuple):
    """Tables, models and a finished folder that the tests share."""

    source: Path
    target: Path
    """Without labels."""
    test: Path
    oracle: Path
    config: Path
    out: Path

    def arguments(self, *more: str | Path) -> list[str]:
        texts = ["adapt", self.source, "--target", self.target, *more]
        return [str(text) for text in texts]

    def start(self, out: Path, *more: str | Path) -> list[str]:
        return self.arguments("--out", out, "--config", self.config, *more)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("adapt")
    for name in ("source", "target"):
        (folder / name).mkdir()
    source = write_chips(folder / "source")
    test = write_chips(folder / "target", domain="delta", brighter_db=3, seed=2)
    target = folder / "target" / "unlabelled.csv"
    write_manifest(without_labels(read_manifest(test)), target)
    config = folder / "config.yaml"
    write_settings(CHOSEN, config)
    well = settings(patches={"per_epoch": 100}, optimization={"epochs": 1, "learning_rate": 1e-2})
    oracle = train(well, read_manifest(test), folder / "oracle").bundle
    found = Case(source, target, test, oracle, config, folder / "out")
    assert main(found.start(found.out)) == 0
    return found


@pytest.fixture(scope="module")
def scored(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished folder with scores of both models and of the oracle."""
    out = tmp_path_factory.mktemp("scored") / "out"
    shutil.copytree(case.out, out)
    arguments = case.arguments("--resume", out, "--test", case.test, "--oracle", case.oracle)
    assert main(arguments) == 0
    return out


def report_of(out: Path) -> dict[str, Any]:
    def refuse(text: str) -> None:
        raise ValueError(f"{text} is not JSON")

    text = (out / "adaptation.json").read_text()
    found: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return found


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_the_folder_holds_both_models_and_the_comparison(case: Case, scored: Path) -> None:
    assert names_in(case.out) == {
        "config.yaml",
        "source_only",
        "adapted",
        "adaptation.json",
        "signals.png",
        "disagreement.png",
        "examples.zip",
    }
    assert names_in(scored) - names_in(case.out) == {
        "evaluation_source_only",
        "evaluation_adapted",
        "evaluation_oracle",
        "comparison",
    }
    for name in ("signals.png", "disagreement.png"):
        content = (case.out / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) > 5000
    assert RunFolder(case.out / "source_only").read_settings().adaptation.methods == ()
    adapted = RunFolder(case.out / "adapted").read_settings()
    assert [method.name for method in adapted.adaptation.methods] == METHODS
    assert adapted.optimization.epochs == 2
    summary = json.loads((case.out / "adapted" / "train.json").read_text())
    assert summary["target"]["domains"] == ["delta"]
    assert summary["target"]["images"] == 6
    refuse_existing(scored, overwrite=True, folder=True)  # nothing in it is of another


def test_the_report_says_what_can_be_said_without_labels(case: Case) -> None:
    found = report_of(case.out)
    assert set(found) == {
        "format",
        "models",
        "methods",
        "domains",
        "criterion",
        "seed_margin",
        "source_only",
        "adapted",
        "pixels",
        "overlap",
        "disagreement",
        "recommended",
        "warnings",
        "notes",
        "history",
    }
    (note,) = found["notes"]  # three decibels, and statistics of the data set
    assert "standard deviations above the source's" in note
    assert note.endswith("the target is normalized by statistics of its own")
    steadiness = {
        name: found[name]["agreement_flips"] + found[name]["agreement_gain"]
        for name in ("source_only", "adapted")
    }
    assert found["recommended"] == max(steadiness, key=lambda name: steadiness[name])
    assert found["methods"] == METHODS
    assert found["domains"] == {"source": ["lakes"], "target": ["delta"]}
    assert found["pixels"] == 6 * (64 * 64 - 9)
    shares = ("water_share", "entropy", "agreement_flips", "agreement_gain", "threshold")
    for name in ("source_only", "adapted"):
        assert set(found[name]) == {*shares, "separating_threshold", "separation"}
        assert all(0 <= found[name][share] <= 1 for share in shares)
        info = load_bundle(case.out / name / "model.safetensors").info
        assert found[name]["threshold"] == info.threshold
    assert found["seed_margin"] == info.seed_margin
    assert 0 <= found["overlap"] <= 1
    assert [row["epoch"] for row in found["history"]] == [1, 2]
    assert {"train_dann", "train_accuracy_dann", "target_threshold"} <= set(found["history"][0])


def water_maps(case: Case, model: Path) -> list[tuple[Any, Any]]:
    """Return of each labelled chip what a model calls water, and the truth, over valid pixels."""
    bundle = load_bundle(model)
    predictor = Predictor(bundle, PredictionOptions(device="cpu"))
    chips = [read_chip(record) for record in read_manifest(case.test)]
    own = group_statistics((chip.domain, chip) for chip in chips)
    maps = []
    for chip in chips:
        assert chip.target is not None
        water = water_probability(predictor.predict_chip(chip, own[chip.domain]))
        called = water >= np.float32(bundle.info.threshold)
        maps.append((called[chip.valid], (chip.target == 1)[chip.valid]))
    return maps


def test_shares_overlap_and_disagreement_are_those_of_the_two_maps(case: Case) -> None:
    found = report_of(case.out)
    before, after = (
        np.concatenate([called for called, _ in water_maps(case, case.out / name)])
        for name in ("source_only/model.safetensors", "adapted/model.safetensors")
    )
    assert found["source_only"]["water_share"] == pytest.approx(before.mean(), abs=1e-4)
    assert found["adapted"]["water_share"] == pytest.approx(after.mean(), abs=1e-4)
    assert found["disagreement"] == pytest.approx((before != after).mean(), abs=1e-4)
    overlap = (before & after).sum() / (before | after).sum()
    assert found["overlap"] == pytest.approx(overlap, abs=1e-3)


def test_scores_are_those_of_the_maps_and_the_gap_is_the_formulas(case: Case, scored: Path) -> None:
    found = report_of(scored)
    scores = found.pop("scores")
    assert found == report_of(case.out)
    models = {
        "source_only": case.out / "source_only" / "model.safetensors",
        "adapted": case.out / "adapted" / "model.safetensors",
        "oracle": case.oracle,
    }
    assert set(scores) == {*models, "gap_recovered"}
    for name, model in models.items():
        called, truth = (
            np.concatenate(part) for part in zip(*water_maps(case, model), strict=True)
        )
        hits = (called & truth).sum()
        expected = {
            "f1": 2 * hits / (called.sum() + truth.sum()),
            "iou": hits / (called | truth).sum(),
            "precision": hits / called.sum(),
            "recall": hits / truth.sum(),
        }
        assert scores[name]["threshold"] == load_bundle(model).info.threshold
        for metric, value in expected.items():
            assert scores[name][metric] == pytest.approx(value, abs=1e-4), (name, metric)
    before, after, best = (scores[name]["f1"] for name in models)
    assert best - before > SMALLEST_GAP
    assert scores["gap_recovered"] == pytest.approx((after - before) / (best - before), abs=1e-4)


@pytest.mark.parametrize(
    ("before", "after", "best", "expected"),
    [
        (0.5, 0.6, 0.9, 0.25),
        (0.5, 0.4, 0.9, -0.25),
        (0.5, 0.9, 0.529, None),
        (0.5, 0.6, 0.4, None),
    ],
)
def test_no_share_of_hardly_a_gap(
    before: float, after: float, best: float, expected: float | None
) -> None:
    values = {"source_only": before, "adapted": after, "oracle": best}
    found = gap_recovered({name: {"f1": value} for name, value in values.items()})
    assert found == (expected if expected is None else pytest.approx(expected))


def test_resuming_what_is_done_changes_nothing(case: Case) -> None:
    before = files_in(case.out)
    assert main(case.arguments("--resume", case.out)) == 0
    after = files_in(case.out)
    assert after.keys() == before.keys()
    assert [path for path in before if after[path] != before[path]] == []


def test_resuming_without_the_adapted_run_does_that_one_again(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(case.out, out)
    shutil.rmtree(out / "adapted")
    trained: list[str] = []
    log = RunFolder.log

    def noted(folder: RunFolder, *arguments: Any) -> None:
        trained.append(folder.path.name)
        log(folder, *arguments)

    monkeypatch.setattr(RunFolder, "log", noted)
    assert main(case.arguments("--resume", out)) == 0
    assert trained == ["adapted"] * 2
    for name in ("source_only", "adapted"):
        model = Path(name) / "model.safetensors"
        assert (out / model).read_bytes() == (case.out / model).read_bytes()
    assert report_of(out) == report_of(case.out)


def test_a_run_that_is_stopped_names_the_command_that_goes_on(
    case: Case,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps, step = itertools.count(1), torch.optim.AdamW.step

    def stop_in_the_fourth(*arguments: Any, **named: Any) -> Any:
        if next(steps) == 4:  # the second step of adapting
            os.kill(os.getpid(), signal.SIGTERM)
        return step(*arguments, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", stop_in_the_fourth)
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stopped:
        main(case.start(out))
    assert not (out / "adaptation.json").exists()
    capsys.readouterr()
    assert main(case.arguments("--resume", out, "--json")) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {"folder": str(out), **report_of(out)}
    assert report_of(out) == report_of(case.out)
    printed = re.fullmatch("stopped; `sarwater (.*)` goes on", str(stopped.value))
    assert printed is not None
    parsed = full_parser().parse_args(shlex.split(printed[1]))
    assert (parsed.source, parsed.target, parsed.resume) == (case.source, case.target, out)


def test_a_given_model_is_where_adapting_begins(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(case.start(out, "--model", case.oracle, *ADABN)) == 0
    begun = out / "source_only"
    assert names_in(begun) == {"model.safetensors"}
    assert (begun / "model.safetensors").read_bytes() == case.oracle.read_bytes()
    printed = capsys.readouterr().out
    chosen = report_of(out)["recommended"]
    assert printed.endswith(f"model: {out / chosen / 'model.safetensors'}\n")
    # Its statistics are the target's, 3 dB above those of the source's table.
    called = np.concatenate([called for called, _ in water_maps(case, case.oracle)])
    found = report_of(out)["source_only"]["water_share"]
    assert found == pytest.approx(called.mean(), abs=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["--out", "a", "--resume", "b"],
        ["--out", "a", "--oracle", "c"],
        ["--resume", "a", "--optimization.epochs", "3"],
        ["--resume", "a", "--config", "c.yaml"],
        ["--resume", "a", "--model", "c"],
    ],
)
def test_wrong_usage_is_two(
    case: Case, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(case.arguments(*wrong))
    assert exit_.value.code == 2
    assert "usage: sarwater adapt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            {"adaptation.methods": "[]"},
            "adaptation.methods is empty: name at least one of dann, output_space",
        ),
        ({"adaptation.methods": "[dann, dann]"}, "adaptation.methods: each method at most once"),
        ({"adaptation.methods": "[dan]"}, "adaptation.methods.0: input tag 'dan'"),
        (
            {"adaptation.methods": "[{name: dann, weight: -1}]"},
            "adaptation.methods.0.dann.weight: input",
        ),
        ({"adaptation.methods": "[{name: dann, stregth: 1}]"}, "did you mean 'strength'?"),
        ({"adaptation.epochs": "0"}, "adaptation.epochs: input should be greater than or equal to"),
        ({"loss.terms": "[{name: focal, alpha: [0, 1, 1]}]"}, "loss.terms.0.alpha has 3 values"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_is_written(
    case: Case,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: Mapping[str, str],
    message: str,
) -> None:
    given = [part for name, value in flags.items() for part in (f"--{name}", value)]
    assert main(case.start(tmp_path / "out", *given)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--adaptation.target_domains", "dleta"], 1, "no chip of domain 'dleta'"),
        (["--optimization.average_decay", "null"], 2, "set optimization.average_decay"),
    ],
)
def test_what_adapting_cannot_use_is_refused_before_the_source_is_trained_on(
    case: Case,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    code: int,
    message: str,
) -> None:
    out = tmp_path / "out"
    assert main(case.start(out, *flags)) == code
    assert message in capsys.readouterr().err
    assert not (out / "source_only" / "model.safetensors").exists()


@pytest.mark.parametrize("wrong", ["source", "target", "network"])
@pytest.mark.parametrize("is_given", [False, True])
def test_a_former_folder_stays_where_the_data_or_the_network_cannot_be_read(
    case: Case,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    wrong: str,
    is_given: bool,
) -> None:
    out = tmp_path / "out"
    shutil.copytree(case.out, out)
    before = files_in(out)
    tables, more = {"source": case.source, "target": case.target}, []
    if wrong == "network":
        more = [
            "--model.encoder_weights",
            str(tmp_path / "none.pth"),
            "--adaptation.start",
            "scratch",
        ]
    else:
        manifest = read_manifest(tables[wrong])
        broken = tmp_path / "broken.tif"
        broken.write_bytes(b"no image")
        records = [*manifest.records[:-1], replace(manifest.records[-1], images=(broken,))]
        tables[wrong] = tmp_path / "broken.csv"
        write_manifest(Manifest(tuple(records)), tables[wrong])
    given = ["adapt", tables["source"], "--target", tables["target"], "--out", out, "--overwrite"]
    given += ["--config", case.config, *(["--model", case.oracle] if is_given else []), *more]
    assert main(list(map(str, given))) == 1
    assert ("none.pth" if wrong == "network" else "broken.tif") in capsys.readouterr().err
    assert files_in(out) == before


def test_a_model_whose_statistics_are_of_other_units_is_refused(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Values in decibels normalized by a mean of powers would all be land."""
    records = tuple(replace(one, units=Units.LINEAR) for one in read_manifest(case.source))
    table = tmp_path / "linear.csv"
    write_manifest(Manifest(records), table)
    given = case.start(tmp_path / "out", "--model", case.oracle)
    assert main([given[0], str(table), *given[2:]]) == 1
    error = capsys.readouterr().err
    assert "normalizes by statistics of values in units db" in error
    assert "these chips are in units linear" in error
    assert not (tmp_path / "out").exists()


def test_settings_that_were_changed_are_named_where_adapting_goes_on(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(case.out, out)
    config = out / "config.yaml"
    config.write_text(config.read_text().replace("learning_rate: 0.005", "learning_rate: 0.5"))
    assert main(case.arguments("--resume", out)) == 1
    error = capsys.readouterr().err
    assert "optimization.learning_rate is 0.5 and was 0.005" in error
    assert str(config) in error


def test_a_target_without_water_is_adapted_to_all_the_same(
    case: Case, tmp_path: Path, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    image = np.random.default_rng(0).normal(-9, 2, (2, 64, 64))
    record = make_record(make_tif("flat.tif", image.astype(np.float32)), domain="flat")
    target = tmp_path / "flat.csv"
    write_manifest(Manifest((record,)), target)
    out = tmp_path / "out"
    arguments = case.start(out, "--model", case.oracle, *ADABN)
    assert main(["adapt", str(case.source), "--target", str(target), *arguments[4:]]) == 0
    assert report_of(out)["pixels"] == 64 * 64


def test_an_existing_folder_is_kept(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("mine")
    for more in ([], ["--overwrite"]):
        assert main(case.start(out, *more)) == 1
        assert str(out) in capsys.readouterr().err
        assert [path.name for path in out.iterdir()] == ["mine"]
    before = files_in(case.out)
    assert main(case.start(case.out)) == 1
    assert "pass --overwrite" in capsys.readouterr().err
    assert files_in(case.out) == before


@pytest.mark.parametrize("inside", ["target", "model", "test", "encoder"])
def test_what_is_to_be_read_is_not_replaced(
    case: Case, capsys: pytest.CaptureFixture[str], inside: str
) -> None:
    given: dict[str, list[str]] = {
        "target": case.start(case.target.parent, "--overwrite"),
        "test": case.start(case.test.parent, "--overwrite", "--test", str(case.test)),
        "model": case.start(
            case.out, "--overwrite", "--model", str(case.out / "adapted" / "model.safetensors")
        ),
        "encoder": case.start(
            case.out, "--overwrite", "--model.encoder_weights", str(case.out / "encoder.pth")
        ),
    }
    folders = case.target.parent, case.out
    before = [files_in(folder) for folder in folders]
    assert main(given[inside]) == 1
    assert "is to be read; name another place" in capsys.readouterr().err
    assert [files_in(folder) for folder in folders] == before


def test_a_folder_that_was_moved_is_gone_on_with(case: Case, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(case.out, moved)
    config = moved / "adapted" / "config.yaml"
    text = config.read_text()
    assert str(case.out) in text
    config.write_text(text.replace(str(case.out), "/gone"))
    assert main(case.arguments("--resume", moved)) == 0


def test_two_processes_that_begin_at_once_adapt_a_given_model(case: Case, tmp_path: Path) -> None:
    """As under torchrun and SLURM: nobody looks into the folder before the first has made it."""
    out, model = tmp_path / "out", case.out / "source_only" / "model.safetensors"
    given = case.start(out, "--model", model, "--devices", "2", "--strategy", "ddp")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, "-W", "ignore", *launcher, "-m", "sarwater", *given]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    report = json.loads((out / "adaptation.json").read_text())
    assert report["models"]["source_only"] == load_bundle(model).hash
    assert json.loads((out / "adapted" / "train.json").read_text())["processes"] == 2
    assert not (out / "source_only" / "train.json").exists()
