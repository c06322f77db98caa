"""What earlier runs have ingested, and what of it is no longer so.

A file is not read again if its bytes and settings equal those of its row in `bronze_files`. That row is
written last, and marked before other rows are overwritten, so that a killed run is noticed.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from dolly.ingest.rows import file_tag, masked_tag
from dolly.schema import BRONZE_FILES, REJECTED, Table
from dolly.tables import Tables

if TYPE_CHECKING:
    import pyarrow as pa

STAGE = "ingest"
# The checksum of a file while its rows are written.
_IN_PROGRESS = ""


class FileRow(NamedTuple):
    """A row of `bronze_files`; `size` in bytes, None for a table."""

    checksum: str
    size: int | None
    settings: str
    records: int
    rejected: int


class Difference(NamedTuple):
    """Uris of a source's files that must be read, were removed, or are unchanged."""

    read: frozenset[str]
    removed: frozenset[str]
    unchanged: frozenset[str]


class Rejections(NamedTuple):
    """A data set's rows of `rejected` that this stage wrote: tag → ids, source → rows of each rule."""

    ids: dict[str, list[str]]
    rules: dict[str, Counter[str]]


def known_files(tables: Tables, table: Table, *, dataset: str, source: str) -> dict[str, FileRow]:
    """uri → row of `bronze_files`, for one source; all in progress if `table` has another number of rows."""
    if not tables.exists(BRONZE_FILES):
        return {}
    names = ["uri", "checksum", "bytes", "settings", "records", "rejected"]
    rows = tables.read_arrow(BRONZE_FILES, columns=names, scope=dataset, source=source).to_pydict()
    known = {uri: FileRow(*values) for uri, *values in zip(*(rows[name] for name in names), strict=True)}
    stored = tables.rows(table, dataset=dataset, source=source) if tables.exists(table) else 0
    if stored == sum(row.records - row.rejected for row in known.values()):
        return known
    # The run was killed between the rows of new files and those of `bronze_files`.
    return {uri: in_progress(row) for uri, row in known.items()}


def rejections(tables: Tables, dataset: str) -> Rejections:
    """The data set's rejected rows of this stage, by the tag of their file and by source."""
    ids: dict[str, list[str]] = {}
    rules: dict[str, Counter[str]] = {}
    if tables.exists(REJECTED):
        names = ["example_id", "source", "rule"]
        rows = tables.read_arrow(REJECTED, columns=names, scope=dataset, stage=STAGE).to_pydict()
        for example, source, rule in zip(*(rows[name] for name in names), strict=True):
            ids.setdefault(example[:16], []).append(example)
            rules.setdefault(source, Counter())[rule] += 1
    return Rejections(ids, rules)


def difference(
    *,
    source: str,
    file_keys: Mapping[str, str],
    versions: Mapping[str, str],
    settings: str,
    known: Mapping[str, FileRow],
    earlier: Rejections,
    masking: str = "",
) -> Difference:
    """Compares a source's files with `bronze_files`.

    Args:
        source: the source's name.
        file_keys: uri → key of each file.
        versions: uri → checksum of the files that may be unchanged.
        settings: hash of the settings for reading them.
        known: the source's rows of `bronze_files`, by uri.
        earlier: the data set's rejected rows.
        masking: hash of how rejected rows are masked; empty where they are not.
    """
    read: set[str] = set()
    unchanged: set[str] = set()
    for uri, file_key in file_keys.items():
        row = known.get(uri)
        if row is None or row.settings != settings or not row.checksum or row.checksum != versions.get(uri):
            read.add(uri)
            continue
        tag = file_tag(source=source, file_key=file_key, version=row.checksum, settings=settings)
        (unchanged if len(earlier.ids.get(masked_tag(tag, masking), ())) == row.rejected else read).add(uri)
    removed = known.keys() - file_keys.keys()
    return Difference(frozenset(read), frozenset(removed), frozenset(unchanged))


def in_progress(row: FileRow) -> FileRow:
    """Marks a file's row before the file's rows are overwritten, or if they can't be trusted."""
    return row._replace(checksum=_IN_PROGRESS)


def files_rows(rows: Mapping[tuple[str, str], FileRow], *, dataset: str) -> pa.Table:
    """Rows of `bronze_files`, by (source, uri)."""
    import pyarrow as pa

    keys, values = list(rows), list(rows.values())
    now = dt.datetime.now(dt.UTC)
    columns = {
        "dataset": pa.array([dataset] * len(keys), pa.string()),
        "source": pa.array([source for source, _ in keys], pa.string()),
        "uri": pa.array([uri for _, uri in keys], pa.string()),
        "checksum": pa.array([row.checksum for row in values], pa.string()),
        "bytes": pa.array([row.size for row in values], pa.int64()),
        "settings": pa.array([row.settings for row in values], pa.string()),
        "records": pa.array([row.records for row in values], pa.int64()),
        "rejected": pa.array([row.rejected for row in values], pa.int64()),
        "arrived_at": pa.array([now] * len(keys), pa.timestamp("us", tz="UTC")),
    }
    return pa.table(columns)


def key_rows(names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> pa.Table:
    """Rows of texts."""
    import pyarrow as pa

    columns = list(zip(*rows, strict=True)) or [()] * len(names)
    arrays = {name: pa.array(list(values), pa.string()) for name, values in zip(names, columns, strict=True)}
    return pa.table(arrays)
