import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarwater.datasets.manifest import (
    ChipRecord,
    LabelCodes,
    Manifest,
    read_manifest,
    write_manifest,
)
from sarwater.errors import ManifestError, OutputExistsError
from sarwater.types import Units
from tests.conftest import RecordMaker

WORDS = st.text("abcXYZ019_ -,äß\"'", min_size=1, max_size=8).map(str.strip).filter(bool)
NAMES = st.text("abcXYZ019_ -", min_size=1, max_size=8).map(str.strip).filter(bool)
CLASSES = ("land", "permanent water", "flood")


@st.composite
def label_codes(draw: st.DrawFn) -> LabelCodes:
    meanings = st.sampled_from([*CLASSES, "ignore", "keep"])
    table = draw(st.dictionaries(st.integers(-5, 300), meanings, max_size=3))
    other = draw(st.none() | meanings) if table else draw(meanings)
    return LabelCodes(table, other)


@st.composite
def records(draw: st.DrawFn, folder: Path, chip: str) -> ChipRecord:
    def files() -> st.SearchStrategy[tuple[Path, ...]]:
        name = NAMES.map(lambda text: folder / "data" / f"{text}.tif")
        return st.lists(name, min_size=1, max_size=3, unique=True).map(tuple)

    labels = draw(st.just(()) | files())
    place = st.none() | st.integers(0, 99)
    side = st.none() | st.integers(1, 99)
    number = st.floats(-180, 180, allow_nan=False).map(lambda value: float(f"{value:.9g}"))
    return ChipRecord(
        id=chip,
        domain=draw(WORDS),
        images=draw(files()),
        bands=draw(st.lists(NAMES, min_size=1, max_size=3, unique_by=str.lower).map(tuple)),
        units=draw(st.sampled_from(Units)),
        split=draw(st.just("") | WORDS),
        nodata=draw(st.sampled_from(["auto", "border", "declared", "-9999"])),
        labels=labels,
        codes=tuple(draw(label_codes()) for _ in labels),
        classes=CLASSES,
        scene=draw(st.just("") | WORDS),
        row=draw(place),
        col=draw(place),
        height=draw(side),
        width=draw(side),
        bounds=draw(
            st.none()
            | st.tuples(number, number, number, number).map(
                lambda b: (b[0], min(b[1], b[3]), b[2], max(b[1], b[3]))
            )
        ),
        extra={"season": draw(st.just("") | WORDS)},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("manifest")


@given(data=st.data())
def test_what_is_written_is_read(folder: Path, data: st.DataObject) -> None:
    ids = data.draw(st.lists(WORDS, min_size=1, max_size=4, unique=True))
    rows = tuple(data.draw(records(folder, chip)) for chip in ids)
    path = folder / "tables" / "data.csv"
    write_manifest(Manifest(rows), path, overwrite=True)
    again = read_manifest(path)
    assert [vars(row) for row in _resolved(again)] == [vars(row) for row in rows]
    assert again.path == path


def _resolved(manifest: Manifest) -> list[ChipRecord]:
    return [
        replace(
            row,
            images=tuple(file.resolve() for file in row.images),
            labels=tuple(file.resolve() for file in row.labels),
        )
        for row in manifest
    ]


def test_paths_are_relative_to_the_table(tmp_path: Path) -> None:
    record = ChipRecord("a", "d", (tmp_path / "x" / "a.tif",), ("VV",), Units.DB)
    write_manifest(Manifest((record,)), tmp_path / "t" / "data.csv")
    assert "../x/a.tif" in (tmp_path / "t" / "data.csv").read_text()
    with pytest.raises(OutputExistsError):
        write_manifest(Manifest((record,)), tmp_path / "t" / "data.csv")


@pytest.mark.parametrize("cells", [{"bands": ("V;V",)}, {"images": (Path("/x/a;b.tif"),)}])
def test_names_that_a_list_cannot_hold_are_refused(cells: dict[str, Any], tmp_path: Path) -> None:
    record = ChipRecord("a", "d", (tmp_path / "a.tif",), ("VV",), Units.DB)
    with pytest.raises(ManifestError, match=r"chip 'a'.*';'.*rename"):
        write_manifest(Manifest((replace(record, **cells),)), tmp_path / "data.csv")
    assert list(tmp_path.iterdir()) == []


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(text)
    return path


def test_a_short_table_of_a_person_is_enough(tmp_path: Path) -> None:
    text = "\ufeffid,images,bands,labels\n a , a.tif ; b.tif ,VV;VH,l.tif\n"
    (record,) = read_manifest(write(tmp_path, text))
    assert record.id == "a"
    assert record.images == (tmp_path / "a.tif", tmp_path / "b.tif")
    assert record.bands == ("VV", "VH")
    assert (record.domain, record.units, record.nodata) == ("default", Units.OTHER, "auto")
    assert record.classes == ("land", "water")
    assert record.codes == (LabelCodes({0: "land", 1: "water"}),)


def test_what_a_spreadsheet_makes_of_a_table_is_read(tmp_path: Path) -> None:
    lines = [
        "ID, Split,IMAGES ,Bands,Units,Row,col,height,Season,,,",
        "a, train,a.tif,VV;VH,dB,3.0,-1,4.,wet,see mail,,,",
        "b,train,b.tif,VV;VH,8BIT,,,,dry,,,,",
        ",,,,,,,,,,,",
    ]
    first, second = read_manifest(write(tmp_path, "\n".join(lines)))
    assert (first.id, first.split, first.units) == ("a", "train", Units.DB)
    assert (first.row, first.col, first.height) == (3, -1, 4)
    assert first.extra == {"Season": "wet", "column 10": "see mail"}
    assert second.units == Units.BYTE
    assert second.extra == {"Season": "dry", "column 10": ""}
    write_manifest(Manifest((first, second)), tmp_path / "again.csv")
    again = read_manifest(tmp_path / "again.csv")
    assert again.records == (first, second)


@pytest.mark.parametrize(
    "name",
    ["https://x.org/a.tif", "s3://b/a.tif", "file:///a.tif", "C:\\a.tif", "d:/a.tif", "~/a.tif"],
)
def test_paths_that_are_no_local_files_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=rf"line 2: '{re.escape(name)}' is no path on this"):
        read_manifest(write(tmp_path, f"id,images,bands\na,{name},VV\n"))


@pytest.mark.parametrize("coding", ["cp1252", "utf-16"])
def test_another_coding_says_what_to_save(coding: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes("id,images,bands\nMühle,a.tif,VV\n".encode(coding))
    with pytest.raises(ManifestError, match="saves one as 'CSV UTF-8'"):
        read_manifest(path)


def test_splits_that_differ_by_case_are_a_slip(tmp_path: Path) -> None:
    text = "id,split,images,bands\na,train,a.tif,VV\nb,Train,b.tif,VV\nc,val,c.tif,VV\n"
    with pytest.raises(ManifestError, match="splits are called Train and train; write them alike"):
        read_manifest(write(tmp_path, text))


def test_all_wrong_rows_are_listed_with_their_lines(tmp_path: Path) -> None:
    rows = [
        "id,images,bands,units,nodata,labels,codes,row,bounds,classes",
        "a,a.tif,VV,decibel,,,,,,",
        "b,,VV,,,,,,,",
        ",c.tif,VV,,,,,,,",
        "d,d.tif,VV,,none,,,,,",
        "e,e.tif,VV,,,l.tif,0=land;1=water,,,",
        "f,f.tif,VV,,,l.tif,0=lnd,,,",
        "g,g.tif,VV,,,l.tif,zero=land,,,",
        "h,h.tif,VV,,,,,third,,",
        "i,i.tif,VV,,,,,,1;2;3,",
        "k,k.tif,VV,,,,,,,,surplus",
        "l,l.tif,VV,,,,,1.5,,",
        "m,a.tif;a.tif,VV;VH,,,,,,,",
        "n,n.tif,VV,,,l.tif,'0=land,1=water,1=land',,,".replace("'", '"'),
        "o,o.tif,VV,,,l.tif,'*=land,*=water',,,".replace("'", '"'),
        "p,p.tif,VV,,,,,,10;50;11;49,",
        "fine,m.tif,VV,,,,,,,",
        "fine,n.tif,VV,,,,,,,sea;ice",
    ]
    with pytest.raises(ManifestError) as caught:
        read_manifest(write(tmp_path, "\n".join(rows) + "\n"))
    message = str(caught.value)
    for expected in (
        r"line 2: units 'decibel'.*db, linear",
        r"line 3: chip 'b' names no image",
        r"line 4: empty id",
        r"line 5: nodata 'none'",
        r"line 6: 1 label files but 2 tables of codes",
        r"line 7: the codes name a class 'lnd' \(did you mean 'land'\?\)",
        r"line 8: 'zero' is neither a whole number nor \*",
        r"line 9: row 'third' is not a whole number",
        r"line 10: bounds '1;2;3'",
        r"line 11: more cells than columns",
        r"line 12: row '1\.5' is not a whole number",
        r"line 13: chip 'm' names .*a\.tif twice",
        r"line 14: '0=land,1=water,1=land' says twice what 1 means",
        r"line 15: .* says twice what \* means",
        r"line 16: bounds .* are from 50 to 49 degrees north",
        r"id 'fine' occurs 2 times",
        r"rows disagree about the classes: land;water and sea;ice",
    ):
        assert re.search(expected, message), expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,files\na,b\n", "no column images, bands"),
        ("", "no column id, images, bands"),
        ("id,images,bands\n", "no rows"),
    ],
)
def test_a_table_that_is_no_manifest(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        read_manifest(write(tmp_path, text))


def test_a_missing_table_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"gone\.csv.*sarwater index"):
        read_manifest(tmp_path / "gone.csv")


def test_a_picture_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    with pytest.raises(ManifestError, match="not a UTF-8 text file"):
        read_manifest(path)


def test_chips_are_selected_by_split_domain_and_labels(tmp_path: Path) -> None:
    text = (
        "id,domain,split,images,bands,labels\n"
        "a,x,train,a.tif,VV,l.tif\nb,y,train,b.tif,VV,\nc,y,test,c.tif,VV,l.tif\nd,x,,d.tif,VV,\n"
    )
    manifest = read_manifest(write(tmp_path, text))
    assert manifest.splits == ("train", "test")
    assert manifest.domains == ("x", "y")
    assert [row.id for row in manifest.select(split="train")] == ["a", "b"]
    assert [row.id for row in manifest.select(split=["train", "test"], domains=["y"])] == ["b", "c"]
    assert [row.id for row in manifest.select(labelled=False)] == ["b", "d"]
    assert len(manifest.select(split=None, domains=None)) == len(manifest)
    assert len(manifest.select(split=[])) == len(manifest.select(domains=[])) == 0
    with pytest.raises(
        ManifestError,
        match=r"split 'tets' \(did you mean 'test'\?\); it has train.*`sarwater split`",
    ):
        manifest.select(split="tets")


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path, "id,images,bands,season\na,a.tif,VV,wet\n"))
    (record,) = manifest
    assert record.value("season") == "wet"
    assert record.value("domain") == "default"
    with pytest.raises(ManifestError, match=r"'saeson' \(did you mean 'season'\?\)"):
        record.value("saeson")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("VV;vv,,,,", "'vv' is there twice"),
        ("VV,land,,,", r"1 classes \(land\): expected 2 to 255"),
        ("VV,land;water;land,,,", "'land' is there twice"),
        ("VV,land;ignore,,,", "cannot be called 'ignore'"),
        ("VV,,-4,,", "height is -4: expected 1 or more"),
        ("VV,,,0,", "width is 0"),
        ("VV,,,,nan;1;2;3", "bounds 'nan;1;2;3' are not"),
        ("VV,,,,a;b;c;d", "bounds 'a;b;c;d' are not"),
    ],
)
def test_cells_out_of_range(tmp_path: Path, cells: str, message: str) -> None:
    text = f"id,images,bands,classes,height,width,bounds\na,a.tif,{cells}\n"
    with pytest.raises(ManifestError, match=f"line 2: .*{message}"):
        read_manifest(write(tmp_path, text))


def test_of_many_problems_the_first_are_named(tmp_path: Path) -> None:
    text = "id,images,bands\n" + "a,,\n" * 100
    with pytest.raises(ManifestError, match=r"line 31: .*; and 70 more$"):
        read_manifest(write(tmp_path, text))


def test_a_name_that_is_not_utf8_is_not_written(tmp_path: Path) -> None:
    record = ChipRecord("a", "x", (tmp_path / "a\udcff.tif",), ("VV",), Units.DB)
    with pytest.raises(ManifestError, match="is not UTF-8; rename it"):
        write_manifest(Manifest((record,)), tmp_path / "data.csv")
    assert list(tmp_path.iterdir()) == []


def test_paths_hold_where_the_folder_is_a_symbolic_link(
    tmp_path: Path, make_record: RecordMaker
) -> None:
    """Beyond a link ".." is the parent of what it points to."""
    real, deep = tmp_path / "set", tmp_path / "home" / "user" / "project"
    (real / "images").mkdir(parents=True)
    deep.mkdir(parents=True)
    (real / "images" / "a.tif").write_bytes(b"pixels")
    (deep / "data").symlink_to(real)
    record = make_record(deep / "data" / "images" / "a.tif")
    for name in ("a.csv", "b.csv"):  # the second is made from what was read of the first
        write_manifest(Manifest((record,)), deep / "data" / name)
        (record,) = read_manifest(deep / "data" / name)
        assert record.images[0].read_bytes() == b"pixels"
    assert "\nchip,here,,images/a.tif," in (real / "b.csv").read_text()
