"""Loads files on the executors, in tasks of nearly equal size.

Local files are opened by their path, with any name; Spark reads those of a remote store (a path with
"://").
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from dolly.ingest.listing import SourceFile, open_regular, reason
from dolly.ingest.record import Record, file_fault
from dolly.ingest.remote import remote_contents

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

_TASKS_PER_CORE = 4
_BYTES_PER_TASK = 32 << 20


class Loaded(NamedTuple):
    """A file's bytes, or the fault that prevented reading it."""

    source_file: SourceFile
    content: bytes
    fault: Record | None


Handler = Callable[[Iterator[Loaded]], "Iterator[pa.RecordBatch]"]


def files_frame(
    spark: SparkSession, files: list[SourceFile], handle: Handler, schema: str, *, max_bytes: int
) -> DataFrame:
    """The rows that `handle` makes of the files.

    Args:
        spark: the session.
        files: local and remote ones, at least one.
        handle: called once a task with that task's files, one by one.
        schema: of the rows.
        max_bytes: a file that has grown beyond it is not read.
    """
    local = [file for file in files if "://" not in file.path or file.rule]
    remote = {file.path: file for file in files if "://" in file.path and not file.rule}
    groups = balanced(local, tasks=_tasks(spark, local))

    def read_local(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tasks = (task for batch in batches for task in batch.column("id").to_pylist())
        return handle(load(file, max_bytes) for task in tasks for file in groups[task])

    def read_remote(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        pairs = (
            pair
            for batch in batches
            for pair in zip(batch.column("path").to_pylist(), batch.column("content"), strict=True)
        )
        return handle(Loaded(remote[path], content.as_py(), None) for path, content in pairs)

    frames = []
    if groups:
        frames.append(spark.range(0, len(groups), 1, len(groups)).mapInArrow(read_local, schema))
    if remote:
        frames.append(remote_contents(spark, list(remote)).mapInArrow(read_remote, schema))
    return frames[0] if len(frames) == 1 else frames[0].unionByName(frames[1])


def balanced(files: list[SourceFile], *, tasks: int) -> list[list[SourceFile]]:
    """The files in at most `tasks` groups of nearly equal size (largest first, to the lightest group)."""
    groups: list[list[SourceFile]] = [[] for _ in range(min(tasks, len(files)))]
    weights = [(0, group) for group in range(len(groups))]
    for file in sorted(files, key=lambda entry: (-entry.size, entry.uri)):
        weight, group = heapq.heappop(weights)
        groups[group].append(file)
        heapq.heappush(weights, (weight + file.size + 1, group))
    return groups


def load(file: SourceFile, max_bytes: int) -> Loaded:
    """Reads a local file."""
    if file.rule is not None:
        return Loaded(file, b"", file_fault(file.rule, file.detail))
    try:
        with os.fdopen(open_regular(file.path), "rb") as stream:
            content = stream.read(max_bytes + 1)
    except OSError as error:
        return Loaded(file, b"", file_fault("unreadable", reason(error)))
    if len(content) > max_bytes:
        return Loaded(file, b"", file_fault("file_too_large", f"it has grown to more than {max_bytes:,} bytes"))
    return Loaded(file, content, None)


def _tasks(spark: SparkSession, files: list[SourceFile]) -> int:
    cores = spark.sparkContext.defaultParallelism
    return max(cores * _TASKS_PER_CORE, sum(file.size for file in files) // _BYTES_PER_TASK)
