"""Bytes of one file → records; every record of the file comes out, a bad one with its reason.

Spark's own JSON and CSV readers lose or merge bad rows, so rows are found and counted here.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

# Faults of a whole file; `position` is -1. All other rules concern one row.
FILE_RULES = ("empty_file", "not_utf8_file", "not_an_array", "truncated_file", "doubled_column")

_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"[ \t\r\n]*")


class Record(NamedTuple):
    """One record: `fields` if it could be read, else the `rule` it broke and a `detail`."""

    position: int
    fields: dict[str, Any] | None
    text: str
    rule: str | None = None
    detail: str = ""


def records(content: bytes, file_format: str) -> Iterator[Record]:
    """Splits a file into its records.

    Args:
        content: the whole file.
        file_format: `json` (one array of objects), `jsonl` or `csv` (with a header).
    """
    content = content.removeprefix(b"\xef\xbb\xbf")
    if not content.strip():
        yield Record(-1, None, "", "empty_file", "the file holds no record")
    elif content.startswith((b"\xff\xfe", b"\xfe\xff")) or content[:64].count(b"\0") > 8:
        yield Record(-1, None, "", "not_utf8_file", "the file looks like UTF-16 or UTF-32")
    else:
        yield from {"json": _array, "jsonl": _lines, "csv": _rows}[file_format](content)


def mapped(record: Record, columns: dict[str, str | None], required: list[str]) -> Record | dict[str, str]:
    """The record's mapped fields, or the record again with the rule it broke.

    Args:
        record: a record that could be read.
        columns: our field → the record's field, or None.
        required: fields that the record must have.
    """
    fields = record.fields or {}
    if missing := [name for name in required if name not in fields]:
        found = ", ".join(sorted(fields)) or "none"
        return record._replace(rule="missing_field", detail=f"no {', '.join(missing)}; fields: {found}")
    values: dict[str, str] = {}
    for ours, theirs in columns.items():
        value = fields.get(theirs) if theirs else None
        if value is not None and not isinstance(value, str):
            if ours in ("instruction", "input", "output") or isinstance(value, (dict, list)):
                return record._replace(rule="wrong_type", detail=f"{theirs} is {type(value).__name__}, expected text")
            value = json.dumps(value)
        values[ours] = value or ""
    return values


def _array(content: bytes) -> Iterator[Record]:
    text = content.decode("utf-8", "surrogateescape")
    decoder = json.JSONDecoder()
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        yield Record(-1, None, "", "not_an_array", f"the file begins with {text[at : at + 20]!r}")
        return
    at = _skip(text, at + 1)
    position = 0
    while text[at : at + 1] != "]":
        try:
            value, end = decoder.raw_decode(text, at)
            record = _checked(position, value, text[at:end])
        except (ValueError, RecursionError) as error:
            yield Record(-1, None, "", "truncated_file", f"record {position} can't be read: {error}")
            return
        yield record
        position += 1
        at = _skip(text, end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != "]":
            found = repr(text[at : at + 20]) if text[at:] else "the end of the file"
            yield Record(-1, None, "", "truncated_file", f"{found} after record {position - 1}")
            return
    if rest := text[_skip(text, at + 1) :]:
        yield Record(-1, None, "", "truncated_file", f"{rest[:20]!r} after the array")
    elif position == 0:
        yield Record(-1, None, "", "empty_file", "the array holds no record")


def _lines(content: bytes) -> Iterator[Record]:
    position = 0
    for line in content.split(b"\n"):
        if not line.strip():
            continue
        text = line.decode("utf-8", "surrogateescape")
        try:
            yield _checked(position, json.loads(text), text)
        except (ValueError, RecursionError) as error:
            yield Record(position, None, _printable(text), "bad_json", str(error))
        position += 1


def _rows(content: bytes) -> Iterator[Record]:
    text = content.decode("utf-8", "surrogateescape")
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    position = 0
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            if header is None or "unexpected end" in str(error):
                where = f"record {position}" if header else "the header"
                yield Record(-1, None, "", "truncated_file", f"{where} can't be read: {error}")
                return
            yield Record(position, None, "", "bad_csv", str(error))
            position += 1
            continue
        if row is None:
            break
        if not row:
            continue
        if header is None:
            header = [_printable(name.strip()) for name in row]
            if doubled := sorted({name for name in header if header.count(name) > 1}):
                yield Record(-1, None, "", "doubled_column", f"columns that occur twice: {', '.join(doubled)}")
                return
            continue
        line = json.dumps(row, ensure_ascii=False)
        if len(row) != len(header):
            detail = f"{len(row)} fields, the header has {len(header)}"
            yield Record(position, None, _printable(line), "wrong_field_count", detail)
        else:
            yield _checked(position, dict(zip(header, row, strict=True)), line)
        position += 1
    if position == 0:
        yield Record(-1, None, "", "empty_file", "a header and no record")


def _checked(position: int, value: Any, text: str) -> Record:
    if not isinstance(value, dict):
        detail = f"a {type(value).__name__}, expected an object"
        return Record(position, None, _printable(text), "wrong_type", detail)
    if _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        return Record(position, None, _printable(text), "not_utf8", "bytes that are not UTF-8")
    return Record(position, value, text)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _printable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
