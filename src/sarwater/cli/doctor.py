"""``sarwater doctor``: what is installed, what it runs on, what is missing and how to get it."""

import argparse
from typing import TYPE_CHECKING

from sarwater.cli.results import Result, add_json

if TYPE_CHECKING:
    from sarwater.diagnosis import Finding

_MARKS = {"ok": " ", "worth knowing": "!", "missing": "x"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add_json(parser)


def run(_: argparse.Namespace) -> Result:
    """Look; a failure where something that is needed is missing."""
    from sarwater.diagnosis import as_json, diagnose
    from sarwater.errors import SarwaterError

    findings = diagnose()
    missing = [one.name for one in findings if one.is_failure]
    failure = (
        SarwaterError(f"sarwater does not work without {', '.join(missing)}; see above")
        if missing
        else None
    )
    return Result(as_json(findings), lambda: _listed(findings), failure)


def _listed(findings: "list[Finding]") -> str:
    width = max(len(one.name) for one in findings)
    lines: list[str] = []
    topic = ""
    for one in findings:
        if one.topic != topic:
            topic = one.topic
            lines.append(topic)
        mark = "missing" if one.is_failure else "worth knowing" if one.advice else "ok"
        lines.append(f" {_MARKS[mark]} {one.name:{width}}  {one.value}")
        if one.advice:
            lines.append(f"   {'':{width}}  {one.advice}")
    return "\n".join(lines)
