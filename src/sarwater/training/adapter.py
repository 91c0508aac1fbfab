"""What a run does with its target: batches, pseudo-labels, signals, and the finished model."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat
from typing import Any

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sarwater.adaptation.alignment import DomainNames
from sarwater.adaptation.batch_norm import adapted_bundle
from sarwater.adaptation.observation import Observation
from sarwater.adaptation.self_training import PseudoLabelled, class_mix, jitter, pseudo_labels
from sarwater.config import TrainSettings
from sarwater.datasets.manifest import Manifest
from sarwater.errors import ConfigError
from sarwater.losses.distributed import all_reduce_sum
from sarwater.models.bundle import Bundle
from sarwater.models.domain import reversal_strength
from sarwater.progress import track
from sarwater.training.checkpoint import Progress
from sarwater.training.data import TrainingData
from sarwater.training.learner import TargetBatch
from sarwater.training.patches import Patch, PatchDataset, batch_indices, load_batches
from sarwater.training.target import TargetData, prepare_target
from sarwater.training.validation import ChipPredictor
from sarwater.types import FloatArray


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
        self._self_training = chosen.self_training
        if self._self_training and settings.optimization.average_decay is None:
            raise ConfigError(
                "self_training takes its labels from the averaged network: set "
                "optimization.average_decay (.99, say)"
            )
        self._settings, self._fabric, self._steps = settings, fabric, steps
        self._source = data
        self.batch_size = chosen.target_batch_size or settings.optimization.batch_size
        patches = steps * self.batch_size * fabric.world_size
        self.data: TargetData = prepare_target(settings, manifest, data, patches)
        source_domains = tuple(sorted({record.domain for record in data.train.records}))
        self.names = DomainNames(source_domains, self.data.domains)
        self.source_domains = {name: index for index, name in enumerate(source_domains)}
        self.sample = self.data.sample(chosen.sample_mpx * 1e6)

    def batches(self, epoch: int, step: int) -> Iterator[Patch | None]:
        """Yield the target's batches of an epoch from a step on; the same ones after resuming.

        None where no method has a loss: the target is then seen by nothing that learns.
        """
        if not self._settings.adaptation.losses:
            return repeat(None)
        count = len(self.names.source)
        patches = PatchDataset(
            self.data.chips,
            self.data.sampler,
            epoch,
            self.data.normalizer,
            self.data.groups,
            self._settings.augmentation,
            {name: count + index for index, name in enumerate(self.names.target)},
        )
        rank, size = self._fabric.global_rank, self._fabric.world_size
        batches = batch_indices(self._steps, self.batch_size, rank, size)
        return load_batches(patches, batches[step:], epoch, self._settings.run.workers)

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
            valid, threshold = target["valid"].to(device), progress.pseudo_threshold
            mixed = self._mix(source, image, valid, teacher, threshold, generator)
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
        image: Tensor,
        valid: Tensor,
        teacher: AveragedModel,
        threshold: float,
        generator: torch.Generator,
    ) -> PseudoLabelled:
        method = self._self_training
        assert method is not None
        teacher.eval()
        with torch.no_grad(), self._fabric.autocast():
            probability = teacher(image).float().softmax(dim=1)
        threshold = threshold if method.threshold == "separation" else 0.5
        labels, weight = pseudo_labels(probability, valid, threshold, method.confidence)
        weights = weight[:, None, None].expand(labels.shape)
        mixed = PseudoLabelled(image, labels, weights)
        if method.mix:
            source_image = source["image"].to(image.device)
            source_target = source["target"].to(image.device)
            mixed = class_mix(source_image, source_target, image, labels, weight, generator)
        strong = jitter(mixed.image, method.jitter, generator)
        return mixed._replace(image=strong.contiguous(memory_format=torch.channels_last))

    def observe(self, network: nn.Module) -> Observation:
        """Predict the sample of the target; what comes out is the same in every process."""
        observation = Observation(len(self._source.bands), self.data.normalizer.units)
        predictor = ChipPredictor(network, self.as_source)
        own = self.sample[self._fabric.global_rank :: self._fabric.world_size]
        for index in track(own, "observing the target", len(own)):
            chip = self.data.chips[index]
            probability = predictor.water(chip.image, chip.valid, self.data.group_at(index))
            observation.add(chip, probability)
        if self._fabric.world_size > 1:
            device = self._fabric.device
            observation.set_arrays(
                all_reduce_sum(torch.from_numpy(array).to(device)).cpu().numpy()
                for array in observation.arrays()
            )
        return observation

    @property
    def as_source(self) -> TrainingData:
        """The source's data with the target's normalizer, for predictions of the target."""
        return replace(self._source, normalizer=self.data.normalizer)

    def carried(self, bundle: Bundle) -> Bundle:
        """Return a model that takes values in the target's units."""
        normalizer = replace(bundle.info.normalization, units=self.data.normalizer.units)
        changes = {"normalization": normalizer, "units": normalizer.units}
        return replace(bundle, info=bundle.info.model_copy(update=changes))

    def reestimate(self, bundle: Bundle) -> Bundle:
        """Return a model whose batch norm has the target's statistics."""
        return adapted_bundle(bundle, self._patches(), self._fabric.device)

    @property
    def description(self) -> dict[str, Any]:
        """What was adapted to, as plain data."""
        return {
            "domains": list(self.data.domains),
            "images": len(self.data.records),
            "manifest_sha256": self.data.hash,
            "methods": [method.name for method in self._settings.adaptation.methods],
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
            self._settings.augmentation.model_copy(
                update={"gain_db": 0.0, "band_gain_db": 0.0, "speckle_looks": None}
            ),
        )
        count = min(wanted, len(patches))
        return np.stack([patches[index]["image"].numpy() for index in range(count)])
