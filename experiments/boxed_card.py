"""The card of the model in the box, and pictures of where it fails."""

from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure

from events import EVENTS
from sarwater.datasets.manifest import Manifest
from sarwater.evaluation.chips import ModelIdentity, Observed, evaluate
from sarwater.models.bundle import Bundle, ModelInfo
from sarwater.prediction import PredictionOptions, Predictor
from sarwater.report.images import error_map
from sarwater.report.saving import save_figure

HERE = Path(__file__).parent
_WORST = 6
"""Tiles of an event that are shown."""


def card(
    info: ModelInfo, results: dict[str, Any], size: int, variants: dict[str, dict[str, Any]]
) -> str:
    """Return the card as Markdown.

    Args:
        info: of the model.
        results: scores of the held-out events, as docs/results/boxed_model.json has them.
        size: of the model's file in bytes.
        variants: IoU that each recipe reaches on each event, as results/boxed_variants.json has it.
    """
    rows = [_row(name, found) for name, found in results["events"].items()]
    chips = results["sen1floods11"]
    means = {
        key: float(np.mean([row[key] for row in rows]))
        for key in ("f1", "iou", "plain_iou", "best_iou")
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), undefined=jinja2.StrictUndefined
    )
    assert info.decibel_statistics is not None
    return environment.get_template("boxed_card.md.jinja").render(
        rows=rows,
        baselines=list(rows[0]["baselines"]),
        mean_f1=means["f1"],
        mean_iou=means["iou"],
        mean_plain=means["plain_iou"],
        mean_best=means["best_iou"],
        chips={
            **chips["at_scene_threshold"],
            "plain": chips["model"]["points"]["chosen"]["iou"],
            "otsu": chips["otsu"],
        },
        size_mb=f"{size / 1e6:.1f}",
        threshold=info.threshold,
        criterion=info.threshold_criterion,
        decibels=info.decibel_statistics,
        decibel_chips=results["decibel_chips"],
        events=sorted(EVENTS.values()),
        tried=len(variants),
        cost_of_pairs=_mean_iou(variants["boxed_model"])
        - _mean_iou(variants["boxed_model_8_pairs"]),
        simulated=results["simulated"],
        simulated_chips=results["simulated_chips"],
        level_words=_where_it_is_under(rows),
        train_chips=info.data["train_chips"],
        val_chips=info.data["val_chips"],
        data_hash=info.data["manifest_sha256"],
        version=info.version,
    )


def _mean_iou(events: dict[str, Any]) -> float:
    return float(np.mean([one["scene_threshold"] for one in events.values()]))


def _where_it_is_under(rows: list[dict[str, Any]]) -> str:
    under = [one["name"] for one in rows if one["iou"] < one["best_iou"]]
    return f", and under that threshold on {' and '.join(under)}" if under else ""


def _row(name: str, found: dict[str, Any]) -> dict[str, Any]:
    baselines = {title: one["points"]["chosen"]["iou"] for title, one in found["baselines"].items()}
    best = max(baselines, key=lambda title: baselines[title])
    own = found["model"]
    return {
        "name": name,
        "chips": own["chips"],
        **found["at_scene_threshold"],
        "plain_iou": own["points"]["chosen"]["iou"],
        "baselines": baselines,
        "best_name": best,
        "best_iou": baselines[best],
    }


class _Worst:
    """Keeps the tiles with the most wrong pixels."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str, Any]] = []

    def __call__(self, seen: Observed) -> None:
        target = seen.chip.target
        assert target is not None
        wrong = int(((seen.predicted != target) & seen.counted).sum())
        gray = np.full(target.shape, 225, np.uint8)
        picture = error_map(gray, target, seen.predicted, seen.counted)
        self.found.append((wrong, seen.chip.id, picture))
        self.found = sorted(self.found, key=lambda one: -one[0])[:_WORST]


def draw_failures(model: Bundle, event: Manifest, title: str, path: Path) -> None:
    """Draw where a model errs on the tiles of an event that it fails on most."""
    predictor = Predictor(model, PredictionOptions(device="cpu"))
    info, worst = model.info, _Worst()
    who = ModelIdentity("", model.hash, info.classes, info.threshold, "")
    evaluate(predictor, event, who, normalizer=info.normalization, watch=worst)
    figure = Figure(figsize=(12, 2.6), layout="constrained")
    figure.suptitle(
        f"{title}, held out: the {_WORST} worst tiles (blue: found, orange: false, magenta: missed)"
    )
    for axes, (_, name, picture) in zip(
        np.ravel(figure.subplots(1, _WORST)), worst.found, strict=True
    ):
        axes.imshow(picture, interpolation="nearest")
        axes.set_title(name.split("_", 1)[-1][-12:], fontsize=8)
        axes.set_axis_off()
    save_figure(figure, path, dpi=80)
