"""An evaluation from the model to its folder: scores, tables, charts and panels."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from sarwater.datasets.manifest import Manifest
from sarwater.evaluation.bands import score_bands, write_bands
from sarwater.evaluation.chips import MissingRadar, ModelIdentity, Observed, Predicts, evaluate
from sarwater.evaluation.files import write_evaluation
from sarwater.evaluation.summary import summarize
from sarwater.files import atomic_folder
from sarwater.normalize import Normalizer
from sarwater.progress import step
from sarwater.report.evaluation_charts import write_charts
from sarwater.report.gallery import GALLERY, RULE, SIZE, GalleryWriter
from sarwater.report.panels import WorstPanels


def evaluate_to_folder(
    predictor: Predicts,
    manifest: Manifest,
    model: ModelIdentity,
    out: str | Path,
    *,
    split: str | None = None,
    normalizer: Normalizer | None = None,
    missing_radar: MissingRadar = MissingRadar.EXCLUDE,
    threshold: float | None = None,
    allow_dry: bool = False,
    resamples: int = 1000,
    seed: int = 0,
    panels: int = 24,
    gallery_size: int = SIZE,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Evaluate a model and write the folder of the result, whole or not at all.

    Args:
        predictor: the model; it and the next arguments are those of ``evaluate``.
        manifest: the chips, already selected.
        model: who the predictor is.
        out: the folder.
        split: name of the split, for the record.
        normalizer: the model's.
        missing_radar: rule for labelled pixels without data in the image.
        threshold: in place of the model's.
        allow_dry: go on without water.
        resamples: of the bootstrap; 0 leaves the intervals out.
        seed: of the bootstrap.
        panels: how many chips to show on pages, the worst ones.
        gallery_size: pixels of the longer side of every chip's pictures in the gallery, at most;
            0 leaves the gallery out.
        overwrite: replace what is at ``out``.

    Returns:
        The summary that is written as ``evaluation.json``.

    Raises:
        DataError: the data do not fit the model or the task.
        OutputExistsError: ``out`` has content and ``overwrite`` is false.
    """
    worst = WorstPanels(panels, model.classes)
    with (
        atomic_folder(out, overwrite=overwrite) as aside,
        GalleryWriter(aside / GALLERY, gallery_size) if gallery_size else nullcontext() as gallery,
    ):

        def watch(observed: Observed) -> None:
            worst.add(observed)
            if gallery is not None:
                gallery.add(observed.chip, observed.counted, observed.water)

        evaluation = evaluate(
            predictor,
            manifest,
            model,
            split=split,
            missing_radar=missing_radar,
            threshold=threshold,
            allow_dry=allow_dry,
            normalizer=normalizer,
            watch=watch,
        )
        with step("intervals and pictures", None):
            summary = summarize(evaluation, resamples=resamples, seed=seed)
            pages = worst.write(aside)
            summary["pictures"] = {
                "charts": write_charts(summary, aside),
                "panels": pages,
                "panels_limit": panels,
                "panels_order": worst.order,
                "gallery": GALLERY if gallery else None,
                "gallery_size": gallery_size,
                "gallery_rule": RULE,
            }
        write_evaluation(aside, evaluation, summary)
        write_bands(aside, score_bands(evaluation, resamples=resamples, seed=seed))
    return summary
