"""Masks secrets in text that is printed, logged or stored."""

from __future__ import annotations

import re

_MASK = "***"
_URL_PASSWORD = re.compile(r"(?P<before>[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE)
_PAIR = re.compile(
    # The key ends in the word: max_tokens and tokenizer are no secrets.
    r"(?P<before>\b[\w.-]*(?:password|passwd|pwd|secret|token|(?:api|access|secret)_?key)[\"']?\s*[=:]\s*[\"']?)"
    r"[^\s\"'&;,]+",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """`text` with the passwords of URLs and the values of secret-named keys masked."""
    return _PAIR.sub(rf"\g<before>{_MASK}", _URL_PASSWORD.sub(rf"\g<before>{_MASK}", text))
