"""Opens a source of the config: lists its files and builds the frame of its rows."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

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


class OpenSource(Protocol):
    """The current state of a source."""

    @property
    def file_keys(self) -> dict[str, str]:
        """Uri → key of each file."""

    @property
    def versions(self) -> dict[str, str]:
        """Uri → checksum of the files that may be unchanged."""

    @property
    def one_file(self) -> bool:
        """Is the source one file of records?"""

    def rows(self, uris: frozenset[str]) -> DataFrame:
        """A row for each record or document of these files, good or bad."""


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
) -> OpenSource:
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
        listing = find(
            spark,
            source=source.name,
            path=source.path,
            suffixes=_suffixes(source),
            max_bytes=limits.max_file_megabytes << 20,
        )
        same = [file for file in listing if _may_be_unchanged(file, known, settings)]
        return _Files(spark, source, limits, settings, listing, _versions(spark, same))
    # Spark would otherwise use a cached table of the same location, even if it has changed.
    scratch.callback(spark().catalog.clearCache)
    return _Table(_snapshot(spark(), source, allow_network, scratch), _reading(source, limits, settings))


@dataclass(frozen=True)
class _Files:
    """Files of records or documents."""

    spark: Callable[[], SparkSession]
    source: Source
    limits: Ingest
    settings: str
    listing: list[SourceFile]
    versions: dict[str, str]

    @property
    def file_keys(self) -> dict[str, str]:
        return {file.uri: file.file_key for file in self.listing}

    @property
    def one_file(self) -> bool:
        return not self.source.holds_documents and not self.listing[0].file_key

    def rows(self, uris: frozenset[str]) -> DataFrame:
        files = [file for file in self.listing if file.uri in uris]
        if self.source.holds_documents:
            return _documents(self.spark(), files, self.source, self.limits, self.settings)
        reading = _reading(self.source, self.limits, self.settings)
        return records_frame(self.spark(), files, reading, max_bytes=self.limits.max_file_megabytes << 20)


@dataclass(frozen=True)
class _Table:
    """A table of a warehouse or a database, which is read whole."""

    snapshot: warehouse.Snapshot
    reading: Reading
    one_file = False

    @property
    def file_keys(self) -> dict[str, str]:
        return {self.snapshot.uri: ""}

    @property
    def versions(self) -> dict[str, str]:
        return {self.snapshot.uri: self.snapshot.checksum}

    def rows(self, _: frozenset[str]) -> DataFrame:
        return warehouse.table_frame(self.snapshot, self.reading)


def _suffixes(source: Source) -> tuple[str, ...]:
    """What the names of the source's files end with."""
    if not source.holds_documents:
        return SUFFIXES[source.format]
    from dolly.ingest.convert import SUFFIXES as DOCUMENTS

    return tuple(sorted(DOCUMENTS))


def _may_be_unchanged(file: SourceFile, known: Mapping[str, FileRow], settings: str) -> bool:
    row = known.get(file.uri)
    return row is not None and (row.settings, row.size) == (settings, file.size)


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
