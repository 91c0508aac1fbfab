"""What benchmarks/adaptation.py measures of one trained model."""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from sarwater.adaptation.choosing import choose
from sarwater.adaptation.observation import Observation
from sarwater.adaptation.separation import CAUTION
from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.evaluation.chips import Evaluation, ModelIdentity, Observed, evaluate
from sarwater.evaluation.counts import BINS
from sarwater.evaluation.scores import METRICS, curve
from sarwater.models.bundle import Bundle, load_bundle, save_bundle
from sarwater.normalize import BandStatistics, group_statistics
from sarwater.prediction import PredictionOptions, Predictor, water_probability
from sarwater.raster import read_chip
from sarwater.training.target import without_labels
from sarwater.types import Chip
from sarwater.units import add_decibels

SHORE = 2
"""Pixels within this distance of a labelled shoreline do not count as away from the shore."""

SAMPLE = 2_000_000
"""Pixels of the target's adaptation part that thresholds and signals are taken from."""


class Away:
    """Counts hits, false alarms and misses at a distance from the labelled shorelines."""

    def __init__(self) -> None:
        self.counts: list[list[int]] = []

    def __call__(self, seen: Observed) -> None:
        assert seen.chip.target is not None
        water = seen.counted & (seen.chip.target != 0)
        ring = np.ones((3, 3), np.bool_)
        grown = ndimage.binary_dilation(water, ring, SHORE)
        shrunk = ndimage.binary_erosion(water, ring, SHORE, border_value=1)
        counted = seen.counted & ~(grown & ~shrunk)
        called = seen.predicted != 0
        pairs = ((called & water), (called & ~water), (~called & water))
        self.counts.append([int((pair & counted).sum()) for pair in pairs])


def score(path: Path, out: Path, target: Manifest, source: Manifest, plain: bool) -> dict[str, Any]:
    """Count hits and misses of a model on the target's test part, chip by chip.

    Args:
        path: the model.
        out: its run folder.
        target: chips of the target, all splits.
        source: chips of the source, all splits.
        plain: the model counts at the source's threshold, not at its own.
    """
    bundle = load_bundle(path)
    info = bundle.info
    validation = json.loads((out / "train.json").read_text())["validation"]
    test = target.select(split="test")
    away = Away()

    def evaluated(seed_margin: float, threshold: float, watch: Any) -> Evaluation:
        seeded = info.model_copy(update={"seed_margin": seed_margin})
        return evaluate(
            Predictor(
                replace(bundle, info=seeded), PredictionOptions(device="cpu", accept_units=True)
            ),
            test,
            ModelIdentity(path.name, bundle.hash, info.classes, threshold, ""),
            split="test",
            normalizer=info.normalization,
            watch=watch,
        )

    def ignore(_: Observed) -> None:
        pass

    is_seeded = info.seed_margin > 0 and not plain
    own = validation["threshold"] if plain else info.threshold
    found = evaluated(0, own, ignore if is_seeded else away)
    chosen = evaluated(info.seed_margin, info.threshold, away if is_seeded else ignore)
    scores = curve(found.counts.pooled())
    shown = replace(bundle, info=info.model_copy(update={"seed_margin": 0.0})) if plain else bundle
    signs = LabelFree(
        Predictor(shown, PredictionOptions(device="cpu", accept_units=True)), target, source
    )
    rules = {
        "source": validation["threshold"],
        "half": 0.5,
        "best": (int(np.nanargmax(scores.f1)) + 1) / 1000,
        **(signs.thresholds(validation["threshold"]) if plain else {}),
    }
    points = {rule: point_at(found, threshold) for rule, threshold in rules.items()}
    points["chosen"] = point_at(chosen, info.threshold) | {"seed_margin": info.seed_margin}
    points["chosen"]["counts"] = counts_at(chosen, info.threshold)
    points["source"]["counts"] = counts_at(found, validation["threshold"])
    return {
        "points": points,
        "chips": [chip.id for chip in found.chips],
        "away_from_shore": np.transpose(away.counts).tolist(),
        "signals": {**signs.signals(own), "val_f1": round(validation["best_f1"], 5)},
        "history": history(out / "curves.csv"),
    }


def choose_anew(out: Path, target: Manifest, source: Manifest, normalization: str) -> None:
    """Replace threshold and seeds in the model file of a finished run by what the rule says now.

    Args:
        out: the run.
        target: chips of the target, all splits; their labels are not read.
        source: chips of the source.
        normalization: that of the run's settings; a model of another was matched by its classes.
    """
    path = out / "model.safetensors"
    bundle = load_bundle(path)
    known = json.loads((out / "train.json").read_text())["validation"]["threshold"]
    plain = replace(bundle, info=bundle.info.model_copy(update={"seed_margin": 0.0}))
    options = PredictionOptions(device="cpu", accept_units=True)
    seen = LabelFree(Predictor(plain, options), target, source).seen
    chosen = choose(
        seen.separation(known),
        known,
        "seeds",
        is_matched=bundle.info.normalization.kind.value == "dataset" != normalization,
        cautious=seen.separation(known, CAUTION),
    )
    changes = {
        "threshold": chosen.threshold,
        "seed_margin": chosen.seed_margin,
        "threshold_criterion": chosen.criterion,
    }
    state = dict(bundle.state)
    save_bundle(path, Bundle(bundle.info.model_copy(update=changes), state), overwrite=True)


def point_at(found: Evaluation, threshold: float) -> dict[str, Any]:
    """Return the pooled scores at a threshold."""
    scores, at = curve(found.counts.pooled()), round(threshold * 1000) - 1
    values = {name: round(float(getattr(scores, name)[at]), 4) for name in METRICS}
    return {"threshold": threshold, **values}


def counts_at(found: Evaluation, threshold: float) -> list[list[int]]:
    """Return hits, false alarms and misses [3, chip] at a threshold."""
    at = round(threshold * 1000) - 1
    counts = found.counts
    return [array[:, at].tolist() for array in (counts.tp, counts.fp, counts.fn)]


class LabelFree:
    """What can be said of a model on the target's adaptation part without its labels."""

    def __init__(self, predictor: Predictor, target: Manifest, source: Manifest) -> None:
        """Predict a sample of the target, and the source's validation chips."""
        self._predictor = predictor
        part = without_labels(target).select(
            split=tuple(name for name in target.splits if name != "test")
        )
        self._chips = list(self._sampled(part))
        self._groups = self._statistics(part)
        first = self._chips[0]
        self.seen = Observation(first.bands, first.units)
        self._maps = [self._water(chip, chip.image) for chip in self._chips]
        for chip, water in zip(self._chips, self._maps, strict=True):
            self.seen.add(chip, water)
        self._source = source

    def _sampled(self, part: Manifest) -> Iterator[Chip]:
        seen = 0
        for index in np.random.default_rng(0).permutation(len(part.records)):
            chip = self._read(part.records[index])
            if chip.valid.any() and seen < SAMPLE:
                seen += chip.valid.size
                yield chip

    def _read(self, record: ChipRecord) -> Chip:
        return self._predictor.model_chip(read_chip(record, with_target=False))

    def _statistics(self, part: Manifest) -> Mapping[str, BandStatistics]:
        if not self._predictor.info.normalization.needs_group:
            return {}
        return group_statistics((record.domain, self._read(record)) for record in part.records)

    def _water(self, chip: Chip, image: Any, mirrored: bool = False) -> Any:
        step = -1 if mirrored else 1
        seen = replace(
            chip, image=image[..., ::step].copy(), valid=chip.valid[:, ::step].copy(), target=None
        )
        water = water_probability(self._predictor.predict_chip(seen, self._groups.get(chip.domain)))
        return water[:, ::step]

    def _calibrate(self) -> Any:
        """Return the share of water in each bin of probability on the source's validation."""
        part = self._source.select(split="val", labelled=True)
        info = self._predictor.info
        who = ModelIdentity("", "", info.classes, 0.5, "")
        normalizer = info.normalization
        counts = evaluate(self._predictor, part, who, normalizer=normalizer).counts.pooled()
        water, total = (
            ndimage.uniform_filter1d(values.astype(np.float64), 25, mode="nearest")
            for values in (counts.positives, counts.positives + counts.negatives)
        )
        middle = (np.arange(BINS) + 0.5) / BINS
        return np.where(total > 0, water / np.maximum(total, 1e-9), middle), float(
            counts.positives.sum() / (counts.positives + counts.negatives).sum()
        )

    def thresholds(self, source: float) -> dict[str, float]:
        """Return what the ways to choose a threshold without labels choose.

        ``separation`` and ``separation_alone``: with and without the prior at the source's
        threshold; ``expected_share``: as much water as the probabilities, calibrated on the
        source's validation chips, expect; ``prior_shift``: where they pass .5 once the share of
        water is estimated anew by expectation maximization (Saerens et al. 2002). The source's
        where a rule has no answer.
        """
        near, alone = self.seen.separation(source), self.seen.separation()
        calibrated, prior = self._calibrate()
        return {
            "separation": near.threshold if near else source,
            "separation_alone": alone.threshold if alone else source,
            "expected_share": self._expected_share(calibrated),
            "prior_shift": self._prior_shift(calibrated, prior, source),
        }

    def _expected_share(self, calibrated: Any) -> float:
        pixels = self.seen.histogram
        wanted = (pixels * calibrated).sum() / pixels.sum()
        above = pixels[::-1].cumsum()[::-1][1:] / pixels.sum()
        return float(np.abs(above - wanted).argmin() + 1) / 1000

    def _prior_shift(self, calibrated: Any, prior: float, source: float) -> float:
        pixels = self.seen.histogram / self.seen.histogram.sum()
        p = np.clip(calibrated, 1e-6, 1 - 1e-6)
        share, posterior = prior, p
        for _ in range(200):
            water, land = p * share / prior, (1 - p) * (1 - share) / (1 - prior)
            posterior = water / (water + land)
            share = float(np.clip((pixels * posterior).sum(), 1e-4, 1 - 1e-4))
        # The calibration need not rise everywhere: the threshold that agrees with most pixels.
        wanted = posterior >= 0.5
        wrong_below = np.cumsum(pixels * wanted)[:-1]
        wrong_above = (pixels * ~wanted)[::-1].cumsum()[::-1][1:]
        return float((wrong_below + wrong_above).argmin() + 1) / 1000 if wanted.any() else source

    def signals(self, threshold: float) -> dict[str, float | None]:
        """Return the signals that might tell a good model: see ``sarwater adapt``'s report."""
        agreement = {"flip": [0, 0], "gain": [0, 0]}
        for chip, water in zip(self._chips, self._maps, strict=True):
            brighter = np.where(
                chip.valid, add_decibels(chip.image, np.float32(1), chip.units), np.float32(0)
            )
            others = {
                "flip": self._water(chip, chip.image, mirrored=True),
                "gain": self._water(chip, brighter),
            }
            for name, other in others.items():
                one, two = (seen >= np.float32(threshold) for seen in (water, other))
                agreement[name][0] += int((one & two).sum())
                agreement[name][1] += int((one | two).sum())
        separation = self.seen.separation_at(threshold)
        return {
            "entropy": round(self.seen.entropy, 5),
            "separation": None if separation is None else round(separation, 5),
            "water_share": round(self.seen.water_share(threshold), 5),
            **{
                f"agreement_{name}": round(both / either, 5) if either else None
                for name, (both, either) in agreement.items()
            },
        }


def history(path: Path) -> list[dict[str, float]]:
    """Return the signals of each epoch."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    kept = ("train_", "c_", "target_", "val_best_f1")
    return [
        {n: round(float(v), 5) for n, v in row.items() if n.startswith(kept) and v} for row in rows
    ]
