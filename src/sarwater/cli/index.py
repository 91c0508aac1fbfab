"""``sarwater index``: from a folder of files to a manifest."""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from sarwater.cli.choices import LAYOUTS, UNITS
from sarwater.cli.results import Result, add_json
from sarwater.errors import ConfigError
from sarwater.files import refuse_existing, refuse_inputs

_OWN = {
    "three_classes": "etci2021",
    "images": "folder",
    "labels": "folder",
    "image_suffix": "folder",
    "label_suffix": "folder",
    "bands": "folder",
    "classes": "folder",
    "codes": "folder",
    "units": "folder",
    "nodata": "folder",
    "domain": "folder",
    "domain_from": "folder",
}
"""Options and the layout that takes them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    add("path", type=Path, help="folder of the data set")
    add(
        "--layout",
        required=True,
        choices=LAYOUTS,
        help="sen1floods11: the public bucket's layout; etci2021: EVENT/tiles/{vv,vh,...}; "
        "folder: images and, if there are any, labels of the same names",
    )
    add("--out", type=Path, required=True, help="manifest to write (CSV)")
    add("--overwrite", action="store_true", help="replace the manifest if it exists")
    add_json(parser)
    etci = parser.add_argument_group("layout etci2021")
    etci.add_argument(
        "--three-classes",
        action="store_true",
        default=argparse.SUPPRESS,
        help="land, permanent water and flood; land and water without it",
    )
    _add_folder_arguments(parser)


def _add_folder_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("layout folder")

    def add(name: str, text: str, **options: Any) -> None:
        group.add_argument(name, default=argparse.SUPPRESS, help=text, **options)

    add("--images", "pattern of the images under PATH (default: images/**/*, or all)")
    add("--labels", "pattern of the labels under PATH (default: labels/**/*, if there is one)")
    add("--image-suffix", "end of the image names that the label names lack, such as _S1Hand")
    add("--label-suffix", "end of the label names that the image names lack")
    add("--bands", "names of the bands in order, VV,VH (default: polarizations, descriptions)")
    add("--classes", "names of the classes, the background first (default: land,water)")
    add("--codes", "meaning of label values, 0=land,1=water,255=ignore (default: value i, class i)")
    add(
        "--units",
        "what the values measure (default: guessed chip by chip)",
        choices=UNITS,
    )
    add("--nodata", "auto, border, declared or a number (default: auto)")
    add("--domain", "domain of all chips (default: the folder's name)")
    add("--domain-from", "take the first folder under the images as domain", choices=("folder",))


def run(args: argparse.Namespace) -> Result:
    """Write the manifest and say what is in it."""
    from sarwater.datasets.indexing import index
    from sarwater.datasets.manifest import write_manifest

    refuse_existing(args.out, overwrite=args.overwrite)
    manifest = index(args.path, args.layout, report=_note, **_options(args))
    refuse_inputs(args.out, manifest.files)
    write_manifest(manifest, args.out, overwrite=args.overwrite)
    counted = {
        "domains": Counter(record.domain for record in manifest),
        "splits": Counter(record.split for record in manifest),
        "units": Counter(record.units.value for record in manifest),
    }
    data = {
        "manifest": str(args.out),
        "chips": len(manifest),
        "labelled": sum(record.is_labelled for record in manifest),
        "classes": list(manifest.classes),
        **{name: dict(sorted(counts.items())) for name, counts in counted.items()},
    }

    def text() -> str:
        lines = [f"{args.out}: {data['chips']} chips, {data['labelled']} labelled"]
        lines.append(f"  classes  {', '.join(manifest.classes)}")
        lines += [f"  {name:8} {_counts(counts)}" for name, counts in counted.items()]
        return "\n".join(lines)

    return Result(data, text)


def _note(text: str) -> None:
    print(text, file=sys.stderr)


def _options(args: argparse.Namespace) -> dict[str, Any]:
    from sarwater.types import Units

    given = {name: getattr(args, name) for name in _OWN if hasattr(args, name)}
    foreign = [name for name in given if _OWN[name] != args.layout]
    if foreign:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in foreign)
        raise ConfigError(f"layout {args.layout} does not take {listed}")
    for name in ("bands", "classes"):
        if name in given:
            given[name] = [part.strip() for part in given[name].split(",") if part.strip()]
    if "units" in given:
        given["units"] = Units(given["units"])
    if given.pop("domain_from", None):
        given["domain_from_folder"] = True
    return given


def _counts(counts: Counter[str], shown: int = 15) -> str:
    parts = [f"{name or 'no split'} {count}" for name, count in sorted(counts.items())]
    more = f", and {len(parts) - shown} more" if len(parts) > shown else ""
    return ", ".join(parts[:shown]) + more
