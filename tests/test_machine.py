"""Cores that a process may use are not those of the machine; memory is not told everywhere."""

import os
import sys
from pathlib import Path

import pytest

from sarwater import diagnosis, machine
from sarwater.datasets import headers
from sarwater.engines import openvino_engine
from sarwater.machine import peak_memory, usable_cores
from sarwater.mapping import fleet


@pytest.fixture
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


@pytest.mark.usefixtures("many_cores")
@pytest.mark.parametrize(
    ("limits", "cores"),
    [
        ({}, 16),
        ({"job/step": "max 100000"}, 16),
        ({"job/step": "250000 100000"}, 3),
        ({"job": "400000 100000", "job/step": "max 100000"}, 4),
        ({"job": "200000 100000", "job/step": "800000 100000"}, 2),
        ({".": "50000 100000"}, 1),
        ({"other": "100000 100000", "job/step": "nonsense"}, 16),
    ],
)
def test_a_container_has_the_share_that_it_was_given(
    limits: dict[str, str], cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups, own = tmp_path / "groups", tmp_path / "own"
    (groups / "job" / "step").mkdir(parents=True)
    (groups / "other").mkdir()
    for folder, text in limits.items():
        (groups / folder / "cpu.max").write_text(text + "\n")
    own.write_text("5:devices:/\n0::/job/step\n")
    monkeypatch.setattr(machine, "_CGROUPS", groups)
    monkeypatch.setattr(machine, "_OWN_CGROUP", own)
    assert usable_cores() == cores


@pytest.mark.usefixtures("many_cores")
def test_without_affinity_and_control_groups_all_cores_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(machine, "_OWN_CGROUP", tmp_path / "none")
    assert usable_cores() == 64


@pytest.mark.usefixtures("many_cores")
def test_the_doctor_says_both_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_OWN_CGROUP", tmp_path / "none")
    found = {one.name: one.value for one in diagnosis._machine()}
    assert found["cores"].startswith("16 of 64; ")


def test_all_that_share_cores_count_the_same_ones() -> None:
    for module in (diagnosis, headers, openvino_engine, fleet):
        assert vars(module)["usable_cores"] is usable_cores


def test_the_peak_of_memory_is_of_this_process() -> None:
    before = peak_memory()
    assert before is not None
    held = bytearray(before + (64 << 20))
    after = peak_memory()
    assert after is not None
    assert after > len(held)


def test_where_the_system_tells_no_peak_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert peak_memory() is None
