"""What commands offer is what the library knows, in its order."""

from sarwater.cli import choices
from sarwater.datasets.indexing import LAYOUTS
from sarwater.evaluation.baselines import Method
from sarwater.types import Units


def test_commands_offer_all_that_there_is() -> None:
    assert tuple(Units) == choices.UNITS
    assert tuple(LAYOUTS) == choices.LAYOUTS
    assert tuple(Method) == choices.BASELINES
