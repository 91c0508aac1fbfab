"""A model's network as ONNX, made once and kept: making it loads torch, running it does not."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sarwater.errors import SarwaterError
from sarwater.files import atomic_path, cache_folder
from sarwater.models.bundle import Bundle, ModelInfo, StoredWeights, load_bundle
from sarwater.progress import step

_KEPT = 16
"""Graphs that are kept, the last ones used; each has the size of its model."""

_DIGEST = hashlib.sha256().digest_size
"""Bytes at the beginning of the file by which damage is seen."""

_MAKERS = ("onnx", "segmentation-models-pytorch", "timm", "torch")
"""Packages whose versions a graph depends on."""


def graph_of(bundle: Bundle) -> bytes:
    """Return an ONNX model from normalized patches to the probability of each class.

    That of a model file is taken from the folder of kept graphs, or made and put there. Where
    torch is not loaded already it is made in a process of its own, so that this one stays small.
    A folder that cannot be read or written is passed over.

    Raises:
        ModelError: the weights do not fit the described network.
    """
    place = _place(bundle)
    if place is None:
        return _made_here(bundle)
    graph = _kept(place)
    if graph is None:
        graph = _made(bundle)
        _keep(graph, place)
    return graph


def _made_here(bundle: Bundle) -> bytes:
    from sarwater.models.exporting import to_onnx

    return to_onnx(bundle.build(), len(bundle.info.bands), bundle.info.window_size)


def _made(bundle: Bundle) -> bytes:
    if _is_torch_loaded() or bundle.path is None or not _runs_python():
        return _made_here(bundle)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "graph.onnx"
        # -P: nothing is imported from the folder that the user works in.
        command = [sys.executable, "-P", "-W", "ignore", "-m", __name__, str(bundle.path), str(out)]
        described = bundle.info.model_dump_json().encode()
        with step("making the network ready, once", None):
            done = subprocess.run(command, input=described, capture_output=True, check=False)
        # The file may have changed in the meantime; what fails there is said by trying here.
        if done.returncode or done.stdout.decode().strip() != bundle.hash:
            return _made_here(bundle)
        return out.read_bytes()


def _is_torch_loaded() -> bool:
    return "torch" in sys.modules


def _runs_python() -> bool:
    """Tell whether the program of this process is Python, not one that has Python in it."""
    return Path(sys.executable or "").stem.lower().startswith("python")


def _place(bundle: Bundle) -> Path | None:
    """Return where a graph is kept; None where it is not."""
    folder = cache_folder()
    if folder is None or not isinstance(bundle.state, StoredWeights):
        return None
    info = bundle.info
    parts = {
        "weights": bundle.state.hash,
        "architecture": info.architecture.model_dump(),
        "shape": (len(info.bands), len(info.classes), info.window_size),
        "seed_margin": info.seed_margin,
        "makers": [_version(name) for name in _MAKERS],
        "sources": _sources_hash(),
    }
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return folder / "graphs" / f"{key[:32]}.graph"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _sources_hash() -> str:
    """Return a hash of the modules that make a graph, which may change between versions."""
    found = hashlib.sha256()
    for file in sorted(Path(__file__).parent.glob("*.py")):
        found.update(file.read_bytes())
    return found.hexdigest()


def _kept(place: Path) -> bytes | None:
    """Return a kept graph; None where there is none, or the file is damaged."""
    try:
        content = place.read_bytes()
    except OSError:
        return None
    with suppress(OSError):  # another user's, or on a file system that is read-only
        os.utime(place)
    digest, graph = content[:_DIGEST], content[_DIGEST:]
    return graph if hashlib.sha256(graph).digest() == digest else None


def _keep(graph: bytes, place: Path) -> None:
    try:
        with atomic_path(place, overwrite=True) as aside:
            aside.write_bytes(hashlib.sha256(graph).digest() + graph)
        by_use = sorted(place.parent.glob("*.graph"), key=lambda file: file.stat().st_mtime)
        for file in by_use[:-_KEPT]:
            file.unlink(missing_ok=True)
    except (SarwaterError, OSError):
        pass  # a folder that is full or read-only: the graph is made anew next time


def _main() -> None:
    """Make the graph of the model file argv[1] in argv[2], and print the hash of the model."""
    from dataclasses import replace

    bundle = load_bundle(sys.argv[1])
    info = ModelInfo.model_validate_json(sys.stdin.buffer.read())
    Path(sys.argv[2]).write_bytes(_made_here(replace(bundle, info=info)))
    print(bundle.hash)


if __name__ == "__main__":
    _main()
