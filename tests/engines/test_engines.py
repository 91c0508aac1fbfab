"""The same numbers, whichever engine runs."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from sarwater.engines import Engine, engine_for
from sarwater.engines.torch_engine import torch_threads
from sarwater.errors import ConfigError, ModelError
from sarwater.models.bundle import Bundle
from sarwater.types import FloatArray
from tests.tiny_models import PATCH, segmenter_bundle

NAMES = ("openvino", "torch")


def patches(count: int = 3, bands: int = 2) -> FloatArray:
    generator = np.random.default_rng(1)
    return generator.normal(size=(count, bands, PATCH, PATCH)).astype(np.float32)


def reference(bundle: Bundle, images: FloatArray) -> FloatArray:
    """The softmax of the network's logits, in double precision."""
    with torch.inference_mode():
        logits = bundle.build().double()(torch.from_numpy(images).double())
    expected: FloatArray = logits.softmax(dim=1).numpy().astype(np.float32)
    return expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [("land", "water"), ("land", "water", "flood")])
@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_engines_give_the_softmax_of_the_logits(
    name: str, classes: tuple[str, ...], margin: float
) -> None:
    bundle = segmenter_bundle(classes=classes, seed_margin=margin)
    found = engine_for(bundle, engine=name, device="cpu").predict(patches())
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, reference(bundle, patches()), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_bfloat16_is_near(name: str) -> None:
    bundle = segmenter_bundle()
    exact = reference(bundle, patches())
    rough = engine_for(bundle, engine=name, device="cpu", precision="bfloat16").predict(patches())
    assert np.abs(rough - exact).max() < 0.05
    np.testing.assert_allclose(rough.sum(axis=1), 1, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_threads_that_call_at_once_get_their_own_answers(name: str) -> None:
    engine = engine_for(segmenter_bundle(), engine=name, device="cpu")
    images = patches(40)
    alone = [engine.predict(image[None]) for image in images]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda image: engine.predict(image[None]), images))
    np.testing.assert_array_equal(np.concatenate(together), np.concatenate(alone))
    assert all(not np.array_equal(a, b) for a, b in pairwise(alone))


def test_an_engine_says_what_it_is() -> None:
    names = [engine_for(segmenter_bundle(), engine=name, device="cpu").name for name in NAMES]
    assert names == ["openvino cpu float32", "torch cpu float32"]


def test_on_a_cpu_auto_is_openvino_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = segmenter_bundle()

    def chosen() -> Engine:
        return engine_for(bundle, device="cpu")

    assert chosen().name.startswith("openvino")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert chosen().name == "torch cpu float32"


def test_a_network_stays_in_its_mode_when_it_is_exported() -> None:
    from sarwater.models.exporting import to_onnx

    network = segmenter_bundle().build().train()
    to_onnx(network, 2, PATCH)
    assert network.training


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": "openvno"}, r"engine 'openvno' is unknown \(did you mean 'openvino'\?\)"),
        ({"precision": "int4"}, "precision 'int4' is unknown.*auto, float32, bfloat16"),
    ],
)
def test_an_unknown_name_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        engine_for(segmenter_bundle(), **options)


@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_a_device_that_is_not_there_is_no_fault_of_the_model(engine: str) -> None:
    with pytest.raises(ConfigError, match="device 'cuda:77' cannot be used here"):
        engine_for(segmenter_bundle(), engine=engine, device="cuda:77")


def test_threads_reach_the_engine_and_not_the_process() -> None:
    before = torch.get_num_threads()
    engine = engine_for(segmenter_bundle(), engine="torch", device="cpu", threads=before + 2)
    assert torch.get_num_threads() == before
    with torch_threads(before + 1):
        engine.predict(np.zeros((1, 2, PATCH, PATCH), np.float32))
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_openvino_and_another_device_do_not_go_together() -> None:
    with pytest.raises(ModelError, match="OpenVINO runs on the CPU here, but the device is 'meta'"):
        engine_for(segmenter_bundle(), engine="openvino", device="meta")


SIGNALLED = """
import os, signal, threading
from sarwater.engines import engine_for
from tests.tiny_models import segmenter_bundle

held = [engine_for(segmenter_bundle(), engine="openvino", device="cpu")]
thread = threading.Thread(target=held.clear)
thread.start()
thread.join()
spoiled = [bytes([255]) * size for size in range(4096, 16384)]
signal.signal(signal.SIGTERM, lambda *_: print("asked to end"))
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_an_engine_given_up_in_a_thread_leaves_signals_alone() -> None:
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SIGNALLED], capture_output=True, text=True
    )
    assert (finished.returncode, finished.stdout) == (0, "asked to end\n"), finished.stderr


def test_the_first_array_is_handed_over_before_threads_begin() -> None:
    """Two threads that do it first at the same time wait for each other forever."""
    script = """
import openvino as ov
from sarwater.engines import openvino_engine
handed, make = [], ov.Tensor
ov.Tensor = lambda *given, **named: handed.append(type(given[0]).__name__) or make(*given, **named)
openvino_engine.multiplies_in_bfloat16()
print(handed)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['ndarray']"
