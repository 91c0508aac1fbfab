"""Every shipped experiment is one that the present settings understand."""

from pathlib import Path

import pytest

from sarwater.config import TrainSettings, build_settings, merge, read_yaml

FOLDER = Path(__file__).parents[1] / "experiments"
PRESETS = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.name)
def test_a_preset_is_understood_and_says_how_to_run_it(path: Path) -> None:
    build_settings(TrainSettings, read_yaml(path), str(path))
    head = [line for line in path.read_text().splitlines() if line.startswith("#")]
    assert any("command:" in line for line in head)


COMPARED = sorted((FOLDER / "comparisons").glob("*.yaml"))


@pytest.mark.parametrize("path", COMPARED, ids=lambda path: path.name)
def test_a_comparison_changes_one_concern_of_the_base(path: Path) -> None:
    base, changes = read_yaml(FOLDER / "comparisons" / "base.yaml"), read_yaml(path)
    build_settings(TrainSettings, merge(base, changes), str(path))
    head = path.read_text().split("\n")[1]
    assert head.startswith("# command: python experiments/compare_recipes.py")
    if path.stem not in ("base", "cross_entropy"):
        assert len(changes) == 1
        assert merge(base, changes) != base


def test_the_founding_recipe_is_one_preset() -> None:
    found = build_settings(TrainSettings, read_yaml(FOLDER / "deeplab_dann.yaml"), "preset")
    terms = {term.name: term for term in found.loss.terms}
    assert list(terms) == ["cross_entropy", "tversky"]
    assert terms["tversky"].model_dump(include={"fp_weight", "fn_weight"}) == {
        "fp_weight": 0.7,
        "fn_weight": 0.3,
    }
    assert found.loss.learned_weights
    assert [method.name for method in found.adaptation.methods] == ["dann"]
    assert found.adaptation.losses == {"dann": 1.0}
