"""One source file → a Spark frame with a row for each record, good or bad."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dolly.errors import DataError
from dolly.ingest.parse import FILE_RULES, Record, mapped, records

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

_FIELDS = ("instruction", "input", "output", "group", "variant", "expected", "category")
_SCHEMA = "record_id string, position bigint, raw string, rule string, detail string, " + ", ".join(
    f"`{field}` string" for field in _FIELDS
)
_BATCH = 2_000


def read_records(
    spark: SparkSession,
    *,
    source: str,
    path: str,
    file_format: str,
    columns: dict[str, str | None],
    required: list[str],
) -> DataFrame:
    """Reads one file on the executors.

    Args:
        spark: the session.
        source: the source's name, part of each record's id.
        path: the file.
        file_format: `json`, `jsonl` or `csv`.
        columns: our field → the record's field, or None.
        required: fields that each record must have.

    Returns:
        A row a record: `record_id`, `position`, `raw`, the mapped fields, and for a bad one `rule`
        and `detail`.

    Raises:
        DataError: the file is missing, empty, cut off or of another shape as a whole.
    """
    if "://" not in path and not Path(path).is_file():
        raise DataError(
            found=f"no file {path}",
            expected=f"the {file_format} file of source {source}",
            fix=f"correct the path of sources.{source} or put the file there",
        )
    parse = _parser(source=source, file_format=file_format, columns=columns, required=required)
    # A path as it is, not percent-encoded; Spark would read []{}*? in it as a pattern.
    location = path if "://" in path else "file://" + re.sub(r"([\[\]{}*?\\])", r"\\\1", str(Path(path).resolve()))
    frame = spark.read.format("binaryFile").load(location).select("content").mapInArrow(parse, _SCHEMA)
    frame = frame.persist()
    _check_whole_file(frame, source=source, path=path, file_format=file_format, required=required)
    return frame


def _check_whole_file(frame: DataFrame, *, source: str, path: str, file_format: str, required: list[str]) -> None:
    counts = {row["rule"]: row["count"] for row in frame.groupBy("rule").count().collect()}
    fatal = next((rule for rule in FILE_RULES if rule in counts), None)
    if not counts:  # Spark gives a file of no bytes no row at all
        fatal = "empty_file"
    elif fatal is None and set(counts) == {"missing_field"}:
        fatal = "missing_field"
    if fatal is None:
        return
    row = frame.where(frame.rule == fatal).first()
    expected = {
        "empty_file": "at least one record",
        "not_utf8_file": "UTF-8 text",
        "not_an_array": "one JSON array of objects",
        "truncated_file": f"a whole {file_format} file",
        "doubled_column": "columns of different names",
        "missing_field": f"the columns {', '.join(required)}",
    }[fatal]
    fix = {
        "empty_file": "give another file or remove the source",
        "not_utf8_file": "convert it, e.g. iconv -t UTF-8",
        "not_an_array": "set format: jsonl for one object a line",
        "truncated_file": "copy or export the file again",
        "doubled_column": "rename one of them in the header",
        "missing_field": f"map the columns in sources.{source}.columns",
    }[fatal]
    raise DataError(found=f"{path}: {row['detail'] if row else 'the file holds no record'}", expected=expected, fix=fix)


def _parser(
    *, source: str, file_format: str, columns: dict[str, str | None], required: list[str]
) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """The function that the executors run; it holds plain values only, so that it can be sent."""

    def parse(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for content in batch.column("content"):
                seen: Counter[str] = Counter()
                rows: list[dict[str, Any]] = []
                for record in records(content.as_py(), file_format):
                    rows.append(_row(record, source, columns, required, seen))
                    if len(rows) == _BATCH:
                        yield _batch(rows)
                        rows = []
                if rows:
                    yield _batch(rows)

    return parse


def _row(
    record: Record,
    source: str,
    columns: dict[str, str | None],
    required: list[str],
    seen: Counter[str],
) -> dict[str, Any]:
    if record.fields is not None:
        result = mapped(record, columns, required)
        raw = json.dumps(record.fields, ensure_ascii=False, sort_keys=True)
    else:
        result, raw = record, record.text
    # Equal records of one source stay apart by their count, so that none is lost before `clean`
    # calls it a duplicate, and keep their ids when others are inserted between them.
    content = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()
    seen[content] += 1
    identity = hashlib.sha256(f"{source}\0{content}\0{seen[content]}".encode()).hexdigest()
    row: dict[str, Any] = {"record_id": identity, "position": record.position, "raw": raw}
    if isinstance(result, Record):
        return row | {"rule": result.rule, "detail": result.detail} | dict.fromkeys(_FIELDS)
    return row | {"rule": None, "detail": None} | result


def _batch(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    import pyarrow as pa

    names = ["record_id", "position", "raw", "rule", "detail", *_FIELDS]
    schema = pa.schema([(name, pa.int64() if name == "position" else pa.string()) for name in names])
    return pa.RecordBatch.from_pylist(rows, schema=schema)
