"""Progress of long work on standard error: a bar with throughput and the time that is left.

Bars are drawn on a terminal only: where standard error is a file or a pipe nothing is written.
Of several processes that train together the first one draws.
"""

import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.text import Text

from sarwater.ranks import is_first_process

Item = TypeVar("Item")


class _CountColumn(ProgressColumn):
    """How much is done, of how much."""

    def render(self, task: Task) -> Text:
        if task.total is None:
            return Text()
        return Text(f"{task.completed:,.0f}/{task.total:,.0f}", "magenta")


class _RateColumn(ProgressColumn):
    """Throughput in the step's own unit."""

    def render(self, task: Task) -> Text:
        return Text(rate(task.finished_speed or task.speed, task.fields["unit"]), "cyan")


class _TimeColumn(ProgressColumn):
    """The time that is left, and in the end the time that it took."""

    def render(self, task: Task) -> Text:
        if task.finished and task.finished_time is not None:
            return Text(f"in {_clock(task.finished_time)}", "green")
        if task.total is None:
            return Text(_clock(task.elapsed or 0), "green")
        left = task.time_remaining
        return Text("ETA -" if left is None else f"ETA {_clock(left)}", "green")


def rate(speed: float | None, unit: str) -> str:
    """Return a throughput in words.

    Args:
        speed: units a second; None where it is not known yet.
        unit: what is counted, in the plural.

    >>> rate(12.34, "chips"), rate(0.25, "steps"), rate(None, "rows")
    ('12.3 chips/s', '4.0 s/step', '')
    """
    if not speed:
        return ""
    if speed < 1:
        return f"{1 / speed:.1f} s/{unit.removesuffix('s')}"
    return f"{speed:,.0f} {unit}/s" if speed >= 100 else f"{speed:.1f} {unit}/s"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


class Step:
    """One bar: ``advance`` it, and say something beside it."""

    def __init__(self, bars: Progress, task: TaskID) -> None:
        """Wrap a task of rich bars."""
        self._bars = bars
        self._task = task

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Move on by ``amount``, with a few words beside the bar."""
        self._bars.advance(self._task, amount)
        if note is not None:
            self._bars.update(self._task, note=note)


class _Screen:
    """The bars of this process; steps within a step are drawn below it."""

    def __init__(self) -> None:
        # A loop that was left early may be cleared up at any moment, also while a step begins.
        self.lock = threading.RLock()
        self.bars: Progress | None = None
        self.silenced = 0

    def start(self) -> tuple[Progress, bool]:
        """Return the bars, and whether they begin now."""
        with self.lock:
            if self.bars is not None:
                return self.bars, False
            # Rich takes FORCE_COLOR for a terminal; a log file is none, whatever is set.
            is_seen = sys.stderr.isatty() and is_first_process() and not self.silenced
            self.bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=20),
                _CountColumn(),
                _RateColumn(),
                _TimeColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                console=Console(stderr=True),
                disable=not is_seen,
            )
            if is_seen:
                self.bars.start()
            return self.bars, True

    def stop(self, bars: Progress) -> None:
        with self.lock:
            if self.bars is bars:
                self.bars = None
        if not bars.disable:
            bars.stop()


_screen = _Screen()


@contextmanager
def step(
    description: str, total: float | None, *, completed: float = 0, unit: str = ""
) -> Iterator[Step]:
    """Show one step of long work; a step within another is shown below it while it lasts.

    Args:
        description: what is done, in a few words.
        total: how much there is to do; None where that cannot be known.
        completed: how much is done already.
        unit: what is counted, in the plural, for the throughput.

    >>> with step("reading", total=2, unit="chips") as bar:
    ...     bar.advance()
    """
    bars, is_outer = _screen.start()
    task = bars.add_task(description, total=total, completed=completed, note="", unit=unit)  # type: ignore[arg-type]
    try:
        yield Step(bars, task)
    finally:
        if is_outer:
            _screen.stop(bars)
        else:
            bars.remove_task(task)


def track(
    items: Iterable[Item], description: str, total: int, *, unit: str = "chips"
) -> Iterator[Item]:
    """Iterate with a bar."""
    with step(description, total, unit=unit) as bar:
        for item in items:
            yield item
            bar.advance()


@contextmanager
def silent() -> Iterator[None]:
    """Draw no bar in the block: for a process whose terminal another one draws on.

    Blocks of several threads may overlap: bars are drawn again when the last one has ended.
    """
    with _screen.lock:
        _screen.silenced += 1
    try:
        yield
    finally:
        with _screen.lock:
            _screen.silenced -= 1
