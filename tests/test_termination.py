import os
import signal
import threading

import pytest

from sarwater.termination import Terminated, terminated_as_interrupted


def test_an_order_to_end_is_an_interruption() -> None:
    former = signal.getsignal(signal.SIGTERM)

    def work() -> None:
        with terminated_as_interrupted():
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(10)

    with pytest.raises(Terminated):
        work()
    assert signal.getsignal(signal.SIGTERM) is former
    assert issubclass(Terminated, KeyboardInterrupt)


def test_outside_the_main_thread_nothing_changes() -> None:
    seen: list[object] = []

    def work() -> None:
        with terminated_as_interrupted():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]
