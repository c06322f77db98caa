"""A list of files → their bytes on the executors, spread over tasks of nearly equal size.

Local files are opened by their path, whatever their names are; those of a remote store (a path with
"://") are read by Spark, which knows the object stores.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from dolly.ingest.listing import Found, open_regular, reason
from dolly.ingest.record import Record, file_fault
from dolly.ingest.remote import remote_contents

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

_TASKS_PER_CORE = 4
_BYTES_PER_TASK = 32 << 20


class Loaded(NamedTuple):
    """A file's bytes, or the fault for which there are none."""

    found: Found
    content: bytes
    fault: Record | None


Handler = Callable[[Iterator[Loaded]], "Iterator[pa.RecordBatch]"]


def files_frame(spark: SparkSession, files: list[Found], handle: Handler, schema: str, *, max_bytes: int) -> DataFrame:
    """The rows that `handle` makes of the files.

    Args:
        spark: the session.
        files: local and remote ones, at least one.
        handle: called once a task with that task's files, one by one.
        schema: of the rows.
        max_bytes: a file that has grown beyond it is not read.
    """
    local = [one for one in files if "://" not in one.path or one.rule]
    remote = {one.path: one for one in files if "://" in one.path and not one.rule}
    groups = balanced(local, tasks=_tasks(spark, local))

    def read_local(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        tasks = (task for batch in batches for task in batch.column("id").to_pylist())
        return handle(load(one, max_bytes) for task in tasks for one in groups[task])

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


def balanced(files: list[Found], *, tasks: int) -> list[list[Found]]:
    """The files in at most `tasks` groups of nearly equal size (largest first, to the lightest group)."""
    groups: list[list[Found]] = [[] for _ in range(min(tasks, len(files)))]
    weights = [(0, group) for group in range(len(groups))]
    for file in sorted(files, key=lambda one: (-one.size, one.uri)):
        weight, group = heapq.heappop(weights)
        groups[group].append(file)
        heapq.heappush(weights, (weight + file.size + 1, group))
    return groups


def load(found: Found, max_bytes: int) -> Loaded:
    """Reads a local file."""
    if found.rule is not None:
        return Loaded(found, b"", file_fault(found.rule, found.detail))
    try:
        with os.fdopen(open_regular(found.path), "rb") as stream:
            content = stream.read(max_bytes + 1)
    except OSError as error:
        return Loaded(found, b"", file_fault("unreadable", reason(error)))
    if len(content) > max_bytes:
        return Loaded(found, b"", file_fault("file_too_large", f"it has grown to more than {max_bytes:,} bytes"))
    return Loaded(found, content, None)


def _tasks(spark: SparkSession, files: list[Found]) -> int:
    cores = spark.sparkContext.defaultParallelism
    return max(cores * _TASKS_PER_CORE, sum(one.size for one in files) // _BYTES_PER_TASK)
