"""Whatever a document tells its reader to type is understood by the program of today."""

import argparse
import re
from pathlib import Path

import pytest

from sarwater.cli import full_parser
from sarwater.cli.settings_flags import read_settings
from sarwater.config import TrainSettings, build_settings
from tests.docs.reading import PAGES, ROOT, blocks, commands, spans

FOREIGN = {
    "--config-settings",
    "--cpus-per-task",
    "--data",
    "--gpus",
    "--help",
    "--install",
    "--large",
    "--nodes",
    "--ntasks-per-node",
    "--quick",
    "--rescore",
    "--signal",
    "--table",
    "--tall",
    "--version",
}
"""Options of other programs (SLURM, benchmarks, experiments), and those that argparse brings."""


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    return full_parser()


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_are_understood(
    page: Path, parser: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for words in commands(page.read_text()):
        try:
            args = parser.parse_args(words)
        except SystemExit as error:
            pytest.fail(f"sarwater {' '.join(words)}: exit {error.code}")
        if words[0] in ("train", "adapt"):
            args.config = [file for file in args.config if file.exists()]  # or a reader's own
            read_settings(args, TrainSettings)


def test_the_how_tos_hold_commands() -> None:
    found = {page.stem: len(commands(page.read_text())) for page in PAGES if "howto" in page.parts}
    assert len(found) == 9
    assert min(found.values()) >= 1


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_options_and_settings_in_the_text_exist(
    page: Path, parser: argparse.ArgumentParser
) -> None:
    options = {name for command in children(parser) for name in command._option_string_actions}
    settings = {
        f"{concern}.{name}"
        for concern, field in TrainSettings.model_fields.items()
        for name in getattr(field.annotation, "model_fields", {})
    }
    concerns = "|".join(TrainSettings.model_fields)
    for span in spans(page.read_text()):
        named = set(re.findall(r"(?<![\w-])--[a-z][\w.-]*", span))
        assert named <= options | FOREIGN, span
        if re.fullmatch(rf"({concerns})\.(?!csv|json|safetensors)[a-z_]+(: .+)?", span):
            assert span.split(":")[0] in settings, span


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_yaml_is_a_config(page: Path) -> None:
    import yaml

    for block in blocks(page.read_text(), "yaml"):
        build_settings(TrainSettings, yaml.safe_load(block), str(page))


def test_the_quick_start_is_the_demo() -> None:
    demo = (ROOT / "experiments" / "demo.sh").read_text()
    demo = demo.replace('"', "").replace("$out", "demo").replace("$here", "experiments")
    wanted = commands(f"```sh\n{demo}```")
    shown = commands((ROOT / "docs" / "quickstart.md").read_text())
    assert len(wanted) == 7
    assert [words for words in shown if words in wanted] == wanted


def children(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return list(groups[0].choices.values())
