"""Ids: of the content, its file and its occurrence, and of nothing else."""

from __future__ import annotations

import json
from typing import Any

from dolly.ingest.listing import SourceFile
from dolly.ingest.loading import Loaded
from dolly.ingest.record import file_fault
from dolly.ingest.rows import Reading, file_batch, file_tag, record_batches, record_rows

READING = Reading("s", "jsonl", {"instruction": "q", "output": "a"}, ["q", "a"], 1000, "settings")


def rows(content: bytes, *, file_key: str = "f", reading: Reading = READING) -> list[dict[str, Any]]:
    batch = file_batch(Loaded(SourceFile("f", file_key, "/f"), content, None), reading)
    return [row for made in record_batches(record_rows(batch, reading)) for row in made.to_pylist()]


def lines(*records: Any) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def ids(found: list[dict[str, Any]]) -> list[str]:
    return [row["record_id"] for row in found]


ONE = {"id": 1, "q": "x", "a": "y"}


def test_an_id_of_the_data_is_no_key() -> None:
    found = rows(lines(ONE, ONE | {"a": "z"}, ONE))
    assert [row["output"] for row in found] == ["y", "z", "y"]
    assert len(set(ids(found))) == 3
    assert not any(row["rule"] for row in found)


def test_ids_depend_on_source_file_and_content_alone() -> None:
    (one,) = ids(rows(lines(ONE)))
    assert ids(rows(b'\n  {"a":"y", "q":"x","id":1}\r\n')) == [one]
    assert ids(rows(lines(ONE), reading=READING._replace(required=["q"], settings="other"))) == [one]
    assert ids(rows(lines(ONE), file_key="g")) != [one]
    assert ids(rows(lines(ONE), reading=READING._replace(source="t"))) != [one]


def test_rejected_rows_carry_the_tag_of_their_files_version() -> None:
    good, bad, again = rows(lines(ONE) + b"{bad\n{bad\n")
    assert good["rejected_id"] is None
    tag = file_tag(source="s", file_key="f", version=bad["checksum"], settings="settings")
    assert {bad["rejected_id"][:16], again["rejected_id"][:16]} == {tag}
    assert bad["rejected_id"] != again["rejected_id"]
    assert {len(bad["rejected_id"]), len(bad["record_id"])} == {64}
    assert rows(lines(ONE) + b"{bad\n")[1]["rejected_id"][:16] != tag


def test_a_file_without_bytes_has_its_rule_as_version() -> None:
    batch = file_batch(Loaded(SourceFile("f", "f", "/f", 7), b"", file_fault("unreadable", "no")), READING)
    (row,) = record_rows(batch, READING)
    assert row[:3] == ("f", "unreadable", 7)
    assert row[5:9] == (-1, "", "unreadable", "no")
