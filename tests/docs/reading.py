"""What the documents say to a program: their blocks, commands, options, links."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
READMES = tuple(sorted(ROOT.glob("README*.md")))
PAGES = (*READMES, *sorted((ROOT / "docs").rglob("*.md")))

_BLOCK = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_STARTERS = ("srun", "exec", "time")
"""Commands that run another one, whose own options come first."""


def blocks(text: str, *languages: str) -> list[str]:
    """The fenced blocks of these languages; '' is a fence without one."""
    return [found[3] for found in _BLOCK.finditer(text) if found[2] in languages]


def spans(text: str) -> list[str]:
    """Code within the lines."""
    return [found.replace("\n", " ") for found in _SPAN.findall(_BLOCK.sub("", text))]


def commands(text: str) -> list[list[str]]:
    """The arguments of every `sarwater` in a document's blocks of shell."""
    found = []
    for block in blocks(text, "", "sh", "bash", "console"):
        for line in block.replace("\\\n", " ").splitlines():
            found += list(_of_line(line))
    return found


def _of_line(line: str) -> Iterator[list[str]]:
    line = line.strip().removeprefix("$ ")
    first = line.partition(" ")[0]
    if first != "sarwater" and not (first in _STARTERS and " sarwater " in line):
        return
    words = shlex.split(line, comments=True)
    words = words[words.index("sarwater") + 1 :]
    stops = [place for place, word in enumerate(words) if word in ("|", ">", ">>", "&&", ";")]
    yield words[: min(stops, default=len(words))]


def links(text: str) -> list[str]:
    """Where links and pictures lead."""
    return re.findall(r"\]\(([^)\s]+)\)", _BLOCK.sub("", text))


def headings(text: str) -> list[int]:
    """The level of every heading."""
    return [len(found) for found in re.findall(r"^(#+) ", _BLOCK.sub("", text), re.MULTILINE)]
