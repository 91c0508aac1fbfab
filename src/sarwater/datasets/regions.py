"""The regions that ``sarwater simulate`` makes: the sensor, the weather and the land of each."""

import math
from dataclasses import dataclass

from sarwater.datasets.backscatter import Wind
from sarwater.datasets.landscape import CoverShares
from sarwater.errors import ConfigError

MIN_SIZE = 128
"""Smallest side of a scene in pixels; landscapes need room."""


@dataclass(frozen=True)
class RegionSettings:
    """One region: the sensor, the weather and the land."""

    name: str
    """Name of the domain and of the region's folder."""
    crs: str
    """A UTM zone, ``EPSG:n``."""
    origin: tuple[float, float]
    """Easting and northing of the upper left corner in meters."""
    shares: CoverShares
    """Land cover and water as shares of the area."""
    wind: Wind
    """Wind over water."""
    size: int = 1536
    """Rows and columns of a scene in pixels of 10 m; at least 128."""
    looks: float = 4.4
    """Equivalent number of looks, above 0; 4.4 is Sentinel-1 IW GRDH."""
    gain: tuple[float, float] = (0.0, 0.0)
    """Calibration error of VV and VH in decibel."""
    incidence: tuple[float, float] = (31.0, 45.0)
    """Incidence angle in degrees at near and far range, within 15 ... 60."""
    noise: float = -32.0
    """Lowest noise-equivalent sigma nought in decibel."""
    looks_from_west: bool = True
    """Whether near range is the first column (right-looking, ascending) or the last."""
    border: float = 0.06
    """Width, relative to the scene, of the wedges without data left and right of the swath."""

    def __post_init__(self) -> None:
        """Check all values and raise ConfigError that lists what is wrong."""
        near, far = self.incidence
        checks = [
            (self.size >= MIN_SIZE, f"size = {self.size} is below {MIN_SIZE} px"),
            (0 < self.looks < math.inf, f"looks = {self.looks} is not above 0 and finite"),
            (
                15 <= near < far <= 60,
                f"incidence = {near} ... {far} does not rise within 15 ... 60 degrees",
            ),
            (0 <= self.border <= 0.4, f"border = {self.border} is not within 0 ... 0.4"),
            (0 <= self.wind.calm <= 1, f"wind.calm = {self.wind.calm} is not within 0 ... 1"),
        ]
        problems = [text for good, text in checks if not good]
        problems += [f"shares: {text}" for text in self.shares.problems()]
        if problems:
            raise ConfigError(f"region '{self.name}': " + "; ".join(problems))


REGIONS: dict[str, RegionSettings] = {
    "north": RegionSettings(
        name="north",
        crs="EPSG:32633",
        origin=(490_000.0, 5_780_000.0),
        shares=CoverShares(
            river=0.035,
            lake=0.09,
            flood=0.055,
            forest=0.22,
            urban=0.04,
            grass=0.12,
            sand=0.065,
            tarmac=0.02,
            shadow=0.045,
            bare=0.25,
        ),
        wind=Wind(roughening=(8.0, 2.0), calm=0.35),
    ),
    "south": RegionSettings(
        name="south",
        crs="EPSG:32736",
        origin=(490_000.0, 8_060_000.0),
        shares=CoverShares(
            river=0.03,
            lake=0.035,
            flood=0.045,
            forest=0.07,
            urban=0.02,
            grass=0.25,
            sand=0.10,
            tarmac=0.015,
            shadow=0.025,
            bare=0.25,
        ),
        wind=Wind(roughening=(9.5, 2.5), calm=0.15),
        gain=(1.2, 1.6),
        incidence=(34.0, 46.0),
        noise=-31.5,
        looks_from_west=False,
    ),
}
"""The pair: a temperate lowland to learn from, a windy, drier delta to carry it to."""
