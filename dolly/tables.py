"""The only module that reads or writes Delta.

Spark jobs read and write through `read` and `sync`; processes without a JVM (training, evaluation,
`dolly tables`) through `read_arrow` and `insert_new`. Every write is one Delta commit that can be
repeated: rows are matched by the table's key, and a commit that would change nothing is not made.
On a local disk Delta's commit is safe only within one process, so writers take a lock per table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from dolly.errors import DataError
from dolly.schema import TABLES, Table

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

# Columns that tell when or by whom a row was first written: kept as they are, never compared.
_VOLATILE = {"arrived_at", "run_id"}
# The trainer's reader knows neither, and the tables are small enough to do without.
_PROPERTIES = {"delta.enableDeletionVectors": "false", "delta.columnMapping.mode": "none"}


@dataclass(frozen=True)
class Changes:
    """What a write did; `version` is the table's version after it."""

    version: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    def __str__(self) -> str:
        return f"+{self.inserted} ~{self.updated} -{self.deleted} rows, version {self.version}"


@dataclass(frozen=True)
class Overview:
    """One line of `dolly tables`; `size` in bytes."""

    name: str
    version: int
    rows: int
    size: int
    last_writer: str


class Tables:
    """The Delta tables under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, table: Table) -> Path:
        return self.root / table.name

    def exists(self, table: Table) -> bool:
        return (self.path(table) / "_delta_log").is_dir()

    def version(self, table: Table) -> int:
        """The newest version.

        Raises:
            DataError: there is no such table yet.
        """
        return int(self._delta(table, None).version())

    # --- Spark ---------------------------------------------------------------------------------

    def read(self, spark: SparkSession, table: Table) -> DataFrame:
        """The whole table as a Spark frame.

        Raises:
            DataError: there is no such table yet.
        """
        self._require(table)
        return spark.read.format("delta").load(str(self.path(table)))

    def sync(self, frame: DataFrame, table: Table, *, scope: Mapping[str, str], writer: str) -> Changes:
        """Makes the table's rows within `scope` equal to `frame`, in one commit.

        Rows that are new are inserted, changed ones updated, those no longer in `frame` deleted.

        Args:
            frame: rows with the table's columns and unique keys.
            table: which table.
            scope: column values that fence off the rows this call owns, e.g. `{"dataset": "demo"}`.
            writer: name for the table's history.
        """
        from delta.tables import DeltaTable
        from pyspark.sql import functions as F

        spark = frame.sparkSession
        names = [column.name for column in table.columns]
        frame = frame.select(*[F.col(c.name).cast(c.type).alias(c.name) for c in table.columns])
        compared = [name for name in names if name not in _VOLATILE]
        fence = " AND ".join(f"t.{column} = '{_quoted(value)}'" for column, value in scope.items())
        match = " AND ".join(f"t.{key} <=> s.{key}" for key in table.key)
        differs = " OR ".join(f"NOT (t.{name} <=> s.{name})" for name in compared)
        with self._locked(table):
            self._create_with_spark(spark, table)
            inside = self.read(spark, table).alias("t").where(fence)
            if not _frames_differ(frame.select(compared), inside.select(compared)):
                return Changes(self.version(table))
            spark.conf.set("spark.databricks.delta.commitInfo.userMetadata", writer)
            (
                DeltaTable.forPath(spark, str(self.path(table)))
                .alias("t")
                .merge(frame.alias("s"), f"{fence} AND {match}")
                .whenMatchedUpdate(condition=differs, set={name: f"s.{name}" for name in compared})
                .whenNotMatchedInsertAll()
                .whenNotMatchedBySourceDelete(condition=fence)
                .execute()
            )
            last = self._delta(table, None).history(1)[0]
        metrics = last.get("operationMetrics", {})
        counts = [int(metrics.get(f"numTargetRows{kind}", 0)) for kind in ("Inserted", "Updated", "Deleted")]
        return Changes(int(last["version"]), *counts)

    # --- without a JVM -------------------------------------------------------------------------

    def read_arrow(
        self, table: Table, *, version: int | None = None, columns: list[str] | None = None, scope: str
    ) -> pa.Table:
        """Rows of one partition at a pinned version.

        Args:
            table: which table.
            version: the table's version; None for the newest.
            columns: columns to read; None for all but the partition column.
            scope: value of the table's partition column.
        """
        import pyarrow as pa
        import pyarrow.dataset as ds

        delta = self._delta(table, version)
        # Reading the named files by pyarrow: deltalake's own to_pyarrow_table() ends some
        # interpreters with SIGABRT at exit.
        files = delta.file_uris(partition_filters=[(table.scope, "=", scope)])
        names = columns or [c.name for c in table.columns if c.name != table.scope]
        if not files:
            return pa.table({name: [] for name in names})
        return ds.dataset(files, format="parquet").to_table(columns=names)

    def insert_new(self, table: Table, rows: list[dict[str, Any]], *, scope: str, writer: str) -> Changes:
        """Inserts the rows whose key is not there yet, in one commit; for small results.

        Args:
            table: a table of scalar columns.
            rows: one value for each column.
            scope: value of the table's partition column, the same in all rows.
            writer: name for the table's history.
        """
        import pyarrow as pa
        from deltalake import CommitProperties, DeltaTable, write_deltalake

        arrow = _arrow_schema(table)
        with self._locked(table):
            if not self.exists(table):
                DeltaTable.create(str(self.path(table)), arrow, partition_by=[table.scope], description=table.purpose)
            keys = [key for key in table.key if key != table.scope]
            there = {tuple(row.values()) for row in self.read_arrow(table, columns=keys, scope=scope).to_pylist()}
            new = [row for row in rows if tuple(row[key] for key in keys) not in there]
            if new:
                write_deltalake(
                    str(self.path(table)),
                    pa.Table.from_pylist(new, schema=arrow),
                    mode="append",
                    commit_properties=CommitProperties(custom_metadata={"userMetadata": writer}),
                )
            return Changes(self.version(table), inserted=len(new))

    def overview(self) -> list[Overview]:
        """One line per table that exists, in the order of the data flow."""
        import pyarrow as pa

        lines = []
        for table in TABLES.values():
            if not self.exists(table):
                continue
            delta = self._delta(table, None)
            adds = pa.table(delta.get_add_actions(flatten=True))
            rows = sum(count or 0 for count in adds["num_records"].to_pylist())
            last = delta.history(1)[0]
            writer = str(last.get("userMetadata") or last.get("operation", "?"))
            size = sum(adds["size_bytes"].to_pylist())
            lines.append(Overview(table.name, int(last["version"]), rows, size, writer))
        return lines

    def _delta(self, table: Table, version: int | None) -> Any:
        from deltalake import DeltaTable

        self._require(table)
        return DeltaTable(str(self.path(table)), version=version)

    def _require(self, table: Table) -> None:
        if not self.exists(table):
            raise DataError(
                found=f"no table {table.name} in {self.root}",
                expected=table.purpose,
                fix="run the stage that writes it first: ingest, clean, prepare, in this order",
            )

    def _create_with_spark(self, spark: SparkSession, table: Table) -> None:
        from delta.tables import DeltaTable

        if self.exists(table):
            return
        builder = DeltaTable.createIfNotExists(spark).location(str(self.path(table))).comment(table.purpose)
        for column in table.columns:
            builder = builder.addColumn(column.name, column.type, comment=column.meaning)
        for key, value in _PROPERTIES.items():
            builder = builder.property(key, value)
        builder.partitionedBy(table.scope).execute()

    @contextmanager
    def _locked(self, table: Table) -> Iterator[None]:
        folder = self.root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{table.name}.lock"):
            yield


def _frames_differ(new: DataFrame, old: DataFrame) -> bool:
    """Do two frames hold different rows? Compares a row count and an order-free hash."""
    from pyspark.sql import functions as F

    def summary(frame: DataFrame) -> tuple[Any, ...]:
        # Two hashes of 64 bits each, summed as decimals so that no overflow can hide a change.
        one = F.xxhash64(*frame.columns).cast("decimal(38,0)")
        two = F.xxhash64(F.lit(1), *frame.columns).cast("decimal(38,0)")
        row = frame.agg(F.count("*"), F.sum(one), F.sum(two)).first()
        return tuple(row) if row else ()

    return summary(new) != summary(old)


def _quoted(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", value):
        raise DataError(found=f"the scope value {value!r}", expected="letters, digits, _ . -", fix="rename it")
    return value


def _arrow_schema(table: Table) -> Any:
    import pyarrow as pa

    types = {"string": pa.string(), "boolean": pa.bool_(), "double": pa.float64(), "bigint": pa.int64()}
    return pa.schema([pa.field(c.name, types[c.type], metadata={"comment": c.meaning}) for c in table.columns])
