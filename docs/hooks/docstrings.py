"""Doctests become code blocks in the reference; in Markdown ``>>>`` is a quotation."""

import re
from typing import Any

from griffe import Extension, Object

_DOCTEST = re.compile(r"(?:^>>> .*\n(?:^(?!\n).+\n)*\n*)+", re.MULTILINE)


class FencedDoctests(Extension):
    """Changes docstrings as they are read."""

    def on_instance(self, *, obj: Object, **_: Any) -> None:
        """Fence the doctests of an object; called by Griffe."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """Return a docstring whose doctests stand in fences.

    >>> fenced("Sum.\\n\\n>>> 1 + 1\\n2")
    'Sum.\\n\\n```pycon\\n>>> 1 + 1\\n2\\n```\\n'
    """
    return _DOCTEST.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", text + "\n")
