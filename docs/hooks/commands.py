"""The page of all commands and options, written from the parser when the site is built."""

import argparse
from html import escape
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from sarwater.cli import full_parser

PAGE = "commands.md"


def on_files(files: Files, config: MkDocsConfig, **_: Any) -> Files:
    """Add the page; called by MkDocs."""
    files.append(File.generated(config, PAGE, content=page(full_parser())))
    return files


def page(parser: argparse.ArgumentParser) -> str:
    """Return the page as Markdown: a section a command, a table a group of options."""
    lines = [
        "# Commands and options",
        "",
        "What `sarwater COMMAND --help` prints. The exit code is 0 when all went well, 1 after an "
        "error that the message explains, 2 for wrong usage, 130 when interrupted and 143 when "
        "asked to end (SIGTERM).",
    ]
    for name, command in _commands(parser).items():
        lines += ["", f"## {name}", "", command.description or "", "", _usage(command)]
        for group in command._action_groups:
            lines += _group(group)
    return "\n".join(lines) + "\n"


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise ValueError("the parser has no commands")


def _usage(command: argparse.ArgumentParser) -> str:
    """Return the command with what it cannot do without."""
    parts = [command.prog]
    for action in command._actions:
        if not action.option_strings:
            shown = _value(action)
            parts.append(f"[{shown} ...]" if action.nargs == "*" else shown)
        elif action.required:
            parts.append(f"{action.option_strings[0]} {_value(action)}")
    return f"```text\n{' '.join(parts)} [options]\n```"


def _group(group: Any) -> list[str]:
    rows = [_row(action) for action in group._group_actions if action.dest != "help"]
    if not rows:
        return []
    title = {"positional arguments": "arguments"}.get(group.title, group.title)
    head = f"**{title}**" + (f": {group.description}" if group.description else "")
    return ["", head, "", "| | |", "|---|---|", *rows]


def _row(action: argparse.Action) -> str:
    names = action.option_strings or [_value(action)]
    value = f" {_value(action)}" if action.option_strings and action.nargs != 0 else ""
    text = (action.help or "").replace("%%", "%")
    shown = action.default not in (None, "", [], False, argparse.SUPPRESS)
    if shown and "(default:" not in text and action.option_strings:
        text += f" (default: {action.default})"
    names_shown = "<br>".join(f"`{name}{value}`" for name in names)
    return f"| {names_shown} | {_cell(text)} |"


def _value(action: argparse.Action) -> str:
    if action.choices is not None and action.metavar is None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    metavar = action.metavar or action.dest.upper()
    return metavar if isinstance(metavar, str) else " ".join(metavar)


def _cell(text: str) -> str:
    text = escape(text, quote=False).replace("``", "`")
    return text.replace("|", "\\|").replace("*", "\\*").replace("\n", " ")
