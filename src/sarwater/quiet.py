"""Silencing warnings of libraries in code that several threads run at once."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


class _Quiet:
    """Python's filters of warnings are shared by all threads. Where each thread saved and restored
    them by itself, one would restore what another has set: so the first that enters saves them,
    and the last that leaves puts them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved = warnings.catch_warnings()

    @contextmanager
    def __call__(self, message: str = "", category: type[Warning] = Warning) -> Iterator[None]:
        """Ignore warnings whose text begins with ``message`` (a regular expression) in the block.

        They stay ignored a little longer where another thread is in such a block still.
        """
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
            warnings.filterwarnings("ignore", message, category)
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if self._inside == 0:
                    self._saved.__exit__(None, None, None)


quiet = _Quiet()
