"""Lines of a page → rows in reading order, column by column.

A recursive cut in the manner of Nagy and Seth's X-Y cut (1984), but a vertical cut is made only where both
sides read like running text: the columns of a table without rules stay beside one another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from dolly.ingest.convert.pdf.text import Line, Word

_GAP = 1.3  # em; wider than any space of justified text, narrower than the space between two columns
_COLUMN_LINES = 4
_COLUMN_CHARACTERS = 14.0
_COLUMN_FILL = 0.55
_DEPTH = 4


class Segment(NamedTuple):
    """Words without a wide gap between them, or a whole table (its Markdown is `text`, it has no `words`)."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    bold: bool
    mono: bool
    words: tuple[Word, ...]


class Page(NamedTuple):
    """A page's segments in no certain order, its lower and upper edge in points.

    `image` is true for a page with a picture and hardly any text.
    """

    segments: list[Segment]
    y0: float
    y1: float
    right_to_left: bool
    image: bool


class Row(NamedTuple):
    """Segments beside one another, in reading order; `main` is the one with the most letters."""

    text: str
    segments: tuple[Segment, ...]
    main: Segment
    x0: float
    y0: float
    x1: float
    y1: float


def segments(line: Line) -> list[Segment]:
    """Splits a line at its wide gaps."""
    words, parts, begin = line.words, [], 0
    gap = _GAP * max(line.size, 1.0)
    for at in range(1, len(words)):
        before, word = words[at - 1], words[at]
        if word.x0 - before.x1 > gap or before.x0 - word.x1 > gap:
            parts.append(_segment(words[begin:at], line))
            begin = at
    parts.append(_segment(words[begin:], line))
    return parts


def _segment(words: Sequence[Word], line: Line) -> Segment:
    first, last = words[0], words[-1]
    return Segment(
        " ".join([word.text for word in words]),
        min(first.x0, last.x0),
        min(first.y0, last.y0),
        max(first.x1, last.x1),
        max(first.y1, last.y1),
        line.size,
        line.bold,
        line.mono,
        tuple(words),
    )


def columns(page: Page) -> list[list[Row]]:
    """The page's rows, a list for each column or part of one, in reading order.

    Positions on a right-to-left page are negated, so that they grow in reading direction.
    """
    page_segments = page.segments
    if not page_segments:
        return []
    if page.right_to_left:
        page_segments = [_mirrored(segment) for segment in page_segments]
    return [rows(part) for part in _cut(page_segments, _DEPTH)]


def _mirrored(segment: Segment) -> Segment:
    words = tuple([word._replace(x0=-word.x1, x1=-word.x0) for word in segment.words])
    return segment._replace(x0=-segment.x1, x1=-segment.x0, words=words)


def _cut(page_segments: list[Segment], depth: int) -> list[list[Segment]]:
    gutter = _gutter(page_segments) if depth else None
    if gutter is None:
        return [page_segments]
    parts: list[list[Segment]] = []
    whole: list[Segment] = []
    for columnar, band in _bands(page_segments, gutter):
        if not columnar:
            whole.extend(band)
            continue
        if whole:
            parts.append(whole)
            whole = []
        parts.extend(_cut([segment for segment in band if segment.x1 <= gutter], depth - 1))
        parts.extend(_cut([segment for segment in band if segment.x1 > gutter], depth - 1))
    return [*parts, whole] if whole else parts


def _gutter(page_segments: list[Segment]) -> float | None:
    """The x of the vertical cut that puts most segments into two columns of text."""
    left = min(segment.x0 for segment in page_segments)
    width = max(segment.x1 for segment in page_segments) - left
    starts = Counter(round(segment.x0) for segment in page_segments if segment.x0 > left + 0.15 * width)
    best, most = None, 0
    for start, count in starts.most_common(3):
        if count < _COLUMN_LINES - 1:
            break
        gutter = start - 1.0
        held = sum(len(band) for columnar, band in _bands(page_segments, gutter) if columnar)
        if held > most:
            best, most = gutter, held
    return best


def _bands(page_segments: list[Segment], gutter: float) -> list[tuple[bool, list[Segment]]]:
    """Cuts the page at the segments that cross the gutter: (does it hold two columns, its segments), from the top."""
    bands: list[tuple[bool, list[Segment]]] = []
    band: list[Segment] = []
    for segment in sorted(page_segments, key=lambda segment: -segment.y1):
        if segment.x0 < gutter < segment.x1:
            if band:
                bands.append((_columnar(band, gutter), band))
                band = []
            bands.append((False, [segment]))
        else:
            band.append(segment)
    if band:
        bands.append((_columnar(band, gutter), band))
    return bands


def _columnar(band: list[Segment], gutter: float) -> bool:
    left = [segment for segment in band if segment.x1 <= gutter]
    right = [segment for segment in band if segment.x1 > gutter]
    return _running_text(left) and _running_text(right)


def _running_text(side: list[Segment]) -> bool:
    if len(side) < _COLUMN_LINES or not all(segment.words for segment in side):
        return False
    # By lines, not by segments: a loosely justified line comes in several.
    lines = len({round(segment.y0) for segment in side})
    width = max(segment.x1 for segment in side) - min(segment.x0 for segment in side)
    filled = sum(segment.x1 - segment.x0 for segment in side)
    characters = sum(len(segment.text) for segment in side)
    return (
        lines >= _COLUMN_LINES and characters >= _COLUMN_CHARACTERS * lines and filled >= _COLUMN_FILL * width * lines
    )


def rows(column: list[Segment]) -> list[Row]:
    """Segments of one column → its rows from the top."""
    grouped: list[list[Segment]] = []
    bottom = top = 0.0
    for segment in sorted(column, key=lambda segment: -(segment.y0 + segment.y1)):
        overlap = min(top, segment.y1) - max(bottom, segment.y0)
        beside = bool(grouped and segment.words and grouped[-1][0].words)
        if beside and overlap > 0.5 * min(top - bottom, segment.y1 - segment.y0):
            grouped[-1].append(segment)
            continue
        grouped.append([segment])
        bottom, top = segment.y0, segment.y1
    return [_row(group) for group in grouped]


def _row(group: list[Segment]) -> Row:
    if len(group) == 1:
        one = group[0]
        return Row(one.text, (one,), one, one.x0, one.y0, one.x1, one.y1)
    group.sort(key=lambda segment: segment.x0)
    return Row(
        _row_text(group),
        tuple(group),
        max(group, key=lambda segment: len(segment.text)),
        group[0].x0,
        min([segment.y0 for segment in group]),
        max([segment.x1 for segment in group]),
        max([segment.y1 for segment in group]),
    )


def _row_text(group: list[Segment]) -> str:
    """The words of all; a raised or lowered letter stays at its word, a comma after it too."""
    parts = [group[0].text]
    for before, segment in pairwise(group):
        near = 0.5 if segment.text[0] in ",.;:!?)" else 0.1
        touching = segment.x0 - before.x1 < near * segment.size and segment.size != before.size
        parts.append(segment.text if touching else f" {segment.text}")
    return "".join(parts)
