"""Telephone numbers.

A cheap pattern finds runs of digits; phonenumbers (Google's numbering plans) judges only those that
have the shape of a number people write down, or that stand near a word such as "call".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from dolly.clean.privacy.context import Context, context_of
from dolly.clean.privacy.numbering import international, of_letters, of_region, possible
from dolly.clean.privacy.span import Span

FEWEST_DIGITS, MOST_DIGITS = 7, 15  # ITU-T E.164: at most 15; local numbers have 7 or more where they matter

# Begins with a digit, not with an optional bracket, so that the search can leap from digit to digit.
_RUN = re.compile(r"[0-9][0-9 \t\u00a0\u2009\u202f().\-/\u2010-\u2014]{5,}[0-9]")
_GROUP = re.compile(r"[0-9]+")
_SEPARATOR = re.compile(r"[ \t\u00a0\u2009\u202f]?\)?[ \u00a0\u202f]?[-./\u2010-\u2014]?[ \u00a0\u202f]?\(?")
_EXTENSION = re.compile(
    r"(?i),?[ \t]*[(\[]?(?:ext(?:ension|n)?\b\.?|x|durchwahl|dw\b\.?|poste|int\b\.?|#)"
    r"[ \t]*[:.#]?[ \t]*[0-9]{1,6}(?![0-9A-Za-z])\)?"
)
_VANITY = re.compile(r"8(?:00|33|44|55|66|77|88)\)?[-. ](?=[A-Z0-9-]{7,9}(?!\w))[A-Z0-9-]*[A-Z]{3}[A-Z0-9-]*")
_VANITY_START = re.compile(r"(?<![\w-])(?:\+?1[-. ]\(?|\()?$")


_AMERICAN = re.compile(
    r"1?555[0-9]{7}|(?:1[ .-]?)?(?:\([0-9]{3}\) ?-?|[0-9]{3}([ .\-/\u2010-\u2013]))[0-9]{3}[ .\-\u2010-\u2013][0-9]{4}"
)
_LIKE_AMERICAN = re.compile(
    r"(?:1[ .-]?)?(?:\([0-9]{3}\) ?-?|[0-9]{3}[ .\-/\u2010-\u2013])[0-9]{3}[ .\-\u2010-\u2013][0-9]{4}(?![0-9])"
)
_TRUNK = re.compile(r"\(?0[0-9]{1,5}[^0-9].*")
_BRACKET = re.compile(r"\([1-9][0-9]{1,4}\).*")
_LOCAL = re.compile(r"[0-9]{3}[-. ][0-9]{4}")
_DATE = re.compile(
    r"(?<![0-9])(?:(?:19|20)[0-9]{2}([-./ ])(?:0?[1-9]|1[0-2])\1(?:0?[1-9]|[12][0-9]|3[01])"
    r"|(?:0?[1-9]|[12][0-9]|3[01])([-./ ])(?:0?[1-9]|[12][0-9]|3[01])\2(?:19|20)[0-9]{2}"
    r"|(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0?[1-9]|1[0-2])[-./](?:19|20)[0-9]{2}|(?:19|20)[0-9]{2} ?[-\u2013/] ?(?:19|20)[0-9]{2})(?![0-9])"
)
_BROKEN_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}$")
_GLUED_BEFORE = re.compile(r"(?:[\w.$\u20ac\u00a3#@~^*%&]|\w[-/]|[0-9][:,]|,,)$")
_GLUED_AFTER = re.compile(
    r"[\w@%\u20ac\u00b0^*=]|:[0-9]|,[0-9]{3}(?![0-9.])|[-/.][A-Za-z0-9]|\s?(?:USD|EUR|GBP|\$|\u20ac)"
)
_CHAINED = re.compile(
    r"[ \t]*(?:\([^)\n]{0,20}\))?[ \t]*(?:,|;|/|\||\n|and|or|und|oder|et|ou|y|o)?[ \t]*(?:\w{2,8}:?[ \t])?[+(]{0,2}"
)


class Phones:
    """Finds telephone numbers as they are written in `regions` (ISO 3166 codes), and international ones."""

    def __init__(self, regions: Sequence[str]) -> None:
        self._regions = tuple(regions)

    def __call__(self, text: str) -> Iterator[Span]:
        known, last = Context.NONE, -1
        for run in _RUN.finditer(text):
            for groups in _segments(text, run.start(), run.end()):
                if _DATE.fullmatch(text, groups[0][0], groups[-1][1]):
                    continue
                context = context_of(text, _start(text, groups[0][0]), groups[-1][1])
                if context is Context.NONE and last >= 0 and _CHAINED.fullmatch(text, last, groups[0][0]):
                    context = known
                at = 0
                while at < len(groups):
                    hit = self._longest(text, groups, at, context)
                    if hit:
                        yield hit[0]
                        known, last = context, hit[0].end
                    at += hit[1] if hit else 1
                    # A label speaks of the first number only.
                    context = Context.NONE if context is Context.OTHER else context
        for vanity in _VANITY.finditer(text):
            before = _VANITY_START.search(text, max(0, vanity.start() - 4), vanity.start())
            number = of_letters(text[before.start() : vanity.end()]) if before else None
            if before and number:
                yield Span(before.start(), vanity.end(), "PHONE", number)

    def _longest(self, text: str, groups: list[tuple[int, int]], at: int, context: Context) -> tuple[Span, int] | None:
        """The longest number that begins with group `at`, and how many groups it has."""
        first, start = groups[at][0], _start(text, groups[at][0])
        if at and not _apart(text, groups[at - 1][1], first, freely=context >= Context.CALL):
            return None
        if text[start] not in "+(0" and (
            context is Context.OTHER or not (context or _LIKE_AMERICAN.match(text, start))
        ):
            return None
        for used in range(min(8, len(groups) - at), 0, -1):
            end = groups[at + used - 1][1]
            digits = sum(b - a for a, b in groups[at : at + used])
            if digits < FEWEST_DIGITS:
                return None
            whole = at + used == len(groups) or _apart(text, end, groups[at + used][0])
            if digits > MOST_DIGITS + 3 or not whole:  # 00 or 011 and (0) come on top
                continue
            opened = int(text[start] == "(" and text.count("(", start, end) > text.count(")", start, end))
            if normal := self._normal(text[start + opened : end], digits, context):
                extension = _EXTENSION.match(text, end)
                return Span(start + opened, extension.end() if extension else end, "PHONE", normal), used
        return None

    def _normal(self, raw: str, digits: int, context: Context) -> str | None:
        if "+" in raw:
            return international(_plain(raw))
        american = _AMERICAN.fullmatch(raw) is not None
        written = context >= Context.CALL or self._is_written(raw, digits)
        if context is Context.OTHER or not (american or written):
            return None
        plain = _plain(raw)
        if _DATE.search(raw) or len(set(plain)) < 3 or _is_book(plain, context):
            return None
        if raw.startswith("00") and digits > 9 and (number := international("+" + plain[2:])):
            return number
        if american and (number := self._american(raw, plain, context)):
            return number
        if written and (number := of_region(raw, self._regions)):
            return number
        if context is Context.PHONE or (context is Context.CALL and (digits == 10 or _LOCAL.fullmatch(raw))):
            return possible(raw, self._regions) or of_region(raw, self._regions, without_trunk=True)
        return None

    def _american(self, raw: str, plain: str, context: Context) -> str | None:
        if not {"US", "CA"} & set(self._regions):
            return None
        # 555 numbers are not given out, so texts that invent a number have them.
        if raw[0] == "(" or "-" in raw or ("555" in plain[-10:-4] and plain != raw) or context is not Context.NONE:
            return possible(raw, ("US",))
        return of_region(raw, ("US",))

    @staticmethod
    def _is_written(raw: str, digits: int) -> bool:
        """Is it grouped as national numbers are: an area code that begins with 0 or stands in brackets."""
        if raw.startswith("00"):
            return digits > 9
        groups = _GROUP.findall(raw)
        if not 8 <= digits <= 13 or digits < 2 * len(groups):
            return False
        return bool(_TRUNK.fullmatch(raw)) or (digits >= 9 and bool(_BRACKET.fullmatch(raw)))


def _start(text: str, first: int) -> int:
    """Start of a number, with plus sign and bracket; its digits begin at `first`."""
    while first and text[first - 1] in "(+":
        first -= 1
    return first


def _segments(text: str, start: int, end: int) -> Iterator[list[tuple[int, int]]]:
    """Groups of digits that one number could hold, cut where the separator or a neighbour forbids it."""
    segment: list[tuple[int, int]] = []
    for match in _GROUP.finditer(text, start, end):
        if segment and not _joins(text[segment[-1][1] : match.start()], segment, match.group()):
            yield from _clean(text, segment)
            segment = []
        segment.append(match.span())
    yield from _clean(text, segment)


def _joins(gap: str, before: list[tuple[int, int]], group: str) -> bool:
    if not gap or not _SEPARATOR.fullmatch(gap):
        return False
    if not gap.strip():
        return True
    # "030 1234567 / 0151 2345678": a slash, or a dash in spaces, before an area code parts two whole numbers.
    slash, spaced = "/" in gap, gap.strip() != gap
    if not slash and not spaced:
        return True
    digits = sum(b - a for a, b in before)
    another = len(group) > 2 and group[0] == "0" and digits >= FEWEST_DIGITS
    return not another and not (slash and spaced and digits >= 10)


def _apart(text: str, end: int, start: int, *, freely: bool = True) -> bool:
    """May one number end at `end` and another begin at `start`: a slash or bracket between, or (`freely`) a space."""
    return any((freely and mark.isspace()) or mark in "/(" for mark in text[end:start])


def _clean(text: str, segment: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Drops the groups at both ends that are part of a longer word."""
    first = _start(text, segment[0][0])
    if _BROKEN_IBAN.search(text[max(0, first - 3) : segment[0][1]]):
        return
    if (
        text[first] != "+"
        and _GLUED_BEFORE.search(text[max(0, first - 2) : first])
        and not text[:first].endswith("wa.me/")
    ):
        segment = _from_white_space(text, segment)
    if segment and _GLUED_AFTER.match(text, segment[-1][1]) and not _EXTENSION.match(text, segment[-1][1]):
        kept = _from_white_space(text, segment[::-1])
        segment = kept[::-1]
    if segment and sum(b - a for a, b in segment) >= FEWEST_DIGITS:
        yield segment


def _from_white_space(text: str, groups: list[tuple[int, int]]) -> list[tuple[int, int]]:
    for at, (a, b) in enumerate(pairwise(groups), start=1):
        if any(mark.isspace() for mark in text[min(a[1], b[1]) : max(a[0], b[0])]):
            return groups[at:]
    return []


def _plain(raw: str) -> str:
    if "(0)" in raw[1:]:
        raw = raw[0] + raw[1:].replace("(0)", "")
    return "".join(mark for mark in raw if mark in "+0123456789")


def _is_book(plain: str, context: Context) -> bool:
    if context is not Context.NONE or len(plain) != 10:
        return False
    return sum(weight * int(digit) for weight, digit in zip(range(10, 0, -1), plain, strict=True)) % 11 == 0
