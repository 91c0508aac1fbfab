"""A section of the report: what a page shows of one result."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_CHIPS = 1000
"""Chips of a result whose pictures a page has, where nothing else is asked for."""


@dataclass(frozen=True)
class Section:
    """One result, ready for its template (``templates/sections``) and its script."""

    kind: str
    """Name of the template and of the script's builder."""
    title: str
    summary: str = ""
    """One sentence: what was done with what."""
    facts: Sequence[tuple[str, str]] = ()
    """Names and values, the most important first."""
    remarks: Sequence[str] = ()
    """What a reader must know before the figures."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """Plain data for the template and, as JSON, for the script."""
    id: str = ""
    """Anchor of the section; given by the page."""


class BlobStore:
    """Pictures and counts of all sections, once each however many sections show them."""

    def __init__(self, most_chips: int = MOST_CHIPS) -> None:
        """Start empty.

        Args:
            most_chips: of how many chips of a result pictures are stored, at most.
        """
        self.most_chips = most_chips
        self._numbers: dict[bytes, int] = {}
        self._texts: list[str] = []

    def add(self, content: bytes) -> int:
        """Store bytes and return their number; equal bytes have one number.

        >>> store = BlobStore()
        >>> store.add(b"one"), store.add(b"two"), store.add(b"one")
        (0, 1, 0)
        """
        digest = hashlib.sha256(content).digest()
        if digest not in self._numbers:
            self._numbers[digest] = len(self._texts)
            self._texts.append(base64.b64encode(content).decode())
        return self._numbers[digest]

    @property
    def text(self) -> str:
        """All blobs as base64, one after the other."""
        return "".join(self._texts)

    @property
    def lengths(self) -> list[int]:
        """Characters of each blob in ``text``."""
        return [len(text) for text in self._texts]
