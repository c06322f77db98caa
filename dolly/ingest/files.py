"""Files of records → a Spark frame with a row for each record, good or bad."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dolly.errors import DataError
from dolly.ingest.listing import SourceFile, listed
from dolly.ingest.loading import Loaded, files_frame
from dolly.ingest.remote import remote_files
from dolly.ingest.rows import RECORD_SCHEMA, Reading, file_batch, record_batches, record_rows

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


def find(
    spark: Callable[[], SparkSession], *, source: str, path: str, suffixes: tuple[str, ...], max_bytes: int
) -> list[SourceFile]:
    """The files at a local or remote path, sorted by uri.

    Args:
        spark: gives the session; called only for a remote path.
        source: the source's name, for the message.
        path: a file or folder.
        suffixes: what the names of a folder's files end with.
        max_bytes: larger files are rejected.

    Raises:
        DataError: there is nothing.
    """
    if "://" in path:
        files = remote_files(spark(), path, suffixes=suffixes, max_bytes=max_bytes)
    else:
        files = listed(path, suffixes=suffixes, max_bytes=max_bytes)
    if not files:
        raise DataError(
            found=f"no file {path}",
            expected=f"the file or the folder with files of source {source}",
            fix=f"correct the path of sources.{source} or put the file there",
        )
    return files


def records_frame(
    spark: SparkSession,
    files: list[SourceFile],
    reading: Reading,
    *,
    max_bytes: int,
) -> DataFrame:
    """A row for each record."""

    def handle(loaded: Iterator[Loaded]) -> Iterator[pa.RecordBatch]:
        return record_batches(row for file in loaded for row in record_rows(file_batch(file, reading), reading))

    return files_frame(spark, files, handle, RECORD_SCHEMA, max_bytes=max_bytes)
