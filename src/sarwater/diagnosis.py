"""What is installed and what it runs on: for users who ask whether it works, and for reports."""

import importlib
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from sarwater import __version__
from sarwater.files import cache_folder
from sarwater.machine import usable_cores

_ADVICE = {
    "torchvision": "pip install torchvision, of the version that fits torch",
}
"""What to do about a package that is needed and missing, where that is not said already."""
_WORTHWHILE = {
    "openvino": "pip install openvino: maps several times as fast on a CPU",
    "tensorboard": "pip install tensorboard: draws the curves of a run while it trains",
    "torchgeo": "pip install torchgeo: encoders trained on Sentinel-1, by their names",
    "mlflow": "pip install mlflow: keeps the curves of many runs (--loggers mlflow)",
    "wandb": "pip install wandb: keeps the curves of many runs (--loggers wandb)",
}
_MODULES = {
    "pillow": "PIL",
    "pyyaml": "yaml",
    "segmentation-models-pytorch": "segmentation_models_pytorch",
}
"""Names to import, where they are not those of the packages."""
_NAME = re.compile(r"[\w.-]+")
_DRIVERS = {"COG": "maps", "GPKG": "polygons", "FlatGeobuf": "polygons", "PNG": "quick-looks"}
_ROOM_GB = 2.0
"""Room on a disk under which a whole scene may not find a place."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    """program, package, accelerator, engine, machine, raster or disk."""
    name: str
    value: str
    """What was found, in words."""
    advice: str = ""
    """What to do about it; empty where nothing is to be done."""
    is_needed: bool = False
    """Whether the program does not work without it."""

    @property
    def is_failure(self) -> bool:
        """Whether something that is needed is missing."""
        return self.is_needed and bool(self.advice)


def diagnose() -> list[Finding]:
    """Look at versions, accelerator, engines, raster drivers, memory and disks."""
    return [
        Finding("program", "sarwater", __version__),
        Finding("program", "python", f"{platform.python_version()}, {sys.executable}"),
        *_packages(),
        *_accelerators(),
        *_engines(),
        *_machine(),
        *_drivers(),
        *_disks(),
    ]


def _packages() -> Iterator[Finding]:
    try:
        needed = _needed()
    except PackageNotFoundError:
        advice = "pip install sarwater, which brings the packages that it needs"
        yield Finding("package", "sarwater", "not installed", advice, is_needed=True)
        needed = {}
    for packages, is_needed in ((needed, True), (_WORTHWHILE, False)):
        for name, advice in packages.items():
            try:
                found = version(name)
            except PackageNotFoundError:
                yield Finding("package", name, "not installed", advice, is_needed)
                continue
            broken = _import_error(name)
            if broken:
                again = f"it does not load ({broken}); install it again: {advice}"
                yield Finding("package", name, found, again, is_needed)
            else:
                yield Finding("package", name, found, is_needed=is_needed)


def _needed() -> dict[str, str]:
    """Return the packages that sarwater says it needs, and how to get each."""
    names = [match[0] for text in requires("sarwater") or () if (match := _NAME.match(text))]
    return {
        name: _ADVICE.get(name, f"pip install {name}") for name in names if name not in _WORTHWHILE
    }


def _import_error(package: str) -> str:
    """Load a package: one of a version that does not fit fails only then."""
    try:
        importlib.import_module(_MODULES.get(package, package))
    except Exception as error:  # packages fail in every way
        return " ".join(str(error).split())[:200] or type(error).__name__
    return ""


def _accelerators() -> Iterator[Finding]:
    try:
        import torch

        names = [
            f"{torch.cuda.get_device_name(index)}, "
            f"{torch.cuda.get_device_properties(index).total_memory / 2**30:.0f} GiB"
            for index in range(torch.cuda.device_count())
        ]
    except Exception as error:  # a driver that does not fit
        advice = "check the driver, and that torch is built for it"
        yield Finding("accelerator", "cuda", " ".join(str(error).split())[:200], advice)
        return
    for index, name in enumerate(names):
        yield Finding("accelerator", f"cuda:{index}", name)
    if not names:
        yield Finding("accelerator", "cuda", "none found; the CPU trains and maps")


def _engines() -> Iterator[Finding]:
    try:
        from sarwater.engines import engine_kinds_here

        found = engine_kinds_here()
    except Exception as error:  # a library that is there and does not load
        advice = "see the packages above; without an engine nothing is mapped"
        yield Finding("engine", "auto", " ".join(str(error).split())[:200], advice)
        return
    for name, said in found.items():
        yield Finding("engine", name, said)


def _machine() -> Iterator[Finding]:
    yield Finding("machine", "system", platform.platform())
    usable, there = usable_cores(), os.cpu_count() or 1
    of_all = "" if usable == there else f" of {there}; the others are not for this process"
    yield Finding("machine", "cores", f"{usable}{of_all}")
    memory = _memory_gib()
    if memory is not None:
        few = "maps take 1 GiB, trainings some more: close other programs" if memory < 4 else ""
        yield Finding("machine", "memory", f"{memory:.1f} GiB", few)


def _memory_gib() -> float | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (AttributeError, ValueError, OSError):  # not POSIX
        return None


def _drivers() -> Iterator[Finding]:
    try:
        import pyogrio

        from sarwater.raster import gdal_drivers, gdal_version
    except ImportError:
        return  # said among the packages
    there = gdal_drivers() | set(pyogrio.list_drivers(write=True))
    yield Finding("raster", "GDAL", gdal_version())
    for driver, use in _DRIVERS.items():
        advice = "" if driver in there else "install rasterio and pyogrio from wheels (pip)"
        found = "there" if driver in there else "missing"
        yield Finding("raster", driver, f"{found} ({use})", advice, is_needed=True)


def _disks() -> Iterator[Finding]:
    folders = {"temporary files": Path(tempfile.gettempdir()), "here": Path.cwd()}
    kept = cache_folder()
    if kept is not None:
        folders["kept between runs"] = kept
    for name, folder in folders.items():
        there = next(one for one in (folder, *folder.parents) if _can_be_seen(one))
        free = shutil.disk_usage(there).free / 1e9
        advice = f"make room: a whole scene needs some {_ROOM_GB:.0f} GB" if free < _ROOM_GB else ""
        if not os.access(there, os.W_OK):
            advice = "it cannot be written; name another folder (TMPDIR, SARWATER_CACHE, --out)"
        yield Finding("disk", name, f"{folder}, {free:.1f} GB free", advice)


def _can_be_seen(folder: Path) -> bool:
    try:
        return folder.exists()
    except PermissionError:  # it lies in a folder that may not be entered
        return False


def as_json(findings: list[Finding]) -> dict[str, Any]:
    """Return the findings by topic and name, and whether all that is needed is there."""
    topics: dict[str, Any] = {}
    for one in findings:
        topics.setdefault(one.topic, {})[one.name] = {"found": one.value, "advice": one.advice}
    return {"works": not any(one.is_failure for one in findings), **topics}
