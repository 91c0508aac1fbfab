"""What a command found, as text for people or as one JSON document for programs."""

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sarwater.errors import SarwaterError


@dataclass(frozen=True)
class Result:
    """What a command returns; ``main`` prints it in the form that was asked for."""

    data: Any
    """The same as plain data: dicts, lists, texts, finite numbers, None."""
    text: Callable[[], str]
    """Words and tables for a terminal; empty: nothing is printed."""
    failure: SarwaterError | None = None
    """Raised after the result is printed: what is there is worth reading, and not all is well."""


def add_json(parser: argparse.ArgumentParser) -> None:
    """Let a command that returns a ``Result`` print it as JSON."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the result as one JSON document and nothing else on standard output",
    )


@contextlib.contextmanager
def only_the_result(*, as_json: bool) -> Iterator[None]:
    """Send what else is printed while a command runs to standard error, where JSON was asked for.

    Libraries print too; a document with a line of theirs in front of it is none.
    """
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        yield


def print_result(result: Result, *, as_json: bool) -> None:
    """Print a result to standard output.

    Raises:
        SarwaterError: the result's failure.
    """
    if as_json:
        print(json.dumps(result.data, indent=2, allow_nan=False))
    elif text := result.text():
        print(text)
    if result.failure is not None:
        raise result.failure


def in_words(seconds: float) -> str:
    """Return a rough time in words.

    >>> in_words(4.2), in_words(600), in_words(7260)
    ('5 s', '10 min', '2 h 1 min')
    """
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
