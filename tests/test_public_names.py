import ast
from pathlib import Path

import pytest

import sarwater


def imported_for_types() -> dict[str, str]:
    """The module of each name, as a type checker sees it."""
    tree = ast.parse(Path(sarwater.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    found = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: f"{node.module}" for node in found for alias in node.names}


def test_all_names_are_there_and_are_what_their_modules_say() -> None:
    modules = imported_for_types()
    assert {*modules, "__version__"} == set(sarwater.__all__)
    assert {name: f"sarwater.{home}" for name, home in sarwater._MODULES.items()} == modules
    for name in sarwater.__all__:
        assert getattr(sarwater, name) is not None
    assert set(sarwater.__all__) <= set(dir(sarwater))


def test_no_other_name_is_made_up() -> None:
    with pytest.raises(AttributeError, match="no attribute 'maps'"):
        _ = sarwater.maps
