import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from sarwater.report.page import write_page
from tests.report.conftest import Opener
from tests.report.test_page import write_run


@pytest.fixture
def two_results(evaluated: Path, tmp_path: Path) -> Path:
    out = tmp_path / "report.html"
    write_page([evaluated, write_run(tmp_path, "<b>run")], out)
    return out


def test_a_section_is_shown_at_a_time(two_results: Path, open_page: Opener) -> None:
    page = open_page(two_results).page
    expect(page.locator("#evaluation-1")).to_be_visible()
    expect(page.locator("#training-2")).to_be_hidden()
    link = page.get_by_role("link", name="training")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#training-2")).to_be_visible()
    expect(page.locator("#evaluation-1")).to_be_hidden()
    expect(link).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(page.locator("#evaluation-1")).to_be_visible()


def test_names_stay_text(two_results: Path, open_page: Opener) -> None:
    page = open_page(two_results).page
    assert page.locator("b", has_text="run").count() == 0
    assert "<b>run" in page.locator("nav").inner_text()


@pytest.mark.parametrize(("theme", "other"), [("light", "dark"), ("dark", "light")])
def test_light_and_dark(theme: str, other: str, two_results: Path, open_page: Opener) -> None:
    page = open_page(two_results, theme=theme).page

    def brightness() -> float:
        found: float = page.evaluate(
            "() => Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])"
        )
        return found

    bright = {"light": 255 > brightness() > 200, "dark": brightness() < 60}
    assert bright[theme]
    page.locator("#theme").click()
    assert {"light": brightness() > 200, "dark": brightness() < 60}[other]
    page.reload()
    page.wait_for_selector("html[data-ready]", state="attached")
    assert {"light": brightness() > 200, "dark": brightness() < 60}[other]


def test_charts_follow_the_theme(two_results: Path, open_page: Opener) -> None:
    page = open_page(two_results, theme="light").page
    page.locator('[data-part="curve"] .main-svg').first.wait_for()
    ink = "() => document.querySelector('[data-part=curve]').layout.font.color"
    before = page.evaluate(ink)
    page.locator("#theme").click()
    page.wait_for_function(f"({ink})() !== {before!r}")


def test_paper_is_light_and_shows_everything(two_results: Path, open_page: Opener) -> None:
    page = open_page(two_results, theme="dark").page
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    expect(page.locator("#training-2")).to_be_visible()
    expect(page.locator("#evaluation-1")).to_be_visible()
    expect(page.locator(".frame > nav")).to_be_hidden()
    shown = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shown == "rgb(255, 255, 255)"
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator("#training-2")).to_be_hidden()


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_nothing_is_wider_than_the_window(width: int, two_results: Path, open_page: Opener) -> None:
    page = open_page(two_results, width=width).page
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_is_readable_without_scripts(two_results: Path, browser: object) -> None:
    from playwright.sync_api import Browser

    assert isinstance(browser, Browser)
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(two_results.as_uri())
    assert "model's threshold" in page.locator("main").inner_text()
    expect(page.locator("#training-2")).to_be_visible()
    context.close()


def test_skipping_to_the_results_stays_at_the_one_that_is_shown(
    two_results: Path, open_page: Opener
) -> None:
    page = open_page(two_results).page
    page.get_by_role("link", name="training").click()
    skip = page.locator("a.skip")
    skip.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("location.hash === '#content'")
    expect(page.locator("#training-2")).to_be_visible()
    expect(page.locator("#evaluation-1")).to_be_hidden()


def test_paper_has_the_figures_of_results_that_were_never_shown(
    evaluated: Path, tmp_path: Path, open_page: Opener
) -> None:
    write_page([write_run(tmp_path, "run"), evaluated], tmp_path / "page.html")
    page = open_page(tmp_path / "page.html").page
    page.emulate_media(media="print")
    found = page.evaluate(
        """() => {
          dispatchEvent(new Event("beforeprint"));  // what follows is what the printer sees
          const root = document.querySelector("#evaluation-2");
          const all = (query) => [...root.querySelectorAll(query)];
          const isCut = (style) => style.maxHeight !== "none" || style.overflow !== "visible";
          return {
            scores: all("[data-score]").map((one) => one.textContent),
            bars: all(".track i").map((one) => one.getBoundingClientRect().width),
            cut: all(".tall, .scroll").filter((one) => isCut(getComputedStyle(one))).length,
            backgrounds: getComputedStyle(root).printColorAdjust,
          };
        }"""
    )
    assert len(found["scores"]) == 4
    assert all(0 < float(text) < 1 for text in found["scores"])
    assert max(found["bars"]) > 20
    assert found["cut"] == 0
    assert found["backgrounds"] == "exact"


def test_results_of_one_name_are_told_apart(evaluated: Path, tmp_path: Path) -> None:
    again = tmp_path / "again" / evaluated.name
    shutil.copytree(evaluated, again)
    sections = write_page([evaluated, again], tmp_path / "page.html")
    assert [one.title for one in sections] == [
        f"{evaluated.name} ({evaluated})",
        f"{evaluated.name} ({again})",
    ]


def test_the_folder_that_one_stands_in_has_its_name(
    evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(evaluated)
    (section,) = write_page([Path()], tmp_path / "page.html")
    assert section.title == evaluated.name
