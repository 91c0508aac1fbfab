"""``sarwater completion``: a script by which a shell completes commands and options."""

import argparse

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


def run(args: argparse.Namespace) -> None:
    """Print the script."""
    import shtab

    from sarwater.cli import full_parser

    print(shtab.complete(full_parser(), args.shell))
