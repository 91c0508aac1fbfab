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
from sarwater.datasets.backscatter import mean_backscatter, noise_floor, speckle, to_decibel
from sarwater.datasets.landscape import PIXEL, is_water, make_landscape
from sarwater.datasets.manifest import (
    ChipRecord,
    LabelCodes,
    Manifest,
    read_manifest,
    write_manifest,
)
from sarwater.datasets.regions import REGIONS, RegionSettings
from sarwater.errors import ConfigError
from sarwater.files import atomic_folder
from sarwater.progress import step
from sarwater.types import IGNORE, BoolArray, ByteArray, FloatArray, Grid, Units

BANDS = ("VV", "VH")
LABEL_CODES = LabelCodes({0: "land", 1: "water", -1: "ignore"})
"""Codes of the label files, those of Sen1Floods11."""

_GAP = 200
"""Pixels between one scene of a region and the next."""


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
    pair: tuple[RegionSettings, RegionSettings] | None = None,
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
        pair: the regions, the one with train, val and test first; those of ``REGIONS`` by default.
            Their size and looks are set by the arguments above.
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
    chosen = pair or REGIONS.values()
    regions = [replace(region, **changes) for region in chosen]  # type: ignore[arg-type]
    records: list[ChipRecord] = []
    scenes: list[ChipRecord] = []
    out = Path(out)
    with (
        atomic_folder(out, overwrite=overwrite) as aside,
        step("simulating", total=2 * len(regions), unit="scenes") as bar,
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
        chip = replace(
            region,
            image=region.image[:, rows, cols],
            valid=region.valid[rows, cols],
            target=region.target[rows, cols],
            cover=region.cover[rows, cols],
            grid=grid,
        )
        yield row, col, chip


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
