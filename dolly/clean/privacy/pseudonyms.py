"""Replaces what was found by names that are the same everywhere, and that nobody can undo without the key."""

from __future__ import annotations

import hashlib
import hmac
from typing import Protocol

from dolly.clean.privacy.span import Span
from dolly.errors import UsageError

_SHORTEST_KEY = 16  # bytes


class Finder(Protocol):
    """Anything that finds spans, such as a `Detector`."""

    def spans(self, text: str) -> list[Span]:
        """Spans without overlaps, in the order of the text."""
        ...


class Pseudonyms:
    """Names a span by HMAC-SHA256 over its kind and canonical form (RFC 2104).

    Raises:
        UsageError: a key of fewer than 16 bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < _SHORTEST_KEY:
            raise UsageError(
                found=f"a key of {len(key)} bytes",
                expected=f"at least {_SHORTEST_KEY} random bytes",
                fix="take the key from load_or_create_key",
            )
        self._key = key

    def __repr__(self) -> str:
        return "Pseudonyms(key hidden)"

    def of(self, span: Span) -> str:
        """Such as `[EMAIL_4f2a9c1b]`: the same kind and canonical form have the same pseudonym under one key."""
        digest = hmac.digest(self._key, f"{span.kind}\0{span.normal}".encode("utf-8", "surrogatepass"), hashlib.sha256)
        return f"[{span.kind}_{digest[:4].hex()}]"


def mask(text: str, detector: Finder, pseudonyms: Pseudonyms) -> tuple[str, list[str]]:
    """The text with each span replaced, and the kinds replaced, one entry per replacement.

    A replacement can change what stands near another number, so the text is searched again until
    nothing is found: masked text stays as it is when it is masked once more.
    """
    kinds: list[str] = []
    while spans := detector.spans(text):
        parts, end = [], 0
        for span in spans:
            parts += [text[end : span.start], pseudonyms.of(span)]
            end = span.end
        text = "".join(parts) + text[end:]
        kinds += [span.kind for span in spans]
    return text, kinds
