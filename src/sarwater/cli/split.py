"""``sarwater split``: assign chips to train, val and test."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sarwater.cli.results import Result, add_json
from sarwater.errors import ConfigError
from sarwater.files import refuse_existing, refuse_inputs

if TYPE_CHECKING:
    from sarwater.datasets.manifest import Manifest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add = parser.add_argument
    values = "values of the column, a,b or ranges of whole numbers with both ends: 13-, -10, 11-12"
    add("manifest", type=Path, help="manifest to read (CSV)")
    add("--out", type=Path, required=True, help="manifest to write (CSV)")
    add("--overwrite", action="store_true", help="replace the output if it exists")
    add(
        "--by",
        default="chip",
        metavar="COLUMN",
        help="chip: at random, each domain by the fractions; or a column (domain, row, col, "
        "scene, ...) whose values are named by --val, --test and --train",
    )
    add(
        "--fractions",
        default="0.7,0.15,0.15",
        metavar="TRAIN,VAL,TEST",
        help="shares in 0 ... 1 that sum to 1; for --by chip",
    )
    add("--seed", type=int, default=0, help="seed of the random order; for --by chip")
    add(
        "--val",
        metavar="VALUES",
        default=argparse.SUPPRESS,
        help=f"validate on these {values} (as --val=-10,15 where the first is open)",
    )
    add("--test", metavar="VALUES", default=argparse.SUPPRESS, help="test on these values")
    add(
        "--train",
        metavar="VALUES",
        default=argparse.SUPPRESS,
        help="train on these values; without it on all that no other split names",
    )
    add(
        "--assign",
        metavar="NAME=VALUES",
        action="append",
        default=[],
        help="a further split of any name; repeatable",
    )
    add(
        "--where",
        metavar="COLUMN=VALUES",
        action="append",
        default=[],
        help="split only the chips with these values, the others keep their split; repeatable",
    )
    add(
        "--allow-shared-ground",
        action="store_true",
        help="write the splits although chips of different splits show the same ground",
    )
    add(
        "--allow-empty",
        action="store_true",
        help="write the splits although train or val is empty, as for a set to test on only",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> Result:
    """Write the manifest with its splits and say their sizes."""
    from sarwater.datasets.manifest import read_manifest, write_manifest
    from sarwater.datasets.splits import check_splits

    refuse_existing(args.out, overwrite=args.overwrite)
    manifest = read_manifest(args.manifest)
    # Its own table may be replaced: that is how splits are refined.
    refuse_inputs(args.out, (file for file in manifest.files if file != manifest.path))
    manifest = _split(manifest, args)
    check_splits(
        manifest, allow_shared_ground=args.allow_shared_ground, allow_empty=args.allow_empty
    )
    write_manifest(manifest, args.out, overwrite=args.overwrite)
    sizes = {}
    for split in (*manifest.splits, ""):
        chips = [record for record in manifest if record.split == split]
        if chips:
            sizes[split] = {
                "chips": len(chips),
                "labelled": sum(record.is_labelled for record in chips),
                "domains": len({record.domain for record in chips}),
            }
    data = {"manifest": str(args.out), "chips": len(manifest), "splits": sizes}

    def text() -> str:
        lines = [f"{args.out}: {len(manifest)} chips"]
        for name, size in sizes.items():
            several = "s" if size["domains"] != 1 else ""
            lines.append(
                f"  {name or '(none)':10} {size['chips']} chips, {size['labelled']} labelled, "
                f"{size['domains']} domain{several}"
            )
        return "\n".join(lines)

    return Result(data, text)


def _split(manifest: "Manifest", args: argparse.Namespace) -> "Manifest":
    from sarwater.datasets.splits import Values, split_by_column, split_by_fractions

    where = {name: Values.parse(text) for name, text in map(_named, args.where)}
    named = [(name, getattr(args, name, None)) for name in ("train", "val", "test")]
    texts = [(name, text) for name, text in named if text is not None]
    texts += [_named(text) for text in args.assign]
    repeated = {name for name, _ in texts if sum(name == other for other, _ in texts) > 1}
    if repeated:
        raise ConfigError(f"split {', '.join(sorted(repeated))} is named twice")
    values = {name: Values.parse(text) for name, text in texts}
    if args.by == "chip":
        if values:
            raise ConfigError("--val, --test, --train and --assign need a column: --by COLUMN")
        fractions = dict(zip(("train", "val", "test"), _fractions(args.fractions), strict=True))
        return split_by_fractions(manifest, fractions, seed=args.seed, where=where)
    if not values:
        raise ConfigError(f"--by {args.by} needs values: name them with --val and --test")
    return split_by_column(manifest, args.by, values, where=where)


def _named(text: str) -> tuple[str, str]:
    name, equals, values = text.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"'{text}' is not of the form NAME=VALUES")
    return name.strip(), values


def _fractions(text: str) -> list[float]:
    try:
        fractions = [float(part) for part in text.split(",")]
    except ValueError:
        fractions = []
    if len(fractions) != 3:
        raise ConfigError(f"--fractions '{text}': expected three numbers, such as 0.7,0.15,0.15")
    return fractions
