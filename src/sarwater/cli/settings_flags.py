"""Settings as flags: ``--optimization.epochs 10`` for each field, in groups by concern."""

import argparse
import enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel

from sarwater.config import Settings, build_settings, merge, parse_yaml, read_yaml
from sarwater.errors import ConfigError

_PREFIX = "settings:"


def add_settings(parser: argparse.ArgumentParser, kind: type[BaseModel]) -> None:
    """Add ``--config`` and a flag for every field.

    Values are YAML (``[1, 3]``, ``null``). Where names are expected they stay as they are written,
    alone or in a list: a domain may be called ``2021_07_14``, a number in YAML.
    """
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
        group = kind.model_fields[concern].annotation
        wanted = getattr(group, "model_fields", {})[name].annotation
        values = merge(values, {concern: {name: _parse(path, text, wanted)}})
    return build_settings(kind, values, source)


def _parse(path: str, text: str, wanted: Any) -> Any:
    as_text = _takes_names(wanted)
    if as_text and not text.startswith(("[", "{", "'", '"')):
        return None if text == "null" and type(None) in get_args(wanted) else text
    try:
        return parse_yaml(text, as_text=as_text)
    except ConfigError as error:
        raise ConfigError(f"--{path}, {error}") from None
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: no such date
        return text


def _takes_names(wanted: Any) -> bool:
    """Whether all that a field takes is text: names, places, or a list of them.

    >>> _takes_names(tuple[str, ...] | None), _takes_names(int | str)
    (True, False)
    """
    if get_origin(wanted) is Literal:
        return all(isinstance(choice, str) for choice in get_args(wanted))
    parts = [part for part in get_args(wanted) if part not in (type(None), ...)]
    if parts:
        return all(map(_takes_names, parts))
    return isinstance(wanted, type) and issubclass(wanted, str | Path | enum.StrEnum)


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ", ".join(map(_shown, default))
    if isinstance(default, BaseModel):
        return str(getattr(default, "name", ""))
    return "none" if default is None else str(getattr(default, "value", default))
