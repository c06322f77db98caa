"""Records → rows of the Spark frame, on the executors: ids, mapped fields, reasons."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from dolly.ingest.columns import instances, mapped
from dolly.ingest.listing import checksum
from dolly.ingest.loading import Loaded
from dolly.ingest.parse import records
from dolly.ingest.record import Record

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS = ("instruction", "input", "output", "group", "variant", "expected", "category")
# `rejected_id` is null in good rows: see `file_tag`.
RECORD_SCHEMA = (
    "uri string, checksum string, bytes bigint, record_id string, rejected_id string, position bigint, raw string, "
    "rule string, detail string, turns array<struct<role: string, content: string>>, "
    + ", ".join(f"`{name}` string" for name in TEXTS)
)
_NAMES = (
    *("uri", "checksum", "bytes", "record_id", "rejected_id", "position", "raw", "rule", "detail", "turns"),
    *TEXTS,
)
_BATCH_ROWS = 2_000
_BATCH_CHARACTERS = 16_000_000


class Reading(NamedTuple):
    """Settings for reading a source's records; plain values, which can be sent to the executors."""

    source: str
    file_format: str
    columns: dict[str, str | None]
    required: list[str]
    max_characters: int
    settings: str


class Batch(NamedTuple):
    """Records of one file or table, with the values that its rows share."""

    uri: str
    file_key: str
    checksum: str
    size: int | None
    records: Iterable[Record]


def file_tag(*, source: str, file_key: str, version: str, settings: str) -> str:
    """First part of the ids of a file's rejected rows, 16 hexadecimal digits.

    `rejected` has no column for the file. The tag identifies the file and its version, and so shows whether the rows
    belong to the file's current content.
    """
    return _sha256(f"{source}\0{file_key}\0{version}\0{settings}")[:16]


def masked_tag(tag: str, masking: str) -> str:
    """The tag of masked rows; it changes with the masking, so that the rows are written again.

    Args:
        tag: from `file_tag`.
        masking: hash of how rejected rows are masked; empty where they are not.
    """
    return _sha256(f"{tag}\0{masking}")[: len(tag)] if masking else tag


def record_rows(batch: Batch, reading: Reading) -> Iterator[tuple[Any, ...]]:
    """A row for each record of a file or table, in the order of `RECORD_SCHEMA`.

    An `id` that the data have is no key here: records that share one and differ are all kept.
    """
    tag = file_tag(source=reading.source, file_key=batch.file_key, version=batch.checksum, settings=reading.settings)
    field, columns, required = reading.columns.get("instances"), reading.columns, reading.required
    seen: Counter[bytes] = Counter()
    for whole in batch.records:
        for record in instances(whole, field) if field else (whole,):
            result = mapped(record, columns, required) if record.fields is not None else record
            # Equal records of one file stay apart by their count, so that none is lost before `clean`
            # calls it a duplicate, and keep their ids when others are inserted between them.
            content = hashlib.sha256(record.text.encode()).digest()
            seen[content] += 1
            record_id = _sha256(f"{reading.source}\0{batch.file_key}\0{content.hex()}\0{seen[content]}")
            head = (batch.uri, batch.checksum, batch.size, record_id)
            if isinstance(result, Record):
                position, _, raw, rule, detail = result
                yield (*head, tag + record_id[:48], position, raw, rule, detail, None, *_NO_TEXTS)
            else:
                texts = [result.get(name, "") for name in TEXTS]
                yield (*head, None, record.position, record.text, None, None, result.get("turns"), *texts)


def file_batch(file: Loaded, reading: Reading) -> Batch:
    """The records of a file, or its fault."""
    source_file = file.source_file
    if file.fault is not None:
        return Batch(source_file.uri, source_file.file_key, file.fault.rule or "", source_file.size, [file.fault])
    parsed = records(file.content, reading.file_format, max_characters=reading.max_characters)
    return Batch(source_file.uri, source_file.file_key, checksum(file.content), len(file.content), parsed)


def arrow_batches(
    rows: Iterable[tuple[Any, ...]], names: tuple[str, ...], *, types: dict[str, Any], text: str
) -> Iterator[pa.RecordBatch]:
    """Rows as Arrow batches.

    Args:
        rows: values in the order of `names`.
        names: the columns.
        types: Arrow types of the columns that are no strings.
        text: the column that may be long; its characters bound a batch too.
    """
    import pyarrow as pa

    schema = pa.schema([(name, types.get(name, pa.string())) for name in names])

    def batch(part: list[tuple[Any, ...]]) -> pa.RecordBatch:
        columns = zip(*part, strict=True)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    part: list[tuple[Any, ...]] = []
    column, characters = names.index(text), 0
    for row in rows:
        part.append(row)
        characters += len(row[column] or "")
        if len(part) == _BATCH_ROWS or characters > _BATCH_CHARACTERS:
            yield batch(part)
            part, characters = [], 0
    if part:
        yield batch(part)


def record_batches(rows: Iterable[tuple[Any, ...]]) -> Iterator[pa.RecordBatch]:
    """Rows of `RECORD_SCHEMA` as Arrow batches."""
    import pyarrow as pa

    turns = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    types = {"bytes": pa.int64(), "position": pa.int64(), "turns": turns}
    return arrow_batches(rows, _NAMES, types=types, text="raw")


_NO_TEXTS = (None,) * len(TEXTS)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
