"""The notebooks run as they stand, with claims that hold, on the public interface alone."""

import ast
import importlib
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NAMES = ("adaptation_before_and_after", "losses_by_eye", "threshold_story")


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_those_that_the_documentation_names() -> None:
    assert tuple(path.stem for path in NOTEBOOKS) == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs_and_says_nothing_on_standard_error(path: Path, tmp_path: Path) -> None:
    notebook = read(path)
    # The asserts within check what the text claims; one that fails is an error of the cell.
    NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        resources={"metadata": {"path": tmp_path}},
        coalesce_streams=True,  # a kernel that is busy sends what one cell prints in pieces
    ).execute()
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    assert [one.text for one in outputs if one.get("name") == "stderr"] == []
    committed = [output for cell in code(read(path)) for output in cell.outputs]
    assert [one.output_type for one in outputs] == [one.output_type for one in committed]
    assert list(tmp_path.iterdir()) == []  # nothing is strewn about


def documented() -> set[str]:
    """The names on the pages of the reference."""
    pages = (FOLDER.parent / "docs" / "api").glob("*.md")
    return {name for page in pages for name in re.findall(r"^::: (\S+)", page.read_text(), re.M)}


def thing(name: str) -> object:
    """What a name in full stands for."""
    module, _, own = name.rpartition(".")
    return getattr(importlib.import_module(module), own)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_checks_its_claims_with_public_names(path: Path) -> None:
    trees = [ast.parse(cell.source) for cell in code(read(path))]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    assert sum(isinstance(node, ast.Assert) for node in nodes) >= 4
    imported = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    assert any((node.module or "").startswith("sarwater.") for node in imported)
    names = {f"{node.module}.{alias.name}" for node in imported for alias in node.names}
    known = {id(thing(name)) for name in documented()}
    ours = {name for name in names if name.startswith("sarwater.")}
    assert {name for name in ours if id(thing(name)) not in known} == set()
    own = [node.attr for node in nodes if isinstance(node, ast.Attribute)]
    assert [name for name in own if name.startswith("_")] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_committed_outputs_are_whole_small_and_of_no_machine(path: Path) -> None:
    notebook = read(path)
    nbformat.validate(notebook)
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [one for one in outputs if one.output_type == "error" or one.get("name") == "stderr"]
    assert path.stat().st_size < 500_000
    text = json.dumps([output for output in outputs if "data" not in output])
    assert not re.search(r"/(tmp|home|root|work|Users)/", text)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
