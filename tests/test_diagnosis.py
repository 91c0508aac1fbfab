"""What the doctor says of this machine, and of one where things are missing."""

import importlib
import json
import platform
import re
import shutil
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
import torch

from sarwater import diagnosis
from sarwater.cli import main
from sarwater.diagnosis import as_json, diagnose

ROOT = Path(__file__).parents[1]


def test_versions_are_those_of_the_packages() -> None:
    found = as_json(diagnose())
    assert found["works"] is True
    assert found["program"]["python"]["found"].startswith(platform.python_version())
    for name in ("torch", "rasterio", "segmentation-models-pytorch"):
        assert found["package"][name] == {"found": version(name), "advice": ""}
    assert {"auto", "openvino", "torch"} == set(found["engine"])
    assert set(found["accelerator"]) == (
        {f"cuda:{index}" for index in range(torch.cuda.device_count())} or {"cuda"}
    )


def test_every_package_that_is_asked_for_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[<>=,\[ ]", line)[0] for line in project["dependencies"]}
    monkeypatch.setattr(diagnosis, "requires", lambda _: project["dependencies"])
    found = {one.name: one for one in diagnose() if one.topic == "package"}
    assert names <= set(found)
    assert {"pillow", "pyyaml", "pystac"} <= names
    needed = {name for name, one in found.items() if one.is_needed}
    assert needed == names - {"openvino", "tensorboard"}  # it works without these, though worse
    assert {found[name].advice for name in names} == {""}


def test_without_a_record_of_what_it_needs_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_record(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(diagnosis, "requires", no_record)
    found = as_json(diagnose())
    assert found["works"] is False
    assert found["package"]["sarwater"]["found"] == "not installed"


def test_what_is_needed_and_missing_fails_with_a_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def without_timm(name: str) -> str:
        if name in ("timm", "torchgeo"):
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(diagnosis, "version", without_timm)
    assert main(["doctor"]) == 1
    said = capsys.readouterr()
    lines = said.out.splitlines()
    at = next(index for index, line in enumerate(lines) if " timm " in line)
    assert lines[at].startswith(" x timm")
    assert "pip install timm" in lines[at + 1]
    assert any(line.startswith(" ! torchgeo") for line in lines)
    assert "does not work without timm" in said.err


def test_a_package_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms\ndoes not exist")
        return importlib.__import__(name)

    monkeypatch.setattr(importlib, "import_module", broken)
    found = as_json(diagnose())
    assert found["works"] is False
    assert "torchvision::nms does not exist" in found["package"]["torchvision"]["advice"]


def test_an_engine_that_does_not_load_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> dict[str, str]:
        raise ImportError("libopenvino.so: cannot open")

    monkeypatch.setattr("sarwater.engines.engine_kinds_here", broken)
    assert "cannot open" in as_json(diagnose())["engine"]["auto"]["found"]


def test_a_full_disk_and_a_folder_that_is_not_there_are_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SARWATER_CACHE", str(tmp_path / "not" / "there"))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10**8))
    found = as_json(diagnose())["disk"]
    assert found["kept between runs"]["found"] == f"{tmp_path / 'not' / 'there'}, 0.1 GB free"
    assert "make room" in found["here"]["advice"]


def test_it_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["raster"]["COG"]["advice"] == ""


def test_a_cache_that_may_not_be_looked_into_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user whose HOME is another one's."""
    exists = Path.exists

    def guarded(path: Path) -> bool:
        if path.is_relative_to("/closed/away"):
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path)

    monkeypatch.setenv("SARWATER_CACHE", "/closed/away")
    monkeypatch.setattr(Path, "exists", guarded)
    found = as_json(diagnose())["disk"]["kept between runs"]
    assert found["found"].startswith("/closed/away, ")
