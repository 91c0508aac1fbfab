"""The page of an inspection: what is in the data."""

from pathlib import Path
from typing import Any

from sarwater.report.section import BlobStore, Section


def data_section(path: Path, result: Any, _: BlobStore) -> Section:
    """Return the section of ``inspection.json``."""
    ratios = result["ratio_bins"]
    rows = [
        (name, *map(str, counts))
        for group in ("by_split", "by_domain")
        for name, counts in ratios[group].items()
    ]
    return Section(
        "data",
        path.parent.name,
        remarks=[f"{one['severity']}: {one['message']}" for one in result["findings"]],
        data={
            "bins": ratios["bins"],
            "ratios": [*rows, ("all", *map(str, ratios["total"]))],
        },
    )
