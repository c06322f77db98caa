"""What Python's JSON reader would let pass, lose or stumble over."""

from __future__ import annotations

import json

import pytest

from dolly.accounting import CUT_MARGIN, TEXT_CHARACTERS
from dolly.ingest.parse import records
from dolly.ingest.record import Record

FORMATS = ("json", "jsonl")


def read(rows: list[str], file_format: str, **limits: int) -> list[Record]:
    content = f"[{', '.join(rows)}]" if file_format == "json" else "\n".join(rows)
    return list(records(content.encode("utf-8", "surrogatepass"), file_format, **limits))


def assert_only_the_middle_is_bad(found: list[Record], rule: str) -> None:
    assert [record.rule for record in found] == [None, rule, None]
    assert [record.position for record in found] == [0, 1, 2]
    assert [found[0].fields, found[2].fields] == [{"q": 1}, {"q": 3}]
    assert found[1].detail


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ('{"q": 1, "q": 2}', "duplicate_key"),
        ('{"q": [{"a": 1, "b": 2, "a": 1}]}', "duplicate_key"),
        (r'{"q": 1, "\u0071": 2}', "duplicate_key"),
        ('{"q": NaN}', "not_json_number"),
        ('{"q": [-Infinity]}', "not_json_number"),
        ('{"q": 1e999}', "not_json_number"),
        ('{"q": ' + "[" * 10_000 + "]" * 10_000 + "}", "bad_json"),
        ('{"q": ' + "[" * 101 + "]" * 101 + "}", "bad_json"),
        ('{"q": ' + '{"a": ' * 500 + "1" + "}" * 501, "bad_json"),
        ('{"q": ' + "1" * 5_000 + "}", "bad_json"),
        ("1" * 5_000, "bad_json"),
        ('{"q": "' + "x" * 2_000 + '"}', "record_too_large"),
        ('{"q": "\ud800"}', "not_utf8"),
        (r'{"\udc00": 1}', "not_utf8"),
    ],
)
def test_a_fault_spoils_only_its_record(file_format: str, row: str, rule: str) -> None:
    found = read(['{"q": 1}', row, '{"q": 3}'], file_format, max_characters=25_000 if rule == "bad_json" else 1_000)
    assert_only_the_middle_is_bad(found, rule)
    assert len(found[1].text) <= TEXT_CHARACTERS + CUT_MARGIN


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_only_looks_like_a_fault_is_read(file_format: str) -> None:
    rows: list[object] = [
        {"q": '{"q": 1, "q": 2}', "a": "[" * 500},
        {"NaN": "Infinity", "q": 1e300},
        {"turns": [{"from": "human", "value": "{"}] * 300},
        {"q": "zero\u200bwidth \u202eturned \x00 nul \ufeff"},
    ]
    found = read([json.dumps(row) for row in rows], file_format)
    assert [record.fields for record in found] == rows


def test_the_canonical_text_does_not_depend_on_how_the_file_is_written() -> None:
    (one,) = read(['{"b": "\\u00e9", "a": [1, 2]}'], "json")
    (two,) = read(['  {"a":[1,2],"b":"é"}\r'], "jsonl")
    assert one.text == two.text == '{"a": [1, 2], "b": "é"}'


def test_a_field_of_a_hundred_megabytes_is_one_short_refusal() -> None:
    found = read(['{"q": 1}', '{"q": "' + "x" * 100_000_000 + '"}', '{"q": 3}'], "jsonl")
    assert_only_the_middle_is_bad(found, "record_too_large")
    assert len(found[1].text) <= TEXT_CHARACTERS + CUT_MARGIN
