from __future__ import annotations

import datetime as dt
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest

from dolly.ingest.parse import records
from dolly.ingest.record import Record


def book(*rows: list[object], more: dict[str, bytes] | None = None) -> bytes:
    made = openpyxl.Workbook()
    for row in rows:
        made.active.append(row)
    made.create_sheet("second").append(["not", "read"])
    buffer = io.BytesIO()
    made.save(buffer)
    return rewritten(buffer.getvalue(), more or {})


def rewritten(content: bytes, parts: dict[str, bytes]) -> bytes:
    """The archive with some parts replaced or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, parts.pop(name, None) or old.read(name))
        for name, part in parts.items():
            new.writestr(name, part)
    return buffer.getvalue()


def part(content: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name)


def read(content: bytes, file_format: str = "xlsx") -> list[Record]:
    return list(records(content, file_format))


def rules(content: bytes) -> list[str | None]:
    return [record.rule for record in read(content)]


def test_cells_become_text_and_an_empty_one_null() -> None:
    when = dt.datetime(2026, 3, 1, 12, 30)
    found = read(book(["q", "a", "n"], ["Wo?", "東京\nhier", 42], [None, None, None], ["When?", when, 2.5], ["x"]))
    assert [record.fields for record in found] == [
        {"q": "Wo?", "a": "東京\nhier", "n": "42"},
        {"q": "When?", "a": "2026-03-01T12:30:00", "n": "2.5"},
        {"q": "x", "a": None, "n": None},
    ]
    assert [record.position for record in found] == [0, 1, 2]


def test_of_a_formula_the_stored_result_is_read() -> None:
    content = book(["q", "a"], ["sum", "=1+1"], ["none", "=1+1"])
    sheet = part(content, "xl/worksheets/sheet1.xml")
    assert sheet.count(b"<v />") + sheet.count(b"<v></v>") == 2
    sheet = sheet.replace(b"<v />", b"<v>2</v>", 1).replace(b"<v></v>", b"<v>2</v>", 1)
    found = read(rewritten(content, {"xl/worksheets/sheet1.xml": sheet}))
    assert [record.fields for record in found] == [{"q": "sum", "a": "2"}, {"q": "none", "a": None}]


def test_a_wrong_size_in_the_file_hides_no_row() -> None:
    content = book(["q", "a"], ["1", "x"], ["2", "y"])
    sheet = part(content, "xl/worksheets/sheet1.xml")
    assert b'ref="A1:B3"' in sheet
    found = read(rewritten(content, {"xl/worksheets/sheet1.xml": sheet.replace(b'ref="A1:B3"', b'ref="A1:A1"')}))
    assert [record.fields for record in found] == [{"q": "1", "a": "x"}, {"q": "2", "a": "y"}]


def test_a_row_with_more_cells_than_the_header_is_bad() -> None:
    assert rules(book(["q", "a"], ["1", "x", "more"], ["2", "y"])) == ["wrong_field_count", None]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "empty_file"),
        (b"q,a\n1,2\n", "wrong_kind"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "wrong_kind"),
        (b"PK\x03\x04 and no archive", "damaged_file"),
        (book(["q", "q"], ["1", "x"]), "doubled_column"),
        (book(["q", "a"]), "empty_file"),
        (book(), "empty_file"),
        (book(["q"], ["1"])[:-400], "damaged_file"),
        (book(["q"], ["1"], more={"xl/media/zeros.xml": b" " * 80_000_000}), "zip_bomb"),
        (book(["q"], ["1"], more={"xl/workbook.xml": b"<workbook/>"}), "empty_file"),
        (book(["q"], ["1"], more={"[Content_Types].xml": b"<Types/>"}), "bad_xlsx"),
        (book(["q"], ["1"], more={"xl/worksheets/sheet1.xml": b"<worksheet>"}), "damaged_file"),
        (
            book(["q"], ["1"], more={"xl/x.xml": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'}),
            "unsafe_xml",
        ),
        (book(["q"], ["1"], more={"../outside.xml": b"<x/>"}), "damaged_file"),
    ],
)
def test_an_unusable_workbook_is_one_fault(content: bytes, rule: str) -> None:
    (found,) = read(content)
    assert (found.position, found.rule) == (-1, rule)
    assert found.detail


def test_tab_separated_text() -> None:
    found = read('q\ta\n1, or 2\t"x\ty"\n3\n'.encode("utf-16"), "tsv")
    assert [record.fields for record in found] == [{"q": "1, or 2", "a": "x\ty"}, None]
    assert found[1].rule == "wrong_field_count"


def test_csv_with_nul_and_marks_of_direction_is_read(tmp_path: Path) -> None:
    (found,) = read("q,a\n\u202eturned\u200b,nul\0\n".encode(), "csv")
    assert found.fields == {"q": "\u202eturned\u200b", "a": "nul\0"}


@pytest.mark.parametrize("file_format", ["json", "jsonl", "csv", "tsv"])
@pytest.mark.parametrize("content", [b"PK\x03\x04...", b"%PDF-1.7 ...", b"\x1f\x8b\x08...", b"\x89PNG\r\n", b"PAR1..."])
def test_a_file_of_another_kind_is_told(content: bytes, file_format: str) -> None:
    (found,) = read(content, file_format)
    assert (found.position, found.rule) == (-1, "wrong_kind")
