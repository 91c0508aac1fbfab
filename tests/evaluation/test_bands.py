from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from sarwater.errors import DataError
from sarwater.evaluation.bands import read_bands, score_bands, write_bands
from sarwater.evaluation.scores import METRICS
from sarwater.evaluation.summary import operating_point
from tests.evaluation_cases import random_evaluation


@pytest.mark.parametrize("threshold", [0.01, 0.4, 0.99])
def test_bands_are_the_intervals_of_the_summary(threshold: float) -> None:
    evaluation = random_evaluation()
    bands = score_bands(evaluation, resamples=60, seed=3)
    point = operating_point(evaluation, threshold, "", 60, 3)
    assert bands.groups == ("", "elbe", "rhine")
    groups = [point["pooled"], *point["domains"].values()]
    for group, scores in enumerate(groups):
        for place, name in enumerate(METRICS):
            found = bands.bounds[group, place, round(threshold * 100) - 1]
            if scores[name]["interval"] is None:
                assert np.isnan(found).all()
            else:
                np.testing.assert_allclose(found, scores[name]["interval"], rtol=1e-6)


def test_without_resamples_there_are_none() -> None:
    assert np.isnan(score_bands(random_evaluation(), resamples=0).bounds).all()


def test_a_domain_of_one_chip_has_none() -> None:
    bands = score_bands(random_evaluation(chips=2, dry=0), resamples=20)
    assert np.isnan(bands.bounds[1:]).all()
    assert np.isfinite(bands.bounds[0, 2]).any()


def test_bytes_that_changed_in_the_file_are_damage(tmp_path: Path) -> None:
    write_bands(tmp_path, score_bands(random_evaluation(), resamples=20))
    file = tmp_path / "intervals.npz"
    content = file.read_bytes()
    whole = 0
    for place in range(0, len(content), len(content) // 200):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        file.write_bytes(changed)
        with suppress(DataError):
            read_bands(tmp_path)
            whole += 1
    assert whole < 50  # where dates and the like lie


def test_bands_are_read_back(tmp_path: Path) -> None:
    assert read_bands(tmp_path) is None
    bands = score_bands(random_evaluation(), resamples=20)
    write_bands(tmp_path, bands)
    found = read_bands(tmp_path)
    assert found is not None
    assert found.groups == bands.groups
    np.testing.assert_array_equal(found.bounds, bands.bounds)
