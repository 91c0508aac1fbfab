import numpy as np
import pytest
from scipy import stats

from sarwater.datasets.backscatter import (
    SIGNATURES,
    Wind,
    mean_backscatter,
    noise_floor,
    speckle,
    to_decibel,
)
from sarwater.datasets.landscape import Cover, Landscape

CALM = Wind(roughening=(8.0, 2.0), calm=1.0)


def flat(cover: Cover, shape: tuple[int, int] = (64, 80), shore: float = 0) -> Landscape:
    zeros = np.zeros(shape, np.float32)
    return Landscape(np.full(shape, cover, np.uint8), zeros, zeros + np.float32(shore), zeros)


def level(ground: Landscape, incidence: float, wind: Wind = CALM) -> list[float]:
    angles = np.full(ground.cover.shape[1], incidence, np.float32)
    power = mean_backscatter(ground, angles, wind, np.random.default_rng(0))
    return [float(np.median(10 * np.log10(band))) for band in power]


@pytest.mark.parametrize("looks", [1.0, 4.4, 16.0])
def test_speckle_is_gamma_distributed(looks: float) -> None:
    values = speckle((900, 900), looks, np.random.default_rng(1))
    assert values.mean() == pytest.approx(1, abs=0.01)
    assert values.var() == pytest.approx(1 / looks, rel=0.03)
    apart = values[::5, ::5].ravel()
    assert stats.kstest(apart, stats.gamma(looks, scale=1 / looks).cdf).pvalue > 0.01


def test_neighboring_speckle_is_correlated_and_farther_is_not() -> None:
    values = speckle((600, 600), 4.4, np.random.default_rng(2))

    def correlation(lag: int, axis: int) -> float:
        a = np.moveaxis(values, axis, 0)
        return float(np.corrcoef(a[lag:].ravel(), a[:-lag].ravel())[0, 1])

    for axis in (0, 1):
        assert correlation(1, axis) == pytest.approx(0.5, abs=0.06)
        assert abs(correlation(4, axis)) < 0.01


@pytest.mark.parametrize("cover", [Cover.CROP, Cover.FOREST, Cover.SAND, Cover.LAKE, Cover.SHADOW])
def test_backscatter_lies_at_the_signature(cover: Cover) -> None:
    vv, vh = level(flat(cover), 38)
    assert vv == pytest.approx(SIGNATURES[cover].mean[0], abs=1)
    assert vh == pytest.approx(SIGNATURES[cover].mean[1], abs=1)


def test_water_falls_off_faster_with_incidence_than_land() -> None:
    falls = {
        cover: level(flat(cover), 32)[0] - level(flat(cover), 44)[0]
        for cover in (Cover.LAKE, Cover.CROP, Cover.SAND)
    }
    assert falls[Cover.LAKE] > 2 * falls[Cover.CROP] > 0
    assert falls[Cover.LAKE] > 2 * falls[Cover.SAND] > 0


def test_wind_brightens_vv_far_more_than_vh_and_only_away_from_the_shore() -> None:
    windy = Wind(roughening=(8.0, 2.0), calm=0.0)
    calm = level(flat(Cover.LAKE, shore=100), 38)
    rough = level(flat(Cover.LAKE, shore=100), 38, windy)
    sheltered = level(flat(Cover.LAKE, shore=0), 38, windy)
    assert rough[0] - calm[0] > 3
    assert rough[0] - calm[0] > 3 * (rough[1] - calm[1]) > 0
    assert sheltered == pytest.approx(calm, abs=0.01)


def test_slopes_towards_the_sensor_are_bright_and_those_away_dark() -> None:
    ground = flat(Cover.GRASS, (40, 80))
    rise = np.minimum(np.arange(80), 79 - np.arange(80)).astype(np.float32) * 3
    hill = Landscape(ground.cover, np.tile(rise, (40, 1)), ground.shore, ground.tone)
    power = mean_backscatter(hill, np.full(80, 38, np.float32), CALM, np.random.default_rng(0))
    near, far = (10 * np.log10(power[0][:, part].mean()) for part in (np.s_[5:35], np.s_[45:75]))
    # tan(38 deg) / tan(38 deg -+ atan(0.3)) in decibel.
    expected = [
        10 * np.log10(np.tan(np.deg2rad(38)) / np.tan(np.deg2rad(38) - side * np.arctan(0.3)))
        for side in (1, -1)
    ]
    assert near - far == pytest.approx(expected[0] - expected[1], abs=0.5)


def test_noise_floor_is_lowest_within_the_sub_swaths() -> None:
    floor = 10 * np.log10(noise_floor(np.linspace(31, 45, 1000, dtype=np.float32), -30))
    assert floor.min() == pytest.approx(-30, abs=0.01)
    assert floor.max() == pytest.approx(-27, abs=0.05)
    entered = np.diff((floor < -29.5).astype(int)) == 1
    assert entered.sum() == 3


def test_decibels_carry_the_gain_and_stay_finite() -> None:
    power = np.array([[[0.1, 0.0]], [[1.0, 10.0]]], np.float32)
    decibel = to_decibel(power, (1.0, -2.0))
    np.testing.assert_allclose(decibel, [[[-9, -59]], [[-2, 8]]], atol=1 / 128)
    np.testing.assert_array_equal(decibel * 128, np.rint(decibel * 128))
