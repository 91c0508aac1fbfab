"""``sarwater completion``: a script by which a shell completes commands and options."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from sarwater.cli.results import Result

_SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")
_PLACES = {
    "bash": "~/.local/share/bash-completion/completions/sarwater",
    "zsh": "a folder of $fpath, as _sarwater",
    "fish": "~/.config/fish/completions/sarwater.fish",
    "tcsh": "a file that ~/.tcshrc sources",
    "powershell": "a file that $PROFILE sources",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    places = "; ".join(f"{shell}: {place}" for shell, place in _PLACES.items())
    parser.add_argument(
        "shell", choices=_SHELLS, help=f"prints the script; write it where it is found ({places})"
    )


def run(args: argparse.Namespace) -> Result:
    """Return the script."""
    import shtab

    from sarwater.cli import full_parser

    parser = full_parser()
    for action in _actions(parser):
        if action.type is Path:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    script = shtab.complete(parser, args.shell)
    return Result(script, lambda: script)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the options of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
