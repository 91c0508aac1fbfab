"""``sarwater doctor``: what is installed, what it runs on, what is missing and how to get it."""

import argparse

_MARKS = {"ok": " ", "worth knowing": "!", "missing": "x"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--json", action="store_true", help="print what was found as JSON")


def run(args: argparse.Namespace) -> None:
    """Look, and print; an error where something that is needed is missing."""
    import json

    from sarwater.diagnosis import as_json, diagnose
    from sarwater.errors import SarwaterError

    findings = diagnose()
    if args.json:
        print(json.dumps(as_json(findings), indent=2))
    else:
        width = max(len(one.name) for one in findings)
        topic = ""
        for one in findings:
            if one.topic != topic:
                topic = one.topic
                print(topic)
            mark = "missing" if one.is_failure else "worth knowing" if one.advice else "ok"
            print(f" {_MARKS[mark]} {one.name:{width}}  {one.value}")
            if one.advice:
                print(f"   {'':{width}}  {one.advice}")
    failures = [one.name for one in findings if one.is_failure]
    if failures:
        raise SarwaterError(f"sarwater does not work without {', '.join(failures)}; see above")
