"""From a folder of files to a manifest: one function a layout."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sarwater.datasets.etci2021 import list_etci2021
from sarwater.datasets.folder import list_folder
from sarwater.datasets.headers import fill_records
from sarwater.datasets.listing import Listing
from sarwater.datasets.manifest import Manifest
from sarwater.datasets.sen1floods11 import list_sen1floods11
from sarwater.errors import ConfigError, DataError, nearest

LAYOUTS: Mapping[str, Callable[..., Listing]] = {
    "sen1floods11": list_sen1floods11,
    "etci2021": list_etci2021,
    "folder": list_folder,
}
"""Name of a layout and the function that lists the chips under a path."""


def index(
    path: str | Path,
    layout: str,
    *,
    report: Callable[[str], None] | None = None,
    **options: Any,
) -> Manifest:
    """List the chips under ``path`` and read their headers.

    Args:
        path: the data set's folder.
        layout: a name in ``LAYOUTS``.
        report: called with each remark on the find (files that are missing, chips unlabelled).
        options: those of the layout's function.

    Raises:
        ConfigError: the layout is unknown.
        DataError: there is nothing of that layout under ``path``, or its files contradict each
            other; all of them are named.
    """
    if layout not in LAYOUTS:
        raise ConfigError(
            f"unknown layout '{layout}'{nearest(layout, list(LAYOUTS))}; "
            f"expected one of {', '.join(LAYOUTS)}"
        )
    folder = Path(path)
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give the folder that holds the data set")
    listing = LAYOUTS[layout](folder, **options)
    records = fill_records(listing)
    for note in listing.notes if report else ():
        assert report is not None
        report(note)
    return Manifest(records)
