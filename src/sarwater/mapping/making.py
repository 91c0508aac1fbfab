"""From an open scene to the files of its map, in the folder aside."""

import hashlib
import json
import platform
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from sarwater import __version__
from sarwater.files import real, write_json
from sarwater.mapping.exclusion import Exclusion
from sarwater.mapping.inputs import ModelScene, SceneSource
from sarwater.mapping.options import SCENE_THRESHOLD, MapOptions, PolygonOptions
from sarwater.mapping.outputs import (
    MapRows,
    Tally,
    Thumbnail,
    map_layers,
    mapped_rows,
    open_map,
    output_paths,
)
from sarwater.mapping.stac import acquired, map_item, utc_text
from sarwater.mapping.styles import write_class_style, write_probability_style
from sarwater.mapping.work import Work
from sarwater.normalize import BandStatistics
from sarwater.prediction import Predictor
from sarwater.progress import step
from sarwater.raster import gdal_version, write_cog
from sarwater.types import AnyArray, BoolArray, ByteArray

_BETWEEN_NOTES = 10.0
"""Seconds of work that a killed process loses at most, and the time of a strip."""

_REPLAYED = 512
"""Rows that are read at once of what was mapped before."""

Draw = Callable[[Thumbnail, Path, Path], None]
"""Draws a thumbnail into two files: the quick-look, and the layers of a report."""


@dataclass(frozen=True)
class SceneMap:
    """A scene on its way to files."""

    source: SceneSource
    scene: ModelScene
    predictor: Predictor
    threshold: float
    options: MapOptions
    group: BandStatistics | None = None
    """Band statistics of the scene, where the normalization needs them."""
    criterion: str = ""
    """How the threshold was chosen, where it is neither the model's nor given."""
    adaptation: dict[str, Any] | None = None
    """What adapting to the scene has changed."""

    @property
    def excluded_class(self) -> bool:
        """Whether excluded pixels are a class of their own."""
        return bool(self.options.exclude) and self.options.exclude_as == "class"

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the map's classes."""
        known = self.predictor.info.classes
        return (*known, "excluded") if self.excluded_class else known

    @property
    def tags(self) -> dict[str, str]:
        """Metadata items of provenance."""
        info, bundle = self.predictor.info, self.predictor.bundle
        known = (
            info.threshold_criterion if self.threshold == info.threshold else "given by the user"
        )
        return {
            "SARWATER_VERSION": __version__,
            "MODEL": bundle.path.name if bundle.path else "",
            "MODEL_HASH": bundle.hash,
            "MODEL_VERSION": info.version,
            "THRESHOLD": repr(self.threshold),
            "THRESHOLD_CRITERION": self.criterion or known,
            "SEED_MARGIN": repr(info.seed_margin),
            "BANDS": ",".join(info.bands),
            "UNITS": info.units.value,
            "SOURCE_UNITS": self.scene.units.value,
            "ENGINE": self.predictor.engine.name,
            "ADAPTATION": "batch norm of this scene" if self.adaptation else "none",
            "NORMALIZATION": info.normalization.kind.value,
            "SOURCE": ",".join(file.name for file in self.source.files),
            "EXCLUDED": ",".join(file.name for file in self.options.exclude),
        }

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that the bytes of the map depend on, to know whether to go on with it.

        Adapting to the scene gives the same model and threshold each time, so that the wish of it
        will do.
        """
        found = {"ADAPTATION"}
        if self.options.threshold == SCENE_THRESHOLD:
            found |= {"THRESHOLD", "THRESHOLD_CRITERION"}
        files = [*self.source.files, *self.options.exclude]
        stats = [(str(real(file)), file.stat()) for file in files]
        chosen = self.options
        return {
            "files": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats],
            "bands": list(self.source.bands),
            "nodata": self.source.nodata,
            "adapt": chosen.adapt,
            "tags": {name: text for name, text in self.tags.items() if name not in found},
            "threshold": self.options.threshold,
            "windows": asdict(self.predictor.windows),
            "probability": chosen.probability,
            "exclude_as": chosen.exclude_as,
            "polygons": asdict(chosen.polygons) if chosen.polygons else None,
        }

    def make(self, work: Work, draw: Draw | None) -> tuple[dict[str, Path], dict[str, Any]]:
        """Make the map's files in the folder aside, or go on with them.

        Returns:
            The files by kind, and the content of the summary.

        Raises:
            RasterError: a file cannot be read.
            OutputError: the disk is full.
        """
        begin = time.perf_counter()
        grid, info, name = self.scene.grid, self.predictor.info, self.source.title
        suffix = self.options.polygons.suffix if self.options.polygons else None
        made = output_paths(work.folder, name, suffix)
        layers = map_layers(self.classes, self.tags, self.options.probability)
        rows = {kind: work.folder / f"{kind}.rows.tif" for kind in layers}
        tally = Tally(grid, self.classes, excluded=self.excluded_class)
        look = Thumbnail(name, grid, info.bands, info.units, self.classes, self.threshold)
        with open_map(rows, grid, layers, anew=not work.rows) as raster:
            self._replay(raster, work.rows, tally, look)
            self._predict(work, raster, tally, look)
            if self.options.polygons is not None:
                self._trace(raster, made["polygons"], self.options.polygons)
        # Both at once: each has parts that keep one core busy only.
        with ThreadPoolExecutor() as pool, step("writing files", None):
            list(pool.map(lambda kind: write_cog(rows[kind], made[kind], layers[kind]), layers))
        write_class_style(made["water_style"], self.classes)
        write_probability_style(made["probability_style"])
        if draw is not None:
            draw(look, made["quicklook"], made["pictures"])
        last = ("item", "summary")  # there already where a call before was killed after them
        there = {kind: path for kind, path in made.items() if kind not in last and path.exists()}
        when = self.source.when or acquired([file.name for file in self.source.files])
        summary = self._summary(tally) | {
            "acquired": utc_text(when) if when else None,
            "created": utc_text(datetime.now(UTC)),
            "seconds": round(time.perf_counter() - begin, 3),
        }
        assets = there | {"summary": made["summary"]}
        item = map_item(name, grid, assets, self.tags, summary, when)
        write_json(made["item"], item, overwrite=True)
        names = [path.name for path in (*there.values(), made["item"], made["summary"])]
        summary["outputs"] = names
        write_json(made["summary"], summary, overwrite=True)
        return assets | {"item": made["item"]}, summary

    def _replay(self, raster: MapRows, done: int, tally: Tally, look: Thumbnail) -> None:
        """Count and thin out what an earlier call has mapped."""
        for row in range(0, done, _REPLAYED):
            rows = raster.read(row, min(_REPLAYED, done - row))
            tally.add(rows)
            look.add_map(rows)
        for row in range(0, done, look.step):
            look.add_image(row, self.scene.read(row, 1)[0])

    def _predict(self, work: Work, raster: MapRows, tally: Tally, look: Thumbnail) -> None:
        """Predict what is missing, write it strip by strip, fill the thumbnail, count."""
        grid = self.scene.grid

        def read(row: int, rows: int) -> tuple[AnyArray, BoolArray]:
            image, valid = self.scene.read(row, rows)
            look.add_image(row, image)
            return image, valid

        strips = self.predictor.predict_rows(
            read, (grid.height, grid.width), self.group, begin=work.rows
        )
        noted = time.monotonic()
        code = len(self.classes) - 1 if self.excluded_class else None
        with (
            closing(strips),  # or its threads would read on from files that are closed
            Exclusion(self.options.exclude, grid, code) as exclusion,
            step(f"mapping {look.name}", grid.height, completed=work.rows, unit="rows") as bar,
        ):
            for mapped in mapped_rows(strips, self.threshold, self.options.probability):
                piece = exclusion.applied(mapped)
                raster.write(piece)
                tally.add(piece)
                look.add_map(piece)
                bar.advance(piece.classes.shape[0])
                if time.monotonic() - noted > _BETWEEN_NOTES:
                    raster.sync()
                    work.note(piece.row + piece.classes.shape[0])
                    noted = time.monotonic()

    def _trace(self, raster: MapRows, path: Path, options: PolygonOptions) -> None:
        from sarwater.mapping.polygons import water_polygons, write_polygons

        def read(row: int, rows: int) -> ByteArray:
            return np.asarray(raster.read(row, rows).classes)

        known = self.predictor.info.classes
        with step("tracing polygons", None):
            write_polygons(path, water_polygons(read, self.scene.grid, known, options))

    def _summary(self, tally: Tally) -> dict[str, Any]:
        grid, windows = self.scene.grid, self.predictor.windows
        return {
            "scene": self.source.title,
            "files": [str(file) for file in self.source.files],
            "height": grid.height,
            "width": grid.width,
            "crs": grid.crs,
            "area_unit": "km2" if grid.crs else "pixels",
            **tally.result(),
            "threshold": self.threshold,
            "adaptation": self.adaptation,
            "engine": self.predictor.engine.name,
            "patch_size": windows.patch_size,
            "overlap": windows.overlap,
            "provenance": self.tags,
            "versions": _versions(self.predictor.engine.name.split()[0]),
            "settings": fingerprint(self.settings),
            "notes": list(self.scene.notes),
        }


def _versions(engine: str) -> dict[str, str]:
    """Return the versions of what made a map: by them it can be made again."""
    found = {"sarwater": __version__, "python": platform.python_version()}
    found |= {"numpy": np.__version__, "gdal": gdal_version()}
    with suppress(PackageNotFoundError):  # an engine of the user's own
        found[engine] = version(engine)
    return found


def fingerprint(settings: dict[str, Any]) -> str:
    """Return a hash of settings, by which a finished map is known.

    >>> fingerprint({"a": 1}) == fingerprint({"a": 1}) != fingerprint({"a": 2})
    True
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
