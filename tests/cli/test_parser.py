"""Wrong usage ends with 2, and says what was probably meant."""

import pytest

from sarwater.cli import main


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trian data.csv", "'trian' is unknown (did you mean 'train'?); take download, "),
        ("--vesion", "no option --vesion (did you mean '--version'?)"),
        ("map --modle m", "no option --modle (did you mean '--model'?)"),
        ("map --modle=m", "no option --modle (did you mean '--model'?)"),
        ("split a.csv --output b.csv", "no option --output"),
        ("evaluate m d --out o --engine opnvino", "'opnvino' is unknown (did you mean 'openvino'"),
        ("index d --layout Folder --out o", "(did you mean 'folder'?); take sen1floods11, etci"),
        ("baseline otus d --out o", "'otus' is unknown (did you mean 'otsu'?)"),
        ("train d --optimisation.epochs 3", "did you mean '--optimization.epochs'?"),
        ("train d --epochs 3", "did you mean '--optimization.epochs'?"),
        ("train d --learning-rate 3", "did you mean '--optimization.learning_rate'?"),
        ("train d --zzz 3", "no option --zzz\n"),
        ("map", "the following arguments are required: --out"),
    ],
)
def test_the_nearest_is_named(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(line.split())
    assert exit_.value.code == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 2  # not a screen of options
    assert printed.out == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--optimization.schedule cosin", "(did you mean 'cosine'?)"),
        ("--patches.strategy sratified", "(did you mean 'stratified'?)"),
        ("--loss.terms [dise]", "(did you mean 'dice'?)"),
        ("--loss.terms [{name:_focal,_gama:_2}]", "no such key (did you mean 'gamma'?)"),
        ("--adaptation.methods [adbn]", "(did you mean 'adabn'?)"),
        ("--criterion preccision>=.9", "(did you mean 'precision>=.9'?)"),
    ],
)
def test_the_nearest_value_of_a_setting_is_named(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [part.replace("_", " ") for part in line.split()]
    arguments[0] = line.split()[0]
    assert main(["train", "data.csv", "--out", "run", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_value_that_looks_like_an_option_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """After ``--``, and with a space in it, text is a value."""
    assert main(["split", "--out", "never.csv", "--", "--odd.csv"]) == 1
    assert "--odd.csv" in capsys.readouterr().err
