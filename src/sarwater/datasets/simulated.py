"""Region pairs with known water, by the physics of SAR: ``sarwater simulate``.

Two regions are simulated: one to learn from, and one that another sensor gain, more wind, another
land cover and another share of water set apart. Each gives a scene that is cut into chips, and a
second scene of other ground, to be mapped by a model that never saw it.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from affine import Affine

from sarwater import raster
from sarwater.datasets.backscatter import (
    Wind,
    mean_backscatter,
    noise_floor,
    speckle,
    to_decibel,
)
from sarwater.datasets.landscape import PIXEL, CoverShares, is_water, make_landscape
from sarwater.datasets.manifest import (
    ChipRecord,
    LabelCodes,
    Manifest,
    read_manifest,
    write_manifest,
)
from sarwater.errors import ConfigError
from sarwater.files import atomic_folder
from sarwater.progress import step
from sarwater.types import IGNORE, BoolArray, ByteArray, FloatArray, Grid, Units

BANDS = ("VV", "VH")
LABEL_CODES = LabelCodes({0: "land", 1: "water", -1: "ignore"})
"""Codes of the label files, those of Sen1Floods11."""

MIN_SIZE = 128
"""Smallest side of a scene in pixels; landscapes need room."""


_GAP = 200
"""Pixels between one scene of a region and the next."""


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
            (self.looks > 0, f"looks = {self.looks} is not above 0"),
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
            tarmac=0.03,
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


@dataclass(frozen=True, eq=False)
class SimulatedRegion:
    """A scene with everything that is known of it; rows and columns agree between its arrays."""

    settings: RegionSettings
    image: FloatArray
    """Decibel, float32 [band, row, col], VV and VH; finite, also where not valid."""
    valid: BoolArray
    """bool [row, col]; False outside the swath."""
    target: ByteArray
    """uint8 [row, col]: 0 land, 1 water, 255 where not valid."""
    cover: ByteArray
    """uint8 [row, col]: codes of ``sarwater.datasets.landscape.Cover``."""
    grid: Grid
    """Where it lies."""


def simulate_region(settings: RegionSettings, seed: int, *, scene: int = 0) -> SimulatedRegion:
    """Simulate one scene; equal settings, seeds and scene numbers give equal bytes.

    Measured power is (backscatter + noise floor) times speckle, band by band; the two
    polarisations have independent speckle, as reflection symmetry makes it.

    Args:
        settings: the region.
        seed: number of the pair, not negative.
        scene: number of the scene; each lies on other ground, east of the one before.

    >>> region = simulate_region(replace(REGIONS["north"], size=128), seed=0)
    >>> region.image.shape, sorted(set(region.target.ravel().tolist()))
    ((2, 128, 128), [0, 1, 255])
    """
    rng = np.random.default_rng([seed, scene, zlib.crc32(settings.name.encode())])
    shape = (settings.size, settings.size)
    incidence = np.linspace(*settings.incidence, settings.size, dtype=np.float32)
    ground = make_landscape(shape, settings.shares, incidence, rng)
    power = mean_backscatter(ground, incidence, settings.wind, rng)
    power += noise_floor(incidence, settings.noise)
    for band in power:
        band *= speckle(shape, settings.looks, rng)
    image, cover = to_decibel(power, settings.gain), ground.cover
    if not settings.looks_from_west:
        image, cover = image[:, :, ::-1].copy(), cover[:, ::-1].copy()
    valid = _swath(shape, settings.border, settings.looks_from_west)
    target = np.where(valid, is_water(cover), IGNORE).astype(np.uint8)
    east, north = settings.origin
    east += scene * PIXEL * (settings.size + _GAP)
    grid = Grid(*shape, Affine(PIXEL, 0, east, 0, -PIXEL, north), settings.crs)
    return SimulatedRegion(settings, image, valid, target, cover, grid)


def write_pair(
    out: str | Path,
    *,
    size: int = 1536,
    chip_size: int = 256,
    seed: int = 0,
    looks: float | None = None,
    overwrite: bool = False,
) -> Manifest:
    """Simulate both regions and write scenes, chips, labels and two manifests.

    ``OUT/data.csv`` lists the chips. Splits are bands of chip rows, so that each sees the whole
    swath from near to far range: train, val, test in the first region, adapt (labelled all the
    same, for comparison) and test in the second; ``land_px`` and ``water_px`` count its pixels.
    ``OUT/scenes.csv`` lists the whole scenes of
    split ``unseen``, ground of which there is no chip. Label values: 0 land, 1 water, -1 no data.

    Args:
        out: folder to write; it appears when all is done.
        size: rows and columns of each scene in pixels.
        chip_size: rows and columns of a chip; at least three must fit into a scene.
        seed: number of the pair, not negative.
        looks: equivalent number of looks; the regions' own by default.
        overwrite: replace the folder that is there.

    Returns:
        The manifest of the chips.

    Raises:
        ConfigError: a value is out of range.
        OutputExistsError: the folder has content and ``overwrite`` is false.
    """
    if chip_size < 16 or size < 3 * chip_size:
        raise ConfigError(
            f"chip size {chip_size} does not fit scene size {size}: expected at least 16 px, and "
            "three chips along a side (train, val, test); choose a larger scene"
        )
    if seed < 0:
        raise ConfigError(f"seed = {seed} is negative; expected 0 or more")
    changes: dict[str, float] = {"size": size} if looks is None else {"size": size, "looks": looks}
    regions = [replace(region, **changes) for region in REGIONS.values()]  # type: ignore[arg-type]
    records: list[ChipRecord] = []
    scenes: list[ChipRecord] = []
    out = Path(out)
    with (
        atomic_folder(out, overwrite=overwrite) as aside,
        step("simulating", total=2 * len(regions)) as bar,
    ):
        for number, settings in enumerate(regions):
            records += _write_chips(aside, settings, seed, chip_size, is_source=number == 0)
            bar.advance(note=settings.name)
            scenes.append(_write_unseen(aside, settings, seed))
            bar.advance(note=settings.name)
        write_manifest(Manifest(tuple(records)), aside / "data.csv")
        write_manifest(Manifest(tuple(scenes)), aside / "scenes.csv")
    return read_manifest(out / "data.csv")


def split_rows(count: int, *, is_source: bool) -> list[str]:
    """Name the split of each row of chips.

    >>> split_rows(6, is_source=True)
    ['train', 'train', 'train', 'train', 'val', 'test']
    >>> split_rows(6, is_source=False)
    ['adapt', 'adapt', 'adapt', 'test', 'test', 'test']
    """
    if not is_source:
        test = count // 2
        return ["adapt"] * (count - test) + ["test"] * test
    val, test = max(1, count // 6), max(1, count // 4)
    return ["train"] * (count - val - test) + ["val"] * val + ["test"] * test


def _swath(shape: tuple[int, int], border: float, is_ascending: bool) -> BoolArray:
    """Return the tilted swath: a wedge is missing on either side, at opposite corners."""
    wedge = border * shape[1]
    left = wedge * np.linspace(1, 0, shape[0])[:, None]
    col = np.arange(shape[1])[None, :] + 0.5
    valid = (col >= left) & (col <= shape[1] - wedge + left)
    return np.asarray(valid if is_ascending else valid[:, ::-1])


def _write_chips(
    folder: Path, settings: RegionSettings, seed: int, chip_size: int, *, is_source: bool
) -> list[ChipRecord]:
    region = simulate_region(settings, seed)
    place = folder / settings.name
    _write(place, "scene_VV_VH", "scene_labels", region)
    count = settings.size // chip_size
    splits = split_rows(count, is_source=is_source)
    records = []
    for row, col, chip in _cut(region, chip_size, count):
        name = f"{settings.name}_r{row:02d}_c{col:02d}"
        files = _write(place / "chips", name, f"{name}_labels", chip)
        records.append(_record(name, splits[row], chip, files, "scene", (row, col)))
    return records


def _cut(
    region: SimulatedRegion, chip_size: int, count: int
) -> Iterator[tuple[int, int, SimulatedRegion]]:
    for index in range(count * count):
        row, col = divmod(index, count)
        rows = slice(row * chip_size, (row + 1) * chip_size)
        cols = slice(col * chip_size, (col + 1) * chip_size)
        grid = region.grid.window(rows.start, cols.start, chip_size, chip_size)
        arrays = (region.valid, region.target, region.cover)
        valid, target, cover = (array[rows, cols] for array in arrays)
        image = region.image[:, rows, cols]
        yield row, col, SimulatedRegion(region.settings, image, valid, target, cover, grid)


def _write_unseen(folder: Path, settings: RegionSettings, seed: int) -> ChipRecord:
    region = simulate_region(settings, seed, scene=1)
    files = _write(folder / settings.name, "unseen_VV_VH", "unseen_labels", region)
    return _record(f"{settings.name}_unseen", "unseen", region, files, "unseen", None)


def _write(
    folder: Path, image_name: str, label_name: str, region: SimulatedRegion
) -> tuple[Path, Path]:
    """Write an image (NaN is no data) and its labels (-1 is no data)."""
    image_path, label_path = folder / f"{image_name}.tif", folder / f"{label_name}.tif"
    image = np.where(region.valid, region.image, np.float32(np.nan))
    labels = np.where(region.target == IGNORE, -1, region.target.astype(np.int16))
    raster.write_raster(image_path, image, region.grid, bands=BANDS, nodata=float("nan"))
    raster.write_raster(label_path, labels.astype(np.int16), region.grid, bands=("water",))
    return image_path, label_path


def _record(
    name: str,
    split: str,
    region: SimulatedRegion,
    files: tuple[Path, Path],
    scene: str,
    place: tuple[int, int] | None,
) -> ChipRecord:
    return ChipRecord(
        id=name,
        domain=region.settings.name,
        images=files[:1],
        bands=BANDS,
        units=Units.DB,
        split=split,
        labels=files[1:],
        codes=(LABEL_CODES,),
        scene=f"{region.settings.name}_{scene}",
        row=place[0] if place else None,
        col=place[1] if place else None,
        height=region.grid.height,
        width=region.grid.width,
        bounds=raster.lonlat_bounds(region.grid),
        extra={
            "land_px": str(int((region.target == 0).sum())),
            "water_px": str(int((region.target == 1).sum())),
        },
    )
