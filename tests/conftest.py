"""What several tests need: real data where it is, and small rasters of every kind."""

import os
import resource
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import settings
from PIL import Image

from sarwater.datasets.manifest import ChipRecord, LabelCodes
from sarwater.types import AnyArray, Units

# A busy machine is no failure.
settings.register_profile("sarwater", deadline=None)
settings.load_profile("sarwater")

collect_ignore = ["stand_ins"]

PLACE = Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0)
"""Transform of 10 m pixels, in UTM."""
CRS = "EPSG:32631"


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept between runs stays out of the user's folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SARWATER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def real_data() -> Path:
    """Folder of the real data; the test is skipped where there is none."""
    name = os.environ.get("SARWATER_DATA")
    if not name:
        pytest.skip("SARWATER_DATA is not set: it names the folder of the real data")
    folder = Path(name)
    if not (folder / "etci2021").is_dir() or not (folder / "sen1floods11").is_dir():
        pytest.skip(f"SARWATER_DATA={name} holds no etci2021 and sen1floods11")
    return folder


class TifMaker(Protocol):
    """Writes a GeoTIFF and returns its path."""

    def __call__(
        self,
        name: str,
        array: AnyArray,
        *,
        crs: str | None = None,
        transform: Affine = PLACE,
        nodata: float | None = None,
        bands: tuple[str, ...] = (),
        mask: AnyArray | None = None,
    ) -> Path: ...


@pytest.fixture
def make_tif(tmp_path: Path) -> TifMaker:
    """Write [row, col] or [band, row, col] as GeoTIFF under the test's folder, with rasterio."""

    def make(
        name: str,
        array: AnyArray,
        *,
        crs: str | None = None,
        transform: Affine = PLACE,
        nodata: float | None = None,
        bands: tuple[str, ...] = (),
        mask: AnyArray | None = None,
    ) -> Path:
        values = array[None] if array.ndim == 2 else array
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        profile: dict[str, Any] = {
            "driver": "GTiff",
            "count": values.shape[0],
            "height": values.shape[1],
            "width": values.shape[2],
            "dtype": values.dtype,
            "nodata": nodata,
        }
        if crs:
            profile |= {"crs": crs, "transform": transform}
        with warnings.catch_warnings(), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path, "w", **profile) as dataset:
                dataset.write(values)
                if bands:
                    dataset.descriptions = bands
                if mask is not None:
                    dataset.write_mask(mask)
        return path

    return make


@pytest.fixture
def make_png(tmp_path: Path) -> Callable[[str, AnyArray], Path]:
    """Write [row, col] or [row, col, channel] uint8 as PNG under the test's folder."""

    def make(name: str, array: AnyArray) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(array, np.uint8)).save(path)
        return path

    return make


class RecordMaker(Protocol):
    """Makes a manifest's row."""

    def __call__(self, *images: Path, **changes: Any) -> ChipRecord: ...


@pytest.fixture
def make_record() -> RecordMaker:
    """Make a record of decibel bands VV, VH; ``codes`` may be given as text."""

    def make(*images: Path, **changes: Any) -> ChipRecord:
        cells: dict[str, Any] = {
            "id": "chip",
            "domain": "here",
            "images": images,
            "bands": ("VV", "VH"),
            "units": Units.DB,
        }
        changes = dict(changes)
        if isinstance(changes.get("codes"), str):
            tables = changes["codes"].split(";")
            changes["codes"] = tuple(LabelCodes.parse(text) for text in tables)
        return ChipRecord(**{**cells, **changes})

    return make


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Let files grow to so many bytes only, which to GDAL is the same as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:  # at once: pytest itself may be writing into a file
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
