"""A plain folder of images, with labels or without: any bands, any classes."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from sarwater.datasets.listing import Listing, is_hidden, some
from sarwater.datasets.manifest import DEFAULT_CLASSES, ChipRecord, LabelCodes
from sarwater.datasets.records import check_names, check_nodata
from sarwater.errors import ConfigError, DataError, nearest
from sarwater.types import POLARIZATIONS, Units

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
"""Endings of files that count as images or labels, in any case of letters."""

_POLARIZED = re.compile(r"(?P<base>.+)[_.-](?P<band>vv|vh|hh|hv)", re.IGNORECASE)
"""Names of files that are one band of an image."""


@dataclass(frozen=True)
class _Found:
    """Files that make one image or one label, and the name that pairs them."""

    name: str
    folder: PurePath
    files: tuple[Path, ...]
    bands: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return (self.folder / self.name).as_posix()


def list_folder(
    path: Path,
    *,
    images: str | None = None,
    labels: str | None = None,
    image_suffix: str = "",
    label_suffix: str = "",
    bands: Sequence[str] = (),
    classes: Sequence[str] = DEFAULT_CLASSES,
    codes: str = "",
    units: Units | None = None,
    nodata: str = "auto",
    domain: str = "",
    domain_from_folder: bool = False,
) -> Listing:
    """List images and the labels of the same name.

    ``NAME_vv.tif`` and ``NAME_vh.tif`` (VV, VH, HH, HV, any case of letters) make one image.

    Args:
        path: the folder.
        images: pattern of the image files under ``path``; by default everything under
            ``images``, or under ``path`` itself where there is no such folder.
        labels: pattern of the label files; by default everything under ``labels``, if it exists.
        image_suffix: end of the image names (without extension) that the label names lack.
        label_suffix: end of the label names that the image names lack.
        bands: a name for each band; by default the polarizations or the files' descriptions.
        classes: names of the classes, the background first.
        codes: what the label values mean, ``0=land,1=water,255=ignore``; value i is class i by
            default.
        units: what the values measure; guessed chip by chip by default.
        nodata: rule of the manifest's column of that name.
        domain: domain of all chips; the folder's name by default.
        domain_from_folder: take the first folder under the images as the domain.

    Raises:
        ConfigError: the codes cannot be read or name a class that is not there; names occur
            twice; the rule for no data is none; a pattern cannot be used.
        DataError: there are no images.
    """
    for what, named in (("bands", bands), ("classes", classes)):
        try:
            check_names(what, named)
        except ValueError as error:
            raise ConfigError(str(error)) from error
    table = _codes(codes, classes)
    _check_nodata(nodata)
    found, label_files = _find(path, images, labels, image_suffix)
    problems = _twice(found) + _incomplete(found)
    pairs, notes = _labels(found, label_files, label_suffix, problems)
    names = _unique_names(found)
    records = []
    for image in found:
        label = pairs.get(image.key, ())
        subfolder = image.folder.parts[0] if domain_from_folder and image.folder.parts else ""
        records.append(
            ChipRecord(
                id=names[image.key],
                domain=subfolder or domain or path.resolve().name,
                images=image.files,
                bands=tuple(bands) or image.bands,
                units=units or Units.OTHER,
                nodata=nodata,
                labels=label,
                codes=(table,) * len(label),
                classes=tuple(classes),
            )
        )
    return Listing(tuple(records), tuple(notes), units is None, tuple(problems))


def _find(
    path: Path, images: str | None, labels: str | None, image_suffix: str
) -> tuple[list[_Found], list[tuple[Path, PurePath]]]:
    image_pattern = images or ("images/**/*" if (path / "images").is_dir() else "**/*")
    label_pattern = labels or ("labels/**/*" if (path / "labels").is_dir() else "")
    label_files = list(_files(path, label_pattern)) if label_pattern else []
    taken = {file for file, _ in label_files}
    image_files = [found for found in _files(path, image_pattern) if found[0] not in taken]
    if not image_files:
        raise DataError(
            f"{path} holds no image that matches '{image_pattern}': expected {', '.join(SUFFIXES)}"
        )
    return _group(image_files, image_suffix), label_files


def _labels(
    found: Sequence[_Found],
    files: Sequence[tuple[Path, PurePath]],
    suffix: str,
    problems: list[str],
) -> tuple[dict[str, tuple[Path, ...]], list[str]]:
    """Return each image's label by the image's key, and a note on images without."""
    pairs, unused = _pair(found, _labels_by_key(files, suffix, problems))
    if unused:
        problems.append(
            f"{len(unused)} labels have no image: {some(unused)}; images are named like "
            f"{found[0].files[0].name}: see --image-suffix and --label-suffix"
        )
    unlabelled = [image.key for image in found if image.key not in pairs]
    if not files or not unlabelled:
        return pairs, []
    text = f"{len(unlabelled)} of {len(found)} images have no label: {some(unlabelled, 3)}"
    return pairs, [text]


def _codes(text: str, classes: Sequence[str]) -> LabelCodes:
    if not text:
        return LabelCodes(dict(enumerate(classes)))
    try:
        table = LabelCodes.parse(text)
    except ValueError as error:
        raise ConfigError(f"codes '{text}': {error}") from error
    unknown = sorted(table.names() - {"ignore", "keep", *classes})
    if unknown:
        raise ConfigError(
            f"codes '{text}' name {some(unknown)}{nearest(unknown[0], list(classes))}, not among "
            f"the classes {', '.join(classes)}"
        )
    return table


def _check_nodata(rule: str) -> None:
    try:
        check_nodata(rule)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _files(path: Path, pattern: str) -> Iterator[tuple[Path, PurePath]]:
    """Yield the files of a pattern with their folder below its part without wildcards."""
    fixed = []
    for part in PurePath(pattern).parts[:-1]:
        if any(letter in part for letter in "*?["):
            break
        fixed.append(part)
    base = path.joinpath(*fixed)
    try:
        if PurePath(pattern).anchor:
            raise ValueError("it does not lie below the folder")
        matching = sorted(set(_matching(path, PurePath(pattern).parts)))
    except (NotImplementedError, ValueError, IndexError) as error:
        raise ConfigError(
            f"the pattern '{pattern}' cannot be used ({error}); expected one below {path} such as "
            "'images/**/*.tif'"
        ) from error
    for file in matching:
        if file.suffix.lower() in SUFFIXES and file.is_file() and not is_hidden(file, path):
            yield file, file.parent.relative_to(base)


def _matching(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yield what matches a pattern, below linked folders too, where ``Path.glob`` does not look."""
    if not parts:
        yield folder
    elif parts[0] != "**":
        for path in folder.glob(parts[0]):
            if len(parts) == 1 or path.is_dir():
                yield from _matching(path, parts[1:])
    else:
        for below in _folders(folder):
            yield from _matching(below, parts[1:])


def _folders(folder: Path) -> Iterator[Path]:
    """Yield a folder and all below it that are not hidden, each once, whatever links lead there."""
    seen = set()
    for name, within, _ in os.walk(folder, followlinks=True):
        real = os.path.realpath(name)
        if real in seen:
            within.clear()
            continue
        seen.add(real)
        within[:] = sorted(part for part in within if not part.startswith("."))
        yield Path(name)


def _group(files: Sequence[tuple[Path, PurePath]], suffix: str) -> list[_Found]:
    """Join files that differ by their polarization only."""
    groups: dict[tuple[PurePath, str], dict[str, Path]] = defaultdict(dict)
    order: dict[tuple[PurePath, str, str], _Found] = {}
    for file, folder in files:
        match = _POLARIZED.fullmatch(file.stem.removesuffix(suffix))
        if match is None:
            name = file.stem.removesuffix(suffix)
            order[folder, name, file.name] = _Found(name, folder, (file,))
            continue
        name, band = match["base"].removesuffix(suffix), match["band"].upper()
        bands = groups[folder, name]
        if band in bands:
            order[folder, name, file.name] = _Found(name, folder, (file,))
            continue
        bands[band] = file
        ordered = [band for band in POLARIZATIONS if band in bands]
        # One polarized file may hold several bands: then its own descriptions name them.
        order[folder, name, ""] = _Found(
            name,
            folder,
            tuple(bands[band] for band in ordered),
            tuple(ordered) if len(ordered) > 1 else (),
        )
    return list(order.values())


def _twice(found: Sequence[_Found]) -> list[str]:
    by_key: dict[str, list[_Found]] = defaultdict(list)
    for image in found:
        by_key[image.key].append(image)
    return [
        f"several files make an image named '{key}': "
        f"{some(file for image in images for file in image.files)}"
        for key, images in by_key.items()
        if len(images) > 1
    ]


def _incomplete(found: Sequence[_Found]) -> list[str]:
    """Name images that lack a polarization that the others have."""
    every = {band for image in found for band in image.bands}
    problems = []
    for image in found:
        match = _POLARIZED.fullmatch(image.files[0].stem)
        there = set(image.bands) or ({match["band"].upper()} if match else every)
        if match and every - there:
            missing = ", ".join(band for band in POLARIZATIONS if band in every - there)
            problems.append(
                f"image '{image.key}' lacks {missing}: found "
                f"{some(file.name for file in image.files)}"
            )
    return problems


def _labels_by_key(
    files: Sequence[tuple[Path, PurePath]], suffix: str, problems: list[str]
) -> dict[str, _Found]:
    labels: dict[str, _Found] = {}
    for file, folder in files:
        label = _Found(file.stem.removesuffix(suffix), folder, (file,))
        first = labels.setdefault(label.key, label)
        if first is not label:
            problems.append(f"two labels for '{label.key}': {first.files[0]} and {file}")
    return labels


def _pair(
    found: Sequence[_Found], labels: Mapping[str, _Found]
) -> tuple[dict[str, tuple[Path, ...]], list[Path]]:
    """Pair by folder and name, then by name alone where that is unambiguous."""
    pairs = {image.key: labels[image.key].files for image in found if image.key in labels}
    left = [label for key, label in labels.items() if key not in pairs]
    by_name: dict[str, list[_Found]] = defaultdict(list)
    for label in left:
        by_name[label.name].append(label)
    waiting: dict[str, list[str]] = defaultdict(list)
    for image in found:
        if image.key not in pairs:
            waiting[image.name].append(image.key)
    unused = []
    for name, candidates in by_name.items():
        if len(candidates) == 1 and len(waiting[name]) == 1:
            pairs[waiting[name][0]] = candidates[0].files
        else:
            unused += [label.files[0] for label in candidates]
    return pairs, unused


def _unique_names(found: Sequence[_Found]) -> dict[str, str]:
    """Return the ids: the name where no other image has it, with the folder otherwise."""
    counts: dict[str, int] = defaultdict(int)
    for image in found:
        counts[image.name] += 1
    return {image.key: image.name if counts[image.name] == 1 else image.key for image in found}
