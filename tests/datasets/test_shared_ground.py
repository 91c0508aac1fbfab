"""Which chips show the same ground, by the rasters themselves."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from sarwater.datasets.headers import fill_records
from sarwater.datasets.listing import Listing
from sarwater.datasets.manifest import ChipRecord, Manifest
from sarwater.datasets.shared_ground import shared_ground
from sarwater.raster import shared_share
from sarwater.types import Grid
from tests.conftest import CRS, PLACE, RecordMaker, TifMaker

SIDE = 32


def pairs(records: list[ChipRecord]) -> set[tuple[str, str]]:
    return {(pair.chip, pair.other_chip) for pair in shared_ground(Manifest(tuple(records)))}


def chips(
    make_tif: TifMaker, make_record: RecordMaker, places: dict[str, Affine], crs: str
) -> list[ChipRecord]:
    """Write a chip a place, and index them, each in a split of its own."""
    values = np.full((2, SIDE, SIDE), -10, np.float32)
    records = [
        make_record(make_tif(f"{name}.tif", values, crs=crs, transform=place), id=name, split=name)
        for name, place in places.items()
    ]
    return list(fill_records(Listing(tuple(records))))


@pytest.mark.parametrize(
    ("crs", "corner"),
    [
        ("EPSG:32633", Affine(10, 0, 700_000, 0, -10, 5_780_000)),
        ("EPSG:32633", Affine(10, 0, 750_000, 0, -10, 2_500_000)),
        ("EPSG:3413", Affine(40, 0, -1_200_000, 0, -40, -1_200_000)),
        ("EPSG:3413", Affine(40, 0, -SIDE * 40, 0, -40, SIDE * 40)),  # around the pole
        ("EPSG:4326", Affine(0.001, 0, 190.0, 0, -0.001, 52.0)),
    ],
)
def test_chips_that_touch_share_no_ground_wherever_north_is(
    crs: str, corner: Affine, make_tif: TifMaker, make_record: RecordMaker
) -> None:
    places = {
        f"{row}{col}": corner @ Affine.translation(col * SIDE, row * SIDE)
        for row in range(2)
        for col in range(2)
    }
    # One whole column of pixels more than 1 % of a chip, and one less.
    places["east"] = corner @ Affine.translation(2 * SIDE - 1, 0)
    places["far"] = corner @ Affine.translation(2 * SIDE - 0.2, SIDE)
    found = pairs(chips(make_tif, make_record, places, crs))
    assert found == {("01", "east")}


def test_chips_of_neighboring_zones_share_ground(
    make_tif: TifMaker, make_record: RecordMaker
) -> None:
    # 18 degrees east, where zones 33 and 34 meet: easting 500 km -+ 205.56 km at 52 degrees north.
    places = {"a": Affine(10, 0, 705_700, 0, -10, 5_765_200)}
    west = chips(make_tif, make_record, places, "EPSG:32633")
    places = {
        "b": Affine(10, 0, 500_000 - 206_000, 0, -10, 5_765_200),
        "c": Affine(10, 0, 500_000 - 206_000 + 10_000, 0, -10, 5_765_200),
    }
    both = west + chips(make_tif, make_record, places, "EPSG:32634")
    bounds = {record.id: record.bounds for record in both}
    assert bounds["a"] is not None
    assert bounds["b"] is not None
    assert bounds["a"][2] > bounds["b"][0], "or the test has nothing to find"
    assert pairs(both) == {("a", "b")}


def test_without_the_files_the_bounds_decide(make_tif: TifMaker, make_record: RecordMaker) -> None:
    corner = Affine(10, 0, 700_000, 0, -10, 5_780_000)
    places = {"a": corner, "b": corner @ Affine.translation(SIDE, 0)}
    records = chips(make_tif, make_record, places, "EPSG:32633")
    assert pairs(records) == set()
    gone = [replace(record, images=(Path(f"/x/{record.id}.tif"),)) for record in records]
    assert pairs(gone) == {("a", "b")}


@given(
    st.tuples(st.integers(-20, 20), st.integers(-20, 20)),
    st.integers(1, 20),
    st.integers(1, 20),
)
def test_shares_are_those_of_counted_pixels(
    shift: tuple[int, int], height: int, width: int
) -> None:
    one = Grid(16, 12, PLACE, CRS)
    other = Grid(height, width, PLACE @ Affine.translation(*shift), CRS)
    field = np.zeros((2, 80, 80), bool)
    field[0, 30:46, 30:42] = True
    field[1, 30 + shift[1] :, 30 + shift[0] :][:height, :width] = True
    expected = (field[0] & field[1]).sum() / min(field[0].sum(), height * width)
    assert shared_share(one, other) == pytest.approx(expected, abs=1e-9)


def test_longitudes_are_counted_from_0_or_from_180() -> None:
    one = Grid(10, 10, Affine(0.1, 0, -10, 0, -0.1, 50), "EPSG:4326")
    other = Grid(10, 10, Affine(0.1, 0, 350.5, 0, -0.1, 50), "EPSG:4326")
    assert shared_share(one, other) == pytest.approx(0.5)
    assert shared_share(one, replace(other, crs=None)) is None


def test_one_file_under_two_names_is_shared(tmp_path: Path, make_record: RecordMaker) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.tif").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "again.tif").symlink_to("a.tif")
    names = ["real/a.tif", "link/a.tif", "link/../real/a.tif", "real/again.tif", "real/b.tif"]
    records = [make_record(Path(f"{tmp_path}/{name}"), id=name, split=name) for name in names]
    assert pairs(records) == {(names[0], name) for name in names[1:4]}


def test_scenes_of_one_name_in_two_domains_are_two(make_record: RecordMaker) -> None:
    def tile(name: str, domain: str, split: str, row: int | None = 1) -> ChipRecord:
        file = Path(f"/x/{name}.tif")
        return make_record(
            file, id=name, domain=domain, split=split, scene="before", row=row, col=1
        )

    rows = [tile("a", "rhine", "train"), tile("b", "elbe", "val"), tile("c", "oder", "test", None)]
    assert pairs(rows) == set()
    assert pairs([*rows, tile("d", "elbe", "test")]) == {("b", "d")}
