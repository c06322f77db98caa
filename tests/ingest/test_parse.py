from __future__ import annotations

import csv
import io
import json
import random
import sys
from typing import Any

import pytest

from dolly.ingest.parse import FILE_RULES, records
from dolly.ingest.record import Record

FORMATS = ("json", "jsonl", "csv")
ROWS = [
    {"q": "Where is the gate?", "a": "North."},
    {"q": 'Is it "höher" than 3 m, or 4?', "a": "東京 😀 \u2028"},
    {"q": "", "a": "No."},
]


def written(rows: list[dict[str, str]], file_format: str) -> bytes:
    if file_format == "json":
        return json.dumps(rows, ensure_ascii=False, indent=1).encode()
    if file_format == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ["q", "a"], lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def read(content: bytes, file_format: str) -> list[Record]:
    return list(records(content, file_format))


def rules(found: list[Record]) -> list[str | None]:
    return [record.rule for record in found]


def assert_rows(found: list[Record], rows: list[dict[str, Any]] = ROWS) -> None:
    assert [record.fields for record in found] == rows
    assert [record.position for record in found] == list(range(len(rows)))
    assert set(rules(found)) <= {None}


def assert_file_fault(found: list[Record], rule: str) -> None:
    assert (found[-1].position, found[-1].fields, found[-1].rule) == (-1, None, rule)
    assert rule in FILE_RULES
    assert found[-1].detail


def with_fault(fault: bytes, file_format: str) -> bytes:
    """A file of three rows with `fault` in the middle one."""
    return written([ROWS[0], {"q": "which MARK", "a": "x"}, ROWS[2]], file_format).replace(b"MARK", fault)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("last", [b"\n", b""], ids=["end", "no end"])
@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
def test_good_rows_come_out_in_their_order(file_format: str, head: bytes, last: bytes, line_end: bytes) -> None:
    content = written(ROWS, file_format).rstrip(b"\n") + last
    assert_rows(read(head + content.replace(b"\n", line_end), file_format))


@pytest.mark.parametrize("file_format", ["jsonl", "csv"])
@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b"\n\n\n"])
def test_blank_lines_are_no_rows(file_format: str, blank: bytes) -> None:
    lines = written(ROWS, file_format).splitlines(keepends=True)
    assert_rows(read(blank + blank.join(lines) + blank, file_format))


def test_a_quoted_csv_field_may_hold_line_ends_commas_and_quotes() -> None:
    content = b'q,a\r\n"two\nlines","x, ""y"""\r\nplain,"\r\n"\r\n'
    assert_rows(read(content, "csv"), [{"q": "two\nlines", "a": 'x, "y"'}, {"q": "plain", "a": "\r\n"}])


def test_spaces_around_json_are_not_counted() -> None:
    assert_rows(read(b' \n[ {"a" : 1}\n ,\t{"a":2} ]\n ', "json"), [{"a": 1}, {"a": 2}])


@pytest.mark.parametrize("line", [b"{bad}", b'{"q": "cut', b"{'q': 1}", b'{"q": 1} {"q": 2}', b'{"q": 1,}', b"\xff"])
def test_a_bad_json_line_spoils_only_itself(line: bytes) -> None:
    found = read(b'{"q": "1"}\n' + line + b'\n{"q": "3"}\n', "jsonl")
    assert rules(found) == [None, "bad_json", None]
    assert [record.position for record in found] == [0, 1, 2]
    assert found[1].detail


@pytest.mark.parametrize(
    ("file_format", "content", "rule"),
    [
        ("jsonl", b'{"q": "1"}\n{"q": "2', "bad_json"),
        ("jsonl", b'{"q": "1"}\n{"q": "2"', "bad_json"),
        ("csv", b"q,a\n1,2\n3", "wrong_field_count"),
    ],
)
def test_a_truncated_last_line_is_a_bad_row(file_format: str, content: bytes, rule: str) -> None:
    assert rules(read(content, file_format)) == [None, rule]


@pytest.mark.parametrize(
    ("content", "whole"), [(b'q,a\n1,2\n3,"cut', 1), (b'q,a\n1,2\n3,"open\n5,6\n7,8\n', 1), (b'q,"a\n1,2\n3,4\n', 0)]
)
def test_a_csv_quote_that_is_never_closed_swallows_nothing_silently(content: bytes, whole: int) -> None:
    found = read(content, "csv")
    assert [record.fields for record in found if record.rule is None] == [{"q": "1", "a": "2"}] * whole
    assert found[-1].rule


@pytest.mark.parametrize("row", [b'"x"y,3', b'"x" ,3', b'x"y,3', b'x,"y"z"'])
def test_a_csv_row_with_odd_quotes_spoils_at_most_itself(row: bytes) -> None:
    found = read(b"q,a\n1,2\n" + row + b"\n5,6\n", "csv")
    assert [record.position for record in found] == [0, 1, 2]
    assert [found[0].fields, found[2].fields] == [{"q": "1", "a": "2"}, {"q": "5", "a": "6"}]


def test_an_array_cut_off_anywhere_is_a_truncated_file() -> None:
    content = written(ROWS, "json")
    for end in range(1, len(content)):
        *found, last = read(content[:end], "json")
        assert_file_fault([last], "truncated_file")
        assert_rows(found, ROWS[: len(found)])


@pytest.mark.parametrize(
    "content",
    [
        b'[{"a":1} {"a":2}]',
        b'[{"a":1},,{"a":2}]',
        b'[{"a":1}; {"a":2}]',
        b'[{"a":1}, nothing]',
        b'[{"a":1}]\n[{"a":2}]',
        b'[{"a":1}]\n{"a":2}',
        b'[{"a":1}]]',
    ],
)
def test_a_fault_between_or_after_records_is_told(content: bytes) -> None:
    found = read(content, "json")
    assert found[0].fields == {"a": 1}
    assert found[-1].rule in FILE_RULES


@pytest.mark.parametrize("content", [b"{}", b'"text"', b"17", b'{"q": 1}\n{"q": 2}\n', b"q,a\n1,2\n"])
def test_json_that_is_no_array_is_told(content: bytes) -> None:
    assert_file_fault(read(content, "json"), "not_an_array")


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("content", [b"", b"\n", b" \r\n\t\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_an_empty_file_is_told(file_format: str, content: bytes) -> None:
    assert_file_fault(read(content, file_format), "empty_file")


@pytest.mark.parametrize(
    ("file_format", "content"), [("json", b"[]"), ("json", b" [\n] "), ("csv", b"q,a\n"), ("csv", b"q,a\r\n\r\n")]
)
def test_a_file_without_rows_is_empty(file_format: str, content: bytes) -> None:
    assert_file_fault(read(content, file_format), "empty_file")


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-16-be", "utf-32-be"])
def test_another_unicode_encoding_with_its_mark_is_read(file_format: str, encoding: str) -> None:
    mark = "" if encoding in ("utf-16", "utf-32") else "\ufeff"
    assert_rows(read((mark + written(ROWS, file_format).decode()).encode(encoding), file_format))


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_another_unicode_encoding_that_is_cut_off_is_told(file_format: str, encoding: str) -> None:
    (found,) = read(written(ROWS, file_format).decode().encode(encoding)[:-1], file_format)
    assert_file_fault([found], "not_utf8_file")


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-be"])
def test_another_unicode_encoding_is_told(file_format: str, encoding: str) -> None:
    content = written(ROWS, file_format).decode().encode(encoding)
    (found,) = read(content, file_format)
    assert_file_fault([found], "not_utf8_file")


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("fault", ["größe".encode("latin-1"), b"\xed\xa0\x80", b"\xc3", b"\xf8\x88\x80\x80\x80"])
def test_bytes_that_are_not_utf_8_spoil_only_their_row(file_format: str, fault: bytes) -> None:
    found = read(with_fault(fault, file_format), file_format)
    assert rules(found) == [None, "not_utf8", None]
    assert [found[0].fields, found[2].fields] == [ROWS[0], ROWS[2]]
    assert "which" in found[1].text
    found[1].text.encode("utf-8")


@pytest.mark.parametrize("row", [b"\xff,2,3", b"\xff"])
def test_a_row_with_two_faults_can_still_be_stored(row: bytes) -> None:
    found = read(b"q,a\n1,2\n" + row + b"\n", "csv")
    assert rules(found) == [None, "wrong_field_count"]
    (found[1].text + found[1].detail).encode("utf-8")


@pytest.mark.parametrize("file_format", ["json", "jsonl"])
@pytest.mark.parametrize("fault", [rb"\ud800", rb"\udfff", rb"\ude00\ud83d"])
def test_half_a_surrogate_pair_spoils_only_its_row(file_format: str, fault: bytes) -> None:
    found = read(with_fault(fault, file_format), file_format)
    assert rules(found) == [None, "not_utf8", None]
    whole = read(with_fault(rb"\ud83d\ude00", file_format), file_format)
    assert whole[1].fields == {"q": "which 😀", "a": "x"}


def test_deep_nesting_is_a_bad_line() -> None:
    nested = b"[" * 10_000 + b"]" * 10_000
    found = read(b'{"q": "1"}\n{"q": ' + nested + b'}\n{"q": "3"}\n', "jsonl")
    assert rules(found) == [None, "bad_json", None]


@pytest.mark.parametrize("file_format", ["json", "jsonl"])
def test_no_depth_of_nesting_ends_the_reader(file_format: str) -> None:
    limit = sys.getrecursionlimit()
    for depth in (10_000, 100_000, *range(limit - 300, limit + 20)):
        row = b'{"q": ' + b"[" * depth + b"]" * depth + b"}"
        found = read(b"[" + row + b"]" if file_format == "json" else row, file_format)
        assert [bool(record.rule) for record in found] == [found[0].fields is None]


@pytest.mark.parametrize("file_format", ["json", "jsonl"])
def test_a_number_too_long_to_read_does_not_end_the_reader(file_format: str) -> None:
    row = b'{"q": ' + b"1" * 5_000 + b"}"
    found = read(b'[{"q": 1}, ' + row + b"]" if file_format == "json" else b'{"q": 1}\n' + row, file_format)
    assert found[0].fields == {"q": 1}
    assert found[1].rule


@pytest.mark.parametrize("file_format", ["json", "jsonl"])
@pytest.mark.parametrize("value", ["1", '"text"', "null", "true", '[{"q": 1}]'])
def test_a_record_that_is_no_object_is_a_bad_row(file_format: str, value: str) -> None:
    values = ['{"q": 1}', value, '{"q": 3}']
    content = f"[{', '.join(values)}]" if file_format == "json" else "\n".join(values)
    found = read(content.encode(), file_format)
    assert rules(found) == [None, "wrong_type", None]
    assert found[1].text == value


@pytest.mark.parametrize(("row", "count"), [(b"1", "1"), (b"1,2,3", "3"), (b"1,2,", "3")])
def test_a_csv_row_with_another_number_of_fields_is_a_bad_row(row: bytes, count: str) -> None:
    found = read(b"q,a\n1,2\n" + row + b"\n5,6\n", "csv")
    assert rules(found) == [None, "wrong_field_count", None]
    assert found[1].detail.startswith(count)
    assert found[2].fields == {"q": "5", "a": "6"}


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("seed", range(5))
def test_there_are_as_many_records_as_rows(file_format: str, seed: int) -> None:
    draw = random.Random(seed)
    letters = "ab \"',;{}[]\\/\n\r\t:ßé東😀\u2028\x85"
    rows = [
        {key: "".join(draw.choices(letters, k=draw.randrange(30))) for key in ("q", "a")}
        for _ in range(draw.randrange(1, 60))
    ]
    assert_rows(read(written(rows, file_format), file_format), rows)
