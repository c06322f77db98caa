"""A record, as parsers return it: its fields, or the rule that it broke."""

from __future__ import annotations

from typing import Any, NamedTuple

from dolly.accounting import CUT_MARGIN, DETAIL_CHARACTERS, TEXT_CHARACTERS

# Characters of a bad record and of its detail: what `rejected` holds, and what masking needs beyond that.
_KEPT = TEXT_CHARACTERS + CUT_MARGIN
_DETAIL = DETAIL_CHARACTERS + CUT_MARGIN


class Record(NamedTuple):
    """One record.

    `fields` and its canonical JSON in `text` if it could be read, else the `rule` it broke, a
    `detail` and as much of it as can be shown. `position` is -1 for a fault of the whole file.
    """

    position: int
    fields: dict[str, Any] | None
    text: str
    rule: str | None = None
    detail: str = ""


def refused(position: int, text: str, rule: str, detail: str) -> Record:
    """A record that broke `rule`."""
    return Record(position, None, printable(text[:_KEPT]), rule, printable(detail[:_DETAIL]))


def file_fault(rule: str, detail: str) -> Record:
    """A fault of the whole file, or of all of it that follows the records before."""
    return refused(-1, "", rule, detail)


def printable(text: str) -> str:
    """The text with bytes that were not UTF-8 (lone surrogates) as backslash escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
