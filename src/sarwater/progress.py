"""Progress of long work on standard error: a bar with throughput and the time that is left."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Item = TypeVar("Item")


def progress_bar() -> Progress:
    """Return a bar that is drawn on a terminal and stays silent when standard error is piped."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


class Step:
    """One bar: ``advance`` it, and say something beside it."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        """Wrap a task of a rich bar."""
        self._bar = bar
        self._task = task

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Move on by ``amount``, with a few words beside the bar."""
        self._bar.advance(self._task, amount)
        if note is not None:
            self._bar.update(self._task, note=note)


@contextmanager
def step(description: str, total: int, *, completed: int = 0) -> Iterator[Step]:
    """Show one step of long work.

    >>> with step("reading", total=2) as bar:
    ...     bar.advance()
    """
    with progress_bar() as bar:
        yield Step(bar, bar.add_task(description, total=total, completed=completed, note=""))


def track(items: Iterable[Item], description: str, total: int) -> Iterator[Item]:
    """Iterate with a bar."""
    with step(description, total) as bar:
        for item in items:
            yield item
            bar.advance()
