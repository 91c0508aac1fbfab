"""What a run does with its target: batches, pseudo-labels, signals, and the finished model."""

import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import repeat
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sarwater.adaptation.alignment import DomainNames
from sarwater.adaptation.averaging import averaged_with, weights_of
from sarwater.adaptation.batch_norm import adapted_bundle
from sarwater.adaptation.choosing import choose
from sarwater.adaptation.self_training import PseudoLabelled, class_mix, jitter, pseudo_labels
from sarwater.adaptation.separation import CAUTION, BackscatterEvidence, TwoClasses
from sarwater.config import AugmentationSettings, Strategy, TrainSettings
from sarwater.datasets.manifest import Manifest
from sarwater.errors import ConfigError
from sarwater.models.bundle import Bundle
from sarwater.models.domain import reversal_strength
from sarwater.models.segmenter import require_seeds
from sarwater.normalize import Normalizer
from sarwater.progress import track
from sarwater.training.checkpoint import Progress
from sarwater.training.data import TrainingData
from sarwater.training.learner import TargetBatch
from sarwater.training.matching import fit_radiometry
from sarwater.training.observing import observe
from sarwater.training.patches import Patch, PatchDataset, batch_indices, load_batches
from sarwater.training.sampling import Places, Sampler, places_of
from sarwater.training.target import TargetData, prepare_target
from sarwater.training.validation import ChipPredictor
from sarwater.types import FloatArray


def require_teacher(settings: TrainSettings) -> None:
    """Check that self-training has an averaged network to take its labels from.

    Raises:
        ConfigError: it has none.
    """
    if settings.adaptation.self_training and settings.optimization.average_decay is None:
        raise ConfigError(
            "self_training takes its labels from the averaged network: set "
            "optimization.average_decay (.99, say)"
        )


class Adapter:
    """The target's side of a training run."""

    def __init__(
        self,
        settings: TrainSettings,
        manifest: Manifest,
        data: TrainingData,
        fabric: Fabric,
        steps: int,
    ) -> None:
        """Read the target.

        Args:
            settings: of the run.
            manifest: of the target; labels are not read.
            data: of the source.
            fabric: the processes.
            steps: an epoch.

        Raises:
            ConfigError: self-training without averaged weights.
            DataError: the target does not fit the source.
        """
        chosen = settings.adaptation
        self._source_weights: dict[str, Tensor] | None = None
        self._self_training = chosen.self_training
        require_teacher(settings)
        self._settings, self._fabric, self._steps = settings, fabric, steps
        self._source = data
        self.batch_size = chosen.target_batch_size or settings.optimization.batch_size
        patches = steps * self.batch_size * fabric.world_size
        self.data: TargetData = prepare_target(settings, manifest, data, patches)
        source_domains = tuple(sorted({record.domain for record in data.train.records}))
        self.names = DomainNames(source_domains, self.data.domains)
        self.source_domains = {name: index for index, name in enumerate(source_domains)}

    def batches(self, progress: Progress) -> Iterator[Patch | None]:
        """Yield the target's batches of the rest of an epoch; the same ones after resuming.

        None where no method has a loss: the target is then seen by nothing that learns.
        """
        if not self._settings.adaptation.losses:
            return repeat(None)
        count, epoch, step = len(self.names.source), progress.epoch, progress.step
        patches = PatchDataset(
            self.data.chips,
            self.data.sampler,
            epoch,
            self.data.normalizer,
            self.data.groups,
            self._geometric,
            {name: count + index for index, name in enumerate(self.names.target)},
            self._evidence(progress),
        )
        rank, size = self._fabric.global_rank, self._fabric.world_size
        batches = batch_indices(self._steps, self.batch_size, rank, size)
        return load_batches(patches, batches[step:], epoch, self._settings.run.workers)

    @property
    def _geometric(self) -> AugmentationSettings:
        """Flips and turns alone: statistics and evidence are of the values as they are."""
        given = self._settings.augmentation
        return AugmentationSettings(flips=given.flips, rotations=given.rotations)

    def _evidence(self, progress: Progress) -> BackscatterEvidence | None:
        method, classes = self._self_training, progress.pseudo["classes"]
        if method is None or not method.backscatter or classes is None:
            return None
        units = self.data.normalizer.units
        return BackscatterEvidence(TwoClasses.from_state(classes), units, method.backscatter)

    def begin(self, network: nn.Module, source_threshold: float, progress: Progress) -> None:
        """Let a source-only network say where the target's water is, before the first step."""
        if self._settings.adaptation.source_share:
            self._source_weights = weights_of(network)
        wishes = self._settings.adaptation
        self.data = fit_radiometry(wishes, network, source_threshold, self._source, self.data)
        self.look(network, source_threshold, progress)
        if self._settings.adaptation.losses:
            self._prefer_water(network, progress.pseudo)

    def finished(self, network: nn.Module) -> nn.Module:
        """Return the network averaged with the source-only one that adapting began with."""
        share = self._settings.adaptation.source_share
        source = self._source_weights
        return network if source is None else averaged_with(network, source, share)

    def look(
        self, network: nn.Module, source_threshold: float, progress: Progress
    ) -> dict[str, Any]:
        """Choose threshold and seeds for the target without its labels.

        Args:
            network: predicts the sample.
            source_threshold: chosen on the source's validation chips.
            progress: where ``pseudo``, how pseudo-labels divide, is noted.

        Returns:
            ``threshold`` and ``seed_margin`` of the model, ``criterion`` (how they were chosen),
            ``dividing``, the threshold at which the backscatter separates, or the source's where
            none does (``separates`` is False); there, ``water_share`` of the sample and
            ``separation``, the cost of dividing the backscatter (None where it cannot be told);
            ``entropy`` (mean, bits).
        """
        seen = observe(network, self._source, self.data, self._fabric)
        found, wish = seen.separation(source_threshold), self._settings.adaptation.threshold
        is_matched = self.data.matched is not None
        near = seen.separation(source_threshold, CAUTION)
        chosen = choose(found, source_threshold, wish, is_matched=is_matched, cautious=near)
        classes = seen.two_classes(chosen.dividing)
        # While the network still learns its threshold stays, so as not to feed on itself.
        pseudo = choose(found, source_threshold, wish, is_matched=is_matched)
        progress.pseudo = {
            "threshold": pseudo.threshold,
            "seed_margin": pseudo.seed_margin,
            "classes": classes.state() if classes else None,
        }
        return {
            **asdict(chosen),
            "water_share": seen.water_share(chosen.dividing),
            "separation": seen.separation_at(chosen.dividing),
            "entropy": seen.entropy,
        }

    @staticmethod
    def as_row(chosen: dict[str, Any]) -> dict[str, float]:
        """Return what ``look`` found as numbers for the curves, nan for what cannot be told."""
        signals = {f"target_{k}": v for k, v in chosen.items() if k != "criterion"}
        return {k: math.nan if v is None else float(v) for k, v in signals.items()}

    def _prefer_water(self, network: nn.Module, pseudo: dict[str, Any]) -> None:
        """Let the target's patches be drawn as the source's are, by the water that is predicted.

        Only where the source's are drawn by their water (``stratified``, ``shoreline``):
        otherwise places are drawn uniformly. Both sides then show about as much water, which the
        alignment of their features takes for granted.

        Args:
            network: of the source.
            pseudo: what it calls water, as pseudo-labels do (``look``).
        """
        strategy = self._settings.patches.strategy
        if strategy not in (Strategy.STRATIFIED, Strategy.SHORELINE):
            return
        data = self.data.predicted_as(self._source)
        threshold, places = pseudo["threshold"], []
        predictor = ChipPredictor(network, data, seed_margin=pseudo["seed_margin"])
        size, images = self.data.sampler.settings.size, len(self.data.chips.records)
        for index in track(range(images), "predicting target", images):
            chip = self.data.chips[index]
            water = predictor.water(chip.image, chip.valid, self.data.group_at(index)) >= threshold
            places.append(places_of(index, water.astype(np.uint8), chip.valid, size))
        self._draw_by(Places.join(places))

    def _draw_by(self, places: Places) -> None:
        former = self.data.sampler
        drawn = self._settings.patches.model_copy(update={"per_epoch": former.settings.per_epoch})
        self.data = replace(self.data, sampler=Sampler(places, drawn, former.seed))

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run cannot find out again."""
        places = self.data.sampler.places
        names = ("background", "foreground", "shoreline")
        counts = {name: torch.from_numpy(getattr(places, name)) for name in names}
        return {
            "strategy": self.data.sampler.settings.strategy.value,
            "radiometry": self.data.radiometry,
            "source_weights": self._source_weights,
            **counts,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self._source_weights = state["source_weights"]
        self.data = self.data.with_radiometry(state["radiometry"])
        if state["strategy"] == Strategy.UNIFORM.value:
            return
        names = ("background", "foreground", "shoreline")
        counts = {name: state[name].numpy() for name in names}
        self._draw_by(replace(self.data.sampler.places, **counts))

    def join(
        self,
        source: Patch,
        target: Patch,
        teacher: AveragedModel | None,
        progress: Progress,
    ) -> TargetBatch:
        """Put a batch of the target beside one of the source, and mix the two for self-training.

        Args:
            source: batch, on the CPU.
            target: batch, on the CPU.
            teacher: the averaged network.
            progress: where the run is.
        """
        epoch, step = progress.epoch, progress.step
        device = self._fabric.device
        image = target["image"].to(device, memory_format=torch.channels_last)
        done = (epoch * self._steps + step) / self._last_step
        mixed = None
        if self._self_training is not None and teacher is not None:
            seed = [self._settings.run.seed, epoch, step, self._fabric.global_rank, 3]
            generator = torch.Generator().manual_seed(
                int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0] >> 1)
            )
            mixed = self._mix(source, target, image, teacher, progress, generator)
        return TargetBatch(
            image,
            torch.cat([source["valid"], target["valid"]]).to(device),
            torch.cat([source["domain"], target["domain"]]).to(device),
            reversal_strength(done),
            mixed,
        )

    @property
    def _last_step(self) -> int:
        return max(self._steps * self._settings.optimization.epochs - 1, 1)

    def _mix(
        self,
        source: Patch,
        target: Patch,
        image: Tensor,
        teacher: AveragedModel,
        progress: Progress,
        generator: torch.Generator,
    ) -> PseudoLabelled:
        method = self._self_training
        assert method is not None
        teacher.eval()
        with torch.no_grad(), self._fabric.autocast():
            logits = teacher(image).float()
        pseudo = progress.pseudo
        is_chosen = method.threshold == "target"
        if is_chosen and pseudo["seed_margin"]:
            logits = require_seeds(logits, pseudo["seed_margin"])
        labels, weight = pseudo_labels(
            logits.softmax(dim=1),
            target["valid"].to(image.device),
            pseudo["threshold"] if is_chosen else 0.5,
            method.confidence,
            target["evidence"].to(image.device),
        )
        mixed = PseudoLabelled(image, labels, weight)
        if method.mix:
            source_image = source["image"].to(image.device)
            source_target = source["target"].to(image.device)
            mixed = class_mix(source_image, source_target, image, labels, weight, generator)
        strong = jitter(mixed.image, method.jitter, generator)
        return mixed._replace(image=strong.contiguous(memory_format=torch.channels_last))

    def carried(self, bundle: Bundle) -> Bundle:
        """Return a model that takes values in the target's units."""
        return _normalized(bundle, self.data.normalizer)

    def merely_converted(self, bundle: Bundle) -> Bundle:
        """Return a model that takes values in the target's units, and is else as it was."""
        return _normalized(bundle, replace(bundle.info.normalization, units=self.data.plain.units))

    def reestimate(self, bundle: Bundle) -> Bundle:
        """Return a model whose batch norm has the target's statistics."""
        return adapted_bundle(bundle, self._patches(), self._fabric.device)

    @property
    def description(self) -> dict[str, Any]:
        """What was adapted to, as plain data."""
        return {
            "domains": list(self.data.domains),
            "images": len(self.data.records),
            "manifest_sha256": self.data.contents.hash,
            "methods": [method.name for method in self._settings.adaptation.methods],
            "classes_matched": self.data.matched is not None,
            "own_statistics": self.data.own_statistics,
        }

    def _patches(self) -> FloatArray:
        size = self._source.sampler.settings.size
        wanted = max(int(self._settings.adaptation.sample_mpx * 1e6 / size**2), 1)
        patches = PatchDataset(
            self.data.chips,
            self.data.sampler,
            0,
            self.data.normalizer,
            self.data.groups,
            self._geometric,
        )
        count = min(wanted, len(patches))
        return np.stack([patches[index]["image"].numpy() for index in range(count)])


def _normalized(bundle: Bundle, normalizer: Normalizer) -> Bundle:
    changes = {"normalization": normalizer, "units": normalizer.units}
    return replace(bundle, info=bundle.info.model_copy(update=changes))
