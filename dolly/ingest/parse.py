"""Bytes of one file → records; every record of the file comes out, a bad one with its reason.

Spark's own JSON and CSV readers lose or merge bad rows, so rows are found and counted here.
"""

from __future__ import annotations

from collections.abc import Iterator

from dolly.ingest.byte_order import BYTE_ORDER_MARKS
from dolly.ingest.convert import Limits, Refused
from dolly.ingest.convert.guard import checked_archive
from dolly.ingest.json_text import array, lines
from dolly.ingest.record import Record, file_fault
from dolly.ingest.sheets import delimited, workbook

# What the names of a folder's files end with, by format.
SUFFIXES = {
    "json": (".json",),
    "jsonl": (".jsonl", ".ndjson"),
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "xlsx": (".xlsx", ".xlsm"),
}
# Faults of a whole file; `position` is -1. All other rules concern one row.
FILE_RULES = (
    "empty_file",
    "not_utf8_file",
    "wrong_kind",
    "not_an_array",
    "truncated_file",
    "doubled_column",
    "bad_xlsx",
    "damaged_file",
    "protected_file",
    "unsafe_xml",
    "zip_bomb",
    "unreadable",
    "file_too_large",
)
# Of a workbook, the guard looks only at the bytes that it unpacks to.
_WORKBOOK = Limits(max_bytes=0, max_pages=0, max_seconds=0, max_memory_bytes=1 << 30, max_characters=0)
_KINDS = (
    (b"PK\x03\x04", "a zip archive or an office file"),
    (b"%PDF-", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\0", "a database"),
    (b"\x7fELF", "a program"),
    (b"\xd0\xcf\x11\xe0", "an old or encrypted office file"),
)


def records(content: bytes, file_format: str, *, max_characters: int = 5_000_000) -> Iterator[Record]:
    """Splits a file into its records.

    Args:
        content: the whole file.
        file_format: `json` (one array of objects), `jsonl`, `csv` or `tsv` (with a header) in UTF-8, or
            in UTF-16 or UTF-32 with a byte order mark; `xlsx` (first sheet, with a header).
        max_characters: longest record that is accepted.
    """
    if file_format == "xlsx":
        yield from _workbook(content, max_characters)
        return
    text = _utf8(content)
    if isinstance(text, Record):
        yield text
    elif file_format == "json":
        yield from array(text, max_characters=max_characters)
    elif file_format == "jsonl":
        yield from lines(text, max_characters=max_characters)
    else:
        delimiter = {"csv": ",", "tsv": "\t"}[file_format]
        yield from delimited(text, delimiter=delimiter, max_characters=max_characters)


def _utf8(content: bytes) -> bytes | Record:
    """The text's bytes as UTF-8 without a mark, or what is wrong with the file."""
    mark, encoding = next((pair for pair in BYTE_ORDER_MARKS if content.startswith(pair[0])), (b"", "utf-8"))
    content = content.removeprefix(mark)
    if kind := next((name for magic, name in _KINDS if content.startswith(magic)), None):
        return file_fault("wrong_kind", f"the file is {kind}")
    if encoding != "utf-8":
        try:
            # Half a surrogate pair is passed on: it spoils its row, not the file.
            content = content.decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            return file_fault("not_utf8_file", f"the file begins as {encoding.upper()} and is not: {error.reason}")
    if not content.strip():
        return file_fault("empty_file", "the file holds no record")
    if content[:64].count(b"\0") > 8:
        return file_fault("not_utf8_file", "the file looks like UTF-16 or UTF-32 without a byte order mark")
    return content


def _workbook(content: bytes, max_characters: int) -> Iterator[Record]:
    if not content:
        yield file_fault("empty_file", "the file holds no byte")
    elif not content.startswith(b"PK\x03\x04"):
        kind = next((name for magic, name in _KINDS if content.startswith(magic)), "no workbook")
        yield file_fault("wrong_kind", f"the file is {kind}")
    else:
        try:
            checked_archive(content, _WORKBOOK)
        except Refused as refusal:
            yield file_fault(refusal.rule, refusal.detail)
            return
        yield from workbook(content, max_characters=max_characters)
