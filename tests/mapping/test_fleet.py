"""Scenes on a real scheduler with processes of its own, one of which is killed."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import LocalCluster

from sarwater.errors import ConfigError
from sarwater.mapping import fleet
from sarwater.mapping.fleet import map_fleet
from sarwater.mapping.inputs import SceneSource
from sarwater.mapping.options import MapOptions
from sarwater.mapping.scenes import map_scenes
from sarwater.models.bundle import Bundle, load_bundle, save_bundle
from sarwater.prediction import PredictionOptions, Predictor
from sarwater.types import FloatArray
from tests.conftest import CRS, TifMaker
from tests.tiny_models import segmenter_bundle

TORCH = PredictionOptions(engine="torch", device="cpu", threads=1, batch_size=8)


def decibels(seed: int, height: int = 200, width: int = 70) -> FloatArray:
    return np.random.default_rng(seed).uniform(-30, 2, (2, height, width)).astype(np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "water.safetensors"
    save_bundle(path, segmenter_bundle())
    return path


@pytest.fixture
def sources(make_tif: TifMaker) -> list[SceneSource]:
    files = [
        make_tif(f"s{number}.tif", decibels(number), crs=CRS, bands=("VV", "VH"))
        for number in range(4)
    ]
    return [SceneSource((file,)) for file in files]


def content(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.suffix == ".tif"}


def test_a_fleet_makes_the_maps_that_one_process_makes(
    sources: list[SceneSource], model: Path, tmp_path: Path, make_tif: TifMaker
) -> None:
    wrong = SceneSource((make_tif("wrong.tif", decibels(9), crs=CRS, bands=("HH", "HV")),))
    said: list[str] = []
    out = tmp_path / "fleet"
    found = map_fleet([*sources, wrong], model, TORCH, out, workers=2, say=said.append)
    assert [one["scene"] for one in found.summaries] == ["s0", "s1", "s2", "s3"]
    ((name, error),) = found.failures
    assert name == "wrong"
    assert "VV" in str(error)
    alone = tmp_path / "alone"
    map_scenes(sources, Predictor(load_bundle(model), TORCH), alone, say=said.append)
    assert content(out) == content(alone)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    again = map_fleet(sources, model, TORCH, out, workers=2, say=said.append)
    assert [one["scene"] for one in again.summaries] == ["s0", "s1", "s2", "s3"]
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    assert "s2: is mapped already, with the same settings" in said


def test_maps_of_other_settings_are_named_and_stay(
    sources: list[SceneSource], model: Path, tmp_path: Path
) -> None:
    map_scenes(sources[:1], Predictor(load_bundle(model), TORCH), tmp_path / "out")
    before = content(tmp_path / "out")
    options = MapOptions(threshold=0.9)
    found = map_fleet(sources[:2], model, TORCH, tmp_path / "out", options, workers=2)
    assert [name for name, _ in found.failures] == ["s0"]
    assert "from other settings" in str(found.failures[0][1])
    assert [one["scene"] for one in found.summaries] == ["s1"]
    assert content(tmp_path / "out").items() >= before.items()


WORKER = """
import itertools, os, signal, sys
from pathlib import Path
from sarwater import stitching
from sarwater.mapping import making

making._BETWEEN_NOTES = 0.0
calls, original = itertools.count(1), stitching._Work.predict


def die_once(*arguments):
    if next(calls) == 5:  # in the midst of the first scene
        try:
            os.close(os.open(sys.argv[2], os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass  # the other one was first
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments)


stitching._Work.predict = die_once
from distributed.cli.dask_worker import main
main([sys.argv[1], "--no-nanny", "--nthreads", "1", "--no-dashboard"])
"""
"""The first of the workers that is in the midst of a scene kills itself."""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A scheduler and two workers, each a process; address, and a file that tells of a death."""
    mark = tmp_path / "killed"
    file = tmp_path / "scheduler.json"
    command = [sys.executable, "-W", "ignore", "-m", "distributed.cli.dask_scheduler"]
    command += ["--port", "0", "--host", "127.0.0.1", "--no-dashboard"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen([*command, "--scheduler-file", str(file)], **quiet)]
    try:
        address = wait_for(lambda: json.loads(file.read_text())["address"])
        for _ in range(2):
            started = [sys.executable, "-W", "ignore", "-c", WORKER, address, str(mark)]
            processes.append(subprocess.Popen(started, **quiet))
        yield address, mark
    finally:
        for process in processes:
            process.kill()
            process.wait()


def wait_for(answer: Any, seconds: float = 60) -> Any:
    """Return what ``answer`` returns once it does not fail and is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = answer()
        except (OSError, ValueError, KeyError):
            found = None
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("nothing came in time")


def test_a_killed_worker_loses_nothing_and_does_nothing_twice(
    sources: list[SceneSource], model: Path, tmp_path: Path, cluster: tuple[str, Path]
) -> None:
    address, mark = cluster
    said: list[str] = []
    out = tmp_path / "out"
    found = map_fleet(sources, model, TORCH, out, scheduler=address, say=said.append)
    assert mark.exists()
    assert found.failures == ()
    assert [one["scene"] for one in found.summaries] == ["s0", "s1", "s2", "s3"]
    assert len([text for text in said if "goes on at row" in text]) == 1
    assert not list(out.glob(".mapping-*"))
    alone = tmp_path / "alone"
    map_scenes(sources, Predictor(load_bundle(model), TORCH), alone, say=said.append)
    assert content(out) == content(alone)


def test_threads_of_one_worker_share_a_model(
    sources: list[SceneSource], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `dask worker` starts them where nothing else is asked for."""
    loaded = []

    def slowly(path: Path) -> Bundle:
        loaded.append(path)
        time.sleep(0.2)
        return load_bundle(path)

    monkeypatch.setattr(fleet, "load_bundle", slowly)
    with LocalCluster(
        n_workers=1, threads_per_worker=4, processes=False, memory_limit=0, dashboard_address=":0"
    ) as cluster:
        address = cluster.scheduler_address
        found = map_fleet(sources, model, TORCH, tmp_path / "fleet", scheduler=address)
    assert found.failures == ()
    assert len(loaded) == 1
    assert fleet._predictor.cache_info().currsize == 0  # nothing stays on the worker
    map_scenes(sources, Predictor(load_bundle(model), TORCH), tmp_path / "alone")
    assert content(tmp_path / "fleet") == content(tmp_path / "alone")


def test_no_scene_is_no_trouble(model: Path, tmp_path: Path) -> None:
    options = PredictionOptions(engine="torch", device="cpu")
    found = map_fleet([], model, options, tmp_path / "out")
    assert found == map_scenes([], Predictor(load_bundle(model), options), tmp_path / "out")
    assert (found.summaries, found.failures) == ((), ())


def test_a_scheduler_that_does_not_answer_is_named(
    sources: list[SceneSource], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sarwater.mapping.fleet._PATIENCE", 1)
    with pytest.raises(ConfigError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        map_fleet(sources, model, TORCH, tmp_path / "out", scheduler="tcp://127.0.0.1:9")


def test_a_scheduler_without_workers_is_named(
    sources: list[SceneSource], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sarwater.mapping.fleet._PATIENCE", 1)
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
        pytest.raises(ConfigError, match=r"scheduler at .* has no worker"),
    ):
        map_fleet(sources, model, TORCH, tmp_path / "out", scheduler=cluster.scheduler_address)


def test_no_workers_are_refused(sources: list[SceneSource], model: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="workers: 1 or more, found 0"):
        map_fleet(sources, model, TORCH, tmp_path / "out", workers=0)


def test_links_keep_their_names(model: Path, tmp_path: Path, make_tif: TifMaker) -> None:
    """Two links to files of one name, as archives by content and by date have them."""
    links = []
    for number, name in enumerate(("delta", "low")):
        file = make_tif(f"day{number}/vv.tif", decibels(number), crs=CRS, bands=("VV", "VH"))
        links.append(tmp_path / f"{name}.tif")
        links[-1].symlink_to(file)
    sources = [SceneSource((link,)) for link in links]
    found = map_fleet(sources, model, TORCH, tmp_path / "fleet", workers=2)
    assert [one["scene"] for one in found.summaries] == ["delta", "low"]
    map_scenes(sources, Predictor(load_bundle(model), TORCH), tmp_path / "alone")
    assert content(tmp_path / "fleet") == content(tmp_path / "alone")


def test_workers_that_stay_see_a_model_that_was_written_anew(
    sources: list[SceneSource], model: Path, tmp_path: Path
) -> None:
    with LocalCluster(
        n_workers=1, threads_per_worker=1, memory_limit=0, dashboard_address=":0"
    ) as cluster:
        for margin in (0.0, 2.0):
            save_bundle(model, segmenter_bundle(seed_margin=margin), overwrite=True)
            found = map_fleet(
                sources[:1],
                model,
                TORCH,
                tmp_path / "out",
                MapOptions(overwrite=True),
                scheduler=cluster.scheduler_address,
            )
            (summary,) = found.summaries
            assert summary["provenance"]["MODEL_HASH"] == load_bundle(model).hash
            assert summary["provenance"]["SEED_MARGIN"] == repr(margin)
