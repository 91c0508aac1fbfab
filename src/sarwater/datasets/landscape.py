"""Simulated ground: terrain, rivers, lakes, floods and land cover, before any radar looks at it."""

import enum
import math
from dataclasses import dataclass, fields

import numpy as np

from sarwater.datasets.fields import (
    Parcels,
    distance_to_points,
    fractal_field,
    meander,
    top_share,
)
from sarwater.types import BoolArray, ByteArray, FloatArray

PIXEL = 10.0
"""Pixel spacing in meters, that of Sentinel-1 IW GRDH."""

_RIVERS = ((1.0, 190.0), (0.45, 110.0), (0.3, 80.0))
"""Relative width and meander wavelength in pixels of the main river and its tributaries."""


class Cover(enum.IntEnum):
    """What covers a simulated pixel; codes from ``RIVER`` on are water."""

    CROP = 0
    BARE = 1
    """Fields freshly rolled or wet: smooth, and darker than crops."""
    GRASS = 2
    FOREST = 3
    URBAN = 4
    SAND = 5
    TARMAC = 6
    """Runways and aprons."""
    SHADOW = 7
    """Radar shadow: hidden from the sensor behind a ridge."""
    RIVER = 8
    LAKE = 9
    FLOOD = 10
    """Flooded fields and lowland, with stubble that stands out of shallow water."""


@dataclass(frozen=True)
class CoverShares:
    """Wanted shares of the scene's area, each 0 ... 1; crops and bare fields take the rest."""

    river: float
    lake: float
    flood: float
    forest: float
    urban: float
    grass: float
    sand: float
    tarmac: float
    shadow: float
    bare: float
    """Share of the fields (not of the scene) that lie bare and smooth."""

    @property
    def water(self) -> float:
        """Share of river, lake and flood together."""
        return self.river + self.lake + self.flood

    def problems(self) -> list[str]:
        """Name the shares that are out of range, and a sum that leaves no room."""
        values = {f.name: float(getattr(self, f.name)) for f in fields(self)}
        found = [
            f"{name} = {value} is not within 0 ... 1"
            for name, value in values.items()
            if not 0 <= value <= 1
        ]
        total = sum(value for name, value in values.items() if name != "bare")
        if total > 0.95:
            found.append(f"the shares sum to {total:.2f}; at least 0.05 must be left to fields")
        return found


@dataclass(frozen=True, eq=False)
class Landscape:
    """The ground as the radar meets it; arrays are [row, col]."""

    cover: ByteArray
    """Codes of ``Cover``."""
    height: FloatArray
    """Meters above the plain."""
    shore: FloatArray
    """Distance to the nearest land in pixels, 0 on land: the fetch of the wind."""
    tone: FloatArray
    """Standard normal value of the field parcel: crop type, moisture, tillage."""


def make_landscape(
    shape: tuple[int, int],
    shares: CoverShares,
    incidence: FloatArray,
    rng: np.random.Generator,
) -> Landscape:
    """Draw a landscape whose covers take the wanted shares.

    The sensor looks from column 0 towards higher columns. Lakes keep off the mountains, rivers
    have valleys, floods and sand lie beside rivers, airfields on the plain.

    Args:
        shape: rows and columns.
        shares: wanted shares.
        incidence: incidence angle on flat ground in degrees, [col].
        rng: source of randomness.
    """
    belt = fractal_field(shape, 700, 4, rng)
    river, distance = _rivers(shape, shares.river, rng)
    height, shadow = _terrain(shape, belt, distance, shares.shadow, incidence, ~river, rng)
    free = ~river & ~shadow
    lake = top_share(fractal_field(shape, 500, 3.2, rng) - belt, free, shares.lake)
    free &= ~lake
    parcels = Parcels(shape, (34, 15), rng)
    low = fractal_field(shape, 300, 3, rng) - belt - np.minimum(distance, 400) / np.float32(150)
    wet = parcels.mean(low.astype(np.float32)) + np.float32(0.4) * fractal_field(
        shape, 90, 3.4, rng
    )
    flood = top_share(wet, free, shares.flood)
    cover = np.full(shape, Cover.CROP, np.uint8)
    cover[parcels.uniform(rng) < shares.bare] = Cover.BARE
    free &= ~flood
    _cover_land(cover, free, belt, distance, parcels, shares, rng)
    for where, code in (
        (shadow, Cover.SHADOW),
        (river, Cover.RIVER),
        (lake, Cover.LAKE),
        (flood, Cover.FLOOD),
    ):
        cover[where] = code
    tone = parcels.normal(rng)
    shore = distance_to_land(cover >= Cover.RIVER)
    return Landscape(cover, height, shore, tone)


def distance_to_land(water: BoolArray) -> FloatArray:
    """Return the distance of water pixels to land in pixels, 0 on land (to about a pixel)."""
    land = ~water[::2, ::2]
    points = np.argwhere(land).astype(np.float64) * 2
    return np.where(water, distance_to_points((water.shape[0], water.shape[1]), points), 0)


def is_water(cover: ByteArray) -> BoolArray:
    """Return which pixels are rivers, lakes or floods."""
    return np.asarray(cover >= Cover.RIVER)


def shadowed(height: FloatArray, incidence: FloatArray) -> BoolArray:
    """Return which pixels lie in radar shadow, seen from column 0 by parallel rays.

    A ray sinks by cot(incidence) meters a meter of ground range, so that a pixel is hidden when
    height + range cot(incidence), accumulated along the row, was higher at a nearer column.

    Args:
        height: meters, [row, col].
        incidence: degrees, [col].

    >>> flat_then_wall = np.float32([[0, 60, 0, 0, 0, 0, 0, 0, 0]])
    >>> shadowed(flat_then_wall, np.full(9, 45, np.float32)).astype(int).tolist()
    [[0, 0, 1, 1, 1, 1, 1, 0, 0]]
    """
    sunk = np.cumsum(PIXEL / np.tan(np.deg2rad(incidence.astype(np.float64))))
    line = height + sunk.astype(np.float32)[None, :]
    return np.asarray(line < np.maximum.accumulate(line, axis=1) - np.float32(0.5))


def _rivers(
    shape: tuple[int, int], share: float, rng: np.random.Generator
) -> tuple[BoolArray, FloatArray]:
    """Return the rivers and the distance to the nearest centerline in widths of its river."""
    nearest = np.full(shape, np.inf, np.float32)
    for width, wavelength in _RIVERS:
        distance = distance_to_points(shape, meander(shape, wavelength, rng))
        nearest = np.minimum(nearest, distance / np.float32(width))
    uneven = nearest * (1 + np.float32(0.3) * np.tanh(fractal_field(shape, 80, 3, rng)))
    return top_share(-uneven, np.ones(shape, np.bool_), share), nearest


def _terrain(
    shape: tuple[int, int],
    belt: FloatArray,
    distance: FloatArray,
    share: float,
    incidence: FloatArray,
    free: BoolArray,
    rng: np.random.Generator,
) -> tuple[FloatArray, BoolArray]:
    """Raise ridges in the mountain belt until the wanted share of the scene lies in shadow."""
    ridges = np.float32(1.5) - np.abs(fractal_field(shape, 330, 4.2, rng))
    high = top_share(belt, np.ones(shape, np.bool_), 0.25 if share else 0.0)
    cut = float(belt[high].min()) if share else math.inf
    weight = np.clip((belt - np.float32(cut)) * 3, 0, 1) if share else np.zeros(shape, np.float32)
    valley = 1 - np.exp(-((distance / np.float32(70)) ** 2))
    relief = np.asarray(ridges * weight * valley, dtype=np.float32)
    gentle = fractal_field(shape, 300, 4, rng) * np.float32(8)
    least, most = 0.0, 3000.0
    for _ in range(9 if share else 0):
        middle = (least + most) / 2
        hidden = float((shadowed(gentle + np.float32(middle) * relief, incidence) & free).mean())
        least, most = (middle, most) if hidden < share else (least, middle)
    height = np.asarray(gentle + np.float32(least) * relief, dtype=np.float32)
    hidden_at = shadowed(height, incidence) & free
    return height, hidden_at if share else np.zeros(shape, np.bool_)


def _cover_land(
    cover: ByteArray,
    free: BoolArray,
    belt: FloatArray,
    distance: FloatArray,
    parcels: Parcels,
    shares: CoverShares,
    rng: np.random.Generator,
) -> None:
    """Give the free pixels their land cover, the scarce ones first."""
    shape = (cover.shape[0], cover.shape[1])
    near = np.exp(-distance / np.float32(60))
    tarmac, airfield = _airfields(free, shares.tarmac, belt, rng)
    scores = (
        (Cover.URBAN, fractal_field(shape, 150, 3, rng) + near - belt * 0.5, shares.urban),
        (Cover.SAND, fractal_field(shape, 260, 3, rng) + 1.5 * near, shares.sand),
        (Cover.FOREST, fractal_field(shape, 200, 2.8, rng) + belt, shares.forest),
        (Cover.GRASS, parcels.mean(fractal_field(shape, 120, 2, rng)), shares.grass),
    )
    left = free & ~tarmac
    # Airfields are lawn beside their runways, but the lawn counts as grass only where free.
    cover[left & airfield] = Cover.GRASS
    left &= ~airfield
    for code, score, share in scores:
        chosen = top_share(np.asarray(score, dtype=np.float32), left, share)
        cover[chosen] = code
        left &= ~chosen
    cover[tarmac] = Cover.TARMAC


def _airfields(
    free: BoolArray, share: float, belt: FloatArray, rng: np.random.Generator
) -> tuple[BoolArray, BoolArray]:
    """Lay runways with aprons (rectangles) on the plain: their tarmac, and the lawn around it."""
    tarmac = np.zeros(free.shape, np.bool_)
    lawn = np.zeros(free.shape, np.bool_)
    scale = min(1.0, min(free.shape) / 1000)
    wanted = share * free.size
    for _ in range(400):
        if wanted <= 0:
            break
        centers = rng.uniform(0.03, 0.97, (4, 2)) * free.shape
        center = centers[int(np.argmin([belt[int(r), int(c)] for r, c in centers]))]
        angle = rng.uniform(0, np.pi)
        half_length = rng.uniform(70, 160) * scale
        half_width = rng.uniform(2.5, 5.0)
        apron_width = rng.uniform(8, 18) * scale
        reach = int(half_length + 70 * scale + 10)
        top, left = (max(0, int(center[0]) - reach), max(0, int(center[1]) - reach))
        window = np.s_[top : top + 2 * reach, left : left + 2 * reach]
        rows, cols = np.ogrid[window]
        room = free[window] & ~tarmac[window]
        dr, dc = rows[: room.shape[0]] - center[0], cols[:, : room.shape[1]] - center[1]
        along = np.abs(dc * math.cos(angle) + dr * math.sin(angle))
        across = dr * math.cos(angle) - dc * math.sin(angle)
        apron = (along < half_length * 0.4) & (np.abs(across - 14 - apron_width) < apron_width)
        paved = apron | ((along < half_length) & (np.abs(across) < half_width))
        if (paved & room).sum() < 0.97 * paved.sum():
            continue
        tarmac[window] |= paved & room
        lawn[window] |= (along < half_length + 8) & (np.abs(across) < 14) & ~paved
        wanted -= paved.sum()
    return tarmac, lawn & ~tarmac
