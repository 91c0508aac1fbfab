from pathlib import Path

import pytest

from sarwater.datasets.indexing import index
from sarwater.errors import ConfigError, DataError


def test_an_unknown_layout_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'sen1flods11' \(did you mean 'sen1floods11'\?\)"):
        index(tmp_path, "sen1flods11")


def test_a_path_that_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="gone is not a folder"):
        index(tmp_path / "gone", "folder")
