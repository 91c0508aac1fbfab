"""Map the water of whole scenes: the same read and normalize as in training, by row strips."""

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sarwater import __version__
from sarwater.errors import ConfigError, OutputExistsError, SarwaterError
from sarwater.files import write_json
from sarwater.mapping.adapting import adapt_to_scene, describe
from sarwater.mapping.inputs import ModelScene, SceneSource, open_for_model
from sarwater.mapping.outputs import (
    Tally,
    Thumbnail,
    in_blocks,
    mapped_rows,
    open_map,
    output_paths,
    staged,
)
from sarwater.normalize import BandStatistics
from sarwater.prediction import Predictor
from sarwater.progress import step
from sarwater.types import BoolArray, FloatArray

_LONGEST = 200
"""Bytes of a scene's name; file systems hold 255 with what is added."""

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

    def __post_init__(self) -> None:
        """Check the range.

        Raises:
            ConfigError: the threshold is not within 0 ... 1.
        """
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

    Writes ``<title>_water.tif``, ``<title>_probability.tif``, ``<title>_summary.json`` and, with
    ``draw``, ``<title>_quicklook.png``: all of them, or none.

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
        RasterError: a file cannot be read or written.
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
        paths = output_paths(out, source.title)
        group, adaptation = scene.statistics(source.title), None
        if options.adapt:
            predictor, adaptation = adapt_to_scene(predictor, scene, group, threshold)
            say(f"{source.title}: {describe(adaptation)}")
        tags = _tags(source, scene, predictor, threshold, adapted=adaptation is not None)
        look = Thumbnail(source.title, scene.grid, info.bands, info.units, info.classes, threshold)
        with staged(paths, out) as aside:
            tally = _write(scene, predictor, group, threshold, aside, tags, look)
            if draw is not None:
                draw(look, aside["quicklook"])
            written = [path.name for path in aside.values() if path.exists()]
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
                "patch_size": predictor.windows.patch_size,
                "overlap": predictor.windows.overlap,
                "provenance": tags,
                "notes": list(scene.notes),
                "outputs": [*written, paths["summary"].name],
                "seconds": round(time.perf_counter() - begin, 3),
            }
            write_json(aside["summary"], summary)
    return summary


def check_outputs(sources: Sequence[SceneSource], out: Path, *, overwrite: bool) -> None:
    """Check, before any work, that the scenes' outputs can be written.

    Raises:
        ConfigError: two scenes have the same name, a name is no file name, or an output would
            replace a scene's own file.
        OutputExistsError: outputs exist and ``overwrite`` is false.
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
    there = [str(path) for path in paths if path.exists()]
    if there and not overwrite:
        raise OutputExistsError(
            f"{', '.join(there)} exist{'s' if len(there) == 1 else ''} already; name another "
            "folder or pass --overwrite"
        )


def _write(
    scene: ModelScene,
    predictor: Predictor,
    group: BandStatistics | None,
    threshold: float,
    paths: dict[str, Path],
    tags: dict[str, str],
    look: Thumbnail,
) -> Tally:
    """Predict a scene and write its rasters strip by strip; fill the thumbnail; count."""
    height, width = scene.grid.height, scene.grid.width
    tally = Tally(scene.grid, predictor.info.classes)

    def read(row: int, rows: int) -> tuple[FloatArray, BoolArray]:
        image, valid = scene.read(row, rows)
        look.add_image(row, image)
        return image, valid

    strips = predictor.predict_rows(read, (height, width), group)
    with (
        step(f"mapping {look.name}", total=height) as bar,
        open_map(paths, scene.grid, predictor.info.classes, tags) as write,
    ):
        for piece in in_blocks(mapped_rows(strips, threshold), height):
            write(piece)
            tally.add(piece)
            look.add_map(piece)
            bar.advance(piece.classes.shape[0])
    return tally


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
        "ADAPTATION": "batch norm of this scene" if adapted else "none",
        "NORMALIZATION": info.normalization.kind.value,
        "SOURCE": ",".join(file.name for file in source.files),
    }
