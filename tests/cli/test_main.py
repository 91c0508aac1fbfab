import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from sarwater import __version__
from sarwater.cli import COMMANDS, main
from sarwater.errors import DataError, OutputExistsError, SarwaterError
from sarwater.termination import Terminated

HEAVY = ("torch", "lightning", "rasterio", "matplotlib", "scipy", "segmentation_models_pytorch")

HELP_OF_ALL = f"""
import contextlib, io, json, sys
from sarwater.cli import COMMANDS, main
found = {{}}
for command in ("", *COMMANDS):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            main([command, "--help"] if command else ["--help"])
        except SystemExit as error:
            code = error.code
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    found[command] = [code, out.getvalue(), heavy]
print(json.dumps(found))
"""


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_help_of_every_command_is_there_and_imports_nothing_heavy() -> None:
    done = python("-W", "error", "-c", HELP_OF_ALL)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    assert set(found) == {"", *COMMANDS}
    for command, (code, text, heavy) in found.items():
        assert (command, code, heavy) == (command, 0, [])
        assert text.startswith(f"usage: sarwater {command}".rstrip())
        assert "==SUPPRESS==" not in text
    for command, line in COMMANDS.items():
        assert command in found[""][1].split()
        assert line[1:] in " ".join(found[command][1].split())


def test_python_m_sarwater() -> None:
    done = python("-m", "sarwater", "--version")
    assert (done.returncode, done.stdout) == (0, f"sarwater {__version__}\n")
    done = python("-m", "sarwater", "split", "no/such.csv", "--out", "never.csv")
    assert done.returncode == 1
    assert done.stderr.startswith("sarwater split: error: cannot read the manifest no/such.csv")
    assert done.stderr.count("\n") == 1
    assert not Path("never.csv").exists()


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_without_a_command_the_help_is_shown(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 0
    text = capsys.readouterr().out
    assert all(f"{line}\n" in text for line in COMMANDS.values())


@pytest.mark.parametrize(
    "arguments", [["trian"], ["--nope"], ["split"], ["split", "a.csv", "--out", "b", "--sead", "1"]]
)
def test_wrong_usage_is_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    assert "usage: sarwater" in capsys.readouterr().err


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException | None], None]:
    """Make a command ``fake`` that ends as it is told."""

    def make(error: BaseException | None) -> None:
        def run(args: argparse.Namespace) -> None:
            print("got", args.word)
            if error is not None:
                raise error

        def add_arguments(parser: argparse.ArgumentParser) -> None:
            parser.add_argument("word")

        module = ModuleType("sarwater.cli.fake")
        module.add_arguments = add_arguments  # type: ignore[attr-defined]
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "sarwater.cli.fake", module)
        monkeypatch.setitem(COMMANDS, "fake", "a command of the test")

    return make


Maker = Callable[[BaseException | None], None]


def test_done_is_zero(command: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    command(None)
    assert main(["fake", "x"]) == 0
    assert capsys.readouterr() == ("got x\n", "")


@pytest.mark.parametrize(
    "error", [DataError("too wet"), OutputExistsError("too wet"), SarwaterError("too wet")]
)
def test_an_error_on_purpose_is_one_line_and_one(
    error: SarwaterError, command: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    command(error)
    assert main(["fake", "x"]) == 1
    assert capsys.readouterr().err == "sarwater fake: error: too wet\n"


def test_an_interruption_is_130(command: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    command(KeyboardInterrupt())
    assert main(["fake", "x"]) == 130
    assert capsys.readouterr().err == "sarwater fake: interrupted\n"


@pytest.mark.parametrize("error", [ZeroDivisionError("oh"), ValueError("oh")])
def test_an_unexpected_error_keeps_its_traceback(error: Exception, command: Maker) -> None:
    command(error)
    with pytest.raises(type(error), match="oh"):
        main(["fake", "x"])


def test_the_arguments_of_the_process_are_the_default(
    command: Maker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(None)
    monkeypatch.setattr(sys, "argv", ["sarwater", "fake", "y"])
    assert main() == 0
    assert capsys.readouterr().out == "got y\n"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied", "a.txt"), "a.txt: Permission denied"),
        (OSError("odd"), "a file: odd"),
        (MemoryError("9 GiB"), "not enough memory (9 GiB); close other programs, or take less"),
    ],
)
def test_what_the_system_refuses_is_one_line_and_one(
    error: Exception, message: str, command: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    command(error)
    assert main(["fake", "x"]) == 1
    assert capsys.readouterr().err == f"sarwater fake: error: {message}\n"


def test_an_order_to_end_is_143(command: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    command(Terminated("terminated"))
    assert main(["fake", "x"]) == 143
    assert capsys.readouterr().err == "sarwater fake: terminated\n"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stopped_simulation_leaves_nothing(name: str, tmp_path: Path) -> None:
    number = getattr(signal, name)
    process = subprocess.Popen(
        [sys.executable, "-m", "sarwater", "simulate", "--out", str(tmp_path / "data")],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while process.poll() is None and not any(tmp_path.iterdir()):
        time.sleep(0.05)
    process.send_signal(number)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in text
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text("chip,nonwater_px,water_px\na,1,2\n")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "sarwater", "inspect", "--counts", str(counts)],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_full_gpu_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fill(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")

    monkeypatch.setattr("sarwater.cli.doctor.run", fill)
    assert main(["doctor"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(
        "sarwater doctor: error: not enough memory on the GPU (CUDA out of memory"
    )
    assert "optimization.batch_size" in said
    assert len(said.splitlines()) == 1


def test_where_nothing_can_be_printed_nothing_is(tmp_path: Path) -> None:
    command = (
        f"{sys.executable} -m sarwater simulate --size 192 --chip-size 64 --out {tmp_path / 'pair'}"
    )
    done = subprocess.run(f"{command} >&-", shell=True, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "pair" / "data.csv").exists()


def test_names_of_any_letters_are_printed_anywhere(tmp_path: Path) -> None:
    out = tmp_path / "\u6c34"
    command = [sys.executable, "-m", "sarwater", "simulate", "--out", str(out)]
    command += ["--size", "192", "--chip-size", "64"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u6c34" in done.stdout


def test_a_full_standard_output_is_named() -> None:
    with Path("/dev/full").open("w") as full:  # Linux has it
        done = subprocess.run(
            [sys.executable, "-m", "sarwater", "completion", "bash"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(
        "sarwater completion: error: cannot write to standard output: No space left"
    )
    assert done.stderr.count("\n") == 1


def test_an_interruption_of_imports_is_one_too(
    command: Maker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(None)

    def interrupted(_: argparse.ArgumentParser) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["sarwater.cli.fake"], "add_arguments", interrupted)
    assert main(["fake", "x"]) == 130
    assert capsys.readouterr().err == "sarwater fake: interrupted\n"
