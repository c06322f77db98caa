"""Tables without rules: rows of words with gaps at the same positions."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from dolly.ingest.convert.pdf.layout import Row
from dolly.ingest.convert.pdf.tables import markdown_table, words_text
from dolly.ingest.convert.pdf.text import Word

_LEAST_ROWS = 3
_GAP = 0.6  # em
_ALIKE = 4.0  # points
_NEXT_ROW = 3.0  # em
_LONGEST_CELL = 60.0  # letters, on average: longer ones are columns of text


class AlignedTable(NamedTuple):
    """A table, and how many of the given rows it took."""

    markdown: str
    rows: int


def aligned_table(rows: list[Row]) -> AlignedTable | None:
    """The table that the rows begin with, if there is one.

    Args:
        rows: what is left of a column; the first row has a wide gap.
    """
    run = [rows[0]]
    for row in rows[1:]:
        if len(row.segments) < 2 or run[-1].y0 - row.y0 > _NEXT_ROW * row.main.size:
            break
        run.append(row)
    while len(run) >= _LEAST_ROWS:
        starts = _starts(run)
        held = [_cells(row, starts) for row in run]
        cells = [[words_text(word.text for word in words) for words in row] for row in held]
        if len(starts) > 1 and all(sum(map(bool, row)) > 1 for row in cells) and _aligned(held):
            letters = sum(len(cell) for row in cells for cell in row)
            return AlignedTable(markdown_table(cells), len(run)) if letters < _LONGEST_CELL * len(cells) else None
        run.pop()
    return None


def _starts(rows: list[Row]) -> list[float]:
    """Where the columns begin: after each gap that all rows leave free."""
    spans = sorted((word.x0, word.x1) for row in rows for segment in row.segments for word in segment.words)
    gap = _GAP * max(row.main.size for row in rows)
    starts, end = [spans[0][0]], spans[0][1]
    for x0, x1 in spans[1:]:
        if x0 - end > gap:
            starts.append(x0)
        end = max(end, x1)
    return starts


def _cells(row: Row, starts: list[float]) -> list[list[Word]]:
    held: list[list[Word]] = [[] for _ in starts]
    for segment in row.segments:
        for word in segment.words:
            held[bisect_right(starts, word.x0) - 1].append(word)
    return held


def _aligned(rows: list[list[list[Word]]]) -> bool:
    """Each column's cells share their left end, right end or middle; the words of loose lines share none."""
    for column in zip(*rows, strict=True):
        ends = [(min(word.x0 for word in cell), max(word.x1 for word in cell)) for cell in column if cell]
        lefts, rights = [left for left, _ in ends], [right for _, right in ends]
        middles = [(left + right) / 2 for left, right in ends]
        if min(max(edges) - min(edges) for edges in (lefts, rights, middles)) > _ALIKE:
            return False
    return True
