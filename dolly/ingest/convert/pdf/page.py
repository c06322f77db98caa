"""One page of an open PDF → its segments, tables, form fields, and whether it is a picture."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

from dolly.ingest.convert.pdf.layout import Page, Segment, segments
from dolly.ingest.convert.pdf.rulings import rulings
from dolly.ingest.convert.pdf.tables import Table, markdown_table, ruled_tables
from dolly.ingest.convert.pdf.text import Box, Line, Word, page_text, turned

_MOST_FIELDS = 500
_LONGEST_FIELD = 10_000  # bytes
_MOST_OBJECTS = 2_000
_DEPTH = 3
_BULLET_GAP = 1.5  # em
_HARDLY_ANY = 3  # segments


class PageContent(NamedTuple):
    """What a page holds.

    `aside` is text that runs in another direction than the rest; `fields` are filled form fields; `characters` counts
    all letters of the page, `unmapped` those that have no known meaning.
    """

    page: Page
    aside: list[str]
    fields: list[str]
    characters: int
    unmapped: int


def read_page(document: Any, index: int) -> PageContent | None:
    """Reads a page, None if it is damaged.

    Args:
        document: pdfium's raw document.
        index: of the page, from 0.
    """
    page = pdfium.FPDF_LoadPage(document, index)
    if not page:
        return None
    textpage = pdfium.FPDFText_LoadPage(page)
    try:
        return _content(page, textpage) if textpage else None
    finally:
        if textpage:
            pdfium.FPDFText_ClosePage(textpage)
        pdfium.FPDF_ClosePage(page)


def _content(page: Any, textpage: Any) -> PageContent:
    text = page_text(textpage)
    box = pdfium.FS_RECTF()
    pdfium.FPDF_GetPageBoundingBox(page, box)
    _, y0, _, y1 = turned((box.left, box.bottom, box.right, box.top), text.turns)
    lines = text.lines
    tables: list[Table] = []
    if lines:
        ruled = rulings(page, box.right - box.left, box.top - box.bottom, text.turns)
        lines = _with_bullets(lines, ruled.dots, right_to_left=text.right_to_left)
        if ruled.across and ruled.down:
            tables, lines = ruled_tables(lines, ruled, right_to_left=text.right_to_left)
    page_segments = [segment for line in lines for segment in segments(line)]
    page_segments += [_table_segment(table) for table in tables]
    return PageContent(
        Page(page_segments, y0, y1, text.right_to_left, image=len(page_segments) <= _HARDLY_ANY and _holds_image(page)),
        text.aside,
        _fields(page),
        text.characters,
        text.unmapped,
    )


def _with_bullets(lines: list[Line], dots: list[Box], *, right_to_left: bool) -> list[Line]:
    """Lines with the bullets that are drawn before them, as Chrome prints them, as letters."""
    for x0, y0, x1, y1 in dots:
        for at, line in enumerate(lines):
            word = line.words[0]
            apart = x0 - word.x1 if right_to_left else word.x0 - x1
            if 0 < apart < _BULLET_GAP * line.size and word.y0 < (y0 + y1) / 2 < word.y1:
                # Right beside the first word, so that the two are one segment.
                x = word.x1 if right_to_left else word.x0
                lines[at] = line._replace(words=[Word("•", x, word.y0, x, word.y1), *line.words])
                break
    return lines


def _table_segment(table: Table) -> Segment:
    return Segment(markdown_table(table.cells), table.x0, table.y0, table.x1, table.y1, 0.0, False, False, ())


def _fields(page: Any) -> list[str]:
    """Filled form fields as "name: value"; pdfium's page text holds only what is printed around them."""
    fields = []
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page), _MOST_FIELDS)):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        if pdfium.FPDFAnnot_GetSubtype(annotation) == pdfium.FPDF_ANNOT_WIDGET:
            name, value = _entry(annotation, b"T"), _entry(annotation, b"V")
            if value and value != "Off":
                fields.append(f"{name}: {value}" if name else value)
        pdfium.FPDFPage_CloseAnnot(annotation)
    return fields


def _entry(annotation: Any, key: bytes) -> str:
    buffer = (ctypes.c_ushort * (_LONGEST_FIELD // 2))()
    length = pdfium.FPDFAnnot_GetStringValue(annotation, key, buffer, _LONGEST_FIELD)
    if not 2 < length <= _LONGEST_FIELD:
        return ""
    return " ".join(bytes(buffer)[: length - 2].decode("utf-16-le", "replace").split())


def _holds_image(page: Any) -> bool:
    return _any_image(pdfium.FPDFPage_CountObjects(page), partial(pdfium.FPDFPage_GetObject, page), _DEPTH)


def _any_image(count: int, get: Callable[[int], Any], depth: int) -> bool:
    for index in range(min(count, _MOST_OBJECTS)):
        element = get(index)
        kind = pdfium.FPDFPageObj_GetType(element)
        if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
            return True
        if kind == pdfium.FPDF_PAGEOBJ_FORM and depth:
            inner = pdfium.FPDFFormObj_CountObjects(element)
            if _any_image(inner, partial(pdfium.FPDFFormObj_GetObject, element), depth - 1):
                return True
    return False
