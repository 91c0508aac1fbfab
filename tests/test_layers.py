"""The house: what may import what, read from the sources."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sarwater

ROOT = Path(sarwater.__file__).parent

ORDER = (
    "__init__",
    "errors",
    "types",
    "files",
    "tables",
    "termination",
    "threshold_criteria",
    "ranks",
    "quiet",
    "machine",
    "normalization_kinds",
    "engine_kinds",
    "losses.terms",
    "models.architecture",
    "config",
    "progress",
    "palette",
    "smoothing",
    "units",
    "datasets.records",
    "datasets.manifest",
    "raster",
    "normalize",
    "tiling",
    "ratios",
    "datasets",
    "inspection",
    "losses",
    "models",
    "engines",
    "diagnosis",
    "stitching",
    "prediction",
    "evaluation",
    "adaptation",
    "mapping",
    "report",
    "training",
    "cli",
    "__main__",
)
"""From the ground up: a module imports only what stands before it, or beside it in its package.

A name with a dot stands for itself, any other for a module or a whole package.
"""

FUNCTION_LINES = 60
"""Longest function, its docstring not counted."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Names of the modules below the package, and what they say."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)
        yield name, ast.parse(path.read_text(encoding="utf-8"))


SOURCES = dict(sources())

LAZY = "__init__"
"""Offers names of modules far above it, and imports none before it is asked."""


def imports(tree: ast.AST) -> set[str]:
    """Every module that is imported, inside functions and for types too."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name their modules in full"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own(name: str) -> str | None:
    """The module of this package that an imported name is of."""
    parts = name.split(".")
    if parts[0] != "sarwater":
        return None
    for end in range(len(parts), 1, -1):
        if ".".join(parts[1:end]) in SOURCES:
            return ".".join(parts[1:end])
    return "__init__"


DEPENDENCIES = {
    name: {found for found in map(own, imports(tree)) if found not in (None, name)}
    for name, tree in SOURCES.items()
    if name != LAZY
}
DEPENDENCIES[LAZY] = set()


def level(name: str) -> int:
    """Where a module stands in the order."""
    if name in ORDER:
        return ORDER.index(name)
    package = name.split(".")[0]
    assert package in ORDER, f"the new module '{name}' needs a place in ORDER"
    return ORDER.index(package)


@pytest.mark.parametrize("name", SOURCES)
def test_imports_go_down_only(name: str) -> None:
    upward = {
        found
        for found in DEPENDENCIES[name]
        if found is not None
        and level(found) >= level(name)
        and not (level(found) == level(name) and name.split(".")[0] == found.split(".")[0])
    }
    assert upward == set()


def test_there_is_no_circle() -> None:
    list(graphlib.TopologicalSorter(DEPENDENCIES).static_order())


def test_the_order_names_what_there_is() -> None:
    assert len(set(ORDER)) == len(ORDER)
    there = set(SOURCES) | {name.split(".")[0] for name in SOURCES}
    assert set(ORDER) - there == set()


def test_only_raster_opens_rasters() -> None:
    users = {
        name.split(".")[0]
        for name, tree in SOURCES.items()
        if any(found.split(".")[0] in ("rasterio", "osgeo") for found in imports(tree))
    }
    assert users == {"raster"}


def test_no_command_is_imported_by_a_library_module() -> None:
    for name, found in DEPENDENCIES.items():
        if not name.startswith("cli") and name != "__main__":
            assert not any((module or "").startswith("cli") for module in found)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("__init__", "torch rasterio numpy pydantic"),
        ("errors", "torch rasterio numpy pydantic"),
        ("config", "torch rasterio numpy scipy"),
        ("types", "torch rasterio scipy"),
        ("files", "torch rasterio numpy"),
        ("normalize", "torch rasterio scipy"),
        ("tiling", "torch rasterio scipy"),
        ("datasets.manifest", "torch rasterio scipy"),
        ("evaluation.counts", "torch rasterio"),
        ("raster", "torch"),
        ("training.sampling", "torch rasterio"),
        ("losses.functional", "rasterio lightning"),
        ("models.bundle", "rasterio lightning"),
    ],
)
def test_what_a_module_costs(module: str, absent: str) -> None:
    code = (
        f"import sys, sarwater.{module}; "
        f"print([name for name in {absent.split()!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_pickle_is_opened_and_no_code_is_built() -> None:
    for name, tree in SOURCES.items():
        assert not {"pickle", "joblib", "dill"} & {found.split(".")[0] for found in imports(tree)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            assert called not in ("eval", "exec", "yaml.load", "yaml.unsafe_load"), name
            if called == "torch.load":
                options = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert options.get("weights_only") == "True", name


@pytest.mark.parametrize("name", SOURCES)
def test_functions_are_short(name: str) -> None:
    for node in ast.walk(SOURCES[name]):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None
            docstring = ast.get_docstring(node, clean=False)
            lines = node.end_lineno - node.lineno + 1
            lines -= docstring.count("\n") + 1 if docstring else 0
            assert lines <= FUNCTION_LINES, f"{name}.{node.name}"
