import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from sarwater.datasets.manifest import Manifest
from sarwater.evaluation.bands import read_bands, score_bands, write_bands
from sarwater.evaluation.chips import ModelIdentity
from sarwater.evaluation.files import read_evaluation, write_evaluation
from sarwater.evaluation.summary import operating_point, summarize
from sarwater.report.evaluation_report import evaluate_to_folder
from sarwater.report.page import write_page
from sarwater.types import Units
from tests.conftest import RecordMaker, TifMaker
from tests.evaluation_cases import LogitModel, random_evaluation
from tests.report.conftest import Opener


@pytest.fixture(scope="module")
def page_path(evaluated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "report.html"
    write_page([evaluated], out)
    return out


@pytest.fixture(scope="module")
def summary(evaluated: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((evaluated / "evaluation.json").read_text())
    return found


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "chips.csv").open() as file:
        return list(csv.DictReader(file))


def move_slider(page: Page, k: int) -> None:
    page.locator('[data-part="slider"]').evaluate(
        "(slider, k) => { slider.value = k; slider.dispatchEvent(new Event('input', "
        "{bubbles: true})); slider.dispatchEvent(new Event('change', {bubbles: true})); }",
        k,
    )
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def text(page: Page, selector: str) -> str:
    return page.locator(selector).first.inner_text()


def names_of_cards(page: Page) -> list[str]:
    found: list[str] = page.locator(".card").evaluate_all("all => all.map(c => c.dataset.chip)")
    return found


@pytest.mark.parametrize("k", [1, 137, 400, 500, 803, 999])
def test_the_slider_changes_the_numbers_to_those_of_the_summary(
    k: int, page_path: Path, evaluated: Path, summary: dict[str, Any], open_page: Opener
) -> None:
    page = open_page(page_path).page
    move_slider(page, k)
    for name in ("precision", "recall", "f1", "iou"):
        value = summary["curve"][name][k - 1]
        expected = "-" if value is None else f"{value:.3f}"
        assert text(page, f'[data-score="{name}"]') == expected
    counts = read_evaluation(evaluated).counts.pooled()
    for name in ("tp", "fp", "fn", "tn"):
        assert text(page, f'[data-count="{name}"]') == f"{getattr(counts, name)[k - 1]:,}"


def test_the_markers_of_the_charts_move(
    page_path: Path, summary: dict[str, Any], open_page: Opener
) -> None:
    page = open_page(page_path).page
    for part in ("curve", "scores"):
        page.locator(f'[data-part="{part}"] .main-svg').first.wait_for()
    move_slider(page, 250)
    found = page.evaluate(
        """() => {
          const part = (name) => document.querySelector(`[data-part="${name}"]`);
          const marker = part("curve").data.at(-1);
          return [marker.x[0], marker.y[0], part("scores").layout.shapes[0].x0];
        }"""
    )
    curve = summary["curve"]
    assert found == [curve["recall"][249], curve["precision"][249], 0.25]


def test_the_model_s_threshold_is_where_the_page_begins(
    page_path: Path, summary: dict[str, Any], open_page: Opener
) -> None:
    page = open_page(page_path).page
    point = summary["operating_points"]["chosen"]
    assert page.locator('[data-part="number"]').input_value() == f"{point['threshold']:.3f}"
    assert text(page, '[data-score="f1"]') == f"{point['pooled']['f1']['value']:.3f}"


def test_the_keyboard_moves_the_slider(page_path: Path, open_page: Opener) -> None:
    page = open_page(page_path).page
    page.locator('[data-part="slider"]').focus()
    page.keyboard.press("ArrowRight")
    assert page.locator('[data-part="number"]').input_value() == "0.401"
    page.locator('[data-part="number"]').fill("0.73")
    expect(page.locator('[data-part="slider"]')).to_have_value("730")


def test_a_row_of_the_table_moves_the_threshold(
    page_path: Path, summary: dict[str, Any], open_page: Opener
) -> None:
    page = open_page(page_path).page
    page.get_by_role("button", name="0.7", exact=True).click()
    row = next(row for row in summary["table"] if row["threshold"] == 0.7)
    expect(page.locator('[data-score="iou"]')).to_have_text(f"{row['iou']:.3f}")
    assert page.locator("tr[aria-current]").inner_text().split()[0] == "0.7"


def test_domains_have_their_scores_and_intervals(
    page_path: Path, evaluated: Path, open_page: Opener
) -> None:
    page = open_page(page_path).page
    move_slider(page, 600)
    evaluation, bands = read_evaluation(evaluated), read_bands(evaluated)
    assert bands is not None
    for group, domain in enumerate(bands.groups):
        chosen = [i for i, chip in enumerate(evaluation.chips) if domain in ("", chip.domain)]
        counts = evaluation.counts[np.array(chosen)].pooled()
        tp, fp, fn = (int(getattr(counts, name)[599]) for name in ("tp", "fp", "fn"))
        low, high = bands.bounds[group, 2, 59]
        shown = page.locator(".domains > div").nth(group)
        assert (domain or "all chips") in shown.inner_text()
        bar = shown.locator(".bar").nth(2).inner_text()
        assert f"{2 * tp / (2 * tp + fp + fn):.3f} [{low:.3f}, {high:.3f}]" in bar


def test_sorting_sorts(page_path: Path, evaluated: Path, open_page: Opener) -> None:
    page = open_page(page_path).page
    chips = rows(evaluated)
    wet = [row for row in chips if row["f1"]]
    worst = [row["id"] for row in sorted(wet, key=lambda row: float(row["f1"]))]
    assert names_of_cards(page)[: len(wet)] == worst
    page.locator('[data-part="sort"]').select_option("wet")
    shares = {row["id"]: float(row["water_share"]) for row in chips}
    found = [shares[name] for name in names_of_cards(page)]
    assert found == sorted(shares.values(), reverse=True)
    page.locator('[data-part="sort"]').select_option("domain")
    domains = {row["id"]: row["domain"] for row in chips}
    assert [domains[name] for name in names_of_cards(page)] == sorted(domains.values())


def test_domains_and_names_filter(page_path: Path, evaluated: Path, open_page: Opener) -> None:
    page = open_page(page_path).page
    chips = rows(evaluated)
    page.locator('[data-part="domain"]').select_option("south")
    assert set(names_of_cards(page)) == {row["id"] for row in chips if row["domain"] == "south"}
    page.locator('[data-part="domain"]').select_option("")
    page.locator('[data-part="search"]').fill(chips[3]["id"].upper())
    expect(page.locator(".card")).to_have_count(1)
    assert names_of_cards(page) == [chips[3]["id"]]


def test_scores_of_chips_follow_the_slider(
    page_path: Path, evaluated: Path, open_page: Opener
) -> None:
    page = open_page(page_path).page
    move_slider(page, 900)
    evaluation = read_evaluation(evaluated)
    name = names_of_cards(page)[0]
    number = [chip.id for chip in evaluation.chips].index(name)
    counts = evaluation.counts[number]
    tp, fp, fn = (int(getattr(counts, part)[899]) for part in ("tp", "fp", "fn"))
    card = page.locator(".card").first
    card.scroll_into_view_if_needed()
    expect(card.locator("b")).to_have_text(f"F1 {2 * tp / (2 * tp + fp + fn):.3f}")


def water_pixels(page: Page, column: int) -> int:
    """Blue pixels of one of the four pictures of the first card."""
    found: int = page.locator(".card canvas").first.evaluate(
        """(canvas, column) => {
          const width = canvas.height; // the chips are square
          const left = column * (canvas.width - width) / 3;
          const copy = new OffscreenCanvas(width, width);
          const context = copy.getContext("2d", { willReadFrequently: true });
          context.drawImage(canvas, -left, 0);
          const data = context.getImageData(0, 0, width, width).data;
          let count = 0;
          for (let i = 0; i < data.length; i += 4) {
            count += data[i] === 0 && data[i + 1] === 114 && data[i + 2] === 178;
          }
          return count;
        }""",
        column,
    )
    return found


def test_pictures_of_chips_follow_the_slider(
    page_path: Path, evaluated: Path, open_page: Opener
) -> None:
    page = open_page(page_path).page
    page.locator('[data-part="sort"]').select_option("wet")
    card = page.locator(".card").first
    card.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('.card canvas').height === 48")
    truth, areas = water_pixels(page, 1), [water_pixels(page, 2)]
    for k in (100, 500, 900):
        move_slider(page, k)
        for _ in range(200):  # it is drawn when the browser gets to it
            if water_pixels(page, 2) != areas[-1]:
                break
            page.wait_for_timeout(50)
        areas.append(water_pixels(page, 2))
    name = card.get_attribute("data-chip")
    row = next(row for row in rows(evaluated) if row["id"] == name)
    assert truth / 48**2 == pytest.approx((int(row["tp"]) + int(row["fn"])) / 96**2, abs=0.02)
    assert areas[1] > areas[2] > areas[3]


def test_a_chip_opens_by_keyboard_and_closes_by_escape(page_path: Path, open_page: Opener) -> None:
    page = open_page(page_path).page
    card = page.locator(".card").nth(2)
    name = card.get_attribute("data-chip")
    card.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.locator("h3")).to_have_text(str(name))
    expect(dialog.locator("figcaption")).to_have_text(["VV", "VH", "as color"])
    assert re.search(r"min -\d+\.\d", dialog.locator("svg").first.text_content() or "")
    page.keyboard.press("ArrowRight")
    expect(dialog.locator("h3")).to_have_text(names_of_cards(page)[3])
    dialog.locator('[data-part="opacity"]').fill("25")
    assert dialog.locator("canvas + canvas").first.evaluate("c => c.style.opacity") == "0.25"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert page.evaluate("document.activeElement.dataset.chip") == name


def test_arrow_keys_go_from_card_to_card(page_path: Path, open_page: Opener) -> None:
    page = open_page(page_path).page
    page.locator(".card").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert page.evaluate("document.activeElement.dataset.chip") == names_of_cards(page)[1]


def test_what_makes_chips_hard(page_path: Path, evaluated: Path, open_page: Opener) -> None:
    from scipy.stats import spearmanr

    page = open_page(page_path).page
    wet = [row for row in rows(evaluated) if row["f1"]]
    share = [float(row["water_share"]) for row in wet]
    scores = [float(row["f1"]) for row in wet]
    table = page.locator('[data-part="hard"] tbody tr')
    cells = table.first.locator("th, td").all_inner_texts()
    assert cells[0] == "water share"
    assert float(cells[-1]) == pytest.approx(spearmanr(share, scores).statistic, abs=0.006)
    lowest = [
        f1 for x, f1 in zip(share, scores, strict=True) if x <= sorted(share)[len(share) // 4 - 1]
    ]
    assert float(cells[1].split()[0]) == pytest.approx(np.mean(lowest), abs=0.02)
    assert any("contrast" in line for line in table.all_inner_texts())


def test_an_evaluation_without_pictures_still_has_a_page(
    evaluated: Path, tmp_path: Path, open_page: Opener
) -> None:
    import shutil

    old = tmp_path / "old"
    shutil.copytree(evaluated, old)
    for name in ("gallery.zip", "intervals.npz"):
        (old / name).unlink()
    write_page([old], tmp_path / "report.html")
    page = open_page(tmp_path / "report.html").page
    assert "no pictures of its chips" in page.locator(".notice").first.inner_text()
    assert page.locator("canvas").count() == 0
    move_slider(page, 500)
    page.locator(".card").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("dialog dl")).to_contain_text("water share")


def test_chips_without_water_have_no_scores_but_a_page(tmp_path: Path, open_page: Opener) -> None:
    evaluation = random_evaluation(chips=4, dry=4)
    folder = tmp_path / "dry"
    folder.mkdir()
    write_evaluation(folder, evaluation, summarize(evaluation, resamples=20))
    write_bands(folder, score_bands(evaluation, resamples=20))
    write_page([folder], tmp_path / "report.html")
    page = open_page(tmp_path / "report.html").page
    move_slider(page, 300)
    for name in ("recall", "f1", "iou"):
        assert text(page, f'[data-score="{name}"]') == "-"
    expect(page.locator('[data-part="domains"]')).to_contain_text("px false")
    false = int(evaluation.counts.pooled().fp[299])
    assert text(page, '[data-count="fp"]') == f"{false:,}"
    page.locator('[data-part="scatter"]').scroll_into_view_if_needed()
    page.locator('[data-part="scatter"] .main-svg').first.wait_for()
    card = page.locator(".card").first
    card.scroll_into_view_if_needed()
    expect(card).to_contain_text("px false")


def test_means_over_chips_follow_the_slider(
    page_path: Path, evaluated: Path, open_page: Opener
) -> None:
    page = open_page(page_path).page
    move_slider(page, 700)
    evaluation = read_evaluation(evaluated)
    point = operating_point(evaluation, 0.7, "", 0, 0)
    assert text(page, '[data-part="mean"]') == f"{point['per_chip']['f1']['value']:.3f}"
    alarms = point["false_alarms"]
    expected = f"{alarms['pixels']:,} px in {alarms['chips_without_water']}"
    assert text(page, '[data-part="alarms"]') == (
        expected if alarms["chips_without_water"] else "-"
    )


def test_figures_of_charts_are_reached_by_keyboard(
    page_path: Path, evaluated: Path, summary: dict[str, Any], open_page: Opener
) -> None:
    page = open_page(page_path).page
    k = round(summary["operating_points"]["chosen"]["threshold"] * 1000)

    def table_of(name: str) -> list[list[str]]:
        details = page.locator(f'[data-part="{name}"] + details')
        details.locator("summary").focus()
        page.keyboard.press("Enter")
        details.locator("tbody tr").first.wait_for()
        return [row.split("\t") for row in details.locator("tbody tr").all_inner_texts()]

    used = [i for i, count in enumerate(summary["calibration"]["pixels"]) if count]
    shown = np.array(table_of("calibration"), float)
    for column, name in zip(shown.T, ("predicted", "observed"), strict=True):
        expected = [summary["calibration"][name][i] for i in used]
        np.testing.assert_allclose(column, expected, rtol=5e-4)
    f1 = [float(row["f1"]) for row in rows(evaluated) if row["f1"]]
    spread = table_of("spread")
    assert [int(row[-1]) for row in spread] == np.histogram(f1, 20, (0, 1))[0].tolist()
    assert spread[-1][0] == "0.95 to 1.00"
    move_slider(page, 999 - k)
    moved = page.locator('[data-part="spread"] + details tbody tr').all_inner_texts()
    assert moved != ["\t".join(row) for row in spread]


def test_several_kinds_of_water_have_scores_and_colors_of_their_own(
    tmp_path: Path, make_tif: TifMaker, make_record: RecordMaker, open_page: Opener
) -> None:
    classes = ("land", "permanent", "flood")
    target = np.random.default_rng(0).integers(0, 3, (32, 32)).astype(np.uint8)
    image = 3 * np.eye(3, dtype=np.float32)[target].transpose(2, 0, 1)
    image += np.random.default_rng(1).normal(0, 1, image.shape).astype(np.float32)
    record = make_record(
        make_tif("a.tif", image),
        bands=("a", "b", "c"),
        units=Units.OTHER,
        labels=(make_tif("l.tif", target),),
        codes="0=land,1=permanent,2=flood",
        classes=classes,
    )
    model = ModelIdentity("three", "hash", classes, 0.5, "given")
    out = tmp_path / "evaluation"
    evaluate_to_folder(
        LogitModel(), Manifest((record,)), model, out, resamples=0, panels=0, gallery_size=32
    )
    write_page([out], tmp_path / "page.html")
    page = open_page(tmp_path / "page.html").page
    scores = json.loads((out / "evaluation.json").read_text())["classes"]["scores"]
    shown = [
        row.split("\t") for row in page.locator('[data-part="classes"] tbody tr').all_inner_texts()
    ]
    assert shown == [
        [name, *(f"{scores[name][metric]:.3f}" for metric in ("precision", "recall", "f1", "iou"))]
        for name in classes
    ]
    assert "found water of any kind" in page.locator(".gallery-panel .legend").inner_text()
    assert page.locator(".card .under span").all_text_contents()[0] == "image"
    colors = page.evaluate("""() => {
      const { packed } = sarwater.pictures;
      const kinds = ["--other-water", "--water"].map((name) =>
        getComputedStyle(document.documentElement).getPropertyValue(name).trim());
      return [sarwater.pictures[sarwater.pictures.together([0, 0, 0])] === packed(kinds[0]),
              sarwater.pictures[sarwater.pictures.together([0, 0])] === packed(kinds[1])];
    }""")
    assert colors == [True, True]


@pytest.mark.parametrize(("chips", "words"), [(0, "of none of"), (2, "of the 2 worst of")])
def test_fewer_pictures_are_said(chips: int, words: str, evaluated: Path, tmp_path: Path) -> None:
    (section,) = write_page([evaluated], tmp_path / "page.html", chips=chips)
    (said,) = [text for text in section.remarks if "Pictures" in text]
    assert words in said
    assert not any("evaluate anew" in text for text in section.remarks)
