"""Warnings that threads silence at the same time are heard again when the last one has ended."""

import threading
import warnings

import pytest

from sarwater.quiet import quiet


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    warnings.warn(text, category, stacklevel=2)


def test_only_what_is_named_is_ignored() -> None:
    with quiet("Glyph .* missing", UserWarning):
        warn("Glyph 27700 missing from font")
        with pytest.warns(UserWarning, match="another"):
            warn("another")
        with pytest.warns(DeprecationWarning, match="Glyph"):
            warn("Glyph x missing", DeprecationWarning)
    with pytest.warns(UserWarning, match="Glyph"):
        warn("Glyph 27700 missing from font")


def test_an_error_within_is_no_end_of_hearing() -> None:
    def fail() -> None:
        with quiet("a"), quiet("b"):
            raise ValueError("no")

    before = list(warnings.filters)
    with pytest.raises(ValueError, match="no"):
        fail()
    assert list(warnings.filters) == before


def test_blocks_of_threads_that_overlap_put_back_what_was() -> None:
    before = list(warnings.filters)
    first_in, second_in, first_out = (threading.Event() for _ in range(3))
    failed: list[BaseException] = []

    def first() -> None:
        with quiet("a"):
            first_in.set()
            second_in.wait()
        first_out.set()

    def second() -> None:
        first_in.wait()
        try:
            with quiet("b"):
                second_in.set()
                first_out.wait()
                warn("b is silent still")
        except UserWarning as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert list(warnings.filters) == before
