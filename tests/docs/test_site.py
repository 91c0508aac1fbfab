"""The site builds without a warning, and its pages ask nothing of a network."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.docs.reading import ROOT

FETCHED = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src", "srcdoc"),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
"""Attributes whose address a browser fetches by itself."""
RELATIONS = {"canonical", "next", "prev", "author", "license", "edit"}
"""Of links in a page's head that are not fetched."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, "--site-dir", str(out)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    return out


class Fetches(HTMLParser):
    """Collects the addresses that a page fetches."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.kinds: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.kinds |= set(given.get("class", "").split())
        if tag == "link" and not set(given.get("rel", "").split()) & RELATIONS:
            self.found.append(given["href"])
        for name in FETCHED.get(tag, ()):
            if given.get(name):
                self.found.append(given[name])
        self.found += re.findall(r"url\(([^)]+)\)", given.get("style", ""))

    def handle_data(self, data: str) -> None:
        self.found += re.findall(r"@import\s+['\"]([^'\"]+)", data)


def pages(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def test_every_document_is_a_page(site: Path) -> None:
    documents = {p.relative_to(ROOT / "docs") for p in (ROOT / "docs").rglob("*.md")}
    built = {page.relative_to(site).with_suffix(".md") for page in pages(site)}
    assert documents | {Path("commands.md")} == built - {Path("404.md")}
    assert not (site / "hooks").exists()


def test_pages_fetch_only_what_lies_beside_them(site: Path) -> None:
    for page in pages(site):
        fetches = Fetches()
        fetches.feed(page.read_text(encoding="utf-8"))
        assert fetches.found
        assert "mermaid" not in fetches.kinds  # the theme would fetch its program
        for address in fetches.found:
            assert not urlsplit(address).scheme, f"{page}: {address}"
            assert not address.startswith("//"), f"{page}: {address}"
            base = site if address.startswith("/") else page.parent
            assert (base / address.lstrip("/").split("#")[0].split("?")[0]).exists(), address


def test_styles_fetch_nothing_from_elsewhere(site: Path) -> None:
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert "@import" not in text
        for address in re.findall(r"url\(([^)]*)\)", text):
            bare = address.strip("'\"")
            assert bare.startswith(("data:", "#")) or not urlsplit(bare).scheme


def test_links_in_the_text_lead_to_pages_and_places(site: Path) -> None:
    places = {page: set(re.findall(r'\bid="([^"]+)"', page.read_text())) for page in pages(site)}
    for page in pages(site):
        for link in links_in(page):
            file, _, place = link.partition("#")
            there = (page.parent / file).resolve() if file else page
            assert there.exists(), f"{page}: {link}"
            if place and there in places:
                assert place in places[there] or place.startswith("__"), f"{page}: {link}"


def links_in(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    article = text[text.index("<article") : text.index("</article>")]
    for link in re.findall(r'<a[^>]* href="([^"]+)"', article):
        if not urlsplit(link).scheme:
            yield link


def test_formulas_and_doctests_are_drawn(site: Path) -> None:
    losses = (site / "losses.html").read_text(encoding="utf-8")
    assert losses.count('<math display="block">') >= 7
    assert "\\frac" not in losses
    for page in (site / "api").glob("*.html"):
        assert "<blockquote>\n<blockquote>" not in page.read_text(encoding="utf-8"), page


def test_the_reference_names_every_command_and_option(site: Path) -> None:
    from sarwater.cli import COMMANDS

    text = (site / "commands.html").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f'id="{name}"' in text
    for option in ("--missing-radar {exclude,as-land}", "--optimization.epochs EPOCHS"):
        assert option in text
