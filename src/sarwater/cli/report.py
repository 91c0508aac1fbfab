"""``sarwater report``: one self-contained page from result folders."""

import argparse
from pathlib import Path

from sarwater.cli.results import Result, add_json

_SHOWN = {"training": 4, "evaluation": 2}
"""Facts of a section that are printed too, by kind of result."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "folders",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="folders of inspect, train, adapt, evaluate, compare and map",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="HTML", help="the page")
    parser.add_argument(
        "--chips",
        type=int,
        default=1000,
        metavar="N",
        help="chips of an evaluation whose pictures the page has, the worst ones; 0 for none",
    )
    add_json(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace the page")


def run(args: argparse.Namespace) -> Result:
    """Write the page and return what it shows first."""
    from sarwater.errors import ConfigError
    from sarwater.files import refuse_inputs
    from sarwater.report.page import write_page

    if args.chips < 0:
        raise ConfigError(f"--chips must be 0 or more, found {args.chips}")
    files = (file for folder in args.folders for file in folder.rglob("*"))
    refuse_inputs(args.out, (file for file in files if file.suffix not in (".html", ".htm")))
    sections = write_page(args.folders, args.out, chips=args.chips, overwrite=args.overwrite)
    size = args.out.stat().st_size
    lines = [
        f"{section.kind.capitalize()}: {section.title}: {name}: {value}"
        for section in sections
        for name, value in section.facts[: _SHOWN.get(section.kind, 0)]
    ]
    lines.append(f"{args.out}: {len(sections)} results, {size / 1e6:.1f} MB; open it in a browser")
    shown = [
        {
            "anchor": section.id,
            "kind": section.kind,
            "title": section.title,
            "facts": dict(section.facts),
            "remarks": list(section.remarks),
        }
        for section in sections
    ]
    data = {"page": str(args.out), "bytes": size, "sections": shown}
    return Result(data, lambda: "\n".join(lines))
