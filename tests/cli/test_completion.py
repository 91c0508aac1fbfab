"""A shell that has read the script completes what the command line takes."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sarwater.cli import COMMANDS, main


@pytest.fixture
def script(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Path:
    assert main(["completion", "bash"]) == 0
    path = tmp_path / "sarwater.bash"
    path.write_text(capsys.readouterr().out)
    return path


ASK = """
source {script}
COMP_WORDS=({words}) COMP_CWORD={last} COMP_LINE='{line}' COMP_POINT={point}
$(complete -p sarwater | sed 's/.*-F \\([^ ]*\\).*/\\1/')
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(script: Path, words: list[str]) -> set[str]:
    """What bash offers after these words, the last of which is being typed."""
    bash = shutil.which("bash")
    assert bash is not None
    line = " ".join(words)
    asked = ASK.format(script=script, words=line, last=len(words) - 1, line=line, point=len(line))
    done = subprocess.run([bash, "-c", asked], capture_output=True, text=True, check=True)
    return {word.strip() for word in done.stdout.split()}


def test_bash_completes_commands_and_options(script: Path) -> None:
    assert completed(script, ["sarwater", "e"]) == {name for name in COMMANDS if name[0] == "e"}
    assert {"--model", "--out", "--engine"} <= completed(script, ["sarwater", "map", "--"])
    assert completed(script, ["sarwater", "map", "--engine", "o"]) == {"openvino"}


@pytest.mark.parametrize("shell", ["zsh", "fish", "tcsh", "powershell"])
def test_other_shells_get_a_script_of_every_command(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in COMMANDS)


@pytest.mark.parametrize("words", [["map", "--model", ""], ["map", ""], ["train", "--config", ""]])
def test_bash_completes_files(
    words: list[str], script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "water.safetensors").touch()
    monkeypatch.chdir(tmp_path / "here")
    assert "water.safetensors" in completed(script, ["sarwater", *words[:-1], "w"])
