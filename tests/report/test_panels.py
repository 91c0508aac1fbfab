from pathlib import Path

import numpy as np
from PIL import Image

from sarwater.evaluation.chips import Observed
from sarwater.evaluation.counts import confusion_matrix
from sarwater.report.panels import ROWS, WorstPanels
from sarwater.types import Chip, Grid, Units


def observed(name: str, found: int, missed: int, false: int, side: int = 16) -> Observed:
    """A chip with so many pixels found, missed and falsely called water."""
    target, predicted = np.zeros((2, side * side), np.uint8)
    target[: found + missed] = 1
    predicted[:found] = 1
    predicted[found + missed : found + missed + false] = 1
    shape = (side, side)
    image = np.random.default_rng(0).normal(-12, 3, (2, *shape)).astype(np.float32)
    target, predicted = target.reshape(shape), predicted.reshape(shape)
    everywhere = np.full(shape, True)
    chip = Chip(name, "d", ("VV", "VH"), Units.DB, image, everywhere, target, Grid(*shape))
    matrix = confusion_matrix(predicted, target, everywhere, 2)
    return Observed(chip, predicted, everywhere, matrix, predicted.astype(np.float32))


def names(panels: WorstPanels) -> list[list[str]]:
    return [[panel.title.split()[0] for panel in listed] for _, listed in panels.pages()]


def test_worst_first() -> None:
    worst = WorstPanels(10, ("land", "water"))
    worst.add(observed("good", 50, 0, 1))
    worst.add(observed("small", 0, 3, 0))
    worst.add(observed("big", 0, 60, 0))
    worst.add(observed("fair", 20, 10, 10))
    assert names(worst) == [["big", "small", "fair", "good"]]
    assert worst.pages()[0][1][2].title.endswith("(P 0.67, R 0.67, F1 0.67)")
    assert "(P -, R 0.00, F1 0.00)" in worst.pages()[0][1][0].title


def test_the_order_of_arrival_does_not_matter_and_the_rest_is_forgotten() -> None:
    cases = [observed(f"c{n:02d}", n, 40 - n, n % 3) for n in range(1, 30)]
    one, two = WorstPanels(5, ("land", "water")), WorstPanels(5, ("land", "water"))
    for case in cases:
        one.add(case)
    for case in reversed(cases):
        two.add(case)
    assert names(one) == names(two) == [["c01", "c02", "c03", "c04", "c05"]]
    assert one.seen == 29


def test_chips_without_water_come_after_the_others_by_false_alarms() -> None:
    worst = WorstPanels(8, ("land", "water"))
    for number in range(1, 11):
        worst.add(observed(f"wet{number:02d}", number, 20, 0))
        worst.add(observed(f"dry{number:02d}", 0, 0, number))
    worst.add(observed("quiet", 0, 0, 0))
    pages = dict(worst.pages())
    assert list(pages) == ["panels_01.png", "panels_no_water_01.png"]
    assert names(worst) == [[f"wet{n:02d}" for n in range(1, 7)], ["dry10", "dry09"]]
    assert "false alarms 10 px" in pages["panels_no_water_01.png"][0].title


def test_places_that_wet_chips_leave_go_to_dry_ones() -> None:
    worst = WorstPanels(8, ("land", "water"))
    worst.add(observed("wet", 1, 1, 1))
    for number in range(1, 11):
        worst.add(observed(f"dry{number:02d}", 0, 0, number))
    assert [len(page) for page in names(worst)] == [1, ROWS, 1]


def test_pages_are_written(tmp_path: Path) -> None:
    worst = WorstPanels(7, ("land", "water"))
    for number in range(1, 9):
        worst.add(observed(f"c{number}", number, 3, 2))
    assert worst.write(tmp_path) == ["panels_01.png", "panels_02.png"]
    with (
        Image.open(tmp_path / "panels_01.png") as full,
        Image.open(tmp_path / "panels_02.png") as rest,
    ):
        assert full.width == rest.width
        assert full.height > 3 * rest.height


def test_large_chips_are_thinned_out_and_none_may_be_wanted(tmp_path: Path) -> None:
    worst = WorstPanels(1, ("land", "permanent", "flood"))
    worst.add(observed("large", 10, 5, 5, side=1300))
    picture = worst.pages()[0][1][0].pictures[0]
    assert max(picture.shape) <= 640
    none = WorstPanels(0, ("land", "water"))
    none.add(observed("c", 1, 1, 1))
    assert none.write(tmp_path) == []
