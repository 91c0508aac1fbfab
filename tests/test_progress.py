"""What a terminal sees of long work, and that a pipe or a file sees nothing."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sarwater.progress import silent, step, track

TWO_STEPS = """
import time
from sarwater.progress import step, track
with step("mapping", total=8, completed=2, unit="rows") as bar:
    for _ in range(5):
        time.sleep(0.05)
        bar.advance(note="loss 0.25 [of] it")
    for _ in track(range(3), "validating", 3):
        time.sleep(0.3)
    bar.advance()
with step("writing", None):
    time.sleep(0.2)
print("the result")
"""


def on_terminal(code: str, *, out: int | None = None, **environment: str) -> str:
    """Run Python with standard error on a pseudo terminal; return what that shows."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=follower,
        stdout=follower if out is None else out,
        stderr=follower,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **environment},
    )
    os.close(follower)
    shown = b""
    try:
        while part := os.read(leader, 4096):
            shown += part
    except OSError:  # Linux says so when the other side is closed
        pass
    finally:
        os.close(leader)
    assert process.wait() == 0
    return shown.decode()


def test_a_terminal_sees_count_throughput_time_left_and_note() -> None:
    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", on_terminal(TWO_STEPS))
    assert re.search(r"mapping .*\d/8 +[\d.]+ rows/s +ETA 0:00:0\d +loss 0.25 \[of\] it", seen)
    assert re.search(r"mapping .*8/8 +[\d.]+ rows/s +in 0:00:0\d", seen)
    assert re.search(r"validating .*[12]/3 +[\d.]+ chips/s", seen)  # within the other
    assert "writing" in seen
    assert seen.rstrip().endswith("the result")


def test_a_piped_result_stays_clean_beside_the_bars() -> None:
    read, write = os.pipe()
    seen = on_terminal(TWO_STEPS, out=write)
    os.close(write)
    with os.fdopen(read) as out:
        assert out.read() == "the result\n"
    assert "mapping" in seen
    assert "the result" not in seen


@pytest.mark.parametrize("color", [{}, {"FORCE_COLOR": "1", "TERM": "xterm-256color"}])
def test_pipes_and_files_see_nothing_of_it(color: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with log.open("w") as file:
        done = subprocess.run(
            [sys.executable, "-c", TWO_STEPS],
            stdout=subprocess.PIPE,
            stderr=file,
            env={**os.environ, **color},
            check=True,
        )
    assert done.stdout == b"the result\n"
    assert log.read_bytes() == b""


def test_a_process_that_is_drawn_for_by_another_is_silent() -> None:
    quiet = "from sarwater.progress import silent, track\nwith silent():\n"
    quiet += "    print(list(track(range(3), 'squares', 3)))"
    assert on_terminal(quiet) == "[0, 1, 2]\r\n"


def test_blocks_of_silence_that_overlap_end_with_the_last_one() -> None:
    code = """
import threading
from sarwater.progress import silent, track
entered, left = threading.Event(), threading.Event()
def first():
    with silent():
        entered.set()
        left.wait()
thread = threading.Thread(target=first)
thread.start()
entered.wait()
with silent():
    left.set()
    thread.join()
    print(list(track([1], "unseen", 1)))
print(list(track([2], "seen", 1)))
"""
    shown = on_terminal(code)
    assert "unseen" not in shown
    assert "seen" in shown


def test_items_pass_through() -> None:
    assert list(track((n * n for n in range(4)), "squares", 4)) == [0, 1, 4, 9]
    with silent(), step("reading", total=None) as bar:
        bar.advance(2, note="half [of] it")


def test_a_loop_that_is_left_early_clears_up_and_errors_pass() -> None:
    code = """
from sarwater.progress import step, track
for item in track(range(10), "reading chips", 10):
    if item == 3:
        break
try:
    with step("failing", total=2):
        raise KeyError("x")
except KeyError:
    print("caught")
print(list(track([1], "again", 1)))
"""
    seen = on_terminal(code)
    assert "caught" in seen
    assert "1/1" in seen
    assert seen.count("\x1b[?25h") == seen.count("\x1b[?25l") == 3  # the cursor is back each time
