"""A report of a thousand chips in Chromium: how soon it shows, how smoothly it scrolls and slides.

command:  python benchmarks/report.py [--chips 1000] [--repeats 5]
hardware: any with Chromium; a minute or two on two CPU cores, without a graphics card
result:   benchmarks/results/report.json: size of the page, milliseconds (medians of the repeats);
          a step of the slider is two frames, from the event until the next picture is shown;
          with them the load of the machine, since other work beside it makes a browser slow
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright
from scipy.ndimage import gaussian_filter

from sarwater.evaluation.bands import score_bands, write_bands
from sarwater.evaluation.chips import ChipPixels, Evaluation, MissingRadar, ModelIdentity
from sarwater.evaluation.counts import ThresholdCounts, confusion_matrix, count
from sarwater.evaluation.files import write_evaluation
from sarwater.evaluation.summary import summarize
from sarwater.report.gallery import GALLERY, GalleryWriter
from sarwater.report.page import write_page
from sarwater.types import Chip, FloatArray, Grid, Units

RESULTS = Path(__file__).parent / "results" / "report.json"
SIDE = 192
"""Pixels of a chip's side: its pictures are as large as a gallery's are at most."""

OPENING = """() => {
  const paints = performance.getEntriesByType("paint");
  const entry = paints.find((one) => one.name === "first-contentful-paint");
  return entry?.startTime ?? null;
}"""
MARK = "(name) => performance.getEntriesByName(name)[0].startTime"
PAINTED = """() => {
  const canvas = document.querySelector(".card canvas");
  return canvas !== null && document.querySelectorAll(".card").length > 0;
}"""
SCROLLING = """async () => {
  document.querySelector(".gallery-panel").scrollIntoView();
  await new Promise((done) => setTimeout(done, 500));
  const frames = [];
  let last = performance.now();
  for (let i = 0; i < 150; i += 1) {
    scrollBy(0, 120);
    await new Promise(requestAnimationFrame);
    frames.push(performance.now() - last);
    last = performance.now();
  }
  return frames;
}"""
SLIDING = """async () => {
  const slider = document.querySelector('[data-part="slider"]');
  const frames = [];
  for (let k = 100; k < 900; k += 8) {
    const begin = performance.now();
    slider.value = k;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    frames.push(performance.now() - begin);
  }
  return frames;
}"""


def make_chip(number: int, random: np.random.Generator) -> tuple[Chip, FloatArray]:
    """Return a chip of smooth lakes under speckle, and the probability that a map would have."""
    field = gaussian_filter(random.normal(size=(SIDE, SIDE)), 12)
    water = field > np.quantile(field, 1 - random.uniform(0, 0.5))
    speckle = 10 * np.log10(random.gamma(4.4, 1 / 4.4, (2, SIDE, SIDE)))
    image = np.where(water, -19, np.array([-9, -15])[:, None, None]) + speckle
    blurred = gaussian_filter(water + random.normal(0, 0.8, water.shape), 3)
    probability = 1 / (1 + np.exp(-12 * (blurred - 0.5)))
    everywhere = np.full(water.shape, True)
    chip = Chip(
        f"chip_{number:04d}",
        f"event_{number % 10}",
        ("VV", "VH"),
        Units.DB,
        image.astype(np.float32),
        everywhere,
        water.astype(np.uint8),
        Grid(SIDE, SIDE),
    )
    return chip, probability.astype(np.float32)


def write_result(folder: Path, chips: int) -> None:
    """Write the folder that ``sarwater evaluate`` writes, of made-up chips."""
    random = np.random.default_rng(0)
    pixels, counts, matrices = [], [], []
    with GalleryWriter(folder / GALLERY) as gallery:
        for number in range(chips):
            chip, probability = make_chip(number, random)
            assert chip.target is not None
            counts.append(count(probability, chip.target != 0, chip.valid))
            predicted = (probability >= np.float32(0.5)).astype(np.uint8)
            matrices.append(confusion_matrix(predicted, chip.target, chip.valid, 2))
            size = chip.target.size
            pixels.append(ChipPixels(chip.id, chip.domain, size, size, size, 0, 0, None))
            gallery.add(chip, chip.valid, probability)
    evaluation = Evaluation(
        model=ModelIdentity("model", "0", ("land", "water"), 0.5, "fixed"),
        data="made up",
        split="test",
        missing_radar=MissingRadar.EXCLUDE,
        groups="none",
        threshold=0.5,
        criterion="fixed",
        chips=tuple(pixels),
        counts=ThresholdCounts.stack(counts),
        confusion=np.stack(matrices),
        not_counted={},
    )
    write_evaluation(folder, evaluation, summarize(evaluation, resamples=200))
    write_bands(folder, score_bands(evaluation, resamples=200))


def measure(page: Page, address: str) -> dict[str, float]:
    """Open the page once, scroll through its gallery and move its slider; milliseconds."""
    client = page.context.new_cdp_session(page)
    # In thread ticks a busy machine does not count.
    client.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(address)
    page.wait_for_selector("html[data-ready]", state="attached")
    metrics = client.send("Performance.getMetrics")["metrics"]
    busy = next(one["value"] for one in metrics if one["name"] == "TaskDuration")
    usable, ready = (page.evaluate(MARK, name) for name in ("shown", "ready"))
    assert page.evaluate(PAINTED)
    shown = page.evaluate(OPENING)
    scrolled, slid = page.evaluate(SCROLLING), page.evaluate(SLIDING)
    return {
        "first_contentful_paint": shown,
        "figures_slider_and_gallery": usable,
        "ready_with_charts": ready,
        "ready_main_thread_cpu": 1000 * busy,
        "scroll_frame_median": statistics.median(scrolled),
        "scroll_frame_p95": float(np.quantile(scrolled, 0.95)),
        "slider_step_median": statistics.median(slid),
        "slider_step_p95": float(np.quantile(slid, 0.95)),
    }


def main() -> None:
    """Make the page, open it several times, write the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chips", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        raise SystemExit("no chromium on the PATH; install it (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        folder, html = Path(scratch) / "evaluation", Path(scratch) / "report.html"
        folder.mkdir()
        write_result(folder, args.chips)
        write_page([folder], html)
        runs = []
        for _ in range(args.repeats):
            browser = playwright.chromium.launch(
                executable_path=browser_path, args=["--no-sandbox"]
            )
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            runs.append(measure(page, html.as_uri()))
            version = browser.version
            browser.close()
        megabytes = html.stat().st_size / 1e6
    result: dict[str, Any] = {
        "command": "python benchmarks/report.py",
        "chips": args.chips,
        "page_megabytes": round(megabytes, 1),
        "repeats": args.repeats,
        "milliseconds": {
            name: round(statistics.median(run[name] for run in runs), 1) for name in runs[0]
        },
        "slowest_ready_with_charts": round(max(run["ready_with_charts"] for run in runs), 1),
        "load_average": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
        "chromium": version,
        "machine": f"{platform.machine()}, {platform.system()}, software rendering",
    }
    print(json.dumps(result, indent=2))
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
