"""Plain HTTP for downloads: passing failures told from lasting ones, ranges told from wholes."""

import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sarwater.errors import DownloadError

_CHUNK = 1 << 16
_TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as broken."""
_BUSY = (408, 425, 429, 500, 502, 503, 504)
"""Answers that ask to come again."""


class TransientError(Exception):
    """A failure that may pass; ``wait`` is what the server asked for, in seconds."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        """Keep the reason and the wait."""
        super().__init__(reason)
        self.wait = wait


def append_from(
    address: str,
    part: Path,
    have: int,
    stop: threading.Event,
    advance: Callable[[float], None],
) -> None:
    """Append a file's bytes from ``have`` on; start anew where the server ignores the range.

    Args:
        address: of the file.
        part: where the bytes go.
        have: how many are there.
        stop: leaves off when set.
        advance: called with the bytes that came (negative: that were thrown away).

    Raises:
        TransientError: the connection failed; what came before stays.
        DownloadError: the server refused, or ``stop`` was set.
    """
    headers = {"Range": f"bytes={have}-"} if have else {}
    with _open(address, headers) as response:
        resumed = response.status == 206
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink()
            advance(-have)
            raise TransientError("it answered with another range than was asked for")
        if have and not resumed:
            advance(-have)
        with part.open("ab" if resumed else "wb") as out:
            while not stop.is_set():
                try:
                    chunk = response.read(_CHUNK)
                except (OSError, http.client.HTTPException) as error:
                    raise TransientError(f"the connection broke: {error}") from error
                if not chunk:
                    return
                out.write(chunk)
                advance(len(chunk))
    raise DownloadError(f"{address} was left unfinished")


def _open(address: str, headers: dict[str, str]) -> Any:
    request = urllib.request.Request(address, headers={"User-Agent": "sarwater", **headers})
    try:
        return urllib.request.urlopen(request, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        with error:
            if error.code in _BUSY:
                asked = error.headers.get("Retry-After", "")
                seconds = float(asked) if asked.isdecimal() else 0.0
                raise TransientError(
                    f"HTTP {error.code} {error.reason}", min(seconds, 60)
                ) from error
            hint = "; the file may have changed meanwhile: run the command again"
            raise DownloadError(
                f"{address} answered HTTP {error.code} {error.reason}"
                + (hint if error.code in (404, 412, 416) else "")
            ) from error
    except (OSError, http.client.HTTPException) as error:
        raise TransientError(f"cannot connect: {getattr(error, 'reason', error)}") from error


def read_json(address: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        TransientError: the connection failed.
        DownloadError: the server refused, or answered something else.
    """
    with _open(address, {}) as response:
        try:
            page = json.loads(response.read())
        except (OSError, http.client.HTTPException) as error:
            raise TransientError(f"the connection broke: {error}") from error
        except ValueError as error:
            raise DownloadError(f"{address} answered something else than JSON: {error}") from error
    if not isinstance(page, dict):
        raise DownloadError(f"{address} answered JSON that is no listing")
    return page
