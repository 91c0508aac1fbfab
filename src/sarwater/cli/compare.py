"""``sarwater compare``: put evaluations side by side."""

import argparse
import re
from pathlib import Path

from sarwater.cli.results import Result, add_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "evaluations",
        type=Path,
        nargs="+",
        metavar="EVALUATION",
        help="folders of `sarwater evaluate` on the same chips, two or more",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument(
        "--names", metavar="A,B,...", help="a name for each, instead of the folders' names"
    )
    parser.add_argument(
        "--bootstrap", type=int, default=1000, metavar="N", help="paired resamples, 1 or more"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap, 0 or more")
    add_json(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace the folder")


def run(args: argparse.Namespace) -> Result:
    """Compare, write the folder and return the tables."""
    from sarwater.errors import ConfigError
    from sarwater.evaluation.comparison import compare
    from sarwater.evaluation.comparison_files import format_comparison, write_comparison
    from sarwater.evaluation.files import read_evaluation
    from sarwater.files import atomic_folder, refuse_inputs
    from sarwater.report.comparison_charts import write_comparison_charts

    if args.bootstrap < 1 or args.seed < 0:
        raise ConfigError(
            f"--bootstrap must be 1 or more and --seed 0 or more, found {args.bootstrap} and "
            f"{args.seed}"
        )
    names = _names(args.evaluations, args.names)
    refuse_inputs(args.out, args.evaluations)
    with atomic_folder(args.out, overwrite=args.overwrite) as aside:
        runs = {
            name: read_evaluation(path) for name, path in zip(names, args.evaluations, strict=True)
        }
        comparison = compare(runs, resamples=args.bootstrap, seed=args.seed)
        write_comparison_charts(comparison, aside)
        write_comparison(aside, comparison, dict(zip(names, args.evaluations, strict=True)))
    short = [
        {k: v for k, v in found.items() if k != "curve"} for found in comparison["runs"].values()
    ]
    return Result(
        {"folder": str(args.out), **comparison, "runs": dict(zip(names, short, strict=True))},
        lambda: f"{format_comparison(comparison)}\n\nresults: {args.out}",
    )


def _names(folders: list[Path], text: str | None) -> list[str]:
    from sarwater.errors import ConfigError

    if text is None:
        names = [folder.resolve().name for folder in folders]
        if len(set(names)) < len(names):
            names = [str(folder) for folder in folders]
    else:
        # Commas within brackets belong to a name: "none,[1,3],[1,8]".
        names = [name.strip() for name in re.split(r",(?![^\[]*\])", text)]
    if len(names) != len(folders) or len(set(names)) < len(names) or not all(names):
        raise ConfigError(
            f"{len(folders)} evaluations need as many different names, found "
            f"{', '.join(names)}; give --names A,B,..."
        )
    return names
