"""Tables of a PDF page: of ruled lines, and of words that stand in columns under one another."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from dolly.ingest.convert.pdf.rulings import Rule, Rulings
from dolly.ingest.convert.pdf.text import SOFT_HYPHEN, Line, Word

_SNAP = 3.0
_LEAST_FILLED = 0.3
_MOST_CELLS = 20_000


class Table(NamedTuple):
    """Cell texts, row by row from the top, and the table's box, in points."""

    cells: list[list[str]]
    x0: float
    y0: float
    x1: float
    y1: float


def ruled_tables(lines: list[Line], ruled: Rulings, *, right_to_left: bool) -> tuple[list[Table], list[Line]]:
    """Takes the words out of the page that stand in ruled tables.

    Args:
        lines: the page's text.
        ruled: the page's rulings.
        right_to_left: the first column is the right one.

    Returns:
        The tables, and the lines without their words.
    """
    tables: list[Table] = []
    for across, down in _nets(ruled):
        grid = _Grid(across, down)
        if grid.columns < 2 or grid.rows < 2 or grid.columns * grid.rows > _MOST_CELLS:
            continue
        inside = {id(word) for line in lines for word in line.words if grid.holds(word)}
        cells = grid.filled([word for line in lines for word in line.words if id(word) in inside])
        filled = sum(1 for row in cells for cell in row if cell)
        if filled < max(3, _LEAST_FILLED * grid.merged) or not _two_by_two(cells):
            continue
        if right_to_left:
            cells = [row[::-1] for row in cells]
        tables.append(Table(cells, grid.xs[0], grid.ys[0], grid.xs[-1], grid.ys[-1]))
        lines = [line._replace(words=[word for word in line.words if id(word) not in inside]) for line in lines]
        lines = [line for line in lines if line.words]
    return tables, lines


def markdown_table(cells: list[list[str]]) -> str:
    """Rows as a Markdown table; the first is its head. Rows and columns without any text are left out."""
    cells = [row for row in cells if any(row)]
    used = [any(row[column] for row in cells) for column in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.replace("|", "\\|") for cell, use in zip(row, used, strict=True) if use) + " |"
        for row in cells
    ]
    return "\n".join([lines[0], "|" + " --- |" * sum(used), *lines[1:]])


def _two_by_two(cells: list[list[str]]) -> bool:
    used = sum(1 for column in zip(*cells, strict=True) if any(column))
    return used > 1 and sum(1 for row in cells if any(row)) > 1


def words_text(words: Iterable[str]) -> str:
    """Words of a cell, with those joined again that were cut at the end of a line."""
    return " ".join(words).replace(f"{SOFT_HYPHEN} ", "").replace(SOFT_HYPHEN, "")


def _nets(ruled: Rulings) -> list[tuple[list[Rule], list[Rule]]]:
    """Lines that cross one another, net by net."""
    across, down = ruled.across, ruled.down
    parent = list(range(len(across) + len(down)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for i, row in enumerate(across):
        for j, column in enumerate(down, start=len(across)):
            if _meets(row, column):
                parent[root(j)] = root(i)
    nets: dict[int, tuple[list[Rule], list[Rule]]] = defaultdict(lambda: ([], []))
    for i, row in enumerate(across):
        nets[root(i)][0].append(row)
    for j, column in enumerate(down, start=len(across)):
        nets[root(j)][1].append(column)
    # Top first, so that the tables come out in the order of the page.
    return sorted((net for net in nets.values() if net[0] and net[1]), key=lambda net: -max(row.at for row in net[0]))


def _meets(row: Rule, column: Rule) -> bool:
    return row.start - _SNAP <= column.at <= row.end + _SNAP and column.start - _SNAP <= row.at <= column.end + _SNAP


class _Grid:
    """The cells between the lines of one net; cells without a line between them are one."""

    def __init__(self, across: list[Rule], down: list[Rule]) -> None:
        self._across, self._down = across, down
        self.xs = _coordinates([rule.at for rule in down] + [end for rule in across for end in (rule.start, rule.end)])
        self.ys = _coordinates([rule.at for rule in across] + [end for rule in down for end in (rule.start, rule.end)])
        self.columns, self.rows = len(self.xs) - 1, len(self.ys) - 1
        self.merged = 0

    def holds(self, word: Word) -> bool:
        x, y = (word.x0 + word.x1) / 2, (word.y0 + word.y1) / 2
        return self.xs[0] < x < self.xs[-1] and self.ys[0] < y < self.ys[-1]

    def filled(self, words: list[Word]) -> list[list[str]]:
        """The words of each cell, rows from the top; a merged cell's words stand in its first one."""
        owner = self._owners()
        self.merged = len(set(owner.values()))
        held: dict[tuple[int, int], list[str]] = defaultdict(list)
        for word in words:
            column = min(self.columns, bisect_right(self.xs, (word.x0 + word.x1) / 2)) - 1
            row = self.rows - min(self.rows, bisect_right(self.ys, (word.y0 + word.y1) / 2))
            held[owner[row, column]].append(word.text)
        return [[words_text(held[row, column]) for column in range(self.columns)] for row in range(self.rows)]

    def _owners(self) -> dict[tuple[int, int], tuple[int, int]]:
        """(row, column) → the first cell of the merged one that it belongs to."""
        owner: dict[tuple[int, int], tuple[int, int]] = {}
        tops = self.ys[::-1]
        left = _by_coordinate(self._down, self.xs)
        above = _by_coordinate(self._across, tops)
        for row in range(self.rows):
            middle = (tops[row] + tops[row + 1]) / 2
            for column in range(self.columns):
                centre = (self.xs[column] + self.xs[column + 1]) / 2
                if row and not _covered(above[row], centre):
                    owner[row, column] = owner[row - 1, column]
                elif column and not _covered(left[column], middle):
                    owner[row, column] = owner[row, column - 1]
                else:
                    owner[row, column] = (row, column)
        return owner


def _coordinates(values: list[float]) -> list[float]:
    coordinates: list[float] = []
    for value in sorted(values):
        if not coordinates or value - coordinates[-1] > _SNAP:
            coordinates.append(value)
    return coordinates


def _by_coordinate(rules: list[Rule], coordinates: list[float]) -> list[list[Rule]]:
    return [[rule for rule in rules if abs(rule.at - coordinate) <= _SNAP] for coordinate in coordinates]


def _covered(rules: list[Rule], at: float) -> bool:
    return any(rule.start - _SNAP <= at <= rule.end + _SNAP for rule in rules)
