"""Map the water of whole scenes: the same read and normalize as in training, by row strips."""

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sarwater import __version__
from sarwater.errors import ConfigError, OutputExistsError, SarwaterError
from sarwater.files import write_json
from sarwater.mapping.adapting import adapt_to_scene, describe
from sarwater.mapping.inputs import ModelScene, SceneSource, open_for_model
from sarwater.mapping.outputs import (
    MapRows,
    Tally,
    Thumbnail,
    map_layers,
    mapped_rows,
    open_map,
    output_paths,
    publish,
)
from sarwater.mapping.work import Work, work_folder
from sarwater.normalize import BandStatistics
from sarwater.prediction import Predictor
from sarwater.progress import step
from sarwater.raster import write_cog
from sarwater.types import BoolArray, FloatArray

_LONGEST = 200
"""Bytes of a scene's name; file systems hold 255 with what is added."""

_BETWEEN_NOTES = 10.0
"""Seconds of work that a killed process loses at most, and the time of a strip."""

_REPLAYED = 512
"""Rows that are read at once of what was mapped before."""

Draw = Callable[[Thumbnail, Path], None]
"""Draws a thumbnail into a file."""

Say = Callable[[str], None]
"""Tells the user something worth knowing, one line."""


@dataclass(frozen=True)
class MapOptions:
    """How scenes are mapped."""

    threshold: float | None = None
    """Foreground probability from which a pixel is water, 0 ... 1; the model's by default."""
    overwrite: bool = False
    """Replace outputs that exist."""
    adapt: bool = False
    """Take the statistics of the model's batch norm from each scene before it is mapped (AdaBN)."""
    probability: str = "uint8"
    """How probabilities are stored: ``uint8``, in steps of .004 that the file's scale tells, or
    ``float32``."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: the threshold is not within 0 ... 1, or there is no such type.
        """
        if self.probability not in ("uint8", "float32"):
            raise ConfigError(f"probability: uint8 or float32, found '{self.probability}'")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ConfigError(f"threshold: from 0 to 1, found {self.threshold}")


@dataclass(frozen=True)
class MapResult:
    """What became of several scenes."""

    summaries: tuple[dict[str, Any], ...]
    """Of the scenes that were mapped, in order."""
    failures: tuple[tuple[str, SarwaterError], ...]
    """Name and error of those that could not be."""


def map_scenes(
    sources: Sequence[SceneSource],
    predictor: Predictor,
    out: Path,
    options: MapOptions | None = None,
    *,
    draw: Draw | None = None,
    say: Say = print,
) -> MapResult:
    """Map scenes one after the other; one that fails does not keep the others from it.

    Arguments are those of ``map_scene``.

    Raises:
        ConfigError: two scenes have the same name, or a name is no file name.
        OutputExistsError: outputs exist and may not be overwritten.
    """
    options = options or MapOptions()
    check_outputs(sources, out, overwrite=options.overwrite)
    summaries: list[dict[str, Any]] = []
    failures: list[tuple[str, SarwaterError]] = []
    for source in sources:
        try:
            summaries.append(map_scene(source, predictor, out, options, draw=draw, say=say))
        except SarwaterError as error:
            failures.append((source.title, error))
    return MapResult(tuple(summaries), tuple(failures))


def map_scene(
    source: SceneSource,
    predictor: Predictor,
    out: Path,
    options: MapOptions | None = None,
    *,
    draw: Draw | None = None,
    say: Say = print,
) -> dict[str, Any]:
    """Map one scene of any size; memory follows its width, not its height.

    The border rule of 8-bit scenes is the exception: it holds three bytes a pixel of the scene.

    Writes ``<title>_water.tif`` and ``<title>_probability.tif`` (cloud-optimized GeoTIFFs),
    ``<title>_summary.json`` and, with ``draw``, ``<title>_quicklook.png``: all of them, or none.
    A call that was killed leaves its work aside, and the same call goes on there.

    Args:
        source: the scene.
        predictor: the model.
        out: folder of the outputs.
        options: threshold and overwriting.
        draw: draws the quick-look.
        say: is told what was converted or looks odd.

    Returns:
        The content of the summary.

    Raises:
        RasterError: a file cannot be read.
        OutputError: a file cannot be written, the disk is full.
        DataError: the scene's files do not fit each other.
        ModelError: the scene does not fit the model.
        OutputExistsError: an output exists and may not be overwritten.
    """
    options = options or MapOptions()
    check_outputs([source], out, overwrite=options.overwrite)
    begin = time.perf_counter()
    info = predictor.info
    threshold = info.threshold if options.threshold is None else options.threshold
    with open_for_model(source, predictor) as scene:
        for note in scene.notes:
            say(f"{source.title}: {note}")
        group, adaptation = scene.statistics(), None
        if options.adapt:
            predictor, adaptation = adapt_to_scene(predictor, scene, group, threshold)
            say(f"{source.title}: {describe(adaptation)}")
        tags = _tags(source, scene, predictor, threshold, adapted=adaptation is not None)
        layers = map_layers(info.classes, tags, options.probability)
        look = Thumbnail(source.title, scene.grid, info.bands, info.units, info.classes, threshold)
        tally = Tally(scene.grid, info.classes)
        settings = _settings(source, predictor, options, tags)
        with work_folder(out, source.title, settings) as work:
            made = output_paths(work.folder, source.title)
            rows = {kind: work.folder / f"{kind}.rows.tif" for kind in layers}
            if work.rows:
                say(f"{source.title}: goes on at row {work.rows} of {scene.grid.height}")
            with open_map(rows, scene.grid, layers, anew=not work.rows) as raster:
                _replay(scene, raster, work.rows, tally, look)
                _predict(scene, predictor, group, threshold, options, work, raster, tally, look)
            for kind, layer in layers.items():
                write_cog(rows[kind], made[kind], layer)
            if draw is not None:
                draw(look, made["quicklook"])
            written = [path.name for path in made.values() if path.exists()]
            summary: dict[str, Any] = {
                "scene": source.title,
                "files": [str(file) for file in source.files],
                "height": scene.grid.height,
                "width": scene.grid.width,
                "crs": scene.grid.crs,
                "area_unit": "km2" if scene.grid.crs else "pixels",
                **tally.result(),
                "threshold": threshold,
                "adaptation": adaptation,
                "engine": predictor.engine.name,
                "patch_size": predictor.windows.patch_size,
                "overlap": predictor.windows.overlap,
                "provenance": tags,
                "notes": list(scene.notes),
                "outputs": [*written, made["summary"].name],
                "seconds": round(time.perf_counter() - begin, 3),
            }
            write_json(made["summary"], summary)
            there = {kind: path for kind, path in made.items() if path.exists()}
            publish(there, output_paths(out, source.title), overwrite=options.overwrite)
    return summary


def check_outputs(sources: Sequence[SceneSource], out: Path, *, overwrite: bool) -> None:
    """Check, before any work, that the scenes' outputs can be written.

    Raises:
        ConfigError: two scenes have the same name, a name is no file name, or an output would
            replace a scene's own file.
        OutputExistsError: outputs exist and ``overwrite`` is false, or one of them is a folder.
    """
    titles = [source.title for source in sources]
    double = sorted(title for title, count in Counter(titles).items() if count > 1)
    if double:
        raise ConfigError(
            f"several scenes are named {', '.join(double)} and would write the same files; map "
            "them into different folders, or one by one with --name"
        )
    for title in titles:
        if Path(title).name != title or "\0" in title or len(os.fsencode(title)) > _LONGEST:
            raise ConfigError(
                f"{title[:80]!r} cannot begin a file name; give a --name without slashes, of at "
                f"most {_LONGEST} bytes"
            )
    paths = [path for title in titles for path in output_paths(out, title).values()]
    inputs = {file.resolve() for source in sources for file in source.files}
    own = [str(path) for path in paths if path.resolve() in inputs]
    if own:
        raise ConfigError(
            f"{', '.join(own)} would be replaced by a map, but is a scene that is to be read; "
            "name another folder"
        )
    folders = [str(path) for path in paths if path.is_dir()]
    if folders:
        raise OutputExistsError(
            f"{', '.join(folders)} is a folder; a file of that name is to be written"
        )
    there = [str(path) for path in paths if path.exists()]
    if there and not overwrite:
        raise OutputExistsError(
            f"{', '.join(there)} exist{'s' if len(there) == 1 else ''} already; name another "
            "folder or pass --overwrite"
        )


def _replay(scene: ModelScene, raster: MapRows, done: int, tally: Tally, look: Thumbnail) -> None:
    """Count and thin out what an earlier call has mapped."""
    for row in range(0, done, _REPLAYED):
        rows = raster.read(row, min(_REPLAYED, done - row))
        tally.add(rows)
        look.add_map(rows)
    for row in range(0, done, look.step):
        look.add_image(row, scene.read(row, 1)[0])


def _predict(
    scene: ModelScene,
    predictor: Predictor,
    group: BandStatistics | None,
    threshold: float,
    options: MapOptions,
    work: Work,
    raster: MapRows,
    tally: Tally,
    look: Thumbnail,
) -> None:
    """Predict what is missing of a scene, write it strip by strip, fill the thumbnail, count."""
    height, width = scene.grid.height, scene.grid.width

    def read(row: int, rows: int) -> tuple[FloatArray, BoolArray]:
        image, valid = scene.read(row, rows)
        look.add_image(row, image)
        return image, valid

    strips = predictor.predict_rows(read, (height, width), group, begin=work.rows)
    noted = time.monotonic()
    with step(f"mapping {look.name}", total=height, completed=work.rows) as bar:
        for piece in mapped_rows(strips, threshold, options.probability):
            raster.write(piece)
            tally.add(piece)
            look.add_map(piece)
            bar.advance(piece.classes.shape[0])
            if time.monotonic() - noted > _BETWEEN_NOTES:
                raster.sync()
                work.note(piece.row + piece.classes.shape[0])
                noted = time.monotonic()


def _settings(
    source: SceneSource, predictor: Predictor, options: MapOptions, tags: dict[str, str]
) -> dict[str, Any]:
    """Return everything that the bytes of a map depend on, to know whether to go on with it."""
    files = [(str(file.resolve()), file.stat()) for file in source.files]
    return {
        "files": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in files],
        "bands": list(source.bands),
        "nodata": source.nodata,
        "tags": tags,
        "windows": asdict(predictor.windows),
        "engine": predictor.engine.name,
        "probability": options.probability,
    }


def _tags(
    source: SceneSource, scene: ModelScene, predictor: Predictor, threshold: float, *, adapted: bool
) -> dict[str, str]:
    info, bundle = predictor.info, predictor.bundle
    is_own = threshold == info.threshold
    return {
        "SARWATER_VERSION": __version__,
        "MODEL": bundle.path.name if bundle.path else "",
        "MODEL_HASH": bundle.hash,
        "MODEL_VERSION": info.version,
        "THRESHOLD": repr(threshold),
        "THRESHOLD_CRITERION": info.threshold_criterion if is_own else "given by the user",
        "SEED_MARGIN": repr(info.seed_margin),
        "BANDS": ",".join(info.bands),
        "UNITS": info.units.value,
        "SOURCE_UNITS": scene.units.value,
        "ENGINE": predictor.engine.name,
        "ADAPTATION": "batch norm of this scene" if adapted else "none",
        "NORMALIZATION": info.normalization.kind.value,
        "SOURCE": ",".join(file.name for file in source.files),
    }
