"""Tables by Spark: the data stages' reads and writes, and the tables' upkeep."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dolly.errors import DataError
from dolly.schema import Table
from dolly.tables.folder import Changes, TableFolder

if TYPE_CHECKING:
    from delta.tables import DeltaMergeBuilder
    from pyspark.sql import DataFrame, SparkSession

# Columns that tell when or by whom a row was first written: kept as they are, never compared.
_VOLATILE = {"arrived_at", "run_id"}
_PROPERTIES = {
    # The trainer's reader knows neither, and the tables are small enough to do without.
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "none",
    "delta.enableChangeDataFeed": "true",
}


class SparkTables(TableFolder):
    """Reads, idempotent writes and upkeep."""

    def read(self, spark: SparkSession, table: Table, **scope: str) -> DataFrame:
        """The table's rows that have these column values, at its newest version, as a Spark frame.

        The frame stays at that version, whatever is written while it is used. Which files that are tells
        `deltalake`: Delta's own reader would run some Spark jobs on its log for each query, which on small
        tables cost more than the query.

        Raises:
            DataError: there is no such table yet.
        """
        files = self._files(table, place=scope.get(table.scope))
        schema = ", ".join(f"{column.name} {column.type}" for column in table.columns)
        if files:
            reader = spark.read.schema(schema).option("basePath", str(self.path(table)))
            frame = reader.parquet(*map(_literal, files)).select(*[column.name for column in table.columns])
        else:
            frame = spark.createDataFrame([], schema)
        for column, value in scope.items():
            frame = frame.where(frame[column] == value)
        return frame

    def ensure(self, spark: SparkSession, table: Table) -> None:
        """Makes the table, empty, where it is not there yet."""
        with self._locked(table):
            self._create_with_spark(spark, table)

    def sync(self, frame: DataFrame, table: Table, *, scope: Mapping[str, str], writer: str) -> Changes:
        """Makes the table's rows within `scope` equal to `frame`, in one commit.

        Rows that are new are inserted, changed ones updated, those no longer in `frame` deleted.

        Args:
            frame: rows with the table's columns and unique keys.
            table: which table.
            scope: column values that fence off the rows this call owns, e.g. `{"dataset": "demo"}`.
            writer: name for the table's history.
        """
        frame = _typed(frame, table)
        fence = _fence(scope)
        compared = _compared(table)
        with self._locked(table):
            self._create_with_spark(frame.sparkSession, table)
            inside = self.read(frame.sparkSession, table, **scope)
            if not _frames_differ(frame.select(compared), inside.select(compared)):
                return Changes(self.version(table))
            match = " AND ".join([fence, *[f"t.{key} <=> s.{key}" for key in table.key]])
            (
                self._merge(frame, table, match=match, writer=writer)
                .whenMatchedUpdate(condition=_differs(table), set={name: f"s.{name}" for name in compared})
                .whenNotMatchedInsertAll()
                .whenNotMatchedBySourceDelete(condition=fence)
                .execute()
            )
            return self._last_changes(table)

    def merge(
        self,
        frame: DataFrame,
        table: Table,
        *,
        gone: DataFrame | None = None,
        scope: Mapping[str, str] | None = None,
        writer: str,
    ) -> Changes:
        """Inserts and updates rows by the table's key, and deletes those of `gone`, in one commit.

        Unlike `sync` it looks at no other row, so that a small change of a large table costs little.

        Args:
            frame: rows with the table's columns and unique keys.
            table: which table.
            gone: keys of rows to delete, none of them in `frame`.
            scope: column values that all these rows have; spares looking elsewhere.
            writer: name for the table's history.
        """
        from pyspark.sql import functions as F

        spark = frame.sparkSession
        frame = _typed(frame, table)
        with self._locked(table):
            self._create_with_spark(spark, table)
            there = self.read(spark, table, **scope or {}).select(*table.key)
            if gone is not None and gone.isEmpty():
                gone = None
            first = there.isEmpty()
            if gone is None and (first or frame.join(there, list(table.key), "left_semi").isEmpty()):
                # New rows only: an append rewrites no file and is a fraction of a MERGE's work.
                if not first and frame.isEmpty():
                    return Changes(self.version(table))
                _name_writer(spark, writer)
                frame.write.format("delta").mode("append").save(str(self.path(table)))
                return self._last_changes(table)
            source = frame.withColumn("_gone", F.lit(False))
            if gone is not None:
                keys = gone.select(*table.key).withColumn("_gone", F.lit(True))
                source = source.unionByName(keys, allowMissingColumns=True)
            match = " AND ".join([_fence(scope or {}), *[f"t.{key} = s.{key}" for key in table.key]])
            (
                self._merge(source, table, match=match, writer=writer)
                .whenMatchedDelete("s._gone")
                .whenMatchedUpdate(condition=_differs(table), set={name: f"s.{name}" for name in _compared(table)})
                .whenNotMatchedInsert("NOT s._gone", {c.name: f"s.{c.name}" for c in table.columns})
                .execute()
            )
            return self._last_changes(table)

    def _merge(self, source: DataFrame, table: Table, *, match: str, writer: str) -> DeltaMergeBuilder:
        from delta.tables import DeltaTable

        spark = source.sparkSession
        _name_writer(spark, writer)
        return DeltaTable.forPath(spark, str(self.path(table))).alias("t").merge(source.alias("s"), match)

    def compact(self, spark: SparkSession, table: Table, *, keep_hours: float) -> str:
        """Joins small files (OPTIMIZE), then removes files that only older versions need (VACUUM).

        Args:
            spark: the session.
            table: which table.
            keep_hours: how long versions stay readable; below Delta's 168 only where nothing else reads.
        """
        from delta.tables import DeltaTable

        with self._locked(table):
            delta = DeltaTable.forPath(spark, str(self.path(table)))
            _name_writer(spark, "dolly maintain")
            metrics = delta.optimize().executeCompaction().select("metrics").first()
            before = sum(1 for _ in self.path(table).rglob("*.parquet"))
            checked = "spark.databricks.delta.retentionDurationCheck.enabled"
            spark.conf.set(checked, str(keep_hours >= 168).lower())
            delta.vacuum(keep_hours)
            spark.conf.unset(checked)
            removed = before - sum(1 for _ in self.path(table).rglob("*.parquet"))
        joined = metrics["metrics"] if metrics else None
        counts = (joined["numFilesRemoved"], joined["numFilesAdded"]) if joined else (0, 0)
        return f"{counts[0]} files joined into {counts[1]}, {removed} old files removed, version {self.version(table)}"

    def _create_with_spark(self, spark: SparkSession, table: Table) -> None:
        from delta.tables import DeltaTable

        if self.exists(table):
            self._require_columns(table)
            return
        builder = DeltaTable.createIfNotExists(spark).location(str(self.path(table))).comment(table.purpose)
        for column in table.columns:
            nullable = column.name not in table.key
            builder = builder.addColumn(column.name, column.type, nullable=nullable, comment=column.meaning)
        for key, value in _PROPERTIES.items():
            builder = builder.property(key, value)
        for name, condition in table.checks:
            builder = builder.property(f"delta.constraints.{name}", condition)
        builder.partitionedBy(table.scope).execute()

    def _require_columns(self, table: Table) -> None:
        there = {column.name for column in self._delta(table, None).schema().fields}
        wanted = {column.name for column in table.columns}
        if there != wanted:
            raise DataError(
                found=f"{table.name} in {self.root} with other columns ({', '.join(sorted(there ^ wanted))})",
                expected="the columns of this version of Dolly",
                fix="use another home, or remove this one to start anew: all in it can be made again from the sources",
            )


def _name_writer(spark: SparkSession, writer: str) -> None:
    spark.conf.set("spark.databricks.delta.commitInfo.userMetadata", writer)


def _compared(table: Table) -> list[str]:
    return [column.name for column in table.columns if column.name not in _VOLATILE]


def _differs(table: Table) -> str:
    return " OR ".join(f"NOT (t.{name} <=> s.{name})" for name in _compared(table))


def _typed(frame: DataFrame, table: Table) -> DataFrame:
    from pyspark.sql import functions as F

    return frame.select(*[F.col(c.name).cast(c.type).alias(c.name) for c in table.columns])


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


def _literal(path: str) -> str:
    """Spark takes *, ? and brackets of a path for a pattern."""
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", path)


def _fence(scope: Mapping[str, str]) -> str:
    return " AND ".join(f"t.{column} = '{_quoted(value)}'" for column, value in scope.items()) or "TRUE"


def _quoted(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", value):
        raise DataError(found=f"the scope value {value!r}", expected="letters, digits, _ . -", fix="rename it")
    return value
