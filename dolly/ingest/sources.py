"""Opens a source of the config: lists its files and builds the frame of its rows."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dolly.config_data import Ingest, Source
from dolly.ingest import warehouse
from dolly.ingest.arrow_folder import download
from dolly.ingest.files import find, records_frame
from dolly.ingest.listing import SourceFile, checksums
from dolly.ingest.parse import SUFFIXES
from dolly.ingest.remote import remote_checksums
from dolly.ingest.rows import Reading
from dolly.ingest.state import FileRow
from dolly.schema import BRONZE_DOCUMENTS, BRONZE_EXAMPLES, Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Incremented when the same bytes give other rows, so that all files are read again.
_PARSER = 1
_LIMITS_OF_RECORDS = {"max_file_megabytes", "max_record_characters"}

Frame = Callable[[frozenset[str]], "DataFrame"]


class Opened(NamedTuple):
    """The current state of a source.

    `file_keys`: uri → key of each file; `versions`: uri → checksum of files that may be unchanged;
    `frame`: builds the rows of the uris to read.
    """

    file_keys: dict[str, str]
    versions: dict[str, str]
    frame: Frame
    one_file: bool


def settings_hash(source: Source, limits: Ingest) -> str:
    """Hash of everything besides a file's bytes that determines its rows."""
    documents = source.holds_documents
    others = {"max_record_characters"} if documents else set(Ingest.model_fields) - _LIMITS_OF_RECORDS
    parts = {
        "parser": _PARSER,
        "format": source.format,
        "split": source.split,
        "visibility": source.visibility,
        "columns": None if documents else source.columns.model_dump(),
        "limits": limits.model_dump(exclude=others),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def target(source: Source) -> Table:
    """The table for the source's rows."""
    return BRONZE_DOCUMENTS if source.holds_documents else BRONZE_EXAMPLES


def open_source(
    spark: Callable[[], SparkSession],
    source: Source,
    *,
    limits: Ingest,
    known: Mapping[str, FileRow],
    settings: str,
    allow_network: bool,
    scratch: ExitStack,
) -> Opened:
    """Lists a source's files, and hashes those that may be unchanged.

    Args:
        spark: returns the session; not called for local files.
        source: the source.
        limits: limits of files and records.
        known: the source's rows of `bronze_files`, by uri.
        settings: from `settings_hash`.
        allow_network: may a hub be asked?
        scratch: closed when the rows are written.

    Raises:
        DataError: there is nothing, or it can't be read.
        UsageError: the config forbids it.
    """
    if source.holds_documents or source.format in SUFFIXES:
        return _files(spark, source, limits, known, settings)
    # Spark would otherwise use a cached table of the same location, even if it has changed.
    scratch.callback(spark().catalog.clearCache)
    snapshot = _snapshot(spark(), source, allow_network, scratch)
    reading = _reading(source, limits, settings)

    def frame(_: frozenset[str]) -> DataFrame:
        return warehouse.table_frame(snapshot, reading)

    return Opened({snapshot.uri: ""}, {snapshot.uri: snapshot.checksum}, frame, one_file=False)


def _files(
    spark: Callable[[], SparkSession], source: Source, limits: Ingest, known: Mapping[str, FileRow], settings: str
) -> Opened:
    documents = source.holds_documents
    if documents:
        from dolly.ingest.convert import SUFFIXES as DOCUMENTS

        suffixes = tuple(sorted(DOCUMENTS))
    else:
        suffixes = SUFFIXES[source.format]
    max_bytes = limits.max_file_megabytes << 20
    listing = find(spark, source=source.name, path=source.path, suffixes=suffixes, max_bytes=max_bytes)

    def frame(read: frozenset[str]) -> DataFrame:
        files = [file for file in listing if file.uri in read]
        if documents:
            return _documents(spark(), files, source, limits, settings)
        return records_frame(spark(), files, _reading(source, limits, settings), max_bytes=max_bytes)

    same = [
        file for file in listing if (row := known.get(file.uri)) and (row.settings, row.size) == (settings, file.size)
    ]
    return Opened(
        {file.uri: file.file_key for file in listing},
        _versions(spark, same),
        frame,
        one_file=not documents and not listing[0].file_key,
    )


def _versions(spark: Callable[[], SparkSession], files: list[SourceFile]) -> dict[str, str]:
    remote = [file for file in files if "://" in file.path and not file.rule]
    local = [file for file in files if "://" not in file.path or file.rule]
    return checksums(local) | (remote_checksums(spark(), remote) if remote else {})


def _documents(
    spark: SparkSession, files: list[SourceFile], source: Source, limits: Ingest, settings: str
) -> DataFrame:
    from dolly.ingest.convert import Limits
    from dolly.ingest.documents import documents_frame

    each = Limits(
        max_bytes=limits.max_file_megabytes << 20,
        max_pages=limits.max_pages,
        max_seconds=limits.max_seconds,
        max_memory_bytes=limits.max_memory_megabytes << 20,
        max_characters=limits.max_document_characters,
    )
    return documents_frame(spark, files, source=source.name, settings=settings, limits=each)


def _reading(source: Source, limits: Ingest, settings: str) -> Reading:
    columns = source.columns
    return Reading(
        source=source.name,
        file_format=source.format,
        columns={name: getattr(columns, name) for name in type(columns).model_fields},
        required=columns.required(),
        max_characters=limits.max_record_characters,
        settings=settings,
    )


def _snapshot(spark: SparkSession, source: Source, allow_network: bool, scratch: ExitStack) -> warehouse.Snapshot:
    if source.format == "delta":
        return warehouse.delta_table(spark, source.path, source.version)
    if source.format == "parquet":
        return warehouse.parquet_files(spark, source.path)
    if source.format == "jdbc" and source.jdbc is not None:
        return warehouse.database_table(spark, **source.jdbc.model_dump())
    if source.format == "datasets":
        return warehouse.saved_dataset(spark, source.path, source.split)
    folder = Path(
        scratch.enter_context(tempfile.TemporaryDirectory(prefix="dolly-hub-")), source.path.replace("/", "_")
    )
    download(source.path, source.split, folder, allow_network=allow_network)
    return warehouse.saved_dataset(spark, str(folder), source.split)
