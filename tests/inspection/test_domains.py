"""Domains against pixels pooled by NumPy."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from sarwater.inspection.chips import summarize_chip
from sarwater.inspection.domains import compare_domains
from sarwater.inspection.histograms import Scale
from sarwater.types import Units
from tests.inspection.cases import chip, speckle


def test_differences_are_those_of_the_pooled_pixels(tmp_path: Path) -> None:
    images = {"here": [speckle(1), speckle(2, -15)], "there": [speckle(3, -6)]}
    summaries = [
        summarize_chip(chip(tmp_path, f"{domain}{i}", image, domain=domain))
        for domain, parts in images.items()
        for i, image in enumerate(parts)
    ]
    comparisons = compare_domains(summaries)
    assert [found.band for found in comparisons] == ["VV", "VH"]
    for index, found in enumerate(comparisons):
        here, there = (
            np.concatenate([image[index].ravel() for image in parts]).astype(np.float64)
            for parts in images.values()
        )
        pooled = np.sqrt((here.var() + there.var()) / 2)
        difference = here.mean() - there.mean()
        assert found.mean_difference[0][1] == pytest.approx(difference)
        assert found.mean_difference[1][0] == pytest.approx(-difference)
        assert found.standardized_difference[0][1] == pytest.approx(difference / pooled)
        assert found.domains[0].std == pytest.approx(here.std())
        moved = found.wasserstein[0][1]
        assert moved == pytest.approx(wasserstein_distance(here, there), abs=0.5)
        divergence = found.jensen_shannon[0][1]
        assert divergence is not None
        assert 0.3 < divergence < 1
        assert found.jensen_shannon[1][0] == pytest.approx(divergence)


def test_linear_power_is_compared_in_decibel(tmp_path: Path) -> None:
    power = (10 ** (speckle(1) / 10)).astype(np.float32)
    summaries = [
        summarize_chip(chip(tmp_path, "a", speckle(1))),
        summarize_chip(chip(tmp_path, "b", power, units=Units.LINEAR, domain="there")),
    ]
    (found, _) = compare_domains(summaries)
    assert found.scale == Scale.DECIBEL
    assert found.mean_difference[0][1] == pytest.approx(0, abs=1e-5)


def test_scales_that_do_not_fit_stand_side_by_side(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (2, 24, 32)).astype(np.uint8)
    summaries = [
        summarize_chip(chip(tmp_path, "a", speckle(1))),
        summarize_chip(chip(tmp_path, "b", grey, units=Units.BYTE, domain="there")),
    ]
    found = compare_domains(summaries)
    assert [(one.band, one.scale) for one in found] == [
        ("VV", Scale.DECIBEL),
        ("VH", Scale.DECIBEL),
        ("VV", Scale.BYTE),
        ("VH", Scale.BYTE),
    ]
    assert all(len(one.domains) == 1 for one in found)


def test_constant_domains_have_no_standardized_difference(tmp_path: Path) -> None:
    flat = np.ones((2, 24, 32), np.float32)
    summaries = [
        summarize_chip(chip(tmp_path, "a", -9 * flat)),
        summarize_chip(chip(tmp_path, "b", -7 * flat, domain="there")),
    ]
    (found, _) = compare_domains(summaries)
    assert found.standardized_difference[0][1] is None
    assert found.wasserstein[0][1] == pytest.approx(2)


def test_chips_without_valid_pixels_are_left_out(tmp_path: Path) -> None:
    empty = np.full((2, 24, 32), np.nan, np.float32)
    assert compare_domains([summarize_chip(chip(tmp_path, "a", empty))]) == ()
