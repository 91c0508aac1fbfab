"""Fetch public data sets over HTTPS: resumable, checked, several files at a time."""

import base64
import binascii
import errno
import hashlib
import random
import shutil
import threading
import urllib.parse
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from sarwater.datasets.listing import some
from sarwater.datasets.sen1floods11 import CHIPS, SPLIT_FILES, SPLITS, read_split
from sarwater.datasets.transfer import TransientError, append_from, read_json
from sarwater.errors import ConfigError, DownloadError, OutputExistsError, nearest
from sarwater.progress import Step, step

SEN1FLOODS11_URL = "https://storage.googleapis.com/sen1floods11/"
"""Public bucket of Sen1Floods11."""
ATTEMPTS = 5
"""Tries in a row without anything new, or wholes that are wrong, before a file is given up."""

_VERSION = "v1.1"


@dataclass(frozen=True)
class RemoteFile:
    """An object of a bucket as its listing announces it."""

    name: str
    size: int
    md5: str
    """Hexadecimal; empty where the bucket knows none (composite objects)."""
    generation: str
    """Changes whenever the object's content does."""


@dataclass(frozen=True)
class DownloadSummary:
    """What is there after a download."""

    files: int
    fetched: int
    """Files that were not complete before."""
    bytes_fetched: int


def download_sen1floods11(
    folder: str | Path,
    *,
    url: str = SEN1FLOODS11_URL,
    splits: Sequence[str] = (),
    connections: int = 4,
    overwrite: bool = False,
    pause: float = 1.0,
) -> DownloadSummary:
    """Fetch the hand-labelled Sentinel-1 chips, their labels and the split tables (about 0.75 GB).

    What was broken off goes on where it stopped, also in a later call; files that are complete
    (by size and MD5) are left alone.

    Args:
        folder: where the bucket's layout (``v1.1/data/...``) is put.
        url: address of the bucket, or of a copy with the same listing.
        splits: only chips of these splits (train, val, test, bolivia); all chips by default.
        connections: files fetched at a time.
        overwrite: replace files that differ from the bucket's.
        pause: seconds before the second try; it doubles with every further one.

    Raises:
        ConfigError: an unknown split.
        DownloadError: the server cannot be reached, keeps failing, or sends something else than
            it announced; or the disk is full.
        OutputExistsError: a file differs and ``overwrite`` is false.
    """
    for split in splits:
        if split not in SPLIT_FILES:
            raise ConfigError(
                f"unknown split '{split}'{nearest(split, list(SPLIT_FILES))}; "
                f"expected {', '.join(SPLIT_FILES)}"
            )
    fetcher = _Fetcher(url, Path(folder), connections, overwrite, pause)
    tables = fetcher.list_files(f"{_VERSION}/{SPLITS}/")
    chips = [
        file
        for kind in ("S1Hand", "LabelHand")
        for file in fetcher.list_files(f"{_VERSION}/{CHIPS}/{kind}/")
    ]
    first = fetcher.fetch(tables, "split tables")
    if splits:
        wanted = {
            chip
            for split in splits
            for chip in read_split(Path(folder) / _VERSION / SPLITS / SPLIT_FILES[split])
        }
        chips = [c for c in chips if PurePosixPath(c.name).stem.rpartition("_")[0] in wanted]
    second = fetcher.fetch(chips, "chips and labels")
    return DownloadSummary(
        first.files + second.files,
        first.fetched + second.fetched,
        first.bytes_fetched + second.bytes_fetched,
    )


class _WrongBytesError(TransientError):
    """All has arrived, and it is not what was announced."""


class _Fetcher:
    """Fetches files of one bucket into a folder."""

    def __init__(
        self, url: str, folder: Path, connections: int, overwrite: bool, pause: float
    ) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
        except ValueError as error:
            raise ConfigError(f"'{url}' is no address: {error}") from error
        bucket = PurePosixPath(parts.path).name
        if parts.scheme not in ("http", "https") or not parts.netloc or not bucket:
            raise ConfigError(f"'{url}' is no address of a bucket; expected {SEN1FLOODS11_URL}")
        if connections < 1:
            raise ConfigError(f"{connections} connections; expected 1 or more")
        above = PurePosixPath(parts.path).parent.as_posix().rstrip("/")
        site = f"{parts.scheme}://{parts.netloc}{above}"
        self._objects = f"{site}/{bucket}/"
        self._listing = f"{site}/storage/v1/b/{bucket}/o"
        self._folder = folder
        self._connections = connections
        self._overwrite = overwrite
        self._pause = pause
        self._stop = threading.Event()

    def list_files(self, prefix: str) -> list[RemoteFile]:
        """List the objects under a prefix, page by page."""
        files: list[RemoteFile] = []
        token = ""
        while True:
            query = {
                "prefix": prefix,
                "fields": "nextPageToken,items(name,size,md5Hash,generation)",
            }
            if token:
                query["pageToken"] = token
            address = f"{self._listing}?{urllib.parse.urlencode(query)}"
            page = self._retry(address, partial(read_json, address))
            files += [_remote_file(item, prefix, address) for item in page.get("items", [])]
            token = page.get("nextPageToken", "")
            if not token:
                break
        files = [file for file in files if not file.name.endswith("/")]
        if not files:
            raise DownloadError(
                f"{self._listing} lists nothing under {prefix}: is the address the bucket's?"
            )
        return files

    def fetch(self, files: Sequence[RemoteFile], what: str) -> DownloadSummary:
        """Fetch those of the files that are not complete yet."""
        todo = self._incomplete(files)
        total = sum(file.size for file in todo)
        start = sum(_size(self._part(file)) for file in todo)
        self._make_room(total - start)
        with step(what, total / 1e6, completed=start / 1e6, unit="MB") as bar:
            self._fetch_all(todo, bar)
        return DownloadSummary(len(files), len(todo), total - start)

    def _fetch_all(self, todo: Sequence[RemoteFile], bar: Step) -> None:
        def advance(count: float) -> None:
            bar.advance(count / 1e6)

        pool = ThreadPoolExecutor(self._connections)
        try:
            futures = [pool.submit(self._fetch_one, file, advance) for file in todo]
            for finished, future in enumerate(as_completed(futures), 1):
                future.result()
                bar.advance(0, note=f"{finished} of {len(todo)} files")
        finally:
            # Also on Ctrl-C: what has arrived stays in the parts.
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            self._stop.clear()

    def _path(self, file: RemoteFile) -> Path:
        return self._folder.joinpath(*PurePosixPath(file.name).parts)

    def _part(self, file: RemoteFile) -> Path:
        """Return where the arriving bytes go; another content has another name."""
        path = self._path(file)
        return path.with_name(f"{path.name}.{file.md5[:12] or file.generation}.part")

    def _incomplete(self, files: Sequence[RemoteFile]) -> list[RemoteFile]:
        def is_complete(file: RemoteFile) -> bool:
            path = self._path(file)
            same_size = path.exists() and path.stat().st_size == file.size
            return same_size and (not file.md5 or _md5(path) == file.md5)

        with ThreadPoolExecutor(self._connections) as pool:
            done = list(pool.map(is_complete, files))
        todo = [file for file, complete in zip(files, done, strict=True) if not complete]
        differing = [self._path(file) for file in todo if self._path(file).exists()]
        if differing and not self._overwrite:
            raise OutputExistsError(
                f"{len(differing)} files differ from the bucket's: {some(differing, 3)}; pass "
                "--overwrite to fetch them anew"
            )
        return todo

    def _make_room(self, needed: int) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DownloadError(f"cannot write to {self._folder}: {error.strerror}") from error
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise DownloadError(
                f"{self._folder} has {free / 1e6:.0f} MB free but {needed / 1e6:.0f} MB are still "
                "to come; make room or name another folder"
            )

    def _fetch_one(self, file: RemoteFile, advance: Callable[[float], None]) -> None:
        path, part = self._path(file), self._part(file)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for stale in path.parent.glob(f"{path.name}.*.part"):
                if stale != part:
                    stale.unlink()
            address = self._objects + urllib.parse.quote(file.name)
            if file.generation:
                address += f"?generation={file.generation}"
            self._retry(
                address,
                lambda: self._receive(file, address, part, advance),
                progress=lambda: _size(part),
            )
            part.replace(path)
        except OSError as error:
            if isinstance(error, DownloadError):
                raise
            hint = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or error
            raise DownloadError(
                f"cannot write {path}: {hint}; what has arrived stays: run the command again to "
                "go on"
            ) from error

    def _receive(
        self, file: RemoteFile, address: str, part: Path, advance: Callable[[float], None]
    ) -> None:
        """Receive what the part still lacks, and check the whole."""
        have = _size(part)
        if have > file.size:
            part.unlink()
            advance(-have)
            have = 0
        if have < file.size:
            append_from(address, part, have, self._stop, advance)
            have = _size(part)
        if have < file.size:
            raise TransientError(f"it broke off after {have} of {file.size} bytes")
        if have > file.size or (file.md5 and _md5(part) != file.md5):
            part.unlink()
            advance(-have)
            raise _WrongBytesError("its bytes are not the announced ones (size or MD5)")
        if not part.exists():
            part.touch()

    def _retry(
        self,
        address: str,
        attempt: Callable[[], Any],
        progress: Callable[[], int] = lambda: 0,
    ) -> Any:
        """Try until it works; tries that brought new bytes are not counted, but wrong wholes are.

        A whole that is wrong is thrown away, and what comes again after it is nothing new.
        """
        fruitless = wrong = 0
        while True:
            before = progress()
            try:
                return attempt()
            except TransientError as error:
                fruitless = 1 if progress() > before else fruitless + 1
                wrong += isinstance(error, _WrongBytesError)
                if max(fruitless, wrong) >= ATTEMPTS:
                    raise DownloadError(
                        f"gave up on {address} after {ATTEMPTS} tries: {error}; what has "
                        "arrived stays: run the command again to go on"
                    ) from error
                delay = max(error.wait, self._pause * 2 ** (fruitless - 1))
                if self._stop.wait(delay * random.uniform(1, 1.25)):
                    raise DownloadError(f"{address} was left unfinished") from error


def _remote_file(item: Any, prefix: str, address: str) -> RemoteFile:
    try:
        name, size = str(item["name"]), int(item["size"])
        md5 = base64.b64decode(item.get("md5Hash", ""), validate=True).hex()
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise DownloadError(f"{address}: an entry of the listing cannot be read: {item}") from error
    if not name.startswith(prefix) or ".." in PurePosixPath(name).parts:
        raise DownloadError(f"{address} lists '{name}', which is not under {prefix}")
    return RemoteFile(name, size, md5, str(item.get("generation", "")))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
