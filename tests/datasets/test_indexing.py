from pathlib import Path

import numpy as np
import pytest

from sarwater.datasets.indexing import index
from sarwater.errors import ConfigError, DataError
from tests.conftest import TifMaker


def test_an_unknown_layout_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'sen1flods11' \(did you mean 'sen1floods11'\?\)"):
        index(tmp_path, "sen1flods11")


def test_a_path_that_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone is not a folder"):
        index(tmp_path / "gone", "folder")


def test_a_wrong_crs_is_named_with_its_file(make_tif: TifMaker, tmp_path: Path) -> None:
    make_tif("set/images/a.tif", np.full((2, 4, 4), -9, np.float32), crs="EPSG:4326")
    with pytest.raises(DataError, match=r"a\.tif lies nowhere on Earth: its CRS is EPSG:4326"):
        index(tmp_path / "set", "folder")
