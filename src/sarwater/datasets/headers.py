"""Fill a listing's records from the headers of their files, and check that they fit together."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sarwater.datasets.listing import Listing, some
from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.errors import DataError, SarwaterError
from sarwater.machine import usable_cores
from sarwater.progress import track
from sarwater.raster import Scene, check_same_grid, lonlat_bounds, read_header
from sarwater.types import Units


def fill_records(listing: Listing) -> tuple[ChipRecord, ...]:
    """Return the records with height, width, bounds and, where missing, bands and units.

    Headers are read by a pool of threads. A chip without a valid pixel takes the units of the
    others, where they agree.

    Raises:
        DataError: files cannot be read, or an image and its labels differ in size, CRS or
            place; all of them are named, with the listing's own problems.
    """

    def fill(record: ChipRecord) -> ChipRecord | SarwaterError:
        try:
            return _filled(record, guess_units=listing.guess_units)
        except SarwaterError as error:
            return error

    records: list[ChipRecord] = []
    problems = list(listing.problems)
    pool = _pool()
    try:
        results = pool.map(fill, listing.records)
        for result in track(results, "reading headers", len(listing.records), unit="files"):
            if isinstance(result, SarwaterError):
                problems.append(str(result))
            else:
                records.append(result)
    finally:
        pool.shutdown(cancel_futures=True)
    if problems:
        found = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise DataError(f"{found} in the data:\n  " + some(problems, 20, "\n  "))
    return _agreed_units(records) if listing.guess_units else tuple(records)


def located(manifest: Manifest) -> Manifest:
    """Return a manifest whose chips have their bounds, read from headers where the table has none.

    What cannot be read, or has no CRS, stays without.
    """

    def locate(record: ChipRecord) -> ChipRecord:
        if record.bounds is not None:
            return record
        try:
            return replace(record, bounds=lonlat_bounds(read_header(record.images[0]).grid))
        except SarwaterError:
            return record

    with _pool() as pool:
        return replace(manifest, records=tuple(pool.map(locate, manifest)))


def _pool() -> ThreadPoolExecutor:
    """Return more threads than cores, since headers are waited for."""
    return ThreadPoolExecutor(min(16, 4 * usable_cores()))


def _filled(record: ChipRecord, *, guess_units: bool) -> ChipRecord:
    # The border rule would read the whole image, which neither size nor units need.
    nodata = "declared" if record.nodata in ("auto", "border") else record.nodata
    units = None if guess_units else record.units
    with Scene(record.images, bands=record.bands, units=units, nodata=nodata) as scene:
        grid, bands, units = scene.grid, scene.bands, scene.units
    for label in record.labels:
        check_same_grid(grid, read_header(label).grid, record.images[0], label)
    return replace(
        record,
        bands=bands,
        units=units,
        height=grid.height,
        width=grid.width,
        bounds=lonlat_bounds(grid, record.images[0]),
    )


def _agreed_units(records: Sequence[ChipRecord]) -> tuple[ChipRecord, ...]:
    found = Counter(record.units for record in records if record.units != Units.OTHER)
    if len(found) != 1:
        return tuple(records)
    (units,) = found
    return tuple(replace(record, units=units) for record in records)
