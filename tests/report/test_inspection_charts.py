"""Plots say what the inspection says, and none fails on odd data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from PIL import Image

from sarwater.datasets.manifest import Manifest
from sarwater.inspection import inspect_manifest
from sarwater.inspection.thumbnails import choose_chips, read_thumbnails
from sarwater.ratios import LabelCount, ratio_table
from sarwater.report.inspection_charts import (
    contact_figure,
    distance_figure,
    histogram_figure,
    ratio_figure,
    save_charts,
)
from tests.inspection.cases import chip, healthy, label, speckle, troubled


def drawn(manifest: Manifest, folder: Path) -> list[str]:
    inspection = inspect_manifest(manifest)
    thumbnails = read_thumbnails(choose_chips(inspection.chips), inspection.domains)
    names = save_charts(inspection, thumbnails, folder)
    for name in names:
        with Image.open(folder / name) as picture:
            assert picture.format == "PNG"
            assert np.asarray(picture.convert("L")).std() > 1
    return names


def test_all_plots_of_two_domains(tmp_path: Path) -> None:
    names = drawn(healthy(tmp_path), tmp_path)
    assert names == [
        "histograms.png",
        "ratio_bins.png",
        "domain_distances.png",
        "contact_sheet.png",
    ]


def test_troubled_chips_are_plotted(tmp_path: Path) -> None:
    assert "contact_sheet.png" in drawn(troubled(tmp_path), tmp_path)


def test_unlabelled_chips_of_one_domain(tmp_path: Path) -> None:
    manifest = Manifest((chip(tmp_path, "a", speckle(1)),))
    assert drawn(manifest, tmp_path) == ["histograms.png", "contact_sheet.png"]


def test_chips_without_any_valid_pixel(tmp_path: Path) -> None:
    empty = np.full((2, 24, 32), np.nan, np.float32)
    manifest = Manifest((chip(tmp_path, "a", empty, label(2)),))
    assert drawn(manifest, tmp_path) == ["ratio_bins.png", "contact_sheet.png"]


def test_equal_data_give_equal_files(tmp_path: Path) -> None:
    inspection = inspect_manifest(healthy(tmp_path))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_charts(inspection, [], tmp_path / name)
    one, two = (tmp_path / name / "histograms.png" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_bars_are_the_shares_of_the_table() -> None:
    counts = [LabelCount(str(i), "d", "train", 5 * 10**i, 1) for i in range(4)]
    table = ratio_table([*counts, LabelCount("x", "e", "val", 9, 0)])
    figure = ratio_figure(table, ("dry", "river", "lake"))
    everything, by_split, by_domain = figure.axes
    bars = [bar for bar in everything.patches if isinstance(bar, Rectangle)]
    assert [bar.get_width() for bar in bars] == pytest.approx([20, 20, 20, 40])
    assert [text.get_text() for text in by_split.get_yticklabels()] == ["train", "val"]
    assert [text.get_text() for text in by_domain.get_yticklabels()] == ["d", "e"]
    assert {text.get_text() for text in everything.texts} == {"1", "2", " 5"}
    assert figure.legends[0].get_texts()[-1].get_text() == ">1000 or no river + lake"


def test_matrices_show_their_values(tmp_path: Path) -> None:
    inspection = inspect_manifest(healthy(tmp_path))
    axes = distance_figure(inspection.domains).axes
    assert len(axes) == 6
    shift = inspection.domains[0].standardized_difference[0][1]
    assert shift is not None
    assert axes[0].texts[0].get_text() == f"{shift:+.2f}"


def test_a_domain_without_a_band_says_so(tmp_path: Path) -> None:
    single = chip(tmp_path, "e", speckle(7)[:1], domain="vv only", bands=("VV",))
    manifest = Manifest((*healthy(tmp_path).records, single))
    figure = histogram_figure(inspect_manifest(manifest).domains)
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert words == ["no such band"]


def test_the_contact_sheet_names_chips_and_ratios(tmp_path: Path) -> None:
    manifest = healthy(tmp_path)
    records = tuple(replace(one, domain="here") for one in manifest)
    inspection = inspect_manifest(Manifest(records))
    thumbnails = read_thumbnails(choose_chips(inspection.chips, 2), inspection.domains)
    figure = contact_figure(thumbnails, 4)
    assert [axes.get_title() for axes in figure.axes] == ["a\ntrain · 1 : 1", "b\ntrain · 23 : 1"]
    title = figure.get_suptitle()
    assert "2 of 4 readable chips, evenly chosen" in title.replace("\n", " ")
