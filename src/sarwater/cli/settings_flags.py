"""Settings as flags: ``--optimization.epochs 10`` for each field, in groups by concern."""

import argparse
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from sarwater.config import Settings, build_settings, merge, read_yaml

_PREFIX = "settings:"


def add_settings(parser: argparse.ArgumentParser, kind: type[BaseModel]) -> None:
    """Add ``--config`` and a flag for every field; values are YAML (``[1, 3]``, ``null``)."""
    parser.add_argument(
        "--config",
        type=Path,
        action="append",
        default=[],
        metavar="YAML",
        help="file of settings; given again, another file whose settings go before those of the "
        "first; flags go before both",
    )
    for concern, field in kind.model_fields.items():
        nested = field.annotation
        assert isinstance(nested, type)
        assert issubclass(nested, BaseModel)
        group = parser.add_argument_group(concern, (nested.__doc__ or "").splitlines()[0])
        for name, inner in nested.model_fields.items():
            names = [f"--{concern}.{name}"]
            if concern == "run":
                names.insert(0, f"--{name.replace('_', '-')}")
            text = (inner.description or "").replace("%", "%%")
            default = inner.default
            group.add_argument(
                *names,
                dest=f"{_PREFIX}{concern}.{name}",
                metavar=name.upper(),
                default=argparse.SUPPRESS,
                help=f"{text} (default: {_shown(default)})",
            )


def given_settings(args: argparse.Namespace) -> dict[str, str]:
    """Return the settings that were given as flags: text by ``concern.name``."""
    return {
        name.removeprefix(_PREFIX): value
        for name, value in vars(args).items()
        if name.startswith(_PREFIX)
    }


def read_settings(args: argparse.Namespace, kind: type[Settings]) -> Settings:
    """Build settings from ``--config`` and flags; all problems of both are named at once.

    Raises:
        ConfigError: unknown keys or values out of range.
    """
    values: dict[str, Any] = {}
    for file in args.config:
        values = merge(values, read_yaml(file))
    given = given_settings(args)
    places = [*map(str, args.config), *(["command line"] if given or not args.config else [])]
    source = " and ".join(places)
    for path, text in given.items():
        concern, name = path.split(".")
        values = merge(values, {concern: {name: _parse(text)}})
    return build_settings(kind, values, source)


def _parse(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: no such date
        return text


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ", ".join(map(_shown, default))
    if isinstance(default, BaseModel):
        return str(getattr(default, "name", ""))
    return "none" if default is None else str(getattr(default, "value", default))
