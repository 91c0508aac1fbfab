"""Where the curves of a run go beside its folder: TensorBoard, MLflow, Weights & Biases."""

import importlib.util
import json
import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sarwater.config import RunSettings, TrainSettings
from sarwater.errors import ConfigError, SarwaterWarning
from sarwater.files import write_json

Rows = Sequence[Mapping[str, float]]

_PACKAGES = {"tensorboard": "tensorboard", "mlflow": "mlflow", "wandb": "wandb"}
_PROJECT = "sarwater"
"""Name of the experiment (MLflow) or project (W&B) where the environment names none."""


def require_loggers(chosen: RunSettings) -> None:
    """Check that what the settings name is installed.

    Raises:
        ConfigError: a package is missing.
    """
    missing = [name for name in chosen.loggers if importlib.util.find_spec(_PACKAGES[name]) is None]
    if missing:
        packages = " ".join(_PACKAGES[name] for name in missing)
        raise ConfigError(
            f"run.loggers names {', '.join(missing)}, which is not installed here: "
            f"`pip install {packages}`, or leave it out"
        )


class Loggers:
    """Sends each epoch's row to the loggers of a run, once, also when the run is resumed.

    MLflow and W&B take their server, account and project from their own environment variables
    (``MLFLOW_TRACKING_URI``, ``MLFLOW_EXPERIMENT_NAME``, ``WANDB_PROJECT``, ``WANDB_MODE``, ...).
    Both are given the settings as parameters, and the curves with the learned weights of losses.
    """

    def __init__(self, settings: TrainSettings, folder: Path) -> None:
        """Open nothing yet.

        Args:
            settings: of the run; ``run.loggers`` names the loggers.
            folder: of the run. Its name is the run's, and ``loggers.json`` in it says under which
                id each service knows the run, and how many epochs it has.

        Raises:
            ConfigError: a package is missing.
        """
        require_loggers(settings.run)
        self._settings = settings
        self._folder = folder
        self._known = folder / "loggers.json"
        self._open: dict[str, Any] = {}
        self._failed: set[str] = set()

    def begin(self, history: Rows) -> None:
        """Open the services, so that one that cannot be reached is known before the first step.

        A service that fails is told of in a warning and asked again at the end alone: its client
        may wait for minutes, and a run does not stand still for its curves.

        Args:
            history: of all epochs so far; what a service lacks of it is sent.
        """
        for name in self._services:
            self._try(name, partial(self._send, name, history))

    def log(self, history: Rows) -> None:
        """Send the last row, and before it what a logger does not have yet."""
        wanted = "tensorboard" in self._settings.run.loggers
        if wanted and "tensorboard" not in self._failed:
            self._try("tensorboard", partial(_log_to_tensorboard, self._folder, history))
        for name in self._services:
            if name not in self._failed:
                self._try(name, partial(self._send, name, history))

    def finish(self, history: Rows) -> None:
        """Send what a service lacks, and tell it that the run has come to its end."""
        for name in self._services:
            self._try(name, partial(self._close, name, history))
        self._open.clear()

    @property
    def _services(self) -> list[str]:
        return [name for name in self._settings.run.loggers if name in _MAKERS]

    def _try(self, name: str, send: Callable[[], None]) -> None:
        try:
            send()
        except Exception as error:  # whatever the service's client raises
            self._failed.add(name)
            known = self._read().get(name, {"epochs": 0})["epochs"]
            words = " ".join(str(error).split())
            has = f"{name} has {known} of its epochs, and " if name in _MAKERS else ""
            warnings.warn(
                f"{name} failed ({type(error).__name__}: {words[:300]}). The run goes on; "
                f"{has}{self._folder / 'curves.csv'} has all",
                SarwaterWarning,
                stacklevel=2,
            )

    def _close(self, name: str, history: Rows) -> None:
        self._send(name, history)
        logger = self._open[name]
        logger.finalize("success")
        if name == "wandb":  # the next run of this process would be taken for the same one
            logger.experiment.finish()

    def _send(self, name: str, history: Rows) -> None:
        known = self._read()
        former = known.get(name, {"id": None, "epochs": 0})
        logger = self._open.get(name) or _MAKERS[name](self._folder, former["id"])
        self._open[name] = logger
        _ = logger.experiment  # opens the run, which has an id from then on
        if former["id"] is None:
            logger.log_hyperparams(self._settings.model_dump(mode="json"))
        self._write(known | {name: {"id": logger.version, "epochs": former["epochs"]}})
        for epoch, row in enumerate(history[former["epochs"] :], start=former["epochs"] + 1):
            finite = {key: value for key, value in row.items() if math.isfinite(value)}
            logger.log_metrics(finite, step=epoch)
            self._write(known | {name: {"id": logger.version, "epochs": epoch}})

    def _write(self, known: dict[str, Any]) -> None:
        write_json(self._known, known, overwrite=True)

    def _read(self) -> dict[str, Any]:
        if not self._known.is_file():
            return {}
        known: dict[str, Any] = json.loads(self._known.read_text(encoding="utf-8"))
        return known


def _log_to_tensorboard(run: Path, history: Rows) -> None:
    from lightning.fabric.loggers.tensorboard import TensorBoardLogger

    folder = run / "tensorboard"
    # A file an epoch, all in one folder (one curve): a resumed run replaces what it repeats.
    row, suffix = history[-1], f".epoch{len(history):04d}"
    for former in folder.glob(f"*{suffix}"):
        former.unlink()
    logger = TensorBoardLogger(folder, name="", version="", filename_suffix=suffix)
    logger.log_metrics(dict(row), step=len(history))
    logger.finalize("success")


def _mlflow(folder: Path, run_id: str | None) -> Any:
    import mlflow
    from lightning.pytorch.loggers.mlflow import MLFlowLogger

    return MLFlowLogger(
        os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT),
        run_name=folder.resolve().name,
        # MLflow's own default where nothing is named: Lightning's is a folder, which it refuses.
        tracking_uri=mlflow.get_tracking_uri(),
        run_id=run_id,
    )


def _wandb(folder: Path, run_id: str | None) -> Any:
    from lightning.pytorch.loggers.wandb import WandbLogger

    return WandbLogger(
        folder.resolve().name,
        save_dir=folder,
        version=run_id,
        project=os.environ.get("WANDB_PROJECT", _PROJECT),
    )


_MAKERS: dict[str, Callable[[Path, str | None], Any]] = {"mlflow": _mlflow, "wandb": _wandb}
