"""A parser of arguments whose errors name the nearest thing that there is."""

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from sarwater.errors import closest, nearest, suggestion


class Parser(argparse.ArgumentParser):
    """Wrong usage ends with 2 and one short message, with a suggestion where one is near.

    An unknown option is named before a missing argument: the one is often the other, mistyped.
    """

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse, once the options are known to exist."""
        if args is not None:
            self._check_options(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is, without listing every option."""
        self.exit(2, f"usage: {self.prog} --help lists all\n{self.prog}: error: {message}\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        raise argparse.ArgumentError(
            action, f"'{value}' is unknown{nearest(str(value), known)}; take {', '.join(known)}"
        )

    def _check_options(self, args: Sequence[str]) -> None:
        known = self._option_string_actions
        for text in args:
            if text == "--" or (not text.startswith("-") and self._subparsers is not None):
                return  # what follows are values, or belongs to the command
            name = text.partition("=")[0]
            if name.startswith("--") and " " not in name and name not in known:
                self.error(f"there is no option {name}{_nearest_option(name, list(known))}")


def _nearest_option(name: str, known: list[str]) -> str:
    """Suggest an option; of a setting the last part alone will do.

    >>> _nearest_option("--learning-rate", ["--out", "--optimization.learning_rate"])
    " (did you mean '--optimization.learning_rate'?)"
    >>> _nearest_option("--optimisation.epoch", ["--patches.size", "--optimization.epochs"])
    " (did you mean '--optimization.epochs'?)"
    """
    settings = {option.rpartition(".")[2]: option for option in reversed(known) if "." in option}
    last = name.lstrip("-").rpartition(".")[2].replace("-", "_")
    return suggestion(
        settings.get(last) or closest(name, known) or settings.get(closest(last, settings) or "")
    )
