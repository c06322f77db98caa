"""Rows under a header → records: CSV, TSV and the first sheet of an Excel workbook."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from dolly.ingest.json_text import canonical_record
from dolly.ingest.record import Record, file_fault, printable, refused


def delimited(content: bytes, *, delimiter: str, max_characters: int) -> Iterator[Record]:
    """Records of CSV or TSV; `content` is UTF-8 without a mark, `max_characters` those of a record."""
    csv.field_size_limit(2**31 - 1)
    stream = io.TextIOWrapper(io.BytesIO(content), "utf-8", errors="surrogateescape", newline="")
    reader = csv.reader(stream, strict=True, delimiter=delimiter)
    header: list[str] | None = None
    position = 0
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            if header is None or "unexpected end" in str(error):
                where = f"record {position}" if header else "the header"
                yield file_fault("truncated_file", f"{where} can't be read: {error}")
                return
            yield refused(position, "", "bad_csv", str(error))
            position += 1
            continue
        if row is None:
            break
        if not row:
            continue
        if header is None:
            header = [printable(name.strip()) for name in row]
            if fault := _header_fault(header):
                yield fault
                return
            continue
        yield _record(position, header, row, max_characters)
        position += 1
    if position == 0:
        yield file_fault("empty_file", "a header and no record")


def workbook(content: bytes, *, max_characters: int) -> Iterator[Record]:
    """Records of an Excel workbook's first sheet; a cell's value is text, of a formula its last result."""
    from openpyxl import load_workbook  # type: ignore[import-untyped]

    try:
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        sheet = next(iter(book.worksheets), None)
        if sheet is None:
            yield file_fault("empty_file", "the workbook has no sheet")
            return
        sheet.reset_dimensions()  # the size that a file declares may be wrong, and rows would be lost
        yield from _sheet_records(sheet.iter_rows(values_only=True), max_characters)
    except Exception as error:  # the parser's exceptions on foreign bytes are faults of the file
        yield file_fault("bad_xlsx", f"{type(error).__name__}: {error}")


def _sheet_records(rows: Iterable[tuple[Any, ...]], max_characters: int) -> Iterator[Record]:
    header: list[str] | None = None
    position = 0
    for cells in rows:
        row = [_cell(value) for value in cells]
        while row and row[-1] is None:
            row.pop()
        if not row:
            continue
        if header is None:
            header = [(name or "").strip() for name in row]
            if fault := _header_fault(header):
                yield fault
                return
            continue
        yield _record(position, header, row + [None] * (len(header) - len(row)), max_characters)
        position += 1
    if position == 0:
        yield file_fault("empty_file", "a header and no record" if header else "the sheet holds no cell")


def _header_fault(header: list[str]) -> Record | None:
    if doubled := sorted(name or "(none)" for name, count in Counter(header).items() if count > 1):
        return file_fault("doubled_column", f"columns that occur twice: {', '.join(doubled)}")
    return None


def _record(position: int, header: list[str], row: list[Any], max_characters: int) -> Record:
    if (size := sum(len(value or "") for value in row)) > max_characters:
        return refused(position, json.dumps(row, ensure_ascii=False), "record_too_large", f"{size:,} characters")
    if len(row) != len(header):
        detail = f"{len(row)} fields, the header has {len(header)}"
        return refused(position, json.dumps(row, ensure_ascii=False), "wrong_field_count", detail)
    return canonical_record(position, dict(zip(header, row, strict=True)))


def _cell(value: Any) -> str | None:
    """A cell as CSV would hold it; Excel keeps each number as a float."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return value.isoformat() if isinstance(value, (dt.datetime, dt.date, dt.time)) else str(value)
