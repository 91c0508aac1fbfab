"""The pages of comparisons, data, trainings, adaptations and maps, in a browser."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from sarwater.adaptation.comparison import Example
from sarwater.cli import main
from sarwater.datasets.manifest import Manifest
from sarwater.evaluation.files import read_evaluation
from sarwater.mapping.outputs import MappedRows, Thumbnail
from sarwater.raster import read_chip, write_raster
from sarwater.report.gallery import write_examples
from sarwater.report.map_charts import draw_map
from sarwater.report.page import write_page
from sarwater.types import Grid, Units
from tests.conftest import CRS, PLACE
from tests.report.conftest import DarkIsWater, Opener, evaluate_on


def page_of(opener: Opener, folder: Path, out: Path) -> Page:
    write_page([folder], out)
    return opener(out).page


@pytest.fixture(scope="module")
def compared(
    evaluated: Path, simulated: Manifest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    second = evaluate_on(simulated, folder / "second", -18.0)
    out = folder / "comparison"
    names = ["--names", "mild,strict", "--bootstrap", "50"]
    assert main(["compare", str(evaluated), str(second), "--out", str(out), *names]) == 0
    return out


def test_a_comparison_shows_each_run_at_any_threshold(
    compared: Path, tmp_path: Path, open_page: Opener
) -> None:
    page = page_of(open_page, compared, tmp_path / "page.html")
    found = json.loads((compared / "comparison.json").read_text())
    rows = page.locator('[data-part="scores"] tbody tr')

    def shown(row: int) -> list[str]:
        return rows.nth(row).locator("td").all_inner_texts()

    for row, run in enumerate(found["runs"].values()):
        own = run["points"]["own"]
        assert shown(row)[0] == f"{own['threshold']:.3f}"
        assert shown(row)[3] == f"{own['f1']['value']:.3f}"
    page.locator('[data-part="number"]').fill("0.62")
    expect(page.locator('[data-part="scorenote"]')).to_contain_text("all runs at 0.620")
    for row, run in enumerate(found["runs"].values()):
        expected = [f"{run['curve'][name][619]:.3f}" for name in ("precision", "recall", "f1")]
        assert shown(row)[1:4] == expected
    page.get_by_role("button", name="each its own").click()
    expect(page.locator('[data-part="scorenote"]')).to_contain_text("its own threshold")


def test_a_comparison_shows_paired_differences(
    compared: Path, tmp_path: Path, open_page: Opener
) -> None:
    page = page_of(open_page, compared, tmp_path / "page.html")
    found = json.loads((compared / "comparison.json").read_text())
    (pair,) = found["differences"]
    score = pair["points"]["own"]["iou"]
    page.locator('[data-part="difference"]').select_option("iou")
    cell = page.locator('[data-part="pairs"] tbody td').first.inner_text().replace("−", "-")
    low, high = score["interval"]
    assert cell == f"{score['value']:+.3f} [{low:+.3f}, {high:+.3f}]"


def test_the_same_chip_under_each_run(compared: Path, tmp_path: Path, open_page: Opener) -> None:
    page = page_of(open_page, compared, tmp_path / "page.html")
    folders = [
        run["folder"]
        for run in json.loads((compared / "comparison.json").read_text())["runs"].values()
    ]
    runs = [read_evaluation(compared / folder) for folder in folders]
    card = page.locator(".card").first
    card.scroll_into_view_if_needed()
    name = card.get_attribute("data-chip")
    scores = []
    for run in runs:
        counts = run.counts[[chip.id for chip in run.chips].index(str(name))]
        tp, fp, fn = (int(getattr(counts, part)[399]) for part in ("tp", "fp", "fn"))
        scores.append(2 * tp / (2 * tp + fp + fn))
    expect(card.locator("b")).to_have_text(f"F1 {scores[0]:.2f} · {scores[1]:.2f}")
    columns = card.locator(".under span").all_inner_texts()
    assert columns == ["SAR", "truth", "mild", "strict"]
    card.focus()
    page.keyboard.press("Enter")
    captions = page.locator("dialog figcaption")
    expect(captions).to_have_text(["image", "mild", "strict"])


def test_a_comparison_without_its_evaluations_says_so(
    compared: Path, tmp_path: Path, open_page: Opener
) -> None:
    import shutil

    shutil.copytree(compared, tmp_path / "alone" / "comparison")
    page = page_of(open_page, tmp_path / "alone" / "comparison", tmp_path / "page.html")
    assert "not where it was" in page.locator(".notice").inner_text()
    assert page.locator(".card").count() == 0
    expect(page.locator('[data-part="scores"] tbody tr')).to_have_count(2)


def test_data(simulated: Manifest, tmp_path: Path, open_page: Opener) -> None:
    out = tmp_path / "inspection"
    assert main(["inspect", str(simulated.path), "--out", str(out), "--contact-sheet", "4"]) == 0
    page = page_of(open_page, out, tmp_path / "page.html")
    found = json.loads((out / "inspection.json").read_text())
    table = page.locator('[data-part="chips"]')
    expect(table.locator("tbody tr")).to_have_count(len(found["chips"]))
    table.get_by_role("button", name="VV max").click()
    highest = sorted(chip["bands"][0]["maximum"] for chip in found["chips"])
    header = table.locator("thead th").all_inner_texts()
    place = next(i for i, text in enumerate(header) if text.startswith("VV max"))
    cells = table.locator("tbody tr").evaluate_all(
        "(rows, place) => rows.map((row) => row.cells[place].textContent)", place
    )
    assert list(map(float, cells)) == pytest.approx(highest, rel=5e-4)
    matrix = page.locator('[data-part="matrix"] + details')
    matrix.locator("summary").press("Enter")
    matrix.locator("tbody tr").first.wait_for()
    numbers = matrix.locator("tbody tr").all_inner_texts()
    names = [one["domain"] for one in found["domains"][0]["domains"]]
    assert [row.split("\t")[0] for row in numbers] == names
    apart = found["domains"][0]["jensen_shannon"][0][1]
    assert float(numbers[0].split("\t")[2]) == pytest.approx(apart, rel=5e-4)
    page.locator('[data-part="ratios"] .main-svg').first.wait_for()
    bars = page.evaluate(
        "document.querySelector('[data-part=ratios]').data.map((one) => one.x.at(-1))"
    )
    assert bars == found["ratio_bins"]["total"]
    sheet = page.locator("img.sheet")
    sheet.scroll_into_view_if_needed()
    assert sheet.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 100


def write_run(folder: Path) -> Path:
    """A run of three epochs with learned weights."""
    folder.mkdir(parents=True)
    rows = [
        {
            "epoch": epoch,
            "learning_rate": 10.0**-epoch,
            "train_loss": 1 / epoch,
            "train_dice": 0.5 / epoch,
            "val_f1": 0.6 + epoch / 10,
            "val_threshold": 0.4,
            "c_dice": 1.1 + epoch / 10,
        }
        for epoch in (1, 2, 3)
    ]
    with (folder / "curves.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    drawn = {"patches": 10, "water_share": 0.25, "ratio_bins": {"<10": 6, "10-100": 4}}
    available = {"patches": 40, "water_share": 0.05, "ratio_bins": {"<10": 10, "10-100": 30}}
    epochs = [{"epoch": n, "available": available, "drawn": drawn} for n in range(3)]
    (folder / "sampling.json").write_text(json.dumps(epochs))
    (folder / "config.yaml").write_text("model:\n  encoder: <b>small</b>\n")
    validation = {"f1": 0.9, "iou": 0.82, "threshold": 0.4, "f1_at_half": 0.88}
    summary = {"best_epoch": 3, "epochs": 3, "seconds": 9.0, "device": "cpu"}
    (folder / "train.json").write_text(json.dumps({**summary, "validation": validation}))
    return folder


def test_training(tmp_path: Path, open_page: Opener) -> None:
    page = page_of(open_page, write_run(tmp_path / "run"), tmp_path / "page.html")
    for part in ("scores", "losses", "weights", "rate"):
        chart = page.locator(f'[data-part="{part}"]')
        chart.scroll_into_view_if_needed()
        chart.locator(".main-svg").first.wait_for()
    lines = page.evaluate(
        """() => ["weights", "rate"].map((name) => {
          const [line] = document.querySelector(`[data-part="${name}"]`).data;
          return [line.name, line.x, line.y];
        })"""
    )
    assert lines[0] == ["dice", [1, 2, 3], [pytest.approx(v) for v in (1.2, 1.3, 1.4)]]
    assert lines[1] == ["learning rate", [1, 2, 3], [0.1, 0.01, 0.001]]
    bars = page.locator('[data-part="bins"]')
    bars.scroll_into_view_if_needed()
    bars.locator(".main-svg").first.wait_for()
    assert bars.evaluate("(chart) => chart.data[0].y") == [0.25, 0.6, 0.6, 0.6]
    page.get_by_text("Settings of the run").click()
    assert "<b>small</b>" in page.locator("pre").inner_text()
    page.get_by_text("Figures of every epoch").click()
    expect(page.locator('[data-part="epochs"] tbody tr')).to_have_count(3)


def adaptation(folder: Path, manifest: Manifest) -> Path:
    """Folder of an adaptation from one threshold on the backscatter to another."""
    folder.mkdir()
    side: dict[str, float | None] = {"threshold": 0.4, "water_share": 0.1, "entropy": 0.2}
    side |= {"separation": 4.0, "agreement_flips": 0.9, "agreement_gain": None}
    result = {
        "methods": ["dann"],
        "domains": {"source": ["north"], "target": ["south"]},
        "criterion": "chosen on the source",
        "source_only": side,
        "adapted": {**side, "threshold": 0.6},
        "overlap": 0.5,
        "disagreement": 0.125,
        "recommended": "adapted",
        "warnings": [],
        "notes": [],
        "history": [
            {
                "epoch": n,
                "train_dann": 0.7,
                "train_accuracy_dann": 0.5 + n / 10,
                "val_threshold": 0.4,
            }
            for n in (1, 2)
        ],
    }
    (folder / "adaptation.json").write_text(json.dumps(result))
    examples = []
    for record in manifest.records[:3]:
        chip = read_chip(record)
        before, after = (DarkIsWater(middle).predict_chip(chip)[1] for middle in (-17, -14))
        one, other = (before >= 0.4) & chip.valid, (after >= 0.6) & chip.valid
        differs = int((one != other).sum())
        maps = one.astype(np.uint8), other.astype(np.uint8)
        examples.append(Example(chip, *maps, differs, (before, after)))
    write_examples(examples, folder / "examples.zip")
    return folder


def test_adaptation(simulated: Manifest, tmp_path: Path, open_page: Opener) -> None:
    folder = adaptation(tmp_path / "adapted", simulated)
    page = page_of(open_page, folder, tmp_path / "page.html")
    chart = page.locator('[data-part="separability"]')
    chart.scroll_into_view_if_needed()
    chart.locator(".main-svg").first.wait_for()
    assert chart.evaluate("(chart) => chart.data[0].y") == [0.6, 0.7]
    expect(page.locator(".card")).to_have_count(3)
    card = page.locator(".card").first
    assert card.locator(".under span").all_inner_texts() == [
        "SAR",
        "source only",
        "adapted",
        "difference",
    ]
    card.focus()
    page.keyboard.press("Enter")
    captions = page.locator("dialog figcaption")
    expect(captions).to_have_text(["image", "source only", "adapted", "difference"])
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_be_hidden()


@pytest.fixture
def mapped(tmp_path: Path) -> Path:
    """Folder of a map of 40 x 60 pixels with a lake of 10 x 20 and its polygon."""
    import geopandas
    import shapely

    folder = tmp_path / "maps"
    folder.mkdir()
    classes = np.zeros((40, 60), np.uint8)
    classes[10:20, 30:50] = 1
    classes[:, :5] = 255
    grid = Grid(40, 60, PLACE, CRS)
    write_raster(folder / "lake_water.tif", classes, grid, bands=("class",))
    look = Thumbnail("lake", grid, ("VV", "VH"), Units.DB, ("land", "water"), 0.5)
    look.add_image(0, np.random.default_rng(0).normal(-12, 3, (2, 40, 60)).astype(np.float32))
    water = np.where(classes == 1, np.float32(0.9), np.float32(0.1))
    look.add_map(MappedRows(0, classes, np.where(classes == 255, np.nan, water)))
    draw_map(look, folder / "lake_quicklook.png", folder / "lake_pictures.zip")
    area = {"pixels": 200, "km2": 0.02}
    summary = {
        "width": 60,
        "height": 40,
        "crs": CRS,
        "classes": {"land": {"pixels": 2000, "km2": 0.2}, "water": area},
        "water": area,
        "water_share": 200 / 2200,
        "threshold": 0.5,
        "seconds": 1.0,
        "notes": [],
        "outputs": ["lake_water.tif", "lake_water.gpkg"],
    }
    (folder / "lake_summary.json").write_text(json.dumps(summary))
    corners = [PLACE @ (30, 10), PLACE @ (50, 10), PLACE @ (50, 20), PLACE @ (30, 20)]
    frame = geopandas.GeoDataFrame(
        {"class": ["water"], "area_m2": [20_000.0], "pixels": [200]},
        geometry=[shapely.MultiPolygon([shapely.Polygon(corners)])],
        crs=CRS,
    )
    frame.to_file(folder / "lake_water.gpkg", driver="GPKG", engine="pyogrio", layer="water")
    return folder


def test_map(mapped: Path, tmp_path: Path, open_page: Opener) -> None:
    page = page_of(open_page, mapped, tmp_path / "page.html")
    mask = page.locator('canvas[data-layer="mask"]')
    mask.wait_for(state="attached")
    blue = mask.evaluate(
        """(canvas) => {
          const copy = new OffscreenCanvas(canvas.width, canvas.height);
          const context = copy.getContext("2d", { willReadFrequently: true });
          context.drawImage(canvas, 0, 0);
          const { data } = context.getImageData(0, 0, copy.width, copy.height);
          const found = [];
          for (let i = 0; i < canvas.width * canvas.height; i += 1) {
            const [col, row] = [i % canvas.width, Math.floor(i / canvas.width)];
            if (data[4 * i + 3] === 255) found.push([col, row]);
          }
          return [found.length, found[0], found.at(-1)];
        }"""
    )
    assert blue == [200, [30, 10], [49, 19]]
    outline = page.locator(".world path")
    assert outline.evaluate(
        "(path) => { const b = path.getBBox(); return [b.x, b.y, b.width, b.height]; }"
    ) == [30, 10, 20, 10]
    page.locator('[data-part="probability"]').fill("70")
    assert (
        page.locator('canvas[data-layer="probability"]').evaluate("(c) => c.style.opacity") == "0.7"
    )
    assert "0.02 km²" in page.locator(".tiles").inner_text()


def test_the_map_is_zoomed_and_moved_by_keyboard(
    mapped: Path, tmp_path: Path, open_page: Opener
) -> None:
    page = page_of(open_page, mapped, tmp_path / "page.html")
    world = page.locator('[data-part="world"]')
    page.wait_for_function("document.querySelector('.world').style.transform !== ''")

    def place() -> tuple[float, float, float]:
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        box = world.evaluate(
            "(one) => { const m = new DOMMatrix(one.style.transform); return [m.a, m.e, m.f]; }"
        )
        return box[0], box[1], box[2]

    page.locator('[data-part="viewport"]').focus()
    whole = place()
    page.keyboard.press("+")
    assert place()[0] == pytest.approx(1.4 * whole[0], rel=1e-4)
    before = place()
    page.keyboard.press("ArrowRight")
    assert place()[1] == pytest.approx(before[1] - 60, abs=0.01)
    page.keyboard.press("0")
    assert place() == pytest.approx(whole, rel=1e-4, abs=0.01)
    page.get_by_role("button", name="show 1").click()
    assert page.locator(".world path.chosen").count() == 1


def test_a_map_of_an_earlier_version_has_figures_only(
    mapped: Path, tmp_path: Path, open_page: Opener
) -> None:
    (mapped / "lake_pictures.zip").unlink()
    page = page_of(open_page, mapped, tmp_path / "page.html")
    assert "no pictures" in page.locator(".notice").inner_text()
    assert page.locator(".viewport").count() == 0
    assert "2,000" in page.locator("table").first.inner_text()


def test_a_map_that_is_left_and_shown_again_stays_where_it_was(
    mapped: Path, tmp_path: Path, open_page: Opener
) -> None:
    write_page([mapped, write_run(tmp_path / "run")], tmp_path / "page.html")
    page = open_page(tmp_path / "page.html").page
    place = "document.querySelector('.world').style.transform"
    page.wait_for_function(f"{place} !== ''")
    page.evaluate("() => new Promise((done) => setTimeout(done, 50))")
    before = page.evaluate(place)
    for name in ("run", "lake"):
        page.get_by_role("link", name=name).click()
        page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))"
        )
    assert page.evaluate(place) == before


def test_polygons_are_those_of_the_map(mapped: Path, tmp_path: Path) -> None:
    """Not what an earlier one has left beside it."""
    path = mapped / "lake_summary.json"
    summary = json.loads(path.read_text())
    path.write_text(json.dumps(summary | {"outputs": ["lake_water.tif"]}))
    (section,) = write_page([mapped], tmp_path / "page.html")
    assert section.data["polygons"] is None
