import argparse
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from sarwater.cli.settings_flags import add_settings, read_settings
from sarwater.config import Strategy, TrainSettings
from sarwater.errors import ConfigError
from sarwater.losses.terms import BalancedCrossEntropyTerm, DiceTerm, LossTerm, TverskyTerm
from sarwater.normalize import Normalization

TERMS: list[type[BaseModel]] = list(get_args(get_args(LossTerm)[0]))


def parse(*arguments: str) -> TrainSettings:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_settings(parser, TrainSettings)
    return read_settings(parser.parse_args(arguments), TrainSettings)


def test_nothing_given_is_the_defaults() -> None:
    assert parse() == TrainSettings()


@pytest.mark.parametrize(
    ("flag", "text", "expected"),
    [
        ("optimization.epochs", "7", 7),
        ("optimization.learning_rate", "1e-3", 1e-3),
        ("optimization.learning_rate", "5.0e-4", 5e-4),
        ("optimization.clip_norm", "null", None),
        ("optimization.average_decay", ".99", 0.99),
        ("model.atrous_rates", "[1, 2, 3]", (1, 2, 3)),
        ("model.encoder_weights", "a.pth", "a.pth"),
        ("patches.strategy", "hard", Strategy.HARD),
        ("augmentation.flips", "no", False),
        ("augmentation.flips", "true", True),
        ("data.domains", "[usa, india]", ("usa", "india")),
        ("data.domains", "usa", ("usa",)),
        ("data.train_split", "2", "2"),
        ("data.train_split", "a: b: c", "a: b: c"),
        ("data.train_split", "2024-13-45", "2024-13-45"),
        ("data.train_split", "01", "01"),
        ("data.train_split", "no", "no"),
        ("data.train_split", "null", "null"),
        ("data.train_split", "'01'", "01"),
        ("data.domains", "2021_07_14", ("2021_07_14",)),
        ("data.domains", "2021-07-14", ("2021-07-14",)),
        ("data.domains", "[2021_07_14, no, '1']", ("2021_07_14", "no", "1")),
        ("data.domains", "null", None),
        ("model.encoder_weights", "null", None),
        ("model.init", "2021", Path("2021")),
        ("normalization.kind", "fixed", Normalization.FIXED),
        ("run.loggers", "[]", ()),
        ("run.loggers", "mlflow, wandb", ("mlflow", "wandb")),
        ("run.devices", "2", 2),
        ("run.devices", "0,1", "0,1"),
    ],
)
def test_values_are_yaml(flag: str, text: str, expected: Any) -> None:
    concern, name = flag.split(".")
    assert getattr(getattr(parse(f"--{flag}", text), concern), name) == expected


def test_numbers_in_a_list_are_numbers() -> None:
    found = parse("--normalization.kind", "fixed", "--normalization.value_range", "[-2.5e+1, 0]")
    assert found.normalization.value_range == (-25.0, 0.0)


def test_a_key_given_twice_in_a_flag_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--loss\.terms, line 1: the key 'gamma' is given"):
        parse("--loss.terms", "[{name: focal, gamma: 1, gamma: 2}]")


def test_flags_of_the_run_have_a_short_name() -> None:
    settings = parse("--seed", "3", "--num-nodes", "2", "--run.workers", "1")
    assert (settings.run.seed, settings.run.num_nodes, settings.run.workers) == (3, 2, 1)


@pytest.mark.parametrize("term", TERMS)
def test_every_loss_can_be_asked_for(term: type[BaseModel]) -> None:
    name = term.model_fields["name"].default
    needed = "alpha: .7, " if term is BalancedCrossEntropyTerm else ""
    settings = parse("--loss.terms", f"[{{name: {name}, {needed}weight: 3}}, dice]")
    found, dice = settings.loss.terms
    assert type(found) is term
    assert found.weight == 3
    assert dice == DiceTerm()
    if not needed:
        assert type(parse("--loss.terms", name).loss.terms[0]) is term


def test_flags_go_before_the_file_and_the_file_before_the_defaults(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        "optimization: {epochs: 5, batch_size: 2}\nloss: {terms: [dice, focal]}\nrun: {seed: 1}\n"
    )
    settings = parse(
        "--config", str(config), "--optimization.epochs", "9", "--loss.terms", "[tversky]"
    )
    assert settings.optimization.epochs == 9
    assert settings.optimization.batch_size == 2
    assert settings.loss.terms == (TverskyTerm(),)
    assert settings.run.seed == 1
    assert settings.patches == TrainSettings().patches


def test_problems_of_file_and_flags_are_named_together(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("patches: {sise: 64}\nrun: {seed: -1}\n")
    with pytest.raises(ConfigError) as error:
        parse("--config", str(config), "--optimization.epochs", "0", "--model.encoder", "[]")
    text = str(error.value)
    assert text.startswith(f"{config} and command line: 4 problems")
    assert "patches.sise: no such key (did you mean 'size'?)" in text
    for key in ("run.seed", "optimization.epochs", "model.encoder"):
        assert f"\n  {key}: " in text


def test_a_flag_mends_a_wrong_value_of_the_file(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("run: {seed: -1}\n")
    assert parse("--config", str(config), "--seed", "4").run.seed == 4


def test_an_unknown_flag_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse("--optimization.epoch", "3")
    assert exit_.value.code == 2
    assert "--optimization.epoch" in capsys.readouterr().err


def test_the_help_names_every_setting_with_its_default() -> None:
    parser = argparse.ArgumentParser()
    add_settings(parser, TrainSettings)
    text = " ".join(parser.format_help().split())
    for concern, field in TrainSettings.model_fields.items():
        assert isinstance(field.annotation, type)
        for name in field.annotation.model_fields:
            assert f"--{concern}.{name} {name.upper()}" in text
    assert "(default: one_cycle)" in text
    assert "(default: cross_entropy)" in text
    assert "(default: 6, 12, 18)" in text
    assert "(default: none)" in text


def test_a_second_config_goes_before_the_first(tmp_path: Path) -> None:
    base, over = tmp_path / "base.yaml", tmp_path / "over.yaml"
    base.write_text("patches: {size: 64, strategy: uniform}\nrun: {seed: 3}\n")
    over.write_text("patches: {size: 128}\nloss: {terms: [dice]}\n")
    found = parse("--config", str(base), "--config", str(over), "--seed", "5")
    assert (found.patches.size, found.patches.strategy) == (128, Strategy.UNIFORM)
    assert found.loss.terms == (DiceTerm(),)
    assert found.run.seed == 5
    over.write_text("patches: {sise: 1}\n")
    with pytest.raises(ConfigError, match=rf"{re.escape(str(base))} and {re.escape(str(over))}:"):
        parse("--config", str(base), "--config", str(over))
