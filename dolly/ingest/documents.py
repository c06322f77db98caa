"""Files of documents → a Spark frame with a row for each document, parsed or refused.

Parsers of foreign formats crash, hang and grow: each Spark task has a sandboxed process for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dolly.ingest.convert import Limits, Refused
from dolly.ingest.listing import SourceFile, checksum
from dolly.ingest.loading import Loaded, files_frame
from dolly.ingest.record import printable
from dolly.ingest.rows import arrow_batches, file_tag
from dolly.ingest.sandbox import Sandbox

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

DOCUMENT_SCHEMA = (
    "uri string, checksum string, bytes bigint, document_id string, rejected_id string, position bigint, "
    "rule string, detail string, kind string, title string, text string, pages int, notes array<string>"
)
_NAMES = tuple(column.split()[0] for column in DOCUMENT_SCHEMA.split(", "))


def documents_frame(
    spark: SparkSession,
    files: list[SourceFile],
    *,
    source: str,
    settings: str,
    limits: Limits,
) -> DataFrame:
    """A row for each file.

    Args:
        spark: the session.
        files: what was found.
        source: the source's name, part of each document's id.
        settings: hash of how they are read.
        limits: what a parser may take for one of them.
    """

    def rows(loaded: Iterator[Loaded]) -> Iterator[tuple[Any, ...]]:
        with Sandbox(limits) as sandbox:
            for file in loaded:
                yield _row(file, sandbox, source, settings)

    def handle(loaded: Iterator[Loaded]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        types = {"bytes": pa.int64(), "position": pa.int64(), "pages": pa.int32(), "notes": pa.list_(pa.string())}
        return arrow_batches(rows(loaded), _NAMES, types=types, text="text")

    return files_frame(spark, files, handle, DOCUMENT_SCHEMA, max_bytes=limits.max_bytes)


def _row(file: Loaded, sandbox: Sandbox, source: str, settings: str) -> tuple[Any, ...]:
    source_file = file.source_file
    document_id = hashlib.sha256(f"{source}\0{source_file.file_key}".encode()).hexdigest()
    if file.fault is None:
        version, size = checksum(file.content), len(file.content)
        converted = sandbox.convert(file.content, source_file.uri)
        rule, detail = (converted.rule, converted.detail) if isinstance(converted, Refused) else (None, None)
    else:
        version, size, converted = file.fault.rule or "", source_file.size, None
        rule, detail = file.fault.rule, file.fault.detail
    if converted is None or isinstance(converted, Refused):
        tag = file_tag(source=source, file_key=source_file.file_key, version=version, settings=settings)
        nothing = (None,) * 5
        return (
            source_file.uri,
            version,
            size,
            document_id,
            tag + document_id[:48],
            -1,
            rule,
            printable(detail or ""),
            *nothing,
        )
    texts = (converted.kind, printable(converted.title), printable(converted.markdown))
    return (
        source_file.uri,
        version,
        size,
        document_id,
        None,
        0,
        None,
        None,
        *texts,
        converted.pages,
        list(converted.notes),
    )
