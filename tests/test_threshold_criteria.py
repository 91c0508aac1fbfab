import pytest

from sarwater.config.training import RunSettings
from sarwater.errors import DataError
from sarwater.evaluation.scores import choose_threshold
from sarwater.threshold_criteria import parse_criterion
from tests.evaluation_cases import random_evaluation


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ("f1", ("f1", None)),
        ("F1", ("f1", None)),
        ("IoU", ("iou", None)),
        ("balanced", ("balanced", None)),
        ("precision>=0.5", ("precision", 0.5)),
        ("precision >= .5", ("precision", 0.5)),
        ("recall>=1.0", ("recall", 1.0)),
        ("recall>=0", ("recall", 0.0)),
    ],
)
def test_settings_and_scores_take_the_same_criteria(
    criterion: str, expected: tuple[str, float | None]
) -> None:
    assert parse_criterion(criterion) == expected
    assert RunSettings(criterion=criterion).criterion == criterion
    choose_threshold(random_evaluation().counts, criterion)


REFUSED = (
    *("f2", "", "precision", "precision>0.5", "precision>=P", "recall>=1.01", "recall>=-1"),
    *("recall>=nan", "f1>=0.5", ">=0.5", "precision>=.9>=.8"),
)


@pytest.mark.parametrize("criterion", REFUSED)
def test_settings_and_scores_refuse_the_same(criterion: str) -> None:
    with pytest.raises(DataError, match="unknown criterion"):
        parse_criterion(criterion)
    with pytest.raises(ValueError, match="unknown criterion"):
        RunSettings(criterion=criterion)
    with pytest.raises(DataError, match="unknown criterion"):
        choose_threshold(random_evaluation().counts, criterion)
