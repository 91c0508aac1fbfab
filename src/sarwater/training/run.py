"""The training run: one loop from top to bottom, on Lightning Fabric.

Everything that decides over the result is in the checkpoint, and everything random follows from
the seed, the epoch and the position: a run that was killed goes on as if it had not been.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import repeat
from typing import Any

import torch
from torch import nn

from sarwater.config import Strategy, TrainSettings, write_settings
from sarwater.datasets.manifest import Manifest
from sarwater.errors import DataError
from sarwater.evaluation.counts import ThresholdCounts
from sarwater.models.bundle import load_bundle, save_bundle
from sarwater.normalize import BandStatistics
from sarwater.progress import Step, step, track
from sarwater.training.adapter import Adapter
from sarwater.training.checkpoint import Progress, save_checkpoint
from sarwater.training.data import prepare
from sarwater.training.folder import RunFolder, resume_command
from sarwater.training.identity import Identity
from sarwater.training.learner import averaged, build_learner, patch_losses
from sarwater.training.loggers import Loggers
from sarwater.training.outcome import best_bundle, summary_of, with_threshold
from sarwater.training.patches import (
    Patch,
    PatchDataset,
    batch_indices,
    load_batches,
    steps_per_epoch,
)
from sarwater.training.processes import (
    agree,
    clip_gradients,
    freeze_unused,
    gather,
    launched_fabric,
    share_buffers,
    sum_counts,
)
from sarwater.training.schedules import Schedule, build_optimizer
from sarwater.training.stop_signals import stop_signals
from sarwater.training.validation import ChipCounter, Validation, summarize, warn_of_choice


class Run:
    """One training run in one process (of possibly several)."""

    def __init__(
        self,
        settings: TrainSettings,
        manifest: Manifest,
        folder: RunFolder,
        target: Manifest | None = None,
        *,
        statistics: BandStatistics | None = None,
        go_on: str = "",
    ) -> None:
        """Read and check the data, build network, loss, optimizer and schedule.

        Args:
            settings: everything that can be chosen.
            manifest: of the source.
            folder: what is written.
            target: of the target, whose labels are not read; None trains on the source alone.
            statistics: of the start model, in place of the source's own.
            go_on: command that resumes the run, for messages.
        """
        self._go_on = go_on or resume_command(folder.path, manifest, target)
        self.settings = settings
        self.folder = folder
        chosen = settings.run
        self.fabric = launched_fabric(chosen)
        self._loggers = Loggers(settings, folder.path)
        self.data = prepare(settings, manifest).with_statistics(statistics)
        self.steps = steps_per_epoch(
            self.data.sampler.epoch_size,
            settings.optimization.batch_size,
            self.fabric.world_size,
        )
        self.adapter = (
            Adapter(settings, target, self.data, self.fabric, self.steps) if target else None
        )
        torch.manual_seed(chosen.seed)
        learner = build_learner(settings, self.data, self.adapter.names if self.adapter else None)
        if self.fabric.world_size > 1:
            freeze_unused(learner.network, len(self.data.bands))
        optimizer = build_optimizer(
            nn.ModuleList([learner.network, learner.alignments]),
            learner.loss.optimizer_groups(),
            settings.optimization,
        )
        self.schedule = Schedule(
            optimizer, settings.optimization, self.steps * settings.optimization.epochs
        )
        self.bare = learner
        self.average = averaged(learner.network, settings.optimization.average_decay)
        self.learner, self.optimizer = self.fabric.setup(learner, optimizer)
        self._bare_optimizer = optimizer
        if self.average is not None:
            self.average.to(self.fabric.device)
        # Dropout differs between processes, and is the same whenever the run is repeated.
        torch.manual_seed(chosen.seed * 1009 + self.fabric.global_rank)
        self.progress = Progress(first_weights=learner.first_weights)
        self._began = self._saved_at = time.monotonic()
        self._asked_to_stop: Callable[[], bool] = lambda: False

    def start(self, *, overwrite: bool) -> None:
        """Make the run folder, with a first checkpoint in it."""
        if self.fabric.is_global_zero:
            self.folder.create(overwrite=overwrite)
            write_settings(self.settings, self.folder.settings)
        if self.adapter is not None and self.settings.model.init is not None:
            known = load_bundle(self.settings.model.init).info
            self.adapter.begin(self.bare.network, known.threshold, self.progress)
        self._save()  # a run that is killed in its first minutes can be resumed too
        self.fabric.barrier()

    def fit(self) -> None:
        """Train until the last epoch, or until nothing has improved for long enough."""
        chosen = self.settings.optimization
        if self.fabric.is_global_zero:
            self._loggers.begin(self.progress.history)
        self._began = time.monotonic() - self.progress.seconds
        done = self.progress.epoch * self.steps + self.progress.step
        total = chosen.epochs * self.steps
        bars = step("training", total, completed=done, unit="steps")
        with stop_signals() as self._asked_to_stop, bars as bar:
            limit = chosen.early_stopping
            while self.progress.epoch < chosen.epochs and not self.progress.is_stale(limit):
                self._train_epoch(bar)
                self._close_epoch()
        self._finish()
        self.fabric.barrier()

    def rehearse(self) -> Iterator[None]:
        """Take a step each time the next item is asked for, to see how long steps take.

        The run itself is of no use after that.
        """
        while True:
            for batch, other in self._batches():
                self._step(batch, other)
                yield

    def _train_epoch(self, bar: Step) -> None:
        progress = self.progress
        for batch, other in self._batches():
            loss = self._step(batch, other)
            progress.step += 1
            bar.advance(note=f"epoch {progress.epoch + 1}  loss {loss:.4f}  {progress.best_note}")
            self._maybe_save()

    def _batches(self) -> Iterator[tuple[Patch, Patch | None]]:
        """Draw the epoch's patches, and yield the batches that are left, each with the target's."""
        progress = self.progress
        adapter = self.adapter
        patches = PatchDataset(
            self.data.train,
            self.data.sampler,
            progress.epoch,
            self.data.normalizer,
            self.data.groups,
            self.settings.augmentation,
            adapter.source_domains if adapter else None,
        )
        if progress.step == 0:
            shown = self.steps * self.settings.optimization.batch_size * self.fabric.world_size
            report = self.data.sampler.report(patches.drawn[:shown], *patches.label_counts(shown))
            unused = {"unused_chips": list(self.data.unused)} if progress.epoch == 0 else {}
            progress.sampling.append({"epoch": progress.epoch, **report, **unused})
        self.learner.train()
        size, fabric = self.settings.optimization.batch_size, self.fabric
        batches = batch_indices(self.steps, size, fabric.global_rank, fabric.world_size)
        rest, workers = batches[progress.step :], self.settings.run.workers
        beside = adapter.batches(progress) if adapter else repeat(None)
        return zip(load_batches(patches, rest, progress.epoch, workers), beside, strict=False)

    def _step(self, batch: Patch, other: Patch | None) -> float:
        image = batch["image"].to(self.fabric.device, memory_format=torch.channels_last)
        target = batch["target"].to(self.fabric.device)
        beside = None
        if self.adapter is not None and other is not None:
            beside = self.adapter.join(batch, other, self.average, self.progress)
        learned = self.learner(image, target, beside)
        self.fabric.backward(learned.total)
        where = f"in epoch {self.progress.epoch + 1}, step {self.progress.step + 1}"
        clip_gradients(self.fabric, self.learner, self.optimizer, self.settings, where)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.schedule.after_step()
        if self.average is not None:
            self.average.update_parameters(self.bare.network)
        if self.settings.patches.strategy == Strategy.HARD:
            # [process, patch], which in a row is the order of one process on the joint batch.
            losses = gather(self.fabric, patch_losses(learned.logits.detach(), target))
            places = gather(self.fabric, batch["place"])
            self.progress.seen.append((places.reshape(-1), losses.reshape(-1)))
        value = float(learned.total.detach())
        if not math.isfinite(value):
            raise DataError(f"the loss became {value} {where}; lower optimization.learning_rate")
        sums = self.progress.sums
        accuracies = {f"accuracy_{name}": value for name, value in learned.accuracies.items()}
        for name, part in {"loss": learned.total, **learned.parts, **accuracies}.items():
            sums[name] = sums.get(name, 0.0) + float(part.detach())
        return value

    def _close_epoch(self) -> None:
        progress = self.progress
        self._learn_hard_places()
        network = self.average.module if self.average is not None else self.bare.network
        if self.adapter is not None:
            network = self.adapter.finished(network)
        found = self._validate(network)
        score = found.best_f1
        row = {"epoch": progress.epoch + 1.0, "learning_rate": self.schedule.rate}
        row |= {f"train_{name}": value / self.steps for name, value in progress.sums.items()}
        if self.bare.loss.learned is not None:
            row |= {f"c_{name}": c for name, c in self.bare.loss.learned.values().items()}
        row |= {f"val_{k}": v for k, v in asdict(found).items() if isinstance(v, float)}
        chosen: dict[str, Any] = {}
        if self.adapter is not None:
            chosen = self.adapter.look(network, found.threshold, progress)
            row |= self.adapter.as_row(chosen)
        progress.history.append(row)
        self.schedule.after_epoch(score)
        keeps_last = self.adapter is not None and self.settings.adaptation.select == "last"
        progress.judge(score, asdict(found), network, chosen, always=keeps_last)
        progress.start_next_epoch()
        # The checkpoint comes last: a run that is killed before it writes these once more.
        if self.fabric.is_global_zero:
            self.folder.log(progress.history, progress.sampling)
            self._loggers.log(progress.history)
            if progress.stale == 0 and progress.best is not None:
                bundle = best_bundle(self.settings, self.data, progress.best, self.adapter)
                save_bundle(self.folder.bundle, bundle, overwrite=True)
        self._save()

    def _validate(self, network: nn.Module) -> Validation:
        share_buffers(self.fabric, network)
        size, progress = self.fabric.world_size, self.progress
        chips = len(self.data.val.records)
        counter = ChipCounter(network, self.data)
        # All processes take a chip each and then meet, so that any of these moments can be saved.
        left = range(progress.validated, -(-chips // size))
        for turn in track(left, "validating", len(left)):
            index = turn * size + self.fabric.global_rank
            own = counter.count(index) if index < chips else ThresholdCounts.zeros()
            progress.counts = progress.counts + sum_counts(self.fabric, own)
            progress.validated = turn + 1
            self._maybe_save()
        return summarize(progress.counts, self.settings.run.criterion)

    def _learn_hard_places(self) -> None:
        for places, losses in self.progress.seen:
            self.data.sampler.observe(places.numpy(), losses.double().numpy())
        self.progress.seen = []  # once, also when the validation that follows is resumed

    def _maybe_save(self) -> None:
        minutes = self.settings.run.checkpoint_minutes
        due = time.monotonic() - self._saved_at >= 60 * minutes
        due, stop = agree(self.fabric, due, self._asked_to_stop())
        if due or stop:
            self._save()
        if stop:
            self.fabric.barrier()  # a process that ends may end the one that writes
            raise SystemExit(f"stopped; `{self._go_on}` goes on")

    def _save(self) -> None:
        device = self.fabric.device
        self.progress.seconds = time.monotonic() - self._began
        random = gather(self.fabric, torch.get_rng_state())
        is_cuda = device.type == "cuda"
        cuda_random = list(gather(self.fabric, torch.cuda.get_rng_state(device))) if is_cuda else []
        state = {
            **self._identity.state_dict(),
            "adapter": self.adapter.state_dict() if self.adapter else None,
            "learner": self.bare.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "optimizer": self._bare_optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "hard_losses": torch.from_numpy(self.data.sampler.losses),
            "precision": self.fabric.strategy.precision.state_dict(),
            "random": random,
            "cuda_random": cuda_random,
            "progress": self.progress.state_dict(),
        }
        if self.fabric.is_global_zero:
            save_checkpoint(self.folder.checkpoint, state)
        self._saved_at = time.monotonic()

    @property
    def _identity(self) -> Identity:
        target = self.adapter.data.contents if self.adapter else None
        settings = self.settings.model_dump(mode="json")
        return Identity(settings, self.fabric.world_size, self.data.contents, target)

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint's state.

        Raises:
            ModelError: it belongs to other chips, settings or another number of processes.
        """
        self._identity.check(state, self.folder.path, self.folder.settings)
        if self.adapter is not None:
            self.adapter.load_state_dict(state["adapter"])
        self.bare.load_state_dict(state["learner"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self._bare_optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.data.sampler.losses[:] = state["hard_losses"].numpy()
        self.progress = Progress.from_state(state["progress"])
        if state.get("precision"):
            self.fabric.strategy.precision.load_state_dict(state["precision"])
        rank, device = self.fabric.global_rank, self.fabric.device
        # A copy: torch reads beyond a state that is a view into a longer tensor, and crashes.
        torch.set_rng_state(state["random"].reshape(self.fabric.world_size, -1)[rank].clone())
        if state["cuda_random"] and device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_random"][rank].clone(), device)

    def _finish(self) -> None:
        best, adapter = self.progress.best, self.adapter
        assert best is not None
        bundle = best_bundle(self.settings, self.data, best, adapter)
        if adapter is not None and self.settings.adaptation.adabn:
            bundle = adapter.reestimate(bundle)
            network = bundle.build().to(self.fabric.device)
            network.seed_margin = 0.0  # it is chosen anew, from what the network itself says
            known = best["validation"]["threshold"]
            best["target"] = adapter.look(network, known, self.progress)
            bundle = with_threshold(bundle, best["target"])
        if self.fabric.is_global_zero:
            found = best["validation"]
            warn_of_choice(found["threshold"], found["criterion"])
            digest = save_bundle(self.folder.bundle, bundle, overwrite=True)
            self.folder.summarize(
                summary_of(self.progress, self.data, self.fabric, digest, adapter)
            )
            self._loggers.finish(self.progress.history)
