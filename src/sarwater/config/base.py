"""What all settings share: frozen, complete, and without surprises."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class SettingsBase(BaseModel):
    """Base of every group of settings: unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        coerce_numbers_to_str=True,  # a split may be called 1
    )


def several(value: Any) -> Any:
    """Return a list; of one value where it is none."""
    return value if value is None or isinstance(value, list | tuple) else [value]


def listed(value: Any) -> Any:
    """Return a list; of the parts of one text that commas divide."""
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def named(value: Any) -> Any:
    """Return a list of mappings; a name alone becomes ``{"name": name}``."""
    value = [value] if isinstance(value, str | Mapping) else value
    if isinstance(value, list | tuple):
        return [{"name": term} if isinstance(term, str) else term for term in value]
    return value
