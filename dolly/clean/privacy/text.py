"""Cheap checks that decide whether a text needs a slower search."""

from __future__ import annotations

from collections.abc import Iterator


def digit_count(text: str) -> int:
    """How many of 0 to 9 are in the text."""
    return sum(map(text.count, "0123456789"))


def lower_aligned(text: str) -> str:
    """The text in lower case with each character at its old index, although the Turkish capital i becomes two."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(mark.lower() if len(mark.lower()) == 1 else mark for mark in text)


def occurrences(text: str, part: str) -> Iterator[int]:
    """Where `part` stands in `text`, without overlaps."""
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + len(part))


def words(line: str) -> frozenset[str]:
    """The words of a line, as a set to look them up in."""
    return frozenset(line.split())
