"""How scenes are mapped."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sarwater.errors import ConfigError

SCENE_THRESHOLD: Literal["scene"] = "scene"
"""In place of a number: each scene's own, from its backscatter."""

MODEL_THRESHOLD: Literal["model"] = "model"
"""In place of a number: the model's, for every scene."""

FORMATS = {"gpkg": "GPKG", "fgb": "FlatGeobuf", "parquet": "GeoParquet"}
"""Kinds of files by suffix."""


@dataclass(frozen=True)
class PolygonOptions:
    """Which water becomes polygons, and how."""

    suffix: str = "gpkg"
    """One of ``FORMATS``."""
    min_area: float = 0.0
    """Square metres (pixels where the scene has no CRS); smaller bodies of water are left out."""
    simplify: float = 0.0
    """Metres (pixels) by which a shore may move when its vertices are thinned out."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: all that are out of range.
        """
        wrong = []
        if self.suffix not in FORMATS:
            wrong.append(f"polygons: one of {', '.join(FORMATS)}, found '{self.suffix}'")
        for name, value in (("min_area", self.min_area), ("simplify", self.simplify)):
            if not 0 <= value < float("inf"):
                wrong.append(f"{name}: 0 or more, found {value}")
        if wrong:
            raise ConfigError("; ".join(wrong))


@dataclass(frozen=True)
class MapOptions:
    """How scenes are mapped."""

    threshold: float | Literal["scene", "model"] | None = None
    """Foreground probability from which a pixel is water, 0 ... 1; ``model``: the model's;
    ``scene``: chosen for each scene, see ``threshold_of_scene``; by default what the model wants,
    see ``ModelInfo.scene_threshold``."""
    overwrite: bool = False
    """Replace outputs that exist."""
    adapt: bool = False
    """Take the statistics of the model's batch norm from each scene before it is mapped (AdaBN)."""
    probability: str = "uint8"
    """How probabilities are stored: ``uint8``, in steps of .004 that the file's scale tells, or
    ``float32``."""
    polygons: PolygonOptions | None = None
    """Write water as polygons too."""
    exclude: tuple[Path, ...] = ()
    """Rasters whose pixels that are not 0 (layover, shadow, terrain, permanent water) are left out
    of the map."""
    exclude_as: str = "nodata"
    """What excluded pixels become: ``nodata``, or ``class``, a class of their own."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: all that are out of range or unknown.
        """
        wrong = []
        given = self.threshold
        words = (None, SCENE_THRESHOLD, MODEL_THRESHOLD)
        if given not in words and not _is_share(given):
            wrong.append(f"threshold: from 0 to 1, scene or model, found {given}")
        for name, value, known in (
            ("probability", self.probability, ("uint8", "float32")),
            ("exclude_as", self.exclude_as, ("nodata", "class")),
        ):
            if value not in known:
                wrong.append(f"{name}: {' or '.join(known)}, found '{value}'")
        if wrong:
            raise ConfigError("; ".join(wrong))


def _is_share(value: object) -> bool:
    return isinstance(value, float | int) and 0 <= value <= 1
