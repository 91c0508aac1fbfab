import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sarwater.cli import full_parser
from sarwater.config import write_settings
from sarwater.datasets.manifest import Manifest, read_manifest
from sarwater.errors import DataError, ModelError, OutputExistsError
from sarwater.evaluation.counts import ThresholdCounts
from sarwater.files import refuse_existing
from sarwater.losses.distributed import all_reduce_sum
from sarwater.losses.modules import build_loss
from sarwater.models.bundle import load_bundle
from sarwater.models.segmenter import Segmenter
from sarwater.raster import read_chip, write_raster
from sarwater.training.folder import RunFolder
from sarwater.training.learner import Learner, patch_losses
from sarwater.training.patches import batch_indices
from sarwater.training.run import Run
from sarwater.training.start import resume, train
from sarwater.training.validation import ChipCounter
from sarwater.types import IGNORE, Units
from tests.training.lakes import (
    EVERYTHING_RANDOM,
    assert_same_weights,
    gradients,
    grid,
    settings,
    weights,
    write_chips,
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chips(tmp_path_factory.mktemp("chips"))


@pytest.fixture(scope="module")
def whole_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with every source of randomness in it that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole") / "run"
    return train(settings(**EVERYTHING_RANDOM), read_manifest(data), out)


def test_the_threads_of_a_run_are_not_those_of_what_follows(data: Path, tmp_path: Path) -> None:
    former = torch.get_num_threads()
    torch.set_num_threads(former + 2)
    try:
        chosen = settings(optimization={"epochs": 1}, run={"threads": former})
        train(chosen, read_manifest(data), tmp_path / "run")
        assert torch.get_num_threads() == former + 2
    finally:
        torch.set_num_threads(former)


def test_a_run_learns_the_lakes_and_leaves_all_that_mapping_needs(
    data: Path, tmp_path: Path
) -> None:
    chosen = settings(optimization={"epochs": 12, "learning_rate": 5e-3})
    folder = train(chosen, read_manifest(data), tmp_path / "run")
    info = load_bundle(folder.bundle).info
    assert (info.bands, info.units, info.classes) == (("VV", "VH"), Units.DB, ("land", "water"))
    assert info.patch_size == 32
    assert 0 < info.threshold < 1
    summary = json.loads(folder.summary.read_text())
    assert summary["validation"]["f1"] > 0.8
    rows = folder.curves.read_text().splitlines()
    assert len(rows) == 1 + 12
    losses = [float(row.split(",")[2]) for row in rows[1:]]
    assert losses[-1] < losses[0] / 2
    assert folder.read_settings() == chosen
    assert (folder.path / "curves.png").stat().st_size > 1000
    with Image.open(folder.path / "curves.png") as picture:
        assert "Software" not in picture.info  # equal curves are equal files


def test_tensorboard_shows_one_curve(whole_run: RunFolder) -> None:
    events = EventAccumulator(str(whole_run.tensorboard))
    events.Reload()
    assert [event.step for event in events.Scalars("val_f1")] == [1, 2, 3]


def test_curves_and_summary_are_read_back(whole_run: RunFolder, tmp_path: Path) -> None:
    header, *rows = whole_run.curves.read_text().splitlines()
    found = whole_run.read_curves()
    assert [list(row) for row in found] == [header.split(",")] * len(rows)
    assert [row["val_f1"] for row in found] == [
        float(row.split(",")[header.split(",").index("val_f1")]) for row in rows
    ]
    assert whole_run.read_summary()["epochs"] == 3
    for read in (RunFolder(tmp_path).read_curves, RunFolder(tmp_path).read_summary):
        with pytest.raises(ModelError, match=str(tmp_path)):
            read()


def test_the_sampler_reports_what_it_drew(whole_run: RunFolder) -> None:
    reports = json.loads(whole_run.sampling.read_text())
    assert [report["epoch"] for report in reports] == [0, 1, 2]
    assert all(report["drawn"]["patches"] == 16 for report in reports)
    assert [report.get("unused_chips") for report in reports] == [[], None, None]


def test_learned_weights_are_logged_and_positive(whole_run: RunFolder) -> None:
    header, *rows = whole_run.curves.read_text().splitlines()
    column = header.split(",").index("c_tversky")
    values = [float(row.split(",")[column]) for row in rows]
    assert all(value > 0 for value in values)
    assert len(set(values)) == len(values)


def test_learned_weights_move_beside_a_network_in_half_precision(
    data: Path, tmp_path: Path
) -> None:
    loss = {"terms": ["cross_entropy", "tversky"], "learned_weights": True}
    low = {"epochs": 1, "learning_rate": 1e-4}
    chosen = settings(loss=loss, optimization=low, run={"precision": "bf16-true"})
    run = Run(chosen, read_manifest(data), RunFolder(tmp_path / "run"))
    assert {p.dtype for p in run.bare.network.parameters()} == {torch.bfloat16}
    assert run.bare.loss.learned is not None
    rho = run.bare.loss.learned.rho
    rho.data.fill_(1.0)
    next(run.rehearse())
    moved = (rho.detach().double() - 1).abs()
    assert (moved > 1e-6).all(), "bfloat16 has nothing between 1 and .996"
    assert (moved < 1e-3).all()


def test_a_killed_run_resumes_to_bitwise_the_same_weights(
    data: Path, whole_run: RunFolder, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    process = start_in_background(data, folder, whole_run)
    wait_for_epoch_and_a_half(folder, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(folder.curves.read_text().splitlines()) < 1 + 3
    resume(read_manifest(data), folder.path)
    assert_same_weights(whole_run, folder)
    assert folder.curves.read_text() == whole_run.curves.read_text()


def test_a_run_killed_before_its_first_step_resumes(
    data: Path, whole_run: RunFolder, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    Run(settings(**EVERYTHING_RANDOM), read_manifest(data), folder).start(overwrite=False)
    resume(read_manifest(data), folder.path)
    assert_same_weights(whole_run, folder)


def test_a_run_killed_between_its_last_files_loses_none_of_them(
    data: Path, whole_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = RunFolder.log

    def killed(
        folder: RunFolder, history: Sequence[Mapping[str, float]], sampling: Sequence[Any]
    ) -> None:
        if len(history) == 3:
            raise KeyboardInterrupt
        log(folder, history, sampling)

    monkeypatch.setattr(RunFolder, "log", killed)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        train(settings(**EVERYTHING_RANDOM), read_manifest(data), folder.path)
    monkeypatch.undo()
    resume(read_manifest(data), folder.path)
    assert folder.curves.read_text() == whole_run.curves.read_text()
    assert folder.sampling.read_text() == whole_run.sampling.read_text()


def test_a_run_asked_to_stop_saves_and_resumes(
    data: Path, whole_run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(100))

    def ask_in_the_sixth_step(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if next(calls) == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return patch_losses(logits, target)

    monkeypatch.setattr("sarwater.training.run.patch_losses", ask_in_the_sixth_step)
    before = signal.getsignal(signal.SIGTERM)
    rarely = {**EVERYTHING_RANDOM, "run": {"checkpoint_minutes": 60}}
    folder = RunFolder(tmp_path / "a run")
    with pytest.raises(SystemExit) as stopped:
        train(settings(**rarely), read_manifest(data), folder.path)
    printed = re.fullmatch("stopped; `sarwater (.*)` goes on", str(stopped.value))
    assert printed is not None
    parsed = full_parser().parse_args(shlex.split(printed[1]))
    assert (parsed.manifest, parsed.resume) == (data, folder.path)
    assert signal.getsignal(signal.SIGTERM) is before
    progress = torch.load(folder.checkpoint, weights_only=True)["progress"]
    assert (progress["epoch"], progress["step"]) == (1, 2)
    monkeypatch.undo()
    resume(read_manifest(data), folder.path)
    assert_same_weights(whole_run, folder)


def test_a_run_stopped_while_it_validates_goes_on_there(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = read_manifest(data)
    records = [replace(r, split="val") if r.id in ("chip3", "chip4") else r for r in manifest]
    manifest = Manifest(tuple(records), manifest.path)
    rarely = {**EVERYTHING_RANDOM, "run": {"checkpoint_minutes": 60}}
    rarely["patches"] = {"strategy": "hard", "per_epoch": 8}
    whole = train(settings(**rarely), manifest, tmp_path / "whole")
    counted: list[int] = []
    count = ChipCounter.count

    def stop_after_the_second_chip(counter: ChipCounter, index: int) -> ThresholdCounts:
        counted.append(index)
        if len(counted) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return count(counter, index)

    monkeypatch.setattr(ChipCounter, "count", stop_after_the_second_chip)
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(SystemExit, match="--resume"):
        train(settings(**rarely), manifest, folder.path)
    assert counted == [0, 1]
    resume(manifest, folder.path)
    assert counted == [0, 1, 2, *[0, 1, 2] * 2]
    assert_same_weights(whole, folder)
    assert folder.curves.read_text() == whole.curves.read_text()


def test_resuming_a_finished_run_changes_nothing(data: Path, whole_run: RunFolder) -> None:
    before = {path: path.read_bytes() for path in whole_run.path.rglob("*") if path.is_file()}
    resume(read_manifest(data), whole_run.path)
    after = {path: path.read_bytes() for path in whole_run.path.rglob("*") if path.is_file()}
    assert after == before


def start_in_background(data: Path, folder: RunFolder, like: RunFolder) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "sarwater", "train", str(data), "--out", str(folder.path)]
    command += ["--config", str(like.settings)]
    return subprocess.Popen(command)


def wait_for_epoch_and_a_half(folder: RunFolder, process: subprocess.Popen[bytes]) -> None:
    """Wait until a checkpoint lies in the middle of the second epoch."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before it could be killed"
        if folder.checkpoint.exists():
            progress = torch.load(folder.checkpoint, weights_only=True)["progress"]
            if progress["epoch"] == 1 and progress["step"] >= 1:
                return
        time.sleep(0.005)
    pytest.fail("no checkpoint in the second epoch")


def test_the_seed_decides(data: Path, tmp_path: Path) -> None:
    once, again, other = (
        train(settings(run={"seed": seed}), read_manifest(data), tmp_path / name)
        for name, seed in (("once", 3), ("again", 3), ("other", 4))
    )
    assert_same_weights(once, again)
    assert not torch.equal(weights(once)["classify.weight"], weights(other)["classify.weight"])


def test_two_processes_train_and_resume(data: Path, tmp_path: Path) -> None:
    settings_file = tmp_path / "two.yaml"
    two = {"devices": 2, "strategy": "ddp"}
    everything = {
        **EVERYTHING_RANDOM,
        "optimization": {"epochs": 2, "average_decay": 0.9, "batch_size": 2},
        "run": {**EVERYTHING_RANDOM["run"], **two},
    }
    write_settings(settings(**everything), settings_file)
    whole, killed = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "killed")
    command = [sys.executable, "-m", "sarwater", "train", str(data)]
    flags = ["--config", str(settings_file)]
    subprocess.run([*command, "--out", str(whole.path), *flags], check=True, timeout=300)
    summary = json.loads(whole.summary.read_text())
    assert summary["processes"] == 2
    # A session of its own, so that both processes can be killed at once.
    process = subprocess.Popen(
        [*command, "--out", str(killed.path), *flags], start_new_session=True
    )
    wait_for_epoch_and_a_half(killed, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run([*command, "--resume", str(killed.path)], check=True, timeout=300)
    assert_same_weights(whole, killed)
    assert killed.curves.read_text() == whole.curves.read_text()


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_processes_share_the_patches_without_overlap(processes: int) -> None:
    taken = [batch_indices(4, 5, process, processes) for process in range(processes)]
    joint = [index for step in range(4) for batches in taken for index in batches[step]]
    assert joint == list(range(4 * 5 * processes))


TERMS = ["cross_entropy", {"name": "focal", "alpha": 0.7}, "tversky", "focal_tversky", "dice"]


def small_learner() -> Learner:
    """Return a learner with frozen batch norm, the same each time."""
    torch.manual_seed(0)
    chosen = settings(model={"dropout": 0.0}, loss={"terms": TERMS, "learned_weights": True})
    network = Segmenter(chosen.model.architecture, bands=2, classes=2)
    loss = build_loss(chosen.loss.terms, reduce=all_reduce_sum, learned=True)
    learner = Learner(network, loss)
    learner.eval()
    return learner


def joint_batch() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    image = torch.randn(4, 2, 32, 32, generator=random)
    target = (torch.rand(4, 32, 32, generator=random) < 0.3).to(torch.uint8)
    target[0] = 0
    target[1, 5:] = IGNORE
    return image, target


def one_of_two(rank: int, port: int, out: str) -> None:
    """Run half of the joint batch in a process of its own."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2
    )
    learner = torch.nn.parallel.DistributedDataParallel(small_learner())
    image, target = joint_batch()
    half = slice(2 * rank, 2 * rank + 2)
    learner(image[half], target[half])[0].backward()
    if rank == 0:
        torch.save(gradients(learner), out)
    torch.distributed.destroy_process_group()


def test_gradients_of_two_processes_are_those_of_the_joint_batch(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    out = tmp_path / "gradients.pt"
    torch.multiprocessing.spawn(one_of_two, (port, str(out)), nprocs=2)  # type: ignore[attr-defined,no-untyped-call]
    learner = small_learner()
    learner(*joint_batch())[0].backward()
    alone, together = gradients(learner), torch.load(out, weights_only=True)
    assert alone.keys() == together.keys()
    largest = max(float(gradient.abs().max()) for gradient in alone.values())
    for name, gradient in alone.items():
        difference = (together[name] - gradient).abs().max()
        assert difference <= 1e-5 * largest, name


def test_early_stopping_ends_a_run_that_no_longer_improves(data: Path, tmp_path: Path) -> None:
    chosen = settings(
        optimization={
            "epochs": 30,
            "learning_rate": 1e-9,
            "schedule": "constant",
            "early_stopping": 2,
        },
        augmentation={"flips": False, "rotations": False},
    )
    folder = train(chosen, read_manifest(data), tmp_path / "run")
    assert json.loads(folder.summary.read_text())["epochs"] < 30


def test_a_finished_model_is_the_start_of_another(data: Path, tmp_path: Path) -> None:
    first = train(settings(), read_manifest(data), tmp_path / "first")
    before = weights(first)
    tuned = train(
        settings(
            model={"init": str(first.bundle)},
            optimization={"epochs": 1, "learning_rate": 1e-12, "weight_decay": 0.0},
        ),
        read_manifest(data),
        tmp_path / "tuned",
    )
    first.bundle.unlink()
    resume(read_manifest(data), tuned.path)  # its start is no longer needed
    after = weights(tuned)
    torch.testing.assert_close(
        before["classify.weight"], after["classify.weight"], atol=1e-6, rtol=0
    )


def test_a_start_of_another_architecture_is_refused(
    data: Path, whole_run: RunFolder, tmp_path: Path
) -> None:
    other = settings(model={"init": str(whole_run.bundle), "dropout": 0.3, "detail_channels": 16})
    with pytest.raises(ModelError, match="detail_channels 8 instead of 16; set the model's values"):
        train(other, read_manifest(data), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_split_without_water_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    table = write_chips(tmp_path, water=False)
    with pytest.raises(DataError, match=r"split 'val' has no valid pixel labelled water"):
        train(settings(), read_manifest(table), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_larger_than_an_epoch_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"an epoch has 20 patches, fewer than one step needs"):
        train(settings(optimization={"batch_size": 64}), read_manifest(data), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_existing_run_is_kept(data: Path, whole_run: RunFolder) -> None:
    with pytest.raises(OutputExistsError, match="--overwrite"):
        train(settings(), read_manifest(data), whole_run.path)
    refuse_existing(whole_run.path, overwrite=True, folder=True)
    notes = whole_run.path / "notes.txt"
    notes.touch()
    with pytest.raises(OutputExistsError, match=r"holds notes\.txt"):
        train(settings(), read_manifest(data), whole_run.path, overwrite=True)
    notes.unlink()


def test_resuming_on_other_chips_is_refused(data: Path, whole_run: RunFolder) -> None:
    manifest = read_manifest(data)
    fewer = Manifest(manifest.records[1:], manifest.path)
    with pytest.raises(ModelError, match=r"chips of the manifest have changed"):
        resume(fewer, whole_run.path)


def copied(data: Path, run: RunFolder, folder: Path) -> tuple[Path, RunFolder]:
    """Copy the chips and a run on them, to change something in either."""
    shutil.copytree(data.parent, folder / "chips")
    shutil.copytree(run.path, folder / "run")
    return folder / "chips" / data.name, RunFolder(folder / "run")


@pytest.mark.parametrize(("part", "chip"), [("image", "chip1"), ("label", "chip5")])
def test_resuming_on_chips_that_were_changed_in_place_is_refused(
    data: Path, whole_run: RunFolder, tmp_path: Path, part: str, chip: str
) -> None:
    """One trains, the other validates; the table stays as it was."""
    table, run = copied(data, whole_run, tmp_path)
    (record,) = (record for record in read_manifest(table) if record.id == chip)
    found = read_chip(record)
    assert found.target is not None
    if part == "image":
        brighter = np.where(found.valid, found.image + np.float32(0.1), np.float32(np.nan))
        write_raster(record.images[0], brighter, grid(), bands=record.bands, overwrite=True)
    else:
        land = (1 - found.target).astype(np.uint8)
        write_raster(record.labels[0], land, grid(), bands=("label",), overwrite=True)
    with pytest.raises(ModelError, match=rf"images or labels of the manifest .*\({chip}\)"):
        resume(read_manifest(table), run.path)


def test_resuming_under_other_settings_is_refused_and_they_are_named(
    data: Path, whole_run: RunFolder, tmp_path: Path
) -> None:
    _, run = copied(data, whole_run, tmp_path)
    changed = settings(EVERYTHING_RANDOM, patches={"size": 64}, optimization={"average_decay": 0.5})
    write_settings(changed, run.settings)
    with pytest.raises(
        ModelError, match=r"patches\.size is 64 and was 32, .*average_decay is 0\.5"
    ):
        resume(read_manifest(data), run.path)


def test_a_run_goes_on_elsewhere_and_to_a_later_end(data: Path, tmp_path: Path) -> None:
    constant = {"schedule": "constant", "average_decay": 0.9}
    short, longer = (
        settings(EVERYTHING_RANDOM, optimization={**constant, "epochs": epochs})
        for epochs in (1, 2)
    )
    whole = train(longer, read_manifest(data), tmp_path / "whole")
    run = train(short, read_manifest(data), tmp_path / "run")
    there = {"workers": 1, "checkpoint_minutes": 3, "loggers": []}
    write_settings(
        settings(
            EVERYTHING_RANDOM,
            optimization={**constant, "epochs": 2, "early_stopping": 9},
            run=there,
            data={"cache_gb": 1},
        ),
        run.settings,
    )
    resume(read_manifest(data), run.path)
    assert_same_weights(whole, run)


def test_a_checkpoint_of_an_older_version_is_gone_on_with(
    data: Path, whole_run: RunFolder, tmp_path: Path
) -> None:
    _, run = copied(data, whole_run, tmp_path)
    state = torch.load(run.checkpoint, weights_only=True)
    for name in ("settings", "contents", "target_contents"):
        del state[name]
    del state["progress"]["first_weights"]
    torch.save(state, run.checkpoint)
    before = run.bundle.read_bytes()
    resume(read_manifest(data), run.path)
    assert run.bundle.read_bytes() == before


def test_what_a_killed_process_left_of_a_checkpoint_is_removed(
    data: Path, whole_run: RunFolder, tmp_path: Path
) -> None:
    _, run = copied(data, whole_run, tmp_path)
    left, mine = (run.checkpoint.parent / name for name in (".writing-abc.pt", "mine.pt"))
    for path in (left, mine):
        path.write_bytes(b"half")
    resume(read_manifest(data), run.path)
    assert not left.exists()
    assert mine.exists()


def test_the_average_of_all_weights_and_statistics_is_what_is_kept(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step keeps (1 + n) / (10 + n) of the average of n steps, at most the decay."""
    seen: list[dict[str, torch.Tensor]] = []
    step = Run._step

    def noted(run: Run, *batches: Any) -> float:
        loss = step(run, *batches)
        seen.append({k: v.detach().clone() for k, v in run.bare.network.state_dict().items()})
        return loss

    monkeypatch.setattr(Run, "_step", noted)
    decay = 0.3
    chosen = settings(optimization={"epochs": 1, "average_decay": decay, "learning_rate": 1e-2})
    found = weights(train(chosen, read_manifest(data), tmp_path / "run"))
    assert len(seen) == 5
    kept = [min(decay, (1 + n) / (10 + n)) for n in range(1, len(seen))]
    assert kept[0] < kept[1] < kept[2] == decay
    for name, first in seen[0].items():
        if not first.is_floating_point():
            assert torch.equal(found[name], seen[-1][name])
            continue
        average = first.double()
        for share, later in zip(kept, seen[1:], strict=True):
            average = share * average + (1 - share) * later[name].double()
        torch.testing.assert_close(found[name].double(), average, rtol=1e-5, atol=1e-6)
    last = seen[-1]
    for name in ("classify.weight", next(n for n in last if n.endswith("running_mean"))):
        assert not torch.allclose(found[name], last[name], rtol=1e-3, atol=1e-4), name


def test_a_model_says_where_its_first_weights_come_from(data: Path, tmp_path: Path) -> None:
    network = Segmenter(settings().model.architecture, bands=2, classes=2)
    source = tmp_path / "encoder.pth"
    torch.save(network.encoder.state_dict(), source)
    folder = RunFolder(tmp_path / "run")
    chosen = settings(model={"encoder_weights": str(source)}, optimization={"epochs": 1})
    Run(chosen, read_manifest(data), folder).start(overwrite=False)
    source.unlink()
    resume(read_manifest(data), folder.path)
    floats = sum(one.is_floating_point() for one in network.encoder.state_dict().values())
    text = f"{floats} of {floats} encoder weights from {source}"
    assert folder.read_summary()["first_weights"] == text
    assert folder.describe().splitlines()[0] == f"first weights: {text}"


def test_resuming_what_is_no_run_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no run folder"):
        resume(read_manifest(data), tmp_path)
