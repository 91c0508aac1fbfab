"""What the site adds to MkDocs: formulas, doctests in the reference, plots."""

import doctest
import importlib.util
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.reading import ROOT


def module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / "docs" / path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


FORMULAS = module("hooks/formulas.py")


def text_of(tex: str) -> str:
    """The formula's letters in order, which are read aloud."""
    return "".join(ET.fromstring(FORMULAS.mathml(tex)).itertext())


@pytest.mark.parametrize("path", ["hooks/formulas.py", "hooks/docstrings.py"])
def test_doctests(path: str) -> None:
    result = doctest.testmod(module(path))
    assert result.attempted
    assert not result.failed


def test_a_fraction_has_its_two_halves() -> None:
    tree = ET.fromstring(FORMULAS.mathml(r"\frac{a + 1}{2 b}"))
    fraction = tree[0]
    assert fraction.tag == "mfrac"
    assert ["".join(half.itertext()) for half in fraction] == ["a+1", "2b"]


def test_scripts_belong_to_what_stands_before_them() -> None:
    tree = ET.fromstring(FORMULAS.mathml(r"c_k^2 + (1 - p)^\gamma"))
    assert [child.tag for child in tree] == ["msubsup", "mo", "mo", "mn", "mo", "mi", "msup"]
    assert ["".join(part.itertext()) for part in tree[0]] == ["c", "k", "2"]


def test_sums_have_their_limits_below() -> None:
    tree = ET.fromstring(FORMULAS.mathml(r"\sum_{i \in \text{water}} f_i"))
    assert tree[0].tag == "munder"
    assert "".join(tree[0].itertext()) == "∑i∈water"


def test_signs_are_those_of_print() -> None:
    assert text_of(r"-\ln p < 0.5") == "−lnp<0.5"


@pytest.mark.parametrize("tex", [r"\frac{1}", r"\beta", "{a", "a}", "a^1^2", "a_"])
def test_what_is_not_understood_is_an_error(tex: str) -> None:
    with pytest.raises(ValueError, match="formula"):
        FORMULAS.mathml(tex)


def test_blocks_and_lines_are_found_and_code_is_left() -> None:
    page = "Take $`x`$.\n\n```math\ny\n```\n\n```sh\necho $`x`\n```\n"
    made = FORMULAS.on_page_markdown(page)
    assert made.count("<math") == 2
    assert "```sh\necho $`x`\n```" in made


def test_the_plots_are_drawn_by_the_script_and_shown(tmp_path: Path) -> None:
    figures = module("figures/losses.py")
    figures.main(tmp_path)
    shown = set(re.findall(r"images/(losses_\w+\.svg)", (ROOT / "docs" / "losses.md").read_text()))
    assert {path.name for path in tmp_path.iterdir()} == shown == set(figures.FIGURES)
    for name in shown:
        drawn, kept = (ET.parse(folder / name) for folder in (tmp_path, ROOT / "docs" / "images"))
        assert len(list(drawn.iter())) == len(list(kept.iter())), f"{name}: draw it again"
