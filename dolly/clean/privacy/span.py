"""A detected stretch of text, and which of two that overlap is kept."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Iterable
from typing import NamedTuple

KINDS: tuple[str, ...] = ("EMAIL", "PHONE", "IBAN", "CARD", "NATIONAL_ID", "IP", "SECRET", "PERSON")

PSEUDONYM = re.compile(rf"\[(?:{'|'.join(KINDS)})_[0-9a-f]{{8}}\]")

# The most certain first: a secret stands where a key says so, the numbers in the middle carry check
# digits, a telephone number is little more than a count of digits.
_CERTAINTY = ("SECRET", "EMAIL", "IBAN", "CARD", "NATIONAL_ID", "IP", "PHONE", "PERSON")


class Span(NamedTuple):
    """A stretch of text (`start` to `end`, in characters, end excluded) that identifies a person or is a secret.

    `normal` is the canonical form, equal for all spellings of the same thing: an e-mail address in
    lower case, a telephone number as E.164, account and identity numbers without separators, a
    name casefolded with single spaces.
    """

    start: int
    end: int
    kind: str
    normal: str


def without_overlaps(spans: Iterable[Span], text: str) -> list[Span]:
    """The spans that stay, in the order of the text: the most certain first, the longer of two alike.

    Spans inside an earlier pseudonym are dropped, so that masked text is not masked again.
    """
    taken = sorted(match.span() for match in PSEUDONYM.finditer(text))
    kept = []
    for span in sorted(spans, key=lambda s: (_CERTAINTY.index(s.kind), s.start - s.end, s.start)):
        at = bisect(taken, (span.start, span.end))
        free_before = at == 0 or taken[at - 1][1] <= span.start
        if free_before and (at == len(taken) or span.end <= taken[at][0]):
            taken.insert(at, (span.start, span.end))
            kept.append(span)
    return sorted(kept)
