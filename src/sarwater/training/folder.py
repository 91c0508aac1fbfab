"""The folder that a training run leaves: model, settings, curves, logs."""

import csv
import io
import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sarwater.config import TrainSettings, build_settings, read_yaml
from sarwater.datasets.manifest import Manifest
from sarwater.errors import ModelError
from sarwater.files import atomic_path, mark_as_own, refuse_existing, write_json, write_text

_ALSO = ("checkpoints", "curves.png", "tensorboard", "loggers.json", "wandb")
"""What else a run writes into its folder."""


def resume_command(run: Path, manifest: Manifest, target: Manifest | None = None) -> str:
    """Return what goes on with a run: a command, or a call where the run has a target."""
    if target is not None:
        return "sarwater.training.start.resume(source, folder, target)"
    return shlex.join(["sarwater", "train", str(manifest.path or "MANIFEST"), "--resume", str(run)])


class RunFolder:
    """Names of what lies in a run folder, and how it is written."""

    def __init__(self, path: Path) -> None:
        """Name the folder."""
        self.path = path
        self.bundle = path / "model.safetensors"
        self.settings = path / "config.yaml"
        self.curves = path / "curves.csv"
        self.sampling = path / "sampling.json"
        self.summary = path / "train.json"
        self.checkpoint = path / "checkpoints" / "last.pt"
        self.tensorboard = path / "tensorboard"

    def create(self, *, overwrite: bool) -> None:
        """Make the folder, emptying an old run where that was asked for.

        Raises:
            OutputExistsError: something else lies there.
        """
        refuse_existing(self.path, overwrite=overwrite, folder=True)
        if self.path.exists():
            shutil.rmtree(self.path)
        self.checkpoint.parent.mkdir(parents=True)
        files = (self.bundle, self.settings, self.curves, self.sampling, self.summary)
        mark_as_own(self.path, (*(path.name for path in files), *_ALSO))

    def read_settings(self) -> TrainSettings:
        """Read the settings of the run.

        Raises:
            ModelError: there is no run.
        """
        if not self.settings.is_file():
            raise ModelError(f"{self.path} is no run folder: it has no {self.settings.name}")
        return build_settings(TrainSettings, read_yaml(self.settings), str(self.settings))

    def log(
        self, history: Sequence[Mapping[str, float]], sampling: Sequence[Mapping[str, Any]]
    ) -> None:
        """Write curves (CSV and a plot) and what the sampler drew, all epochs anew."""
        columns = list(dict.fromkeys(name for row in history for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_text(self.curves, text.getvalue(), overwrite=True)
        write_json(self.sampling, list(sampling), overwrite=True)
        self._plot(history)

    def summarize(self, summary: Mapping[str, Any]) -> None:
        """Write what came out."""
        write_json(self.summary, dict(summary), overwrite=True)

    def _plot(self, history: Sequence[Mapping[str, float]]) -> None:
        from sarwater.report.saving import save_figure
        from sarwater.report.training_charts import plot_curves

        with atomic_path(self.path / "curves.png", overwrite=True) as aside:
            save_figure(plot_curves(history), aside)

    def read_curves(self) -> list[dict[str, float]]:
        """Read the curves, a row an epoch; an empty cell is nan.

        Raises:
            ModelError: no epoch has come to its end.
        """
        if not self.curves.is_file():
            raise ModelError(f"{self.path} has no curves: it has no {self.curves.name}")
        with self.curves.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return [{name: float(cell or "nan") for name, cell in row.items()} for row in rows]

    def read_summary(self) -> dict[str, Any]:
        """Read what came out.

        Raises:
            ModelError: the run has not come to its end.
        """
        if not self.summary.is_file():
            raise ModelError(f"{self.path} holds no finished run: it has no {self.summary.name}")
        found: dict[str, Any] = json.loads(self.summary.read_text(encoding="utf-8"))
        return found

    def describe(self) -> str:
        """Say in a few lines what came out."""
        summary = self.read_summary()
        found = summary["validation"]
        first = summary.get("first_weights")
        began = f"first weights: {first}\n" if first else ""
        return began + (
            f"{self.bundle}: epoch {summary['best_epoch']} of {summary['epochs']}, "
            f"{summary['seconds']:.0f} s\n"
            f"validation F1 {found['f1']:.3f}, IoU {found['iou']:.3f} at threshold "
            f"{found['threshold']:.3f} (F1 {found['f1_at_half']:.3f} at .5)"
        )
