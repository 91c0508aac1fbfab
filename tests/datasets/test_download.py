import base64
import errno
import hashlib
import json
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import pytest

from sarwater.datasets import download
from sarwater.datasets.download import DownloadSummary, download_sen1floods11
from sarwater.errors import ConfigError, DownloadError, OutputExistsError, SarwaterError

HAND = "v1.1/data/flood_events/HandLabeled"
TABLES = "v1.1/splits/flood_handlabeled"


@dataclass
class Bucket:
    """A bucket in memory, and how it misbehaves."""

    objects: dict[str, bytes]
    page: int = 3
    """Objects on a page of the listing."""
    faults: dict[str, list[str]] = field(default_factory=dict)
    """For each object what its next answers do: break, 503, wrong, whole, shifted, 404."""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """Objects that were asked for, with the range."""
    served: Counter[str] = field(default_factory=Counter)
    """Bytes of each object that went out."""
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    """Answers like the bucket's JSON listing and its plain object addresses."""

    bucket: Bucket

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/storage/v1/b/floods/o":
            self._list(parse_qs(parts.query))
        else:
            self._send(unquote(parts.path).removeprefix("/floods/"))

    def _list(self, query: dict[str, list[str]]) -> None:
        fault = self._fault("listing")
        if fault == "503":
            self.send_error(503)
            return
        names = [n for n in sorted(self.bucket.objects) if n.startswith(query["prefix"][0])]
        start = int(query.get("pageToken", ["0"])[0])
        listing: dict[str, object] = {"items": [self._item(n) for n in names[start:][:3]]}
        if start + self.bucket.page < len(names):
            listing["nextPageToken"] = str(start + self.bucket.page)
        body = b"<html>" if fault == "html" else json.dumps(listing).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _item(self, name: str) -> dict[str, str]:
        data = self.bucket.objects[name]
        md5 = base64.b64encode(hashlib.md5(data).digest()).decode()
        return {"name": name, "size": str(len(data)), "md5Hash": md5, "generation": "17"}

    def _send(self, name: str) -> None:
        wanted = self.headers.get("Range")
        self.bucket.requests.append((name, wanted))
        fault = self._fault(name)
        if fault in ("503", "404"):
            self.send_error(int(fault))
            return
        data = self.bucket.objects[name]
        start = 0
        if wanted and fault != "whole":
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            shown = start + 1 if fault == "shifted" else start
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {shown}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        body = data[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "wrong":
            body = bytes(len(body))
        if fault == "break":
            body = body[: len(body) // 2]
        # Counted first: the client may have it all, and the test go on, before the write returns.
        self.bucket.served[name] += len(body)
        self.wfile.write(body)
        self.close_connection = True

    def _fault(self, name: str) -> str:
        queue = self.bucket.faults.get(name)
        return queue.pop(0) if queue else ""


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    generator = np.random.default_rng(0)
    objects = {}
    for chip in ("Ghana_1", "Ghana_2", "Sri-Lanka_3", "Bolivia_4"):
        objects[f"{HAND}/S1Hand/{chip}_S1Hand.tif"] = generator.bytes(200_000)
        objects[f"{HAND}/LabelHand/{chip}_LabelHand.tif"] = generator.bytes(3_000)
    members = {
        "train": "Ghana_1",
        "valid": "Ghana_2",
        "test": "Sri-Lanka_3",
        "bolivia": "Bolivia_4",
    }
    for split, chip in members.items():
        row = f"{chip}_S1Hand.tif,{chip}_LabelHand.tif\n"
        objects[f"{TABLES}/flood_{split}_data.csv"] = row.encode()
    objects[f"{HAND}/S1Hand/"] = b""
    objects["v1.1/README"] = b"not wanted"
    bucket = Bucket(objects)
    handler = type("BucketHandler", (Handler,), {"bucket": bucket})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    bucket.url = f"http://127.0.0.1:{server.server_port}/floods/"
    yield bucket
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def fetch(bucket: Bucket, folder: Path, **options: object) -> DownloadSummary:
    return download_sen1floods11(folder, url=bucket.url, pause=0.001, **options)  # type: ignore[arg-type]


def wanted(bucket: Bucket) -> dict[str, bytes]:
    return {
        name: data for name, data in bucket.objects.items() if not name.endswith(("/", "README"))
    }


def found(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


IMAGE = f"{HAND}/S1Hand/Ghana_1_S1Hand.tif"


def test_everything_arrives_and_is_not_fetched_again(bucket: Bucket, tmp_path: Path) -> None:
    summary = fetch(bucket, tmp_path)
    assert found(tmp_path) == wanted(bucket)
    assert (summary.files, summary.fetched) == (12, 12)
    assert summary.bytes_fetched == sum(map(len, wanted(bucket).values()))
    bucket.requests.clear()
    assert fetch(bucket, tmp_path) == DownloadSummary(12, 0, 0)
    assert bucket.requests == []


def test_a_broken_body_goes_on_where_it_stopped(bucket: Bucket, tmp_path: Path) -> None:
    bucket.faults[IMAGE] = ["break", "break"]
    fetch(bucket, tmp_path)
    assert found(tmp_path) == wanted(bucket)
    ranges = [wanted for name, wanted in bucket.requests if name == IMAGE]
    assert ranges == [None, "bytes=100000-", "bytes=150000-"]
    assert bucket.served[IMAGE] == 200_000


def test_a_server_that_ignores_the_range_sends_it_all_anew(bucket: Bucket, tmp_path: Path) -> None:
    bucket.faults[IMAGE] = ["break", "whole"]
    fetch(bucket, tmp_path)
    assert found(tmp_path) == wanted(bucket)
    assert bucket.served[IMAGE] == 300_000


@pytest.mark.parametrize("fault", ["503", "wrong", "shifted"])
def test_a_passing_fault_passes(fault: str, bucket: Bucket, tmp_path: Path) -> None:
    bucket.faults[IMAGE] = ["break", fault]
    bucket.faults["listing"] = ["503"]
    fetch(bucket, tmp_path)
    assert found(tmp_path) == wanted(bucket)


def test_breaking_off_often_is_no_failure_while_bytes_come(bucket: Bucket, tmp_path: Path) -> None:
    bucket.faults[IMAGE] = ["break"] * 12
    fetch(bucket, tmp_path)
    assert found(tmp_path) == wanted(bucket)


def test_what_has_arrived_stays_for_the_next_call(bucket: Bucket, tmp_path: Path) -> None:
    bucket.faults[IMAGE] = ["break"] + ["503"] * 20
    with pytest.raises(DownloadError, match=r"gave up on .*Ghana_1_S1Hand.*HTTP 503.*again"):
        fetch(bucket, tmp_path)
    assert not (tmp_path / IMAGE).exists()
    bucket.faults.clear()
    bucket.requests.clear()
    fetch(bucket, tmp_path)
    assert found(tmp_path) == wanted(bucket)
    assert (IMAGE, "bytes=100000-") in bucket.requests


def test_an_object_that_changed_starts_anew(bucket: Bucket, tmp_path: Path) -> None:
    bucket.faults[IMAGE] = ["break"] + ["503"] * 20
    with pytest.raises(DownloadError):
        fetch(bucket, tmp_path)
    bucket.faults.clear()
    bucket.requests.clear()
    bucket.objects[IMAGE] = np.random.default_rng(9).bytes(200_000)
    fetch(bucket, tmp_path)
    assert found(tmp_path) == wanted(bucket)
    assert (IMAGE, None) in bucket.requests


def test_wrong_bytes_are_given_up_in_the_end(bucket: Bucket, tmp_path: Path) -> None:
    bucket.faults[IMAGE] = ["wrong"] * 20
    with pytest.raises(DownloadError, match=r"Ghana_1.*not the announced ones"):
        fetch(bucket, tmp_path)
    assert not (tmp_path / IMAGE).exists()


def test_wrong_bytes_that_come_in_parts_are_given_up_too(bucket: Bucket, tmp_path: Path) -> None:
    bucket.faults[IMAGE] = ["break", "break", "wrong"] * 20
    with pytest.raises(DownloadError, match=r"Ghana_1.*5 tries.*not the announced ones"):
        fetch(bucket, tmp_path)
    assert [name for name, _ in bucket.requests].count(IMAGE) == 15
    assert not (tmp_path / IMAGE).exists()


def test_an_object_that_is_gone_is_named_at_once(bucket: Bucket, tmp_path: Path) -> None:
    bucket.faults[IMAGE] = ["404"]
    with pytest.raises(DownloadError, match=r"Ghana_1_S1Hand.tif\?generation=17 answered HTTP 404"):
        fetch(bucket, tmp_path)
    assert [name for name, _ in bucket.requests].count(IMAGE) == 1


def test_only_the_splits_asked_for(bucket: Bucket, tmp_path: Path) -> None:
    summary = fetch(bucket, tmp_path, splits=["test", "bolivia"])
    assert summary.files == 4 + 4
    images = {path.name for path in (tmp_path / HAND / "S1Hand").iterdir()}
    assert images == {"Sri-Lanka_3_S1Hand.tif", "Bolivia_4_S1Hand.tif"}
    with pytest.raises(ConfigError, match=r"unknown split 'tets' \(did you mean 'test'"):
        fetch(bucket, tmp_path, splits=["tets"])


def test_a_file_of_the_users_is_not_overwritten_unasked(bucket: Bucket, tmp_path: Path) -> None:
    fetch(bucket, tmp_path)
    (tmp_path / IMAGE).write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match=r"Ghana_1_S1Hand\.tif.*--overwrite"):
        fetch(bucket, tmp_path)
    assert (tmp_path / IMAGE).read_bytes() == b"mine"
    assert fetch(bucket, tmp_path, overwrite=True).fetched == 1
    assert found(tmp_path) == wanted(bucket)


def test_too_little_room_is_said_before_anything_comes(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(DownloadError, match="0 MB free but 1 MB"):
        fetch(bucket, tmp_path)
    assert not (tmp_path / IMAGE).exists()


def test_a_full_disk_is_named(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "append_from", full)
    with pytest.raises(DownloadError, match=r"the disk is full.*again"):
        fetch(bucket, tmp_path)


def test_an_interrupt_leaves_parts_and_ends(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C reaches the main thread while it waits for the others."""
    bucket.faults[IMAGE] = ["break"] + ["503"] * 1000

    def interrupting(futures: Sequence[Future[None]]) -> Iterator[Future[None]]:
        if len(futures) == 4:
            return as_completed(futures)
        while not list(tmp_path.rglob("Ghana_1_S1Hand*.part")):
            time.sleep(0.001)
        raise KeyboardInterrupt

    monkeypatch.setattr("sarwater.datasets.download.as_completed", interrupting)
    with pytest.raises(KeyboardInterrupt):
        fetch(bucket, tmp_path)
    assert not (tmp_path / IMAGE).exists()
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    bucket.faults.clear()
    fetch(bucket, tmp_path)
    assert found(tmp_path) == wanted(bucket)


@pytest.mark.parametrize("url", ["ftp://example.org/x/", "https://example.org", "floods"])
def test_an_address_that_is_none_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(url)):
        download_sen1floods11(tmp_path, url=url)


def test_nobody_there_is_said_after_a_few_tries(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="cannot connect"):
        download_sen1floods11(tmp_path, url="http://127.0.0.1:9/floods/", pause=0.001)


def test_an_empty_bucket_is_named(bucket: Bucket, tmp_path: Path) -> None:
    bucket.objects.clear()
    with pytest.raises(DownloadError, match=f"lists nothing under {TABLES}"):
        fetch(bucket, tmp_path)


def test_a_listing_that_is_no_json_is_named(bucket: Bucket, tmp_path: Path) -> None:
    bucket.faults["listing"] = ["html"]
    with pytest.raises(DownloadError, match="something else than JSON"):
        fetch(bucket, tmp_path)


@pytest.mark.parametrize(
    "item",
    [
        {"name": "p/../../etc/passwd", "size": "1"},
        {"name": "elsewhere/a", "size": "1"},
        {"name": "p/a"},
        {"name": "p/a", "size": "1", "md5Hash": "?"},
        "p/a",
    ],
)
def test_listings_that_cannot_be_trusted_are_refused(
    item: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(download, "read_json", lambda _: {"items": [item]})
    fetcher = download._Fetcher("http://127.0.0.1/floods/", tmp_path, 1, False, 0.0)
    with pytest.raises(SarwaterError, match=r"listing cannot be read|which is not under p/"):
        fetcher.list_files("p/")
