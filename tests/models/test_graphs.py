"""The network as ONNX: made once, kept, and run without torch."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from sarwater.engines import engine_for
from sarwater.models import graphs
from sarwater.models.bundle import Bundle, load_bundle, save_bundle
from sarwater.models.graphs import graph_of
from tests.tiny_models import PATCH, segmenter_bundle


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where graphs are kept in this test."""
    monkeypatch.setenv("SARWATER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphs"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_bundle(path, segmenter_bundle())
    return path


def forbid_making(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_bundle: Bundle) -> bytes:
        raise AssertionError("a graph is made although one is kept")

    monkeypatch.setattr(graphs, "_made", fail)


def test_a_graph_is_made_once(folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = graph_of(load_bundle(model))
    onnx.checker.check_model(onnx.load_model_from_string(first))
    forbid_making(monkeypatch)
    assert graph_of(load_bundle(model)) == first
    assert len(list(folder.iterdir())) == 1


def test_what_a_graph_depends_on_has_one_of_its_own(folder: Path, model: Path) -> None:
    bundle = load_bundle(model)
    seeded = replace(bundle, info=bundle.info.model_copy(update={"seed_margin": 1.0}))
    wider = replace(bundle, info=bundle.info.model_copy(update={"patch_size": 2 * PATCH}))
    other = model.with_name("other.safetensors")
    save_bundle(other, segmenter_bundle(seed_margin=0.5))
    made = {graph_of(one) for one in (bundle, seeded, wider, load_bundle(other))}
    assert len(made) == len(list(folder.iterdir())) == 4


def test_a_threshold_makes_no_other_graph(
    folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(model)
    graph_of(bundle)
    forbid_making(monkeypatch)
    graph_of(replace(bundle, info=bundle.info.model_copy(update={"threshold": 0.9})))
    assert len(list(folder.iterdir())) == 1


def test_weights_in_memory_are_not_kept(folder: Path, model: Path) -> None:
    # Their hash is that of the file they came from, or none.
    changed = {name: 2 * tensor for name, tensor in load_bundle(model).state.items()}
    graph_of(segmenter_bundle())
    assert graph_of(replace(load_bundle(model), state=changed)) != graph_of(load_bundle(model))
    assert len(list(folder.iterdir())) == 1


def test_a_damaged_file_is_made_anew(folder: Path, model: Path) -> None:
    graph = graph_of(load_bundle(model))
    (kept,) = folder.iterdir()
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    assert graph_of(load_bundle(model)) == graph
    assert kept.read_bytes() != bytes(content)


def test_without_a_folder_nothing_is_kept(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = graph_of(load_bundle(model))
    (model.parent / "file").write_text("in the way")
    for name in ("", str(model.parent / "file")):
        monkeypatch.setenv("SARWATER_CACHE", name)
        assert graph_of(load_bundle(model)) == graph
    assert (model.parent / "file").read_text() == "in the way"


def test_the_last_used_are_kept(folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    for age in range(20):
        (folder / f"{age}.graph").write_bytes(b"old")
        os.utime(folder / f"{age}.graph", (1e9 - age, 1e9 - age))
    monkeypatch.setattr(graphs, "_KEPT", 4)
    graph_of(load_bundle(model))
    names = {file.name for file in folder.iterdir()}
    assert len(names) == 4
    assert {"0.graph", "1.graph", "2.graph"} < names


def test_nothing_is_imported_from_the_folder_one_works_in(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = graph_of(load_bundle(model))
    for kept in folder.iterdir():
        kept.unlink()
    (tmp_path / "onnx.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(graphs, "_is_torch_loaded", lambda: False)
    assert graph_of(load_bundle(model)) == expected
    assert not (tmp_path / "run").exists()


def test_what_can_only_be_read_is_used(
    folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = graph_of(load_bundle(model))
    forbid_making(monkeypatch)

    def refuse(_path: Path) -> None:
        raise PermissionError("another user's")

    monkeypatch.setattr("os.utime", refuse)
    assert graph_of(load_bundle(model)) == expected
    assert folder.is_dir()


WITHOUT_TORCH = """
import sys
import numpy as np
from sarwater.models.bundle import load_bundle
from sarwater.prediction import PredictionOptions, Predictor

predictor = Predictor(load_bundle(sys.argv[1]), PredictionOptions(device="cpu"))
patches = np.load(sys.argv[2])
np.save(sys.argv[3], predictor.engine.predict(patches))
print([name for name in ("torch", "timm", "lightning") if name in sys.modules])
"""


def test_a_map_loads_no_torch(folder: Path, model: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(size=(2, 2, PATCH, PATCH)).astype(np.float32)
    np.save(tmp_path / "images.npy", images)
    expected = engine_for(segmenter_bundle(), device="cpu").predict(images)
    for name in ("made", "kept"):  # the first makes the graph in a process of its own
        out = tmp_path / f"{name}.npy"
        found = subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, model, tmp_path / "images.npy", out],
            capture_output=True,
            text=True,
            check=True,
        )
        assert found.stdout == "[]\n"
        np.testing.assert_allclose(np.load(out), expected, rtol=0, atol=1e-6)
        assert len(list(folder.iterdir())) == 1


def test_where_no_python_can_be_started_it_is_made_here(
    folder: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = graph_of(load_bundle(model))
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(graphs, "_is_torch_loaded", lambda: False)
    for program in (broken, tmp_path / "qgis-bin"):
        for kept in folder.iterdir():
            kept.unlink()
        monkeypatch.setattr(sys, "executable", str(program))
        assert graph_of(load_bundle(model)) == expected
