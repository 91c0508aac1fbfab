from dataclasses import replace

import numpy as np
import pytest

from sarwater.datasets.landscape import (
    PIXEL,
    Cover,
    Landscape,
    distance_to_land,
    is_water,
    make_landscape,
    shadowed,
)
from sarwater.datasets.regions import REGIONS

SHARES = REGIONS["north"].shares
INCIDENCE = np.linspace(31, 45, 512, dtype=np.float32)


@pytest.fixture(scope="module")
def ground() -> Landscape:
    return make_landscape((512, 512), SHARES, INCIDENCE, np.random.default_rng(2))


@pytest.mark.parametrize(
    "name", ["river", "lake", "flood", "forest", "urban", "sand", "tarmac", "shadow"]
)
def test_covers_take_their_shares(ground: Landscape, name: str) -> None:
    share = float((ground.cover == Cover[name.upper()]).mean())
    assert share == pytest.approx(getattr(SHARES, name), rel=0.35)


def test_water_shares_are_kept_closely(ground: Landscape) -> None:
    assert float(is_water(ground.cover).mean()) == pytest.approx(SHARES.water, abs=0.01)


def test_shares_of_zero_leave_their_covers_out() -> None:
    dry = replace(SHARES, river=0, lake=0, flood=0, shadow=0, tarmac=0)
    cover = make_landscape((128, 128), dry, INCIDENCE[:128], np.random.default_rng(0)).cover
    assert not is_water(cover).any()
    assert not np.isin(cover, [Cover.SHADOW, Cover.TARMAC]).any()


def test_every_shadow_lies_behind_something_higher(ground: Landscape) -> None:
    hidden = ground.cover == Cover.SHADOW
    running = np.maximum.accumulate(ground.height, axis=1)
    assert (running[hidden] > ground.height[hidden]).all()


def test_shadow_agrees_with_tracing_each_ray() -> None:
    rng = np.random.default_rng(7)
    height = rng.uniform(0, 40, (4, 60)).astype(np.float32)
    expected = np.zeros(height.shape, bool)
    for row in range(4):
        for far in range(60):
            for near in range(far):
                sunk = height[row, near] - (far - near) * PIXEL / np.tan(np.deg2rad(40))
                expected[row, far] |= bool(sunk > height[row, far] + 0.5)
    np.testing.assert_array_equal(shadowed(height, np.full(60, 40, np.float32)), expected)
    assert expected.any()


def test_fetch_is_zero_on_land_and_grows_from_the_shore() -> None:
    water = np.zeros((60, 60), bool)
    water[10:50, 10:50] = True
    fetch = distance_to_land(water)
    assert (fetch[~water] == 0).all()
    assert fetch[30, 30] == pytest.approx(20, abs=2)
    assert fetch[12, 30] < 5
