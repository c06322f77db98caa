"""Replaces detected spans by pseudonyms that are the same everywhere, and that nobody can undo without the key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import NamedTuple, Protocol

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


class Masked(NamedTuple):
    """A masked text, the kinds that were replaced, one an occurrence, and the pseudonym of each replaced piece."""

    text: str
    kinds: list[str]
    replaced: Mapping[str, str]


def mask(text: str, detector: Finder, pseudonyms: Pseudonyms) -> Masked:
    """Replaces each span by its pseudonym.

    A replacement can change what stands near another number, so the text is searched again until no
    span is detected: masked text stays as it is when it is masked once more.
    """
    kinds: list[str] = []
    replaced: dict[str, str] = {}
    while spans := detector.spans(text):
        parts, end = [], 0
        for span in spans:
            pseudonym = pseudonyms.of(span)
            replaced[text[span.start : span.end]] = pseudonym
            parts += [text[end : span.start], pseudonym]
            end = span.end
        text = "".join(parts) + text[end:]
        kinds += [span.kind for span in spans]
    return Masked(text, kinds, replaced)
