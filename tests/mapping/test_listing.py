"""Lists of scenes: tables and STAC."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sarwater.errors import DataError
from sarwater.mapping.inputs import SceneSource
from sarwater.mapping.listing import read_scenes
from sarwater.types import Units

WHEN = datetime(2021, 7, 15, 5, 50, tzinfo=UTC)


def table(folder: Path, *lines: str) -> Path:
    path = folder / "scenes.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_table_names_files_and_what_is_known_of_them(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "file,vv,vh,name,bands,units,nodata,when",
        "a.tif,,,,VV VH,db,-9999,2021-07-15T05:50:00Z",
        ",b_vv.tif,/data/b_vh.tif,flood,,,,2021-07-15T05:50",
    )
    assert read_scenes(path) == (
        SceneSource((tmp_path / "a.tif",), ("VV", "VH"), Units.DB, "-9999", "", WHEN),
        SceneSource(
            (tmp_path / "b_vv.tif", Path("/data/b_vh.tif")), ("VV", "VH"), name="flood", when=WHEN
        ),
    )


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["file,uints", "a.tif,db"], r"column 'uints' is unknown \(did you mean 'units'\?\)"),
        (["file,vv", "a.tif,b.tif"], "line 2: name a file, or one by vv and one by vh"),
        (["file,units", "a.tif,dB!", ",db"], r"line 2: units 'dB!'.*; line 3: name a file"),
        (
            ["file,nodata", "a.tif,boarder"],
            r"line 2: nodata 'boarder' \(did you mean 'border'\?\) is neither a number nor one of",
        ),
        (["file,when", "a.tif,yesterday"], "line 2: .*yesterday"),
        (["file,bands", "a.tif,VV,VH"], r"line 2: more cells than columns .*: \['VH'\]"),
        (["file"], "lists no scene"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path: Path, lines: list[str], words: str) -> None:
    with pytest.raises(DataError, match=words):
        read_scenes(table(tmp_path, *lines))


def collection(folder: Path, *assets: dict[str, Any]) -> Path:
    features = [
        {
            "type": "Feature",
            "id": f"scene{number}",
            "properties": {"datetime": "2021-07-15T05:50:00Z"},
            "assets": {name: {"href": href} for name, href in one.items()},
        }
        for number, one in enumerate(assets)
    ]
    path = folder / "items.json"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_items_are_scenes(tmp_path: Path) -> None:
    path = collection(
        tmp_path,
        {"VH": "./x/vh.tif", "vv": "x/vv.tif", "thumbnail": "x.png"},
        {"data": "file:///data/with%20space.tif", "other": "o.tif"},
        {"whatever": "y.TIFF", "metadata": "y.xml"},
    )
    assert read_scenes(path) == (
        SceneSource(
            (tmp_path / "x/vv.tif", tmp_path / "x/vh.tif"), ("VV", "VH"), name="scene0", when=WHEN
        ),
        SceneSource((Path("/data/with space.tif"),), name="scene1", when=WHEN),
        SceneSource((tmp_path / "y.TIFF",), name="scene2", when=WHEN),
    )


@pytest.mark.parametrize(
    ("assets", "words"),
    [
        ({"vv": "https://example.org/vv.tif"}, "item 'scene0': .*not on this machine; download"),
        ({"a": "a.tif", "b": "b.tif"}, "expected assets vv and vh, or one image, found a, b"),
        ({}, "found none"),
    ],
)
def test_what_is_wrong_with_an_item_is_named(
    tmp_path: Path, assets: dict[str, str], words: str
) -> None:
    with pytest.raises(DataError, match=words):
        read_scenes(collection(tmp_path, assets))


@pytest.mark.parametrize("text", ["[]", "{", '{"type": "FeatureCollection"}', '{"a": 1}'])
def test_json_that_is_no_collection_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataError, match="neither a STAC item nor an ItemCollection"):
        read_scenes(path)


def test_a_list_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_scenes(tmp_path / "gone.csv")


def test_lists_are_known_by_their_ending_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "SCENES.CSV"
    path.write_text("file\na.tif\n,\n \n")
    assert read_scenes(path) == (SceneSource((tmp_path / "a.tif",)),)
