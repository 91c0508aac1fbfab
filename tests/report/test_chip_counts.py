import numpy as np

from sarwater.report.chip_counts import packed_counts, variable_length
from tests.evaluation_cases import random_evaluation


def read(content: bytes) -> list[int]:
    """Read LEB128 byte by byte."""
    found, value, shift = [], 0, 0
    for byte in content:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(value)
            value = shift = 0
    return found


def test_numbers_of_every_length() -> None:
    numbers = [0, 1, 127, 128, 300, 16383, 16384, 2**21, 2**31, 2**40 + 5, 0]
    assert read(variable_length(np.array(numbers))) == numbers


def test_a_byte_for_a_small_number() -> None:
    assert len(variable_length(np.full(1000, 127))) == 1000


def test_counts_of_chips() -> None:
    counts = random_evaluation(chips=3).counts
    found = np.array(read(packed_counts(counts))).reshape(3, 2, 1000)
    np.testing.assert_array_equal(found[:, 0], counts.positives)
    np.testing.assert_array_equal(found[:, 1], counts.negatives)
