"""Runs with a target without labels: resuming, processes, domains, and what the methods change."""

import itertools
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from torch import Tensor

from sarwater.adaptation.alignment import (
    Alignment,
    DomainNames,
    FeatureAlignment,
    OutputAlignment,
)
from sarwater.adaptation.averaging import averaged_with
from sarwater.adaptation.self_training import PseudoLabelled
from sarwater.config import DannMethod, OutputSpaceMethod, TrainSettings
from sarwater.datasets.manifest import ChipRecord, Manifest, read_manifest
from sarwater.errors import ConfigError, ModelError
from sarwater.losses.distributed import all_reduce_sum
from sarwater.losses.modules import build_loss
from sarwater.models.bundle import load_bundle
from sarwater.models.segmenter import Segmenter
from sarwater.prediction import PredictionOptions, Predictor, water_probability
from sarwater.raster import read_chip, write_raster
from sarwater.training.adapter import Adapter
from sarwater.training.checkpoint import Progress
from sarwater.training.data import prepare
from sarwater.training.folder import RunFolder
from sarwater.training.learner import Learner, TargetBatch
from sarwater.training.outcome import best_bundle
from sarwater.training.patches import Patch, PatchDataset, batch_indices, load_batches
from sarwater.training.start import resume, train
from sarwater.training.target import without_labels
from sarwater.types import IGNORE
from tests.training.lakes import (
    EVERYTHING_RANDOM,
    SIDE,
    assert_same_weights,
    gradients,
    grid,
    settings,
    weights,
    write_chips,
)

ALL_METHODS = ["dann", "output_space", "self_training", "adabn"]

EVERY_METHOD: dict[str, dict[str, Any]] = {
    **EVERYTHING_RANDOM,
    "patches": {"strategy": "stratified", "per_epoch": 8},
    "augmentation": {**EVERYTHING_RANDOM["augmentation"], "contrast": 0.1},
    "optimization": {"epochs": 2, "average_decay": 0.9},
    "adaptation": {"methods": ALL_METHODS, "target_batch_size": 3},
}
"""Two steps an epoch."""

QUICK: dict[str, dict[str, Any]] = {
    "patches": {"per_epoch": 8},
    "optimization": {"epochs": 1, "average_decay": 0.9},
}
"""Two steps."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    return read_manifest(write_chips(tmp_path_factory.mktemp("source")))


@pytest.fixture(scope="module")
def delta(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """A brighter region; its labels are there, and are not to be read."""
    folder = tmp_path_factory.mktemp("target")
    return read_manifest(write_chips(folder, domain="delta", brighter_db=3, seed=2))


@pytest.fixture(scope="module")
def source_only(data: Manifest, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A model that never saw the target."""
    out = tmp_path_factory.mktemp("source_only") / "run"
    return train(settings(QUICK, model={"dropout": 0.3}), data, out)


@pytest.fixture
def chosen(source_only: RunFolder) -> TrainSettings:
    """Settings of a run with every method and every source of randomness."""
    return settings(EVERY_METHOD, model={"dropout": 0.3, "init": str(source_only.bundle)})


@pytest.fixture(scope="module")
def whole_run(
    data: Manifest,
    delta: Manifest,
    source_only: RunFolder,
    tmp_path_factory: pytest.TempPathFactory,
) -> RunFolder:
    """A run with every method and every source of randomness that nobody disturbed."""
    every = settings(EVERY_METHOD, model={"dropout": 0.3, "init": str(source_only.bundle)})
    return train(every, data, tmp_path_factory.mktemp("whole") / "run", target=delta)


def curves(folder: RunFolder) -> dict[str, list[float]]:
    header, *rows = folder.curves.read_text().splitlines()
    columns = zip(*(map(float, row.split(",")) for row in rows), strict=True)
    return dict(zip(header.split(","), map(list, columns), strict=True))


def be_killed() -> None:
    raise KeyboardInterrupt


def be_asked_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def end_in_step(number: int, end: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the step of this number end the run, before the weights move."""
    steps, step = itertools.count(1), torch.optim.AdamW.step

    def step_or_end(*arguments: Any, **named: Any) -> Any:
        if next(steps) == number:
            end()
        return step(*arguments, **named)

    monkeypatch.setattr(torch.optim.AdamW, "step", step_or_end)


@pytest.mark.parametrize("end", [be_killed, be_asked_to_stop])
def test_a_run_that_was_ended_resumes_to_bitwise_the_same_weights(
    data: Manifest,
    delta: Manifest,
    chosen: TrainSettings,
    whole_run: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[], None],
) -> None:
    end_in_step(4, end, monkeypatch)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        train(chosen, data, folder.path, target=delta)
    progress = torch.load(folder.checkpoint, weights_only=True)["progress"]
    assert (progress["epoch"], progress["step"]) == (1, 1 if end is be_killed else 2)
    resume(data, folder.path, delta)
    assert_same_weights(whole_run, folder)
    assert load_bundle(folder.bundle).hash == load_bundle(whole_run.bundle).hash
    assert folder.curves.read_text() == whole_run.curves.read_text()


def test_resuming_a_finished_run_changes_nothing_with_or_without_labels_of_the_target(
    data: Manifest, delta: Manifest, whole_run: RunFolder
) -> None:
    before = {path: path.read_bytes() for path in whole_run.path.rglob("*") if path.is_file()}
    for target in (delta, without_labels(delta)):
        resume(data, whole_run.path, target)
        after = {path: path.read_bytes() for path in whole_run.path.rglob("*") if path.is_file()}
        assert after == before


def test_resuming_with_another_target_is_refused(
    data: Manifest, delta: Manifest, whole_run: RunFolder, source_only: RunFolder
) -> None:
    with pytest.raises(ModelError, match="was started with a target"):
        resume(data, whole_run.path)
    other = replace(delta, records=delta.records[:-1])
    with pytest.raises(ModelError, match="chips of the target's manifest have changed"):
        resume(data, whole_run.path, other)
    with pytest.raises(ModelError, match="was started without a target"):
        resume(data, source_only.path, delta)


class Joined:
    """What the runs of a test put beside their batches of the source."""

    def __init__(self) -> None:
        self.batches: list[tuple[Patch, Patch, TargetBatch]] = []

    def __iter__(self) -> Iterator[tuple[Patch, Patch, TargetBatch]]:
        return iter(self.batches)

    @property
    def strengths(self) -> list[float]:
        return [batch.strength for _, _, batch in self]


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> Joined:
    """Record every batch that is joined; the batches themselves stay as they are."""
    record, join = Joined(), Adapter.join

    def watched(adapter: Adapter, source: Patch, target: Patch, *more: Any) -> TargetBatch:
        batch = join(adapter, source, target, *more)
        record.batches.append((source, target, batch))
        return batch

    monkeypatch.setattr(Adapter, "join", watched)
    return record


def ganin(steps: int) -> list[float]:
    """The factor of each step by equation 14 of Ganin et al. (2016)."""
    progress = np.arange(steps) / (steps - 1)
    return list(2 / (1 + np.exp(-10 * progress)) - 1)


def test_the_reversal_follows_the_steps_whatever_is_validated_or_resumed(
    data: Manifest,
    delta: Manifest,
    tmp_path: Path,
    joined: Joined,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    validate = {"chip3", "chip4", "chip5"}
    manifest = replace(
        data,
        records=tuple(replace(one, split="val" if one.id in validate else "train") for one in data),
    )
    dann = settings(
        patches={"per_epoch": 9},  # four steps of two patches, and a patch that is left
        optimization={"epochs": 2, "batch_size": 2},
        adaptation={"methods": ["dann"]},
    )
    end_in_step(5, be_asked_to_stop, monkeypatch)
    with pytest.raises(SystemExit):
        train(dann, manifest, tmp_path / "run", target=delta)
    assert len(joined.batches) == 5
    resume(manifest, tmp_path / "run", delta)
    assert joined.strengths == pytest.approx(ganin(8), abs=1e-12)
    assert joined.strengths[0] == 0
    assert joined.strengths[-1] > 0.9999


@pytest.mark.parametrize("target_size", [2, 7])
def test_batches_of_source_and_target_may_differ_in_size(
    data: Manifest, delta: Manifest, tmp_path: Path, joined: Joined, target_size: int
) -> None:
    uneven = {"methods": ALL_METHODS, "target_batch_size": target_size}
    one_step = settings(QUICK, patches={"per_epoch": 4}, adaptation=uneven)
    folder = train(one_step, data, tmp_path / "run", target=delta)
    assert len(joined.batches) == 1
    for source, target, batch in joined:
        assert len(source["image"]) == 4
        assert len(target["image"]) == len(batch.image) == target_size
        torch.testing.assert_close(batch.image, target["image"], rtol=0, atol=0)
        assert torch.equal(batch.valid, torch.cat([source["valid"], target["valid"]]))
        assert torch.equal(batch.domain, torch.tensor([0] * 4 + [1] * target_size))
        assert batch.mixed is not None
        assert len(batch.mixed.image) == len(batch.mixed.target) == target_size
    found = curves(folder)
    for method in ("dann", "output_space", "self_training"):
        assert np.isfinite(found[f"train_{method}"]).all()


def with_domains(manifest: Manifest, *names: str) -> Manifest:
    """Give the chips these domains in turn."""
    return replace(
        manifest,
        records=tuple(
            replace(record, domain=names[index % len(names)])
            for index, record in enumerate(manifest)
        ),
    )


@pytest.mark.parametrize(("domains", "classes"), [("each", 4), ("sides", 2)])
def test_several_domains_of_both_sides(
    data: Manifest, delta: Manifest, tmp_path: Path, joined: Joined, domains: str, classes: int
) -> None:
    source, target = with_domains(data, "south", "north"), with_domains(delta, "sea", "north")
    methods = [{"name": name, "domains": domains} for name in ("dann", "output_space")]
    several = settings(QUICK, patches={"per_epoch": 16}, adaptation={"methods": methods})
    folder = train(several, source, tmp_path / "run", target=target)
    indices = {"north": 0, "south": 1}, {"sea": 2, "north": 3}
    training = prepare(several, source)
    beside = Adapter(several, target, training, alone(), 4)
    seen: set[int] = set()
    for patches, others, batch in joined:
        expected = [
            indices[side][chips[int(sampler.places.chip[place])].domain]
            for side, (part, sampler, chips) in enumerate(
                (
                    (patches, training.sampler, training.train.records),
                    (others, beside.data.sampler, beside.data.chips.records),
                )
            )
            for place in part["place"]
        ]
        assert batch.domain.tolist() == expected
        seen |= set(expected)
    assert seen == {0, 1, 2, 3}
    found = curves(folder)
    for name in ("dann", "output_space"):  # a discriminator that knows little yet
        assert found[f"train_{name}"][0] == pytest.approx(np.log(classes), abs=0.25)


def test_learned_weights_and_accuracies_of_the_methods_are_logged(whole_run: RunFolder) -> None:
    found = curves(whole_run)
    for name in ("cross_entropy", "tversky", "dann", "output_space", "self_training"):
        values = found[f"c_{name}"]
        assert min(values) > 0
        assert len(set(values)) == 2
        assert 1 not in values  # where each begins
    for name in ("dann", "output_space"):
        assert all(0 <= value <= 1 for value in found[f"train_accuracy_{name}"])
        assert any(value > 0 for value in found[f"train_accuracy_{name}"])
    assert {name for name in found if "accuracy" in name} == {
        "train_accuracy_dann",
        "train_accuracy_output_space",
    }
    assert "c_adabn" not in found


def test_self_training_without_averaged_weights_is_refused(
    data: Manifest, delta: Manifest, tmp_path: Path
) -> None:
    alone_ = settings(adaptation={"methods": ["self_training"]})
    with pytest.raises(ConfigError, match=r"optimization\.average_decay"):
        train(alone_, data, tmp_path / "run", target=delta)
    assert not (tmp_path / "run").exists()


def test_adabn_moves_the_statistics_of_batch_norm_and_nothing_else(
    data: Manifest, delta: Manifest, source_only: RunFolder, tmp_path: Path
) -> None:
    start = {"dropout": 0.3, "init": str(source_only.bundle)}
    tuned = settings(QUICK, model=start, adaptation={"methods": ["adabn"], "source_share": 0})
    adapted = train(tuned, data, tmp_path / "adapted", target=delta)
    continued = train(settings(QUICK, model=start), data, tmp_path / "continued")
    before, after = weights(continued), weights(adapted)
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    statistics = {name for name in before if name.endswith(("running_mean", "running_var"))}
    assert statistics
    assert moved == statistics


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_the_weights_are_averaged_with_those_of_the_source_only_model(
    data: Manifest, delta: Manifest, source_only: RunFolder, tmp_path: Path, share: float
) -> None:
    def adapted(part: float) -> Mapping[str, Tensor]:
        start = {"init": str(source_only.bundle)}
        chosen = {"methods": ["dann"], "source_share": part}
        tuned = settings(QUICK, model=start, adaptation=chosen)
        return weights(train(tuned, data, tmp_path / f"run{part}", target=delta))

    source, alone_, found = weights(source_only), adapted(0), adapted(share)
    assert any(not torch.equal(alone_[name], source[name]) for name in source)
    for name, weight in found.items():
        if weight.is_floating_point():
            expected = share * source[name].double() + (1 - share) * alone_[name].double()
            torch.testing.assert_close(weight.double(), expected, rtol=1e-5, atol=1e-6)


def test_a_target_that_nothing_divides_gives_a_summary(
    data: Manifest, delta: Manifest, tmp_path: Path
) -> None:
    """The cost of dividing its backscatter is not known; JSON has no word for nan."""
    file = tmp_path / "constant.tif"
    image = np.full((2, SIDE, SIDE), -9, np.float32)
    write_raster(file, image, grid(), bands=("VV", "VH"))
    record = replace(delta.records[0], images=(file,))
    tuned = settings(QUICK, adaptation={"methods": ["dann"]})
    folder = train(tuned, data, tmp_path / "run", target=Manifest((record,)))
    found = json.loads(folder.summary.read_text())["target"]
    assert found["separates"] is False
    assert found["separation"] is None


def alone(rank: int = 0, processes: int = 1) -> Fabric:
    """What an adapter needs to know of its processes."""
    fake = SimpleNamespace(
        global_rank=rank, world_size=processes, device=torch.device("cpu"), autocast=None
    )
    return cast(Fabric, fake)


@pytest.mark.parametrize(
    "augmentation",
    [{"gain_db": 6}, {"band_gain_db": 6}, {"contrast": 0.9}, {"speckle_looks": 1}],
)
def test_adabn_takes_the_statistics_of_the_target_as_it_is(
    data: Manifest, delta: Manifest, source_only: RunFolder, augmentation: Mapping[str, float]
) -> None:
    bundle = load_bundle(source_only.bundle)
    plain, strong = (
        Adapter(each, delta, prepare(each, data), alone(), 2).reestimate(bundle)
        for each in (
            settings(adaptation={"methods": ["adabn"]}),
            settings(adaptation={"methods": ["adabn"]}, augmentation=augmentation),
        )
    )
    changed = [
        name for name in plain.state if not torch.equal(plain.state[name], bundle.state[name])
    ]
    assert changed
    for name in changed:
        torch.testing.assert_close(strong.state[name], plain.state[name])


def test_two_processes_share_the_patches_of_both_sides(data: Manifest, delta: Manifest) -> None:
    def batches(rank: int, processes: int, size: int, target_size: int) -> list[list[Patch]]:
        chosen = settings(
            EVERY_METHOD,
            patches={"per_epoch": 16},
            optimization={"batch_size": size},
            adaptation={"target_batch_size": target_size},
        )
        source = prepare(chosen, data)
        adapter = Adapter(chosen, delta, source, alone(rank, processes), 4)
        patches = PatchDataset(
            source.train,
            source.sampler,
            1,
            source.normalizer,
            source.groups,
            chosen.augmentation,
            adapter.source_domains,
        )
        own = batch_indices(4, size, rank, processes)
        beside = [patch for patch in adapter.batches(Progress(epoch=1)) if patch is not None]
        return [list(load_batches(patches, own, 1, 0)), beside]

    whole = batches(0, 1, 4, 6)
    halves = [batches(rank, 2, 2, 3) for rank in range(2)]
    for side in range(2):
        assert len(whole[side]) == 4
        for step, joint in enumerate(whole[side]):
            for part in ("place", "image", "valid", "target", "domain"):
                both = torch.cat([half[side][step][part] for half in halves])
                assert torch.equal(both, joint[part])
    drawn = torch.stack([patch["place"] for patch in whole[1]])
    assert len(set(drawn.flatten().tolist())) > 6


TERMS = ["cross_entropy", "tversky"]
NAMES = DomainNames(("lakes", "rivers"), ("delta",))


def small_learner() -> Learner:
    """Return a learner with discriminators and frozen batch norm, the same each time."""
    torch.manual_seed(0)
    chosen = settings(model={"dropout": 0.0}, loss={"terms": TERMS})
    network = Segmenter(chosen.model.architecture, bands=2, classes=2)
    alignments: dict[str, Alignment] = {
        "dann": FeatureAlignment(DannMethod(domains="each", hidden=8), 16, NAMES, all_reduce_sum),
        "output_space": OutputAlignment(
            OutputSpaceMethod(strength=1, hidden=4), 2, NAMES, all_reduce_sum
        ),
    }
    others = {"dann": 1.0, "output_space": 0.5, "self_training": 2.0}
    loss = build_loss(chosen.loss.terms, reduce=all_reduce_sum, learned=True, others=others)
    learner = Learner(network, loss, alignments, all_reduce_sum)
    learner.eval()
    return learner


def joint_batch() -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, PseudoLabelled]:
    """Return images and labels of the source, images of the target, valid, domains, and mixed.

    Four patches of the source and six of the target, of which the halves differ in every way that
    a mean over processes would get wrong: domains, valid pixels, labels, weights.
    """
    random = torch.Generator().manual_seed(1)
    source, target, mixed = (torch.randn(n, 2, 32, 32, generator=random) for n in (4, 6, 6))
    labels = (torch.rand(4, 32, 32, generator=random) < 0.3).to(torch.uint8)
    labels[0] = 0
    labels[1, 5:] = IGNORE
    valid = torch.ones(10, 32, 32, dtype=torch.bool)
    valid[1, 5:] = valid[5, :, 9:] = valid[6, :20] = False
    domain = torch.tensor([0, 0, 0, 1, *[2] * 6])
    pseudo = (torch.rand(6, 32, 32, generator=random) < 0.5).to(torch.uint8)
    pseudo[:2, 8:] = IGNORE
    weight = torch.rand(6, 32, 32, generator=random)
    return source, labels, target, valid, domain, PseudoLabelled(mixed, pseudo, weight)


def part_of(rank: int, processes: int) -> tuple[Tensor, Tensor, TargetBatch]:
    """Return what one of the processes gets of the joint batch."""
    source, labels, target, valid, domain, mixed = joint_batch()

    def own(tensor: Tensor) -> Tensor:
        size = len(tensor) // processes
        return tensor[rank * size : (rank + 1) * size]

    def own_of_both(tensor: Tensor) -> Tensor:
        return torch.cat([own(tensor[:4]), own(tensor[4:])])

    beside = TargetBatch(
        own(target),
        own_of_both(valid),
        own_of_both(domain),
        0.7,
        PseudoLabelled(*(own(part) for part in mixed)),
    )
    return own(source), own(labels), beside


def one_of_two(rank: int, port: int, out: str) -> None:
    """Run half of the joint batch in a process of its own."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    learner = torch.nn.parallel.DistributedDataParallel(small_learner())
    learned = learner(*part_of(rank, 2))
    learned.total.backward()
    if rank == 1:
        values = {**learned.parts, **learned.accuracies, "total": learned.total}
        found = {name: value.detach() for name, value in values.items() if name not in TERMS}
        torch.save([gradients(learner), found], out)
    torch.distributed.destroy_process_group()


def test_gradients_of_two_processes_are_those_of_the_joint_batch(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    out = tmp_path / "gradients.pt"
    torch.multiprocessing.spawn(one_of_two, (port, str(out)), nprocs=2)  # type: ignore[attr-defined,no-untyped-call]
    learner = small_learner()
    learned = learner(*part_of(0, 1))
    learned.total.backward()
    expected = gradients(learner)
    together, found = torch.load(out, weights_only=True)
    assert expected.keys() == together.keys()
    assert expected.keys() == {name for name, _ in learner.named_parameters()}
    for part in ("network.", "loss.", "alignments.dann.", "alignments.output_space."):
        own = {name: value for name, value in expected.items() if name.startswith(part)}
        largest = max(float(gradient.abs().max()) for gradient in own.values())
        assert largest > 0, part
        for name, gradient in own.items():
            difference = (together[name] - gradient).abs().max()
            assert difference <= 1e-5 * largest, name
    values = {**learned.parts, **learned.accuracies, "total": learned.total}
    for name, value in found.items():
        torch.testing.assert_close(value, values[name].detach(), rtol=1e-5, atol=1e-6)


def f1_of(folder: RunFolder, records: tuple[ChipRecord, ...]) -> float:
    """F1 over the pixels of labelled chips, at the model's own threshold."""
    bundle = load_bundle(folder.bundle)
    predictor = Predictor(bundle, PredictionOptions(device="cpu"))
    hits = wrong = 0
    for record in records:
        chip = read_chip(record)
        assert chip.target is not None
        probability = water_probability(predictor.predict_chip(chip))
        called = (probability >= bundle.info.threshold)[chip.valid]
        water = (chip.target == 1)[chip.valid]
        hits, wrong = hits + int((called & water).sum()), wrong + int((called ^ water).sum())
    return 2 * hits / (2 * hits + wrong)


def test_adapting_to_what_is_known_already_does_little(
    data: Manifest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    unseen = read_manifest(write_chips(tmp_path_factory.mktemp("unseen"), seed=7)).records
    learning: dict[str, dict[str, Any]] = {
        "patches": {"per_epoch": 120},
        "optimization": {"epochs": 1, "learning_rate": 1e-2, "average_decay": 0.9},
    }
    before = train(settings(learning), data, tmp_path / "before")
    adapting = settings(
        learning,
        model={"init": str(before.bundle)},
        patches={"per_epoch": 40},
        optimization={"learning_rate": 1e-3},
        adaptation={"methods": ALL_METHODS},
    )
    after = train(adapting, data, tmp_path / "after", target=data)
    scores = [f1_of(folder, unseen) for folder in (before, after)]
    assert scores[0] > 0.7
    assert abs(scores[1] - scores[0]) < 0.05


def test_adabn_chooses_threshold_and_seeds_from_what_the_network_itself_says(
    data: Manifest,
    delta: Manifest,
    source_only: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not from what the seeds of the epoch have left of it."""
    seen: list[float] = []
    whole, look = best_bundle, Adapter.look

    def with_seeds(*given: Any) -> Any:
        bundle = whole(*given)
        return replace(bundle, info=bundle.info.model_copy(update={"seed_margin": 1.5}))

    def looked(self: Adapter, network: Any, *given: Any) -> Any:
        seen.append(network.seed_margin)
        return look(self, network, *given)

    monkeypatch.setattr("sarwater.training.run.best_bundle", with_seeds)
    monkeypatch.setattr(Adapter, "look", looked)
    start = {"init": str(source_only.bundle)}
    train(
        settings(QUICK, model=start, adaptation={"methods": ["adabn"]}),
        data,
        tmp_path / "run",
        target=delta,
    )
    assert set(seen) == {0.0}


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_weights_of_another_precision_are_averaged(dtype: torch.dtype) -> None:
    network = torch.nn.Linear(2, 1)
    source = {name: torch.ones_like(one, dtype=dtype) for name, one in network.state_dict().items()}
    found = averaged_with(network, source, 0.25)
    torch.testing.assert_close(found.weight, 0.25 + 0.75 * network.weight)
