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
