"""`sarwater adapt`: a source-only model, an adapted one, and the two side by side."""

import json
import math
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sarwater.adaptation.comparison import Predict, Side, SideBySide
from sarwater.config import (
    AdaptationSettings,
    TrainSettings,
    build_settings,
    read_yaml,
    write_settings,
)
from sarwater.datasets.manifest import Manifest
from sarwater.engines.torch_engine import torch_threads
from sarwater.errors import ConfigError, ModelError
from sarwater.files import mark_as_own, refuse_existing, refuse_inputs, write_json
from sarwater.losses.terms import check_values_per_class
from sarwater.models.bundle import Bundle, load_bundle
from sarwater.progress import track
from sarwater.ranks import is_first_process
from sarwater.report.adaptation_charts import draw_examples, draw_signals
from sarwater.report.gallery import EXAMPLES, write_examples
from sarwater.training.adapter import Adapter, require_teacher
from sarwater.training.folder import RunFolder
from sarwater.training.identity import check_settings
from sarwater.training.matching import shift_of
from sarwater.training.run import Run
from sarwater.training.start import (
    finished_run,
    new_run,
    resumed_run,
    with_network,
    with_normalization,
)
from sarwater.training.target import check_target, prepare_target
from sarwater.training.validation import ChipPredictor

_DRAWN = 4
"""Chips on the picture of where the maps differ; the gallery of a report has all that are kept."""

_WRITTEN = (
    *("config.yaml", "adaptation.json", "signals.png", "disagreement.png", EXAMPLES),
    *("source_only", "adapted", "comparison"),
    *("evaluation_source_only", "evaluation_adapted", "evaluation_oracle"),
)
"""Names of all that is written into the folder."""


@dataclass(frozen=True)
class AdaptFolder:
    """Names of what `sarwater adapt` leaves."""

    path: Path

    @property
    def settings(self) -> Path:
        """Settings as they were given."""
        return self.path / "config.yaml"

    @property
    def source_only(self) -> RunFolder:
        """Run of the model that never saw the target."""
        return RunFolder(self.path / "source_only")

    @property
    def adapted(self) -> RunFolder:
        """Run of the adapted model."""
        return RunFolder(self.path / "adapted")

    @property
    def report(self) -> Path:
        """The two side by side."""
        return self.path / "adaptation.json"

    def create(self, settings: TrainSettings, model: Path | None, *, overwrite: bool) -> None:
        """Make the folder; a given source-only model is copied into it.

        Raises:
            OutputExistsError: something else lies there.
        """
        refuse_existing(self.path, overwrite=overwrite, folder=True)
        if self.path.exists():
            shutil.rmtree(self.path)
        self.path.mkdir(parents=True)
        mark_as_own(self.path, _WRITTEN)
        if model is not None:
            self.source_only.path.mkdir()
            shutil.copyfile(model, self.source_only.bundle)
        write_settings(settings, self.settings)

    def resume_command(self, source: Manifest, target: Manifest) -> str:
        """Return the command that goes on with the folder."""
        tables = [str(source.path or "SOURCE"), "--target", str(target.path or "TARGET")]
        return shlex.join(["sarwater", "adapt", *tables, "--resume", str(self.path)])

    def read_settings(self) -> TrainSettings:
        """Read the settings.

        Raises:
            ModelError: the folder is none of `sarwater adapt`.
        """
        if not self.settings.is_file():
            raise ModelError(f"{self.path} is no folder of `sarwater adapt`: it has no config.yaml")
        return build_settings(TrainSettings, read_yaml(self.settings), str(self.settings))


def start_adapting(
    settings: TrainSettings,
    source: Manifest,
    target: Manifest,
    out: Path,
    *,
    model: Path | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Train on the source, carry the model to the target, and compare.

    Args:
        settings: everything that can be chosen; ``adaptation.methods`` says how.
        source: labelled chips with their splits.
        target: chips or scenes; their labels are not read.
        out: folder to write, which must not exist yet.
        model: a source-only model in place of one that is trained first.
        overwrite: replace an existing folder.

    Returns:
        The report, as written to ``adaptation.json``; see ``SideBySide.result``.

    Raises:
        ConfigError: no method, or a model of another kind than the settings' network.
        OutputExistsError: ``out`` exists.
        DataError: the chips do not fit each other or the task.
        ModelError: the network cannot be built.
    """
    if model is not None:
        refuse_inputs(out, [model])
    settings = checked_settings(settings, source, target, model)
    folder = AdaptFolder(out)
    if is_first_process():  # at once, before the others are waited for
        refuse_existing(out, overwrite=overwrite, folder=True)
    go_on = folder.resume_command(source, target)
    with torch_threads(settings.run.threads):
        # Everything is read before the folder is made, which may replace a former one.
        if model is None:
            plain = source_only_settings(settings)
            run = new_run(plain, source, folder.source_only.path, go_on=go_on)
            prepare_target(settings, target, run.data, 1)
        else:
            chosen = adapted_settings(settings, model)
            run = new_run(chosen, source, folder.adapted.path, target=target, go_on=go_on)
        if run.fabric.is_global_zero:
            folder.create(settings, model, overwrite=overwrite)
        run.fabric.barrier()  # the others look into the folder
        run.start(overwrite=True)
        run.fit()
    if model is None:
        run = _adapted(settings, source, target, folder)
    return _compared(run, folder)


def checked_settings(
    settings: TrainSettings, source: Manifest, target: Manifest, model: Path | None
) -> TrainSettings:
    """Return the settings, those of a given model's network where there is one.

    Raises:
        ConfigError: no method, or one that the settings cannot serve, or a loss that does not have
            a value for each class.
        DataError: from the tables alone, the target cannot be adapted to.
        ModelError: the model cannot be read.
    """
    if model is not None:
        settings = _as(settings, model, source)
    if not settings.adaptation.methods:
        raise ConfigError(
            "adaptation.methods is empty: name at least one of dann, output_space, self_training "
            "and adabn (--adaptation.methods '[self_training, adabn]')"
        )
    require_teacher(settings)
    check_values_per_class(settings.loss.terms, source.classes)
    check_target(settings, source, target)
    return settings


def resume_adapting(source: Manifest, target: Manifest, out: Path) -> dict[str, Any]:
    """Go on where `start_adapting` was stopped, with its settings and the same manifests.

    Raises:
        ModelError: there is nothing to go on with, or the chips have changed since.
    """
    folder = AdaptFolder(out)
    settings, before = folder.read_settings(), folder.source_only
    if not before.bundle.is_file() or before.checkpoint.is_file():
        _run(
            source_only_settings(settings),
            source,
            None,
            before,
            folder,
            folder.resume_command(source, target),
        )
    return _compared(_adapted(settings, source, target, folder), folder)


def source_only_settings(settings: TrainSettings) -> TrainSettings:
    """Return the settings of the run on the source alone."""
    return settings.model_copy(update={"adaptation": AdaptationSettings()})


def _adapted(
    settings: TrainSettings, source: Manifest, target: Manifest, folder: AdaptFolder
) -> Run:
    chosen = adapted_settings(settings, folder.source_only.bundle)
    go_on = folder.resume_command(source, target)
    return _run(chosen, source, target, folder.adapted, folder, go_on)


def _run(
    settings: TrainSettings,
    source: Manifest,
    target: Manifest | None,
    out: RunFolder,
    folder: AdaptFolder,
    go_on: str,
) -> Run:
    if not out.checkpoint.is_file():
        return finished_run(settings, source, out.path, target=target, overwrite=True, go_on=go_on)
    begun = {"settings": out.read_settings().model_dump(mode="json"), "target": target is not None}
    wanted = settings.model_dump(mode="json")
    check_settings(begun, wanted, out.path, folder.settings, may_end_otherwise=False)
    init = settings.model.init
    return resumed_run(source, out.path, target, init=init, go_on=go_on)


def _compared(run: Run, folder: AdaptFolder) -> dict[str, Any]:
    assert run.adapter is not None
    found: dict[str, Any] = {}
    if run.fabric.is_global_zero:
        with torch_threads(run.settings.run.threads):
            found = _compare(run, run.adapter, folder)
    run.fabric.barrier()
    return found


def adapted_settings(settings: TrainSettings, start: Path | None) -> TrainSettings:
    """Return the settings of the adapted run, which begins with the weights of ``start``."""
    chosen = settings.adaptation
    changes = {"epochs": chosen.epochs, "learning_rate": chosen.learning_rate}
    given = {name: value for name, value in changes.items() if value is not None}
    update: dict[str, Any] = {"optimization": settings.optimization.model_copy(update=given)}
    if chosen.start == "source_only":
        update["model"] = settings.model.model_copy(update={"init": start, "encoder_weights": None})
    return settings.model_copy(update=update)


def _as(settings: TrainSettings, model: Path, source: Manifest) -> TrainSettings:
    """Return settings that build the network of a model, and see as it does."""
    info = load_bundle(model).info
    patches = settings.patches.model_copy(update={"size": info.patch_size})
    chosen = with_network(settings, info).model_copy(update={"patches": patches})
    return with_normalization(chosen, info, source, model, keeps_statistics=True)


def _compare(run: Run, adapter: Adapter, folder: AdaptFolder) -> dict[str, Any]:
    before, after = load_bundle(folder.source_only.bundle), load_bundle(folder.adapted.bundle)
    sides = [_side(run, adapter.merely_converted(before)), _side(run, after)]
    units = adapter.data.plain.units
    both = SideBySide(sides[0], sides[1], after.info.bands, units)
    for index in track(adapter.data.sample, "comparing", len(adapter.data.sample)):
        both.add(adapter.data.chips[index], adapter.data.group_at(index))
    hashes = {"source_only": before.hash, "adapted": after.hash}
    found = {
        "format": 1,
        "models": hashes,
        "methods": adapter.description["methods"],
        "domains": {"source": list(adapter.names.source), "target": list(adapter.names.target)},
        "criterion": after.info.threshold_criterion,
        "seed_margin": after.info.seed_margin,
        **both.result(),
        "notes": _notes(run, adapter),
        "history": [
            {name: None if math.isnan(value) else value for name, value in row.items()}
            for row in run.progress.history
        ],
        **_scores_so_far(folder, hashes),
    }
    draw_signals(found, folder.path / "signals.png")
    draw_examples(both.examples[:_DRAWN], folder.path / "disagreement.png")
    write_examples(both.examples, folder.path / EXAMPLES)
    write_json(folder.report, found, overwrite=True)
    return found


def _notes(run: Run, adapter: Adapter) -> list[str]:
    """Say where the radiometry of the target lay, and what was done about it."""
    shift = shift_of(run.data, adapter.data)
    if shift is None:
        return []
    if adapter.data.own_statistics:
        done = "so the target is normalized by statistics of its own"
    else:
        done = (
            "and both are normalized by the source's statistics, as adaptation.own_statistics "
            "asks: 'auto' removes such a shift"
        )
    return [f"{shift}, {done}"]


def _scores_so_far(folder: AdaptFolder, hashes: dict[str, str]) -> dict[str, Any]:
    """Return the scores of a former report of the same two models."""
    if not folder.report.is_file():
        return {}
    former = json.loads(folder.report.read_text(encoding="utf-8"))
    same = former.get("models") == hashes and "scores" in former
    return {"scores": former["scores"]} if same else {}


def _side(run: Run, bundle: Bundle) -> Side:
    network = bundle.build().to(run.fabric.device)
    data = replace(run.data, normalizer=bundle.info.normalization)
    predictor = ChipPredictor(network, data)
    predict: Predict = predictor.water
    return Side(predict, bundle.info.threshold)
