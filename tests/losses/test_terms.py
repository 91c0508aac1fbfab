from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from sarwater.losses.terms import BalancedCrossEntropyTerm, FocalTverskyTerm, LossTerm, TverskyTerm

TERM: TypeAdapter[LossTerm] = TypeAdapter(LossTerm)


def test_name_selects_the_term() -> None:
    assert TERM.validate_python({"name": "tversky", "fp_weight": 0.6}) == TverskyTerm(fp_weight=0.6)
    term = TERM.validate_python({"name": "balanced_cross_entropy", "alpha": [0.2, 0.9]})
    assert term == BalancedCrossEntropyTerm(alpha=(0.2, 0.9))
    assert FocalTverskyTerm().gamma == 4 / 3


@pytest.mark.parametrize(
    "term",
    [
        {"name": "cross_entropy", "weight": 0, "class_weights": [1, 8]},
        {"name": "focal", "gamma": 0, "alpha": 0.25},
        {"name": "focal", "alpha": [0.1, 0.4, 0.9]},
        {"name": "dice", "per_patch": True},
        {"name": "jaccard"},
        {"name": "focal_tversky", "gamma": 2},
    ],
)
def test_terms_survive_json(term: dict[str, Any]) -> None:
    parsed = TERM.validate_python(term)
    assert TERM.validate_json(TERM.dump_json(parsed)) == parsed


@pytest.mark.parametrize(
    ("term", "key"),
    [
        ({"name": "tverski"}, "tverski"),
        ({"name": "dice", "weight": -1}, "weight"),
        ({"name": "dice", "weight": "inf"}, "weight"),
        ({"name": "dice", "gamma": 2}, "gamma"),
        ({"name": "cross_entropy", "class_weights": [1]}, "class_weights"),
        ({"name": "cross_entropy", "class_weights": [1, -3]}, "class_weights"),
        ({"name": "cross_entropy", "class_weights": [0, 0]}, "class_weights"),
        ({"name": "balanced_cross_entropy"}, "alpha"),
        ({"name": "balanced_cross_entropy", "alpha": 1.2}, "alpha"),
        ({"name": "focal", "gamma": -0.1}, "gamma"),
        ({"name": "focal", "alpha": [0, 0]}, "alpha"),
        ({"name": "tversky", "fp_weight": -1}, "fp_weight"),
        ({"name": "tversky", "fp_weight": 0, "fn_weight": 0}, "fn_weight"),
        ({"name": "focal_tversky", "gamma": 0}, "gamma"),
    ],
)
def test_mistakes_are_named(term: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError, match=key):
        TERM.validate_python(term)


def test_terms_are_frozen_and_described() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TverskyTerm().fp_weight = 0.1  # type: ignore[misc]
    for definition in TERM.json_schema()["$defs"].values():
        for name, field in definition["properties"].items():
            assert name == "name" or field["description"]
