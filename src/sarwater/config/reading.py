"""From YAML and flags to settings and back; every problem is named at once."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from sarwater.config.adaptation import AdaptationMethod
from sarwater.errors import ConfigError, nearest, suggestion
from sarwater.files import write_text
from sarwater.losses.terms import LossTerm

Settings = TypeVar("Settings", bound=BaseModel)


def build_settings(kind: type[Settings], values: Mapping[str, Any], source: str) -> Settings:
    """Check values against settings.

    Args:
        kind: the settings' class.
        values: nested mapping, as YAML gives it; text is turned into numbers where it can be.
        source: where the values come from, for the message.

    Raises:
        ConfigError: every unknown key and every wrong value, each with its key path.

    >>> from sarwater.config.training import OptimizationSettings
    >>> build_settings(OptimizationSettings, {"epochs": 0, "bach_size": 4}, "my.yaml")
    Traceback (most recent call last):
    ...
    sarwater.errors.ConfigError: my.yaml: 2 problems
      bach_size: no such key (did you mean 'batch_size'?)
      epochs: input should be greater than or equal to 1, found 0
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        lines = sorted(_explain(kind, problem) for problem in error.errors())
        count = f"{len(lines)} problem" + ("s" if len(lines) > 1 else "")
        raise ConfigError("\n  ".join([f"{source}: {count}", *lines])) from None


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a YAML file whose top is a mapping.

    Raises:
        ConfigError: it cannot be read, is not YAML, gives a key twice, or is something else than
            a mapping.
    """
    try:
        content = parse_yaml(Path(path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"cannot read the config {path}: {error.strerror or error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}, {error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"cannot read the config {path}: it is not UTF-8 text") from error
    # ValueError: a date that does not exist; RecursionError: nested without end.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected keys and values, found a {type(content).__name__}")
    return content


class _RefusesRepeated:
    """A loader's part that composes mappings, whose keys are still where they stand.

    YAML forbids a key that stands twice in one mapping; PyYAML lets it pass, and takes the last.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)  # type: ignore[misc]
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            line = key.start_mark.line + 1
            if key.value in seen:
                raise ConfigError(
                    f"line {line}: the key '{key.value}' is given twice, in line "
                    f"{seen[key.value]} too; keep one of them"
                )
            seen[key.value] = line
        return node


class _Loader(_RefusesRepeated, yaml.SafeLoader):
    pass


class _TextLoader(_RefusesRepeated, yaml.BaseLoader):
    pass


def parse_yaml(text: str, *, as_text: bool = False) -> Any:
    """Return what YAML says; no code in it is run.

    Args:
        text: the YAML.
        as_text: whether values stay text, where ``2021_07_14`` would be a number.

    Raises:
        yaml.YAMLError: it is none.
        ConfigError: a key is given twice in one mapping.

    >>> parse_yaml("[2021_07_14, no]"), parse_yaml("[2021_07_14, no]", as_text=True)
    ([20210714, False], ['2021_07_14', 'no'])
    """
    loader = (_TextLoader if as_text else _Loader)(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def write_settings(settings: BaseModel, path: str | Path) -> None:
    """Write settings as YAML that ``read_yaml`` and ``build_settings`` turn back into them."""
    text = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
    write_text(path, text, overwrite=True)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested values over others.

    >>> merge({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}})
    {'a': {'b': 1, 'c': 3}}
    """
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return result


def _explain(kind: type[BaseModel], problem: Any) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        name = str(problem["loc"][-1])
        near = _elsewhere(kind, name) or nearest(name, _siblings(kind, problem))
        return f"{path}: no such key{near}"
    text = problem["msg"].removeprefix("Value error, ")
    text = text[0].lower() + text[1:]
    found = problem.get("input")
    shown = f", found {found!r}" if isinstance(found, str | int | float | bool) else ""
    return f"{path}: {text}{shown}{_nearest_choice(problem)}"


_NAMED = {
    one.model_fields["name"].default: one
    for union in (LossTerm, AdaptationMethod)
    for one in get_args(get_args(union)[0])
}
"""Loss terms and methods by name, which is what pydantic puts into the path of a problem."""


def _siblings(kind: type[BaseModel], problem: Any) -> list[str]:
    current: Any = kind
    for part in problem["loc"][:-1]:
        field = getattr(current, "model_fields", {}).get(part)
        current = field.annotation if field is not None else _NAMED.get(part)
    return _keys(current)


def _elsewhere(kind: type[BaseModel], name: str) -> str:
    """Say where a key lies that was written into the wrong group, or into none."""
    groups = {group: field.annotation for group, field in kind.model_fields.items()}
    paths = [f"{group}.{name}" for group, one in groups.items() if name in _keys(one)]
    return suggestion(paths[0] if paths else None)


def _keys(kind: Any) -> list[str]:
    return list(getattr(kind, "model_fields", {}))


def _nearest_choice(problem: Any) -> str:
    """Suggest one of the values that there are; pydantic lists them in words."""
    context = problem.get("ctx", {})
    listed = str(context.get("expected_tags") or context.get("expected") or "")
    found = context.get("tag") or problem.get("input")
    if not isinstance(found, str):
        return ""
    return nearest(found, re.findall(r"'([^']*)'", listed))
