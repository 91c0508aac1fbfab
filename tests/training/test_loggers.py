"""Curves, settings and learned weights reach MLflow and Weights & Biases, each epoch once."""

import csv
import importlib.util
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from sarwater.cli import main
from sarwater.config import RunSettings, TrainSettings, build_settings, write_settings
from sarwater.datasets.manifest import read_manifest
from sarwater.errors import ConfigError, SarwaterWarning
from sarwater.training.folder import RunFolder
from sarwater.training.run import Run
from sarwater.training.start import resume, train
from tests.training.lakes import settings, write_chips

STAND_INS = Path(__file__).parents[1] / "stand_ins"
NAMES = ("mlflow", "wandb")


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Let both packages be imported, as stand-ins that keep what they are told."""
    for name in [one for one in sys.modules if one.split(".")[0] in NAMES]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(STAND_INS))
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    import mlflow.tracking
    import wandb

    assert Path(wandb.__file__).is_relative_to(STAND_INS)
    yield {"mlflow": mlflow.tracking, "wandb": wandb}
    for name in [one for one in sys.modules if one.split(".")[0] in NAMES]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chips(tmp_path_factory.mktemp("chips"))


CHOSEN: dict[str, Any] = {
    "loss": {"terms": ["cross_entropy", "dice"], "learned_weights": True},
    "optimization": {"epochs": 3},
}


def chosen() -> TrainSettings:
    return settings(**CHOSEN, run={"loggers": "mlflow, wandb"})


def rows_of(folder: RunFolder) -> list[dict[str, float]]:
    with folder.curves.open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def of_mlflow(run: Any) -> list[dict[str, float]]:
    steps = sorted({metric.step for metric in run.metrics})
    assert steps == list(range(1, len(steps) + 1))
    return [{m.key: m.value for m in run.metrics if m.step == step} for step in steps]


def test_curves_settings_and_learned_weights_reach_both(
    data: Path, tmp_path: Path, services: dict[str, Any]
) -> None:
    folder = train(chosen(), read_manifest(data), tmp_path / "flood")
    curves = rows_of(folder)
    assert "c_dice" in curves[0]

    (run,) = services["mlflow"].runs.values()
    assert of_mlflow(run) == curves
    assert run.tags == {"mlflow.runName": "flood"}
    assert run.params["optimization/epochs"] == "3"
    assert run.params["loss/learned_weights"] == "True"
    assert run.status == "FINISHED"
    assert list(services["mlflow"].experiments) == ["sarwater"]

    (run,) = services["wandb"].runs.values()
    assert [{k: v for k, v in row.items() if "global" not in k} for row in run.rows] == curves
    assert run.config.values == chosen().model_dump(mode="json")
    assert run.is_finished
    (began,) = services["wandb"].began
    assert (began["project"], began["name"]) == ("sarwater", "flood")
    assert began["dir"] == str(folder.path)
    assert not (folder.path / "tensorboard").exists()


def test_a_resumed_run_goes_on_under_its_id_and_sends_no_epoch_twice(
    data: Path, tmp_path: Path, services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RunFolder.log

    def killed(
        folder: RunFolder, history: Sequence[Mapping[str, float]], sampling: Sequence[Any]
    ) -> None:
        if len(history) == 3:
            raise KeyboardInterrupt
        log(folder, history, sampling)

    monkeypatch.setattr(RunFolder, "log", killed)
    folder = RunFolder(tmp_path / "flood")
    with pytest.raises(KeyboardInterrupt):
        train(chosen(), read_manifest(data), folder.path)
    monkeypatch.setattr(RunFolder, "log", log)
    services["wandb"].run = None  # the process that was killed took it along
    resume(read_manifest(data), folder.path)
    (run,) = services["mlflow"].runs.values()
    assert of_mlflow(run) == rows_of(folder)
    assert len(run.metrics) == 3 * len(rows_of(folder)[0])
    (run,) = services["wandb"].runs.values()
    assert len(run.rows) == 3
    assert [options["id"] for options in services["wandb"].began] == [None, run.id]
    assert json.loads((folder.path / "loggers.json").read_text())["wandb"] == {
        "id": run.id,
        "epochs": 3,
    }


def test_runs_of_one_process_are_runs_of_their_own(
    data: Path, tmp_path: Path, services: dict[str, Any]
) -> None:
    short = chosen().model_copy(
        update={"optimization": chosen().optimization.model_copy(update={"epochs": 1})}
    )
    for name in ("a", "b"):
        train(short, read_manifest(data), tmp_path / name)
    assert [run.tags["mlflow.runName"] for run in services["mlflow"].runs.values()] == ["a", "b"]
    assert [len(run.rows) for run in services["wandb"].runs.values()] == [1, 1]


def test_the_environment_names_server_and_project(
    data: Path, tmp_path: Path, services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "rivers")
    monkeypatch.setenv("WANDB_PROJECT", "lakes")
    train(chosen(), read_manifest(data), tmp_path / "run")
    assert sys.modules["mlflow"].uris[-1] == "http://tracking.example:5000"
    assert list(services["mlflow"].experiments) == ["rivers"]
    assert services["wandb"].began[0]["project"] == "lakes"


def test_mlflow_keeps_runs_where_it_does_by_itself(
    data: Path, tmp_path: Path, services: dict[str, Any]
) -> None:
    train(chosen(), read_manifest(data), tmp_path / "run")
    assert len(services["mlflow"].runs) == 1
    assert sys.modules["mlflow"].uris[-1] == sys.modules["mlflow"].get_tracking_uri()


def test_a_service_that_fails_for_a_while_has_every_epoch_in_the_end(
    data: Path, tmp_path: Path, services: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = services["mlflow"].MlflowClient
    log_batch, asked = client.log_batch, []

    def failing(self: Any, run_id: str, **sent: Any) -> None:
        asked.append(sent)
        if len(asked) == 3:  # the settings, the first epoch, and now the second
            raise ConnectionError("no route to host")
        log_batch(self, run_id, **sent)

    monkeypatch.setattr(client, "log_batch", failing)
    with pytest.warns(
        SarwaterWarning, match=r"mlflow failed \(ConnectionError: no route.*has 1 of"
    ):
        folder = train(chosen(), read_manifest(data), tmp_path / "run")
    (run,) = services["mlflow"].runs.values()
    assert of_mlflow(run) == rows_of(folder)
    assert run.status == "FINISHED"
    assert len(asked) == 5
    (run,) = services["wandb"].runs.values()
    assert len(run.rows) == 3


def test_a_service_that_is_down_costs_no_training(
    data: Path,
    tmp_path: Path,
    services: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def down(*_: object, **__: object) -> None:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(services["mlflow"].MlflowClient, "get_experiment_by_name", down)
    out, written = tmp_path / "run", tmp_path / "settings.yaml"
    write_settings(chosen(), written)
    assert main(["train", str(data), "--config", str(written), "--out", str(out)]) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "mlflow" in line]
    assert len(told) == 2  # at the beginning, and at the end
    assert told[0].startswith("sarwater train: warning: mlflow failed (ConnectionError: no route")
    assert "mlflow has 0 of its epochs" in told[1]
    assert len(rows_of(RunFolder(out))) == 3
    (run,) = services["wandb"].runs.values()
    assert run.is_finished


def test_a_tensorboard_that_fails_costs_no_training(data: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    run = Run(settings(optimization={"epochs": 2}), read_manifest(data), folder)
    run.start(overwrite=False)
    folder.tensorboard.write_text("in the way")
    with pytest.warns(SarwaterWarning, match=r"tensorboard failed .*curves\.csv has all") as told:
        run.fit()
    assert len([one for one in told if "tensorboard" in str(one.message)]) == 1
    assert len(rows_of(folder)) == 2


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_installed_is_named_before_anything_is_read(
    name: str,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda one, *more: None if one == name else find(one, *more)
    )
    out = tmp_path / "run"
    assert main(["train", str(data), "--out", str(out), "--loggers", f"tensorboard,{name}"]) == 2
    said = capsys.readouterr().err
    assert f"`pip install {name}`, or leave it out" in said
    assert not out.exists()


def test_unknown_loggers_are_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'mlflow'"):
        build_settings(RunSettings, {"loggers": ["mlfow"]}, "test")
    assert build_settings(RunSettings, {"loggers": []}, "test").loggers == ()
