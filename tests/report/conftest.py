"""Pages opened in the system's Chromium, and results that are shown on them."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from sarwater.datasets.manifest import Manifest
from sarwater.datasets.simulated import write_pair
from sarwater.evaluation.chips import ModelIdentity
from sarwater.normalize import BandStatistics
from sarwater.report.evaluation_report import evaluate_to_folder
from sarwater.types import Chip, FloatArray

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class DarkIsWater:
    """Calls dark pixels water: probability by a sigmoid of the first band."""

    def __init__(self, middle: float = -15.0) -> None:
        self.middle = middle

    def model_chip(self, chip: Chip) -> Chip:
        return chip

    def predict_chip(self, chip: Chip, group: BandStatistics | None = None) -> FloatArray:
        assert group is None
        water = 1 / (1 + np.exp((chip.image[0] - self.middle) / 1.5))
        return np.stack([1 - water, water]).astype(np.float32)


@dataclass
class Opened:
    """A page in the browser, and what it did besides."""

    page: Page
    problems: list[str] = field(default_factory=list)
    """Errors of scripts and on the console."""
    requests: list[str] = field(default_factory=list)
    """Addresses that were asked for, without those within the page."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium; one for all tests of a process."""
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail(
            f"no Chromium: none of {', '.join(_NAMES)} is on the PATH, and reports are tested in a "
            "real browser; install it (Debian, Ubuntu: apt-get install chromium)"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opener:
    """Opens pages from disk."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.opened: list[Opened] = []

    def __call__(self, path: Path, theme: str | None = None, width: int = 1280) -> Opened:
        assert theme in (None, "light", "dark")
        page = self._browser.new_page(viewport={"width": width, "height": 900})
        if theme is not None:
            page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        opened = Opened(page)
        page.on("console", lambda line: opened.problems.append(f"{line.type}: {line.text}"))
        page.on("pageerror", lambda error: opened.problems.append(str(error)))
        page.on("request", lambda request: opened.requests.append(request.url))
        page.goto(path.as_uri())
        page.wait_for_selector("html[data-ready]", state="attached")
        self.opened.append(opened)
        return opened


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Opener]:
    """Open a page; at the end it has neither complained nor asked for anything outside itself."""
    opener = Opener(browser)
    yield opener
    for opened in opener.opened:
        opened.page.close()
        assert opened.problems == []
        own = (opened.page.url.split("#")[0], "data:", "blob:")
        outside = [url for url in opened.requests if not url.startswith(own)]
        assert outside == []


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Chips of two simulated regions; the second has wind over its water."""
    return write_pair(tmp_path_factory.mktemp("regions") / "pair", size=384, chip_size=96)


@pytest.fixture(scope="session")
def evaluated(simulated: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an evaluation of two domains."""
    return evaluate_on(simulated, tmp_path_factory.mktemp("evaluated") / "first", -15.0)


def evaluate_on(manifest: Manifest, out: Path, middle: float) -> Path:
    """Evaluate the model that takes what is darker than ``middle`` for water."""
    model = ModelIdentity("dark", f"hash{middle}", ("land", "water"), 0.4, "chosen by eye")
    evaluate_to_folder(
        DarkIsWater(middle), manifest, model, out, resamples=50, panels=0, gallery_size=48
    )
    return out
