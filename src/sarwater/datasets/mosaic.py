"""Join tiles named by row and column into one scene."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from affine import Affine

from sarwater.datasets.listing import some
from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.errors import ConfigError, DataError, nearest
from sarwater.files import atomic_path, real, refuse_existing, refuse_inputs
from sarwater.progress import step
from sarwater.raster import (
    RasterWriter,
    Scene,
    border_valid,
    check_same_grid,
    follows_borders,
    open_writer,
    read_target,
)
from sarwater.types import IGNORE, BoolArray, ByteArray, FloatArray, Grid

_NO_DATA = 255
"""What a byte image has where no tile is."""
_MOST_PLACES = 10_000
"""Places of tiles up to which a scene may be as empty as it likes."""
_LEAST_SHARE = 0.01
"""Share of a larger scene's places that have a tile."""
_SIGNAL = 1
"""Neither border nor zero, in the byte image that the border rule is asked about."""


@dataclass(frozen=True)
class MosaicSummary:
    """What was joined."""

    scene: str
    height: int
    width: int
    tiles: int
    missing: int
    """Places without a tile."""
    valid_share: float
    """Share of the pixels that are valid, in [0, 1]."""


@dataclass(frozen=True)
class _Plan:
    """Where each tile goes."""

    scene: str
    records: Mapping[tuple[int, int], ChipRecord]
    rows: range
    cols: range
    height: int
    """Rows of a tile in pixels."""
    width: int
    dtype: str
    grid: Grid

    @property
    def first(self) -> ChipRecord:
        return next(iter(self.records.values()))


def mosaic(
    manifest: Manifest,
    out: str | Path,
    *,
    scene: str = "",
    domain: str = "",
    rows: tuple[int, int] | None = None,
    cols: tuple[int, int] | None = None,
    labels: str | Path | None = None,
    overwrite: bool = False,
) -> MosaicSummary:
    """Write the tiles of one scene as one GeoTIFF with its dataset mask.

    Values, type and bands are the tiles'. The border rule of 8-bit products is applied to the
    whole scene, so that zeros connected to no data across tile borders are found; a place
    without a tile is no data, but says nothing of the zeros beside it.

    Args:
        manifest: chips with ``scene``, ``row`` and ``col``.
        out: the GeoTIFF to write; its tags are SCENE, UNITS, FIRST_ROW and FIRST_COL.
        scene: name in the manifest's column of that name; may be left out when there is one.
        domain: only the chips of this domain.
        rows: first and last row of tiles; by default those that are there.
        cols: first and last column of tiles.
        labels: a GeoTIFF to write the class indices to, 255 where nothing is labelled.
        overwrite: replace what is there.

    Raises:
        ConfigError: ``labels`` is ``out``.
        DataError: no such scene, or tiles that do not fit together.
        RasterError: a tile cannot be read.
        OutputExistsError: an output exists and ``overwrite`` is false, or is a file to be read.
    """
    for path in (out, labels):
        if path is not None:
            refuse_existing(Path(path), overwrite=overwrite)
            refuse_inputs(Path(path), manifest.files)
    if labels is not None and real(Path(labels)) == real(Path(out)):
        raise ConfigError(f"scene and labels would both be written to {out}; name two files")
    plan = _plan(_choose(manifest, scene, domain), rows, cols)
    first = plan.first
    tags = {
        "SCENE": plan.scene,
        "UNITS": first.units.value,
        "FIRST_ROW": str(plan.rows[0]),
        "FIRST_COL": str(plan.cols[0]),
    }
    with ExitStack() as stack:
        if labels is not None:  # in place after the image, which may not fit on the disk
            aside = stack.enter_context(atomic_path(labels, overwrite=overwrite))
        image_writer = stack.enter_context(
            open_writer(
                out, plan.grid, dtype=plan.dtype, bands=first.bands, tags=tags, overwrite=overwrite
            )
        )
        label_writer = None
        if labels is not None:
            tags = {"SCENE": plan.scene, "CLASSES": ";".join(first.classes)}
            label_writer = stack.enter_context(
                open_writer(
                    aside,
                    plan.grid,
                    dtype="uint8",
                    bands=["target"],
                    nodata=IGNORE,
                    tags=tags,
                    overwrite=True,
                )
            )
        valid = _write(plan, image_writer, label_writer)
        image_writer.write_valid(valid)
    places = len(plan.rows) * len(plan.cols)
    return MosaicSummary(
        plan.scene,
        plan.grid.height,
        plan.grid.width,
        len(plan.records),
        places - len(plan.records),
        float(valid.mean()),
    )


def _choose(manifest: Manifest, scene: str, domain: str) -> tuple[str, list[ChipRecord]]:
    kept = manifest.select(domains=[domain] if domain else None)
    scenes = list(dict.fromkeys(record.scene for record in kept if record.scene))
    if not scene and len(scenes) == 1:
        scene = scenes[0]
    if scene not in scenes:
        wanted = f"no scene '{scene}'{nearest(scene, scenes)}" if scene else "not one scene alone"
        raise DataError(
            f"{manifest.path or 'the manifest'} has {wanted}: its column scene names "
            f"{some(scenes) or 'nothing'}; name one"
        )
    records = [record for record in kept if record.scene == scene]
    homeless = [record.id for record in records if record.row is None or record.col is None]
    if homeless:
        raise DataError(
            f"{len(homeless)} tiles of scene '{scene}' have no row or no column: {some(homeless)}"
        )
    return scene, records


def _plan(
    choice: tuple[str, Sequence[ChipRecord]],
    rows: tuple[int, int] | None,
    cols: tuple[int, int] | None,
) -> _Plan:
    scene, records = choice
    row_range = _extent([record.row or 0 for record in records], rows)
    col_range = _extent([record.col or 0 for record in records], cols)
    places: dict[tuple[int, int], ChipRecord] = {}
    for record in records:
        place = (record.row or 0, record.col or 0)
        if place[0] not in row_range or place[1] not in col_range:
            continue
        if place in places:
            raise DataError(
                f"tiles '{places[place].id}' and '{record.id}' of scene '{scene}' are both row "
                f"{place[0]}, column {place[1]}"
            )
        places[place] = record
    if not places:
        raise DataError(f"scene '{scene}' has no tile within the rows and columns named")
    _refuse_stray(scene, places, len(row_range) * len(col_range))
    first_place, first = next(iter(places.items()))
    for record in places.values():
        if (record.bands, record.units) != (first.bands, first.units):
            raise DataError(
                f"tile '{record.id}' has bands {';'.join(record.bands)} in {record.units}, but "
                f"'{first.id}' has {';'.join(first.bands)} in {first.units}"
            )
    with _raw(first) as tile:
        grid, dtype = tile.grid, tile.dtype
    down = (row_range[0] - first_place[0]) * grid.height
    right = (col_range[0] - first_place[1]) * grid.width
    whole = Grid(
        len(row_range) * grid.height,
        len(col_range) * grid.width,
        grid.transform @ Affine.translation(right, down) if grid.crs else Affine.identity(),
        grid.crs,
    )
    return _Plan(scene, places, row_range, col_range, grid.height, grid.width, dtype, whole)


def _refuse_stray(scene: str, tiles: Mapping[tuple[int, int], ChipRecord], size: int) -> None:
    """Refuse a scene of hardly any tiles for its size, which a mistyped place makes."""
    if size <= _MOST_PLACES or len(tiles) >= _LEAST_SHARE * size:
        return
    places = np.array(list(tiles))
    distances = np.abs(places - np.median(places, axis=0)).max(axis=1)
    row, col = places[np.argmax(distances)].tolist()
    raise DataError(
        f"scene '{scene}' has {len(tiles)} tiles for {size} places; the farthest from the others "
        f"is '{tiles[row, col].id}', row {row}, column {col}: correct its place, or name the rows "
        "and columns to join"
    )


def _extent(there: Sequence[int], wanted: tuple[int, int] | None) -> range:
    low, high = wanted or (min(there), max(there))
    if high < low:
        raise DataError(f"from {low} to {high} there is no tile; name first and last")
    return range(low, high + 1)


def _write(plan: _Plan, image_writer: RasterWriter, label_writer: RasterWriter | None) -> BoolArray:
    """Write strip by strip, a row of tiles each; return what is valid."""
    shape = (plan.grid.height, plan.grid.width)
    valid = np.zeros(shape, np.bool_)
    first = plan.first
    rule = follows_borders(first.nodata, first.units, first.bands)
    border = np.full(shape if rule else (0, 0), _SIGNAL, np.uint8)
    blank = _NO_DATA if np.dtype(plan.dtype).kind in "ui" else np.nan
    with step("joining tiles", len(plan.records), unit="tiles") as bar:
        for top, row in _tops(plan):
            strip = np.full((len(first.bands), plan.height, shape[1]), blank, np.dtype(plan.dtype))
            target = np.full(strip.shape[1:], IGNORE, np.uint8)
            rows = slice(top, top + plan.height)
            for left, record in _tiles(plan, row):
                image, usable, declares, grid = _read_tile(plan, record, top, left)
                cols = slice(left, left + plan.width)
                strip[:, :, cols] = np.where(usable, image, blank)
                valid[rows, cols] = usable
                if rule and not declares:
                    border[rows, cols] = _border_candidates(image, usable)
                if label_writer is not None and record.labels:
                    target[:, cols] = read_target(record, grid)
                bar.advance()
            image_writer.write(strip, top)
            if label_writer is not None:
                label_writer.write(target, top)
    if rule:
        valid &= border_valid(border[None], is_alone=len(first.bands) == 1)
    return valid


def _tops(plan: _Plan) -> Iterator[tuple[int, int]]:
    return ((position * plan.height, row) for position, row in enumerate(plan.rows))


def _tiles(plan: _Plan, row: int) -> Iterator[tuple[int, ChipRecord]]:
    for position, col in enumerate(plan.cols):
        if (row, col) in plan.records:
            yield position * plan.width, plan.records[row, col]


def _read_tile(
    plan: _Plan, record: ChipRecord, top: int, left: int
) -> tuple[FloatArray, BoolArray, bool, Grid]:
    with _raw(record) as tile:
        expected = plan.grid.window(top, left, plan.height, plan.width)
        check_same_grid(expected, tile.grid, plan.first.images[0], record.images[0])
        if tile.dtype != plan.dtype:
            raise DataError(
                f"{record.images[0]} holds {tile.dtype}, but {plan.first.images[0]} {plan.dtype}"
            )
        image, valid = tile.read(0, 0, plan.height, plan.width)
        return image, valid, tile.declares_nodata, tile.grid


def _raw(record: ChipRecord) -> Scene:
    """Open a tile without the border rule, which is for the whole scene to follow."""
    nodata = "declared" if record.nodata in ("auto", "border") else record.nodata
    return Scene(record.images, bands=record.bands, units=record.units, nodata=nodata)


def _border_candidates(image: FloatArray, usable: BoolArray) -> ByteArray:
    candidates = np.full(usable.shape, _SIGNAL, np.uint8)
    candidates[(image == 0).all(axis=0) & usable] = 0
    candidates[(image == _NO_DATA).all(axis=0)] = _NO_DATA
    return candidates
