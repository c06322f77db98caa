"""Files on the executors: every row comes out once, with an id that other rows don't move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dolly.errors import DataError
from dolly.ingest.faults import require_usable
from dolly.ingest.files import find, records_frame
from dolly.ingest.parse import SUFFIXES
from dolly.ingest.rows import Reading

pytestmark = pytest.mark.spark

COLUMNS: dict[str, str | None] = dict.fromkeys(["input", "group", "variant", "expected", "category"])
COLUMNS |= {"instruction": "q", "output": "a"}


def read(spark: Any, path: Path, content: str | bytes, file_format: str = "jsonl") -> list[Any]:
    """What the stage does for one source, without the tables."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    reading = Reading("s", file_format, COLUMNS, ["q", "a"], 5_000_000, settings="")
    files = find(lambda: spark, source="s", path=str(path), suffixes=SUFFIXES[file_format], max_bytes=1 << 20)
    frame = records_frame(spark, files, reading, max_bytes=1 << 20).persist()
    counts = {row["rule"]: row["count"] for row in frame.groupBy("rule").count().collect()}
    told = {"source": "s", "file_format": file_format, "required": reading.required, "path": str(path)}
    require_usable(frame, counts, one_file=not files[0].file_key, **told)
    return sorted(frame.collect(), key=lambda row: row["position"])


def lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_rows_come_out_good_or_with_a_reason(spark: Any, tmp_path: Path) -> None:
    content = lines({"q": "1", "a": "x"}, {"q": "2"}, {"q": "3", "a": 4}).encode() + b'{"q": "\xff", "a": ""}\n{"q"'
    rows = read(spark, tmp_path / "my [file] é%20*.jsonl", content)
    assert [row["rule"] for row in rows] == [None, "missing_field", "wrong_type", "not_utf8", "bad_json"]
    assert rows[0]["output"] == "x"
    assert "4" in rows[2]["raw"]


def test_equal_records_keep_ids_of_their_own(spark: Any, tmp_path: Path) -> None:
    rows = read(spark, tmp_path / "f.jsonl", lines(*[{"q": "1", "a": "x"}] * 3))
    assert len({row["record_id"] for row in rows}) == 3


def test_an_inserted_row_changes_no_other_id(spark: Any, tmp_path: Path) -> None:
    one, two, new = ({"q": str(i), "a": "x"} for i in range(3))
    before = {row["record_id"] for row in read(spark, tmp_path / "f.jsonl", lines(one, two))}
    after = {row["record_id"] for row in read(spark, tmp_path / "g.jsonl", lines(one, new, two))}
    assert before < after
    assert len(after) == 3


@pytest.mark.parametrize(
    ("content", "file_format", "message"),
    [
        (b"", "jsonl", "holds no record"),
        (b"[]", "json", "no record"),
        (b'[{"q": "1", "a": "x"}, {"q"', "json", r"record 1 can't be read.*copy or export"),
        (b'{"q": "1", "a": "x"}', "json", r"one JSON array.*format: jsonl"),
        ("question,answer\n1,x\n".encode("utf-16-le"), "csv", "UTF-8"),
        (b"question,answer\n1,x\n", "csv", r"no q, a; fields: answer, question.*map the columns"),
        (b"q,a\n", "csv", "header and no record"),
    ],
)
def test_a_file_that_is_unusable_as_a_whole_stops_the_run(
    spark: Any, tmp_path: Path, content: bytes, file_format: str, message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(spark, tmp_path / "f", content, file_format)
    assert "\n" not in str(caught.value)


def test_a_missing_file_names_the_source(spark: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*nowhere\.json; .*source s"):
        find(lambda: spark, source="s", path=str(tmp_path / "nowhere.json"), suffixes=(), max_bytes=1)
