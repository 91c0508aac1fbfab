"""Map the water of whole scenes: the same read and normalize as in training, by row strips."""

import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sarwater.errors import ConfigError, OutputExistsError, SarwaterError, without_frames
from sarwater.files import real
from sarwater.mapping.adapting import adapt_to_scene, describe
from sarwater.mapping.inputs import SceneSource, open_for_model
from sarwater.mapping.making import Draw as Draw
from sarwater.mapping.making import SceneMap, fingerprint
from sarwater.mapping.options import SCENE_THRESHOLD, MapOptions
from sarwater.mapping.outputs import output_paths, publish
from sarwater.mapping.thresholds import in_words, threshold_of_scene
from sarwater.mapping.work import work_folder
from sarwater.prediction import Predictor
from sarwater.raster import block_cache

_LONGEST = 200
"""Bytes of a scene's name; file systems hold 255 with what is added."""

Say = Callable[[str], None]
"""Tells the user something worth knowing, one line."""

log: Say = logging.getLogger(__name__).info
"""Tells it whoever looks at the log, where nothing else is asked for."""


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
    say: Say = log,
) -> MapResult:
    """Map scenes one after the other; one that fails does not keep the others from it.

    Arguments are those of ``map_scene``.

    Raises:
        ConfigError: two scenes have the same name, or a name is no file name.
        OutputExistsError: outputs exist and may not be overwritten.
    """
    options = options or MapOptions()
    check_outputs(sources, out, options)
    summaries: list[dict[str, Any]] = []
    failures: list[tuple[str, SarwaterError]] = []
    for source in sources:
        try:
            summaries.append(map_scene(source, predictor, out, options, draw=draw, say=say))
        except SarwaterError as error:
            failures.append((source.title, without_frames(error)))
    return MapResult(tuple(summaries), tuple(failures))


def map_scene(
    source: SceneSource,
    predictor: Predictor,
    out: Path,
    options: MapOptions | None = None,
    *,
    draw: Draw | None = None,
    say: Say = log,
) -> dict[str, Any]:
    """Map one scene of any size; memory follows its width, not its height.

    Writes ``<title>_water.tif`` and ``<title>_probability.tif`` (cloud-optimized GeoTIFFs),
    ``<title>_summary.json`` and, with ``draw``, ``<title>_quicklook.png`` and
    ``<title>_pictures.zip``: all of them, or none.
    A call that was killed leaves its work aside, and the same call goes on there.

    Args:
        source: the scene.
        predictor: the model.
        out: folder of the outputs.
        options: threshold and overwriting.
        draw: draws the quick-look and the pictures that `sarwater report` shows, as
            ``report.map_charts.draw_map`` does for `sarwater map`; nothing by default.
        say: is told what was converted or looks odd; by default the log.

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
    check_outputs([source], out, options)
    info, title = predictor.info, source.title
    given = options.threshold
    if given is None and info.scene_threshold:
        given = SCENE_THRESHOLD
        options = replace(options, threshold=given)
    threshold = float(given) if isinstance(given, float | int) else info.threshold
    with open_for_model(source, predictor) as scene, block_cache(scene.shared_bytes):
        for note in scene.notes:
            say(f"{title}: {note}")
        predictor = scene.predictor
        job = SceneMap(source, scene, predictor, threshold, options)
        done = _done(out, title, options, fingerprint(job.settings))
        if done is not None:
            say(f"{title}: is mapped already, with the same settings")
            return done
        job = replace(job, group=scene.statistics())
        if options.adapt:
            adapted, found = adapt_to_scene(predictor, scene, job.group, threshold)
            job = replace(job, predictor=adapted, adaptation=found)
            say(f"{title}: {describe(found)}")
        if given == SCENE_THRESHOLD:
            chosen = threshold_of_scene(job.predictor, scene, job.group)
            job = replace(job, threshold=chosen.threshold, criterion=chosen.criterion)
            say(f"{title}: {in_words(chosen)}")
        with work_folder(out, title, job.settings) as work:
            if work.rows:
                say(f"{title}: goes on at row {work.rows} of {scene.grid.height}")
            made, summary = job.make(work, draw)
            publish(made, _paths(out, title, options), overwrite=options.overwrite)
    return summary


def _done(out: Path, title: str, options: MapOptions, settings: str) -> dict[str, Any] | None:
    """Return the summary of a finished map of the same settings, None where there is no map.

    Raises:
        OutputExistsError: there is another map, which may not be overwritten.
    """
    paths = _paths(out, title, options)
    there = [str(path) for path in paths.values() if path.exists()]
    if not there or options.overwrite:
        return None
    try:
        summary: dict[str, Any] = json.loads(paths["summary"].read_text())
        if summary["settings"] == settings and all(
            (out / name).exists() for name in summary["outputs"]
        ):
            return summary
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not a summary of ours
    raise OutputExistsError(
        f"{', '.join(there)} exist{'s' if len(there) == 1 else ''} already, from other settings; "
        "name another folder or pass --overwrite"
    )


def _paths(out: Path, title: str, options: MapOptions) -> dict[str, Path]:
    return output_paths(out, title, options.polygons.suffix if options.polygons else None)


def check_outputs(sources: Sequence[SceneSource], out: Path, options: MapOptions) -> None:
    """Check, before any work, that the scenes' outputs can be written.

    Raises:
        ConfigError: two scenes have the same name, a name is no file name, or an output would
            replace a scene's own file; or a file of pixels to leave out is not there.
        OutputExistsError: a folder is in the place of an output, or a file in that of the folder.
    """
    if os.path.lexists(out) and not out.is_dir():
        raise OutputExistsError(f"{out} is a file; name a folder for the maps")
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
    paths = [path for title in titles for path in _paths(out, title, options).values()]
    inputs = {real(file) for source in sources for file in source.files}
    inputs |= {real(file) for file in options.exclude}
    own = [str(path) for path in paths if real(path) in inputs]
    if own:
        raise ConfigError(
            f"{', '.join(own)} would be replaced by a map, but is a scene that is to be read; "
            "name another folder"
        )
    gone = [str(file) for file in options.exclude if not file.is_file()]
    if gone:
        raise ConfigError(f"there is no file {', '.join(gone)} of pixels to leave out (--exclude)")
    folders = [str(path) for path in paths if path.is_dir()]
    if folders:
        raise OutputExistsError(
            f"{', '.join(folders)} is a folder; a file of that name is to be written"
        )
