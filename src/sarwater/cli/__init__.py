"""The command line: one module a command, imported only when that command runs."""

import argparse
import contextlib
import importlib
import io
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import TextIO

from sarwater import __version__
from sarwater.cli.parser import Parser
from sarwater.cli.results import only_the_result, print_result
from sarwater.errors import ConfigError, OutputError, SarwaterError, SarwaterWarning
from sarwater.termination import Terminated, terminated_as_interrupted

COMMANDS: dict[str, str] = {
    "download": "fetch a public data set",
    "simulate": "make a pair of radar regions with known water",
    "index": "write the manifest, a table with a row a chip",
    "split": "assign chips to train, val and test",
    "mosaic": "join tiles named by row and column into one scene",
    "inspect": "look at the data before training",
    "train": "train a model",
    "adapt": "carry a model to a region without labels",
    "evaluate": "score a model on labelled chips",
    "baseline": "score a threshold on backscatter, what a network has to beat",
    "compare": "put evaluations side by side",
    "map": "map the water of whole scenes",
    "model": "say what a model is, and where the one in the box lies",
    "export": "write a model as ONNX, for QGIS and other programs",
    "report": "build a page from results",
    "completion": "print a script by which a shell completes commands and options",
    "doctor": "say what is installed, what it runs on, and what is missing",
}
"""Name and one line of help; ``sarwater.cli.NAME`` has ``add_arguments`` and ``run``.

``run`` returns a ``Result``, or None where there is nothing to print.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    0: done; 1: an error that the message explains; 2: wrong usage, settings included; 130:
    interrupted; 143: asked to end (SIGTERM).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser, commands = _parser()
    name = arguments[0] if arguments and arguments[0] in COMMANDS else None
    if name is None:
        parser.parse_args(arguments or ["--help"])
        return 2
    _make_printable()
    try:
        with terminated_as_interrupted(), _warnings_of(name):
            module = importlib.import_module(f"sarwater.cli.{name}")
            module.add_arguments(commands[name])
            args = parser.parse_args(arguments)
            as_json = getattr(args, "json", False)
            with only_the_result(as_json=as_json):
                result = module.run(args)
            with _standard_output():
                if result is not None:
                    print_result(result, as_json=as_json)
                sys.stdout.flush()
    except ConfigError as error:
        _fail(name, str(error))
        return 2
    except SarwaterError as error:
        return _fail(name, str(error))
    except BrokenPipeError:  # who reads the output has seen enough
        _leave_standard_output()
        return 1
    except OSError as error:
        return _fail(name, f"{error.filename or 'a file'}: {error.strerror or error}")
    except MemoryError as error:
        return _fail(name, f"not enough memory ({error}); close other programs, or take less")
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, which is not loaded here
            raise
        return _fail(
            name,
            f"not enough memory on the GPU ({str(error).splitlines()[0][:200]}); take less at once "
            "(train and adapt: optimization.batch_size, patches.size; others: --batch-size), or "
            "close what else runs there",
        )
    except KeyboardInterrupt as error:
        print(f"sarwater {name}: {str(error) or 'interrupted'}", file=sys.stderr)
        return 143 if isinstance(error, Terminated) else 130
    return 0


def full_parser() -> Parser:
    """Return a parser of every command with all its options."""
    parser, commands = _parser()
    for name, command in commands.items():
        importlib.import_module(f"sarwater.cli.{name}").add_arguments(command)
    return parser


def _make_printable() -> None:
    """Let names of any letters be printed anywhere, and nothing be printed where that is closed."""
    if sys.stdout is None:  # and 1 is free, which the next file that is opened would get
        sys.stdout = io.TextIOWrapper(io.FileIO(os.devnull, "w"), encoding="utf-8")
    elif getattr(sys.stdout, "errors", "") == "strict" and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _standard_output() -> Iterator[None]:
    """Name standard output where what is printed there is refused, by a full disk say."""
    try:
        yield
    except (SarwaterError, BrokenPipeError):
        raise
    except OSError as error:
        _leave_standard_output()
        raise OutputError(
            f"cannot write to standard output: {error.strerror}; the work itself is done"
        ) from error


def _leave_standard_output() -> None:
    """Let what is still to be printed go nowhere, or Python complains at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _warnings_of(name: str) -> Iterator[None]:
    """Print this package's warnings as one line each, without the place in the code."""
    with warnings.catch_warnings():
        show = warnings.showwarning

        def say(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if issubclass(category, SarwaterWarning):
                print(f"sarwater {name}: warning: {message}", file=sys.stderr)
            else:
                show(message, category, filename, lineno, file, line)

        warnings.simplefilter("always", SarwaterWarning)
        warnings.showwarning = say
        yield


def _fail(name: str, message: str) -> int:
    print(f"sarwater {name}: error: {message}", file=sys.stderr)
    return 1


def _parser() -> tuple[Parser, dict[str, Parser]]:
    parser = Parser(
        "sarwater", description="Map water from radar (SAR) imagery.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"sarwater {__version__}")
    choices = parser.add_subparsers(metavar="COMMAND", required=True)
    commands = {
        name: choices.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            allow_abbrev=False,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        for name, text in COMMANDS.items()
    }
    return parser, commands
