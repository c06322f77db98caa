"""Masks secrets in text that is printed, logged or stored."""

from __future__ import annotations

import re
from typing import Any

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


def without_secrets(node: Any) -> Any:
    """A tree of mappings and lists whose texts are masked by `redacted`."""
    if isinstance(node, dict):
        return {key: without_secrets(value) for key, value in node.items()}
    if isinstance(node, list):
        return [without_secrets(value) for value in node]
    return redacted(node) if isinstance(node, str) else node
