"""An order to end (SIGTERM), taken as an interruption: what is half-written is removed."""

import contextlib
import os
import signal
from collections.abc import Iterator


class Terminated(KeyboardInterrupt):
    """The process was asked to end."""


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Raise ``Terminated`` in the block where SIGTERM would end the process at once.

    Outside the main thread nothing changes.
    """
    process = os.getpid()

    def end(number: int, _: object) -> None:
        if os.getpid() != process:  # a forked worker has nothing of its own to remove
            os._exit(128 + number)
        raise Terminated("terminated")

    try:
        former = signal.signal(signal.SIGTERM, end)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)
