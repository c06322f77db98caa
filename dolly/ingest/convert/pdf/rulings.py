"""The ruled lines of a PDF page, from pdfium's path objects."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

from dolly.ingest.convert.pdf.text import Box, turned

_THIN = 4.0  # points; a drawn rule or a filled bar that stands for one
_SHORTEST = 5.0
_DOT = (1.5, 8.0)
_SNAP = 3.0
_MOST_OBJECTS = 5_000  # drawings have more; a table of 50 x 20 cells has 1,000
_MOST_LINES = 600
_MOST_SEGMENTS = 2_000
_DEPTH = 3
_RECTANGLE = 5  # segments
_PAGE_FRAME = 0.95

_Matrix = tuple[float, float, float, float, float, float]
_UNMOVED: _Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


class Rule(NamedTuple):
    """A straight line: at `at` across its direction, from `start` to `end` along it, in points."""

    at: float
    start: float
    end: float


class Rulings(NamedTuple):
    """The page's lines, neighbours that touch as one; and its dots, which may be the bullets of a list."""

    across: list[Rule]
    down: list[Rule]
    dots: list[Box]


def rulings(page: Any, width: float, height: float, turns: int) -> Rulings:
    """Finds the horizontal and vertical lines and the dots of a page; none if the page is a drawing.

    Args:
        page: pdfium's raw page.
        width: of the page, points.
        height: of the page, points.
        turns: the direction of its text, quarters of a turn.
    """
    boxes: list[Box] = []
    for path, matrix in _paths(
        pdfium.FPDFPage_CountObjects(page), partial(pdfium.FPDFPage_GetObject, page), _UNMOVED, _DEPTH
    ):
        boxes.extend(_lines(path, matrix))
        if len(boxes) > _MOST_SEGMENTS:
            return Rulings([], [], [])
    across: list[Rule] = []
    down: list[Rule] = []
    dots: list[Box] = []
    if turns % 2:
        width, height = height, width
    for x0, y0, x1, y1 in [turned(box, turns) for box in boxes]:
        if x1 - x0 > _PAGE_FRAME * width and y1 - y0 > _PAGE_FRAME * height:
            continue
        if _DOT[0] <= x1 - x0 <= _DOT[1] and abs((x1 - x0) - (y1 - y0)) < 1:
            dots.append((x0, y0, x1, y1))
        elif y1 - y0 <= _THIN and x1 - x0 >= _SHORTEST:
            across.append(Rule((y0 + y1) / 2, x0, x1))
        elif x1 - x0 <= _THIN and y1 - y0 >= _SHORTEST:
            down.append(Rule((x0 + x1) / 2, y0, y1))
        elif x1 - x0 > _THIN and y1 - y0 > _THIN:
            across += [Rule(y0, x0, x1), Rule(y1, x0, x1)]
            down += [Rule(x0, y0, y1), Rule(x1, y0, y1)]
    across, down = _joined(across), _joined(down)
    return Rulings([], [], []) if max(len(across), len(down)) > _MOST_LINES else Rulings(across, down, dots)


def _paths(count: int, get: Callable[[int], Any], matrix: _Matrix, depth: int) -> Iterator[tuple[Any, _Matrix]]:
    if count > _MOST_OBJECTS:
        return
    for index in range(count):
        element = get(index)
        kind = pdfium.FPDFPageObj_GetType(element)
        if kind == pdfium.FPDF_PAGEOBJ_PATH:
            yield element, matrix
        elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth:
            inner = _times(_matrix(element), matrix)
            children = pdfium.FPDFFormObj_CountObjects(element)
            yield from _paths(children, partial(pdfium.FPDFFormObj_GetObject, element), inner, depth - 1)


def _lines(path: Any, matrix: _Matrix) -> Iterator[Box]:
    """Boxes of what the path draws: its own if it is a line or a rectangle, else one a straight stroke."""
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    if not pdfium.FPDFPath_GetDrawMode(path, fill, stroke) or not (fill.value or stroke.value):
        return  # it only clips
    edges = [ctypes.c_float() for _ in range(4)]
    if not pdfium.FPDFPageObj_GetBounds(path, *edges):
        return
    left, bottom, right, top = (edge.value for edge in edges)
    count = pdfium.FPDFPath_CountSegments(path)
    if count <= _RECTANGLE or max(right - left, top - bottom) <= _DOT[1]:
        yield _box(matrix, (left, bottom), (right, top))
        return
    if count > _MOST_SEGMENTS:
        return
    own = _times(_matrix(path), matrix)
    x, y = ctypes.c_float(), ctypes.c_float()
    before: tuple[float, float] | None = None
    for index in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(path, index)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        point = (x.value, y.value)
        if kind == pdfium.FPDF_SEGMENT_LINETO and before is not None:
            x0, y0, x1, y1 = _box(own, before, point)
            if min(x1 - x0, y1 - y0) < 0.5:
                yield x0, y0, x1, y1
        before = None if kind == pdfium.FPDF_SEGMENT_BEZIERTO else point


def _box(matrix: _Matrix, corner: tuple[float, float], opposite: tuple[float, float]) -> Box:
    a, b, c, d, e, f = matrix
    xs = sorted((a * corner[0] + c * corner[1] + e, a * opposite[0] + c * opposite[1] + e))
    ys = sorted((b * corner[0] + d * corner[1] + f, b * opposite[0] + d * opposite[1] + f))
    return xs[0], ys[0], xs[1], ys[1]


def _matrix(element: Any) -> _Matrix:
    matrix = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(element, matrix):
        return _UNMOVED
    return matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f


def _times(first: _Matrix, second: _Matrix) -> _Matrix:
    """First `one`, then `other` (PDF 32000-1, 8.3.4)."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = second
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u


def _joined(lines: list[Rule]) -> list[Rule]:
    """Joins lines at the same position, so that dots, dashes and a cell's double border count once."""
    lines.sort()
    groups: list[list[Rule]] = []
    for line in lines:
        if groups and line.at - groups[-1][0].at <= _SNAP:
            groups[-1].append(line)
        else:
            groups.append([line])
    joined: list[Rule] = []
    for group in groups:
        at = sum(line.at for line in group) / len(group)
        group.sort(key=lambda line: line.start)
        start, end = group[0].start, group[0].end
        for line in group[1:]:
            if line.start - end > _SNAP:
                joined.append(Rule(at, start, end))
                start, end = line.start, line.end
            else:
                end = max(end, line.end)
        joined.append(Rule(at, start, end))
    return joined
