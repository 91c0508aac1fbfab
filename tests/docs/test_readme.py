"""The two READMEs say the same: commands, headings, links and pictures."""

import re
from pathlib import Path

import pytest

from tests.docs.reading import READMES, ROOT, blocks, headings, links

ENGLISH = (ROOT / "README.md").read_text()
CHINESE = (ROOT / "README.zh-CN.md").read_text()


def test_both_hold_the_same_blocks_in_the_same_order() -> None:
    assert blocks(ENGLISH, "sh", "text") == blocks(CHINESE, "sh", "text")
    assert blocks(ENGLISH, "sh")


def test_both_have_the_same_headings_tables_and_lists() -> None:
    assert headings(ENGLISH) == headings(CHINESE)
    for start in (r"\|", "- "):
        rows = [len(re.findall(rf"^{start}", text, re.MULTILINE)) for text in (ENGLISH, CHINESE)]
        assert rows[0] == rows[1]


def test_both_lead_to_the_same_places_but_for_each_other() -> None:
    there = {"README.zh-CN.md": "other", "README.md": "other"}
    english, chinese = (
        [there.get(link, link) for link in links(text)] for text in (ENGLISH, CHINESE)
    )
    assert english == chinese
    assert english[0] == "other"
    assert "docs/images/map.png" in english


def test_both_name_the_same_commands_in_the_text() -> None:
    assert sorted(re.findall(r"`[^`\n]+`", ENGLISH)) == sorted(re.findall(r"`[^`\n]+`", CHINESE))


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.name)
def test_links_lead_somewhere(readme: Path) -> None:
    for link in links(readme.read_text()):
        if "://" not in link:
            assert (ROOT / link.split("#")[0]).exists(), link


def test_the_second_is_chinese() -> None:
    han = len(re.findall(r"[\u4e00-\u9fff]", CHINESE))
    assert han > 500
    assert not re.search(r"[\u4e00-\u9fff][,;:?!()]", CHINESE), "marks are full width"
