from dataclasses import replace

import pytest

from sarwater.datasets.regions import REGIONS, RegionSettings
from sarwater.errors import ConfigError


def test_the_second_region_differs_in_sensor_wind_land_and_water() -> None:
    north, south = REGIONS.values()
    assert south.gain != north.gain
    assert south.wind.roughening > north.wind.roughening
    assert south.wind.calm < north.wind.calm
    assert south.shares.water < 0.7 * north.shares.water
    assert south.shares.sand > north.shares.sand
    assert south.crs != north.crs
    assert {name: region.name for name, region in REGIONS.items()} == {n: n for n in REGIONS}


def test_all_wrong_settings_are_listed_at_once() -> None:
    north = REGIONS["north"]
    with pytest.raises(ConfigError) as caught:
        RegionSettings(
            name="odd",
            crs="EPSG:32633",
            origin=(0.0, 0.0),
            shares=replace(north.shares, lake=1.2),
            wind=replace(north.wind, calm=2.0),
            looks=-1.0,
            incidence=(50.0, 40.0),
            border=0.9,
        )
    for text in ("'odd'", "lake = 1.2", "sum to", "calm = 2.0", "looks = -1.0", "50.0", "0.9"):
        assert text in str(caught.value)
