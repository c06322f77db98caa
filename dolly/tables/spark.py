"""Tables with Spark: reads and writes of the data stages, and maintenance."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dolly.errors import DataError
from dolly.schema import Table
from dolly.tables.arrow import equal, select
from dolly.tables.base import Changes, TableSet
from dolly.tables.definition import definition, new_columns
from dolly.tables.merge import append, compared, name_writer, replace, update
from dolly.tables.small import FILE_BYTES, SmallChange, collected, written_here

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession


class SparkTables(TableSet):
    """Reads, idempotent writes and maintenance."""

    def read(self, spark: SparkSession, table: Table, **scope: str) -> DataFrame:
        """A Spark frame of the rows with these column values, at the table's newest version.

        Later writes do not change the frame. In a folder, `deltalake` lists the files: Delta's own reader would run
        several Spark jobs on its log for each query, which cost more than the query if the table is small.

        Raises:
            DataError: there is no such table yet.
        """
        from pyspark.sql import functions as F

        files = self._files(table, scope)
        schema = ", ".join(f"{column.name} {column.type}" for column in table.columns)
        if files is None:
            existing = self.columns(table)
            whole = spark.read.option("versionAsOf", str(self.version(table))).table(self.store.reference(table))
            columns = [(F.col(c.name) if c.name in existing else F.lit(None)).cast(c.type) for c in table.columns]
            names = [column.name for column in table.columns]
            frame = whole.select(*[value.alias(name) for value, name in zip(columns, names, strict=True)])
        elif files:
            reader = spark.read.schema(schema).option("basePath", self.location(table))
            frame = reader.parquet(*map(_literal, files)).select(*[column.name for column in table.columns])
        else:
            frame = spark.createDataFrame([], schema)
        for column, value in scope.items():
            frame = frame.where(frame[column] == value)
        return frame

    def ensure(self, spark: SparkSession, table: Table) -> None:
        """Creates the table if it does not exist."""
        with self.store.locked(table):
            self._prepare(spark, table)

    def sync(self, frame: DataFrame, table: Table, *, scope: Mapping[str, str], writer: str) -> Changes:
        """Makes the table's rows within `scope` equal to `frame`, in one commit.

        New rows are inserted, changed rows updated, and rows that are not in `frame` deleted.

        Args:
            frame: rows with the table's columns and unique keys.
            table: which table.
            scope: column values of the rows to replace, e.g. `{"dataset": "demo"}`.
            writer: name for the table's history.
        """
        spark, frame = frame.sparkSession, _typed(frame, table)
        names = compared(table)
        with self.store.locked(table):
            self._prepare(spark, table)
            if (change := self._small_change(table, scope)) and (rows := collected(frame)) is not None:
                change.put(rows)
                change.keep_only(rows)
                return self._commit(change, table, writer)
            if not self._has_rows(table, scope):
                return Changes(self.version(table)) if frame.isEmpty() else self._append(frame, table, writer)
            inside = self.read(spark, table, **scope)
            if not _frames_differ(frame.select(names), inside.select(names)):
                return Changes(self.version(table))
            replace(frame, table, self.store.reference(table), scope=scope, writer=writer)
            return self._last_changes(table)

    def merge(
        self,
        rows: DataFrame | pa.Table,
        table: Table,
        *,
        gone: DataFrame | pa.Table | None = None,
        scope: Mapping[str, str],
        writer: str,
    ) -> Changes:
        """Inserts and updates rows by the table's key, and deletes those of `gone`, in one commit.

        Unlike `sync` it compares no other rows, so that a small change of a large table is cheap.

        Args:
            rows: have the table's columns and unique keys.
            table: which table.
            gone: keys of rows to delete, none of them in `rows`.
            scope: column values that all these rows have; limits the search for matches.
            writer: name for the table's history.
        """
        import pyarrow as pa

        with self.store.locked(table):
            self._prepare(_session(rows), table)
            first = not self._has_rows(table, scope)
            # The first rows of a data set are many: Spark appends them without counting them first.
            counted = isinstance(rows, pa.Table) or not first
            if counted and (change := self._small_change(table, scope)):
                new = collected(rows if isinstance(rows, pa.Table) else _typed(rows, table))
                keys = [] if gone is None or new is None else collected(gone.select(list(table.key)))
                if new is not None and keys is not None:
                    change.put(new)
                    change.remove({tuple(key[name] for name in table.key) for key in keys})
                    return self._commit(change, table, writer)
            frame = _typed(_frame(rows), table)
            if first:
                return self._append(frame, table, writer)
            return self._merge_many(frame, table, None if gone is None else _frame(gone), scope=scope, writer=writer)

    def _merge_many(
        self, frame: DataFrame, table: Table, gone: DataFrame | None, *, scope: Mapping[str, str], writer: str
    ) -> Changes:
        key = list(table.key)
        existing = self.read(frame.sparkSession, table, **scope).select(key)
        if gone is not None and gone.isEmpty():
            gone = None
        if gone is None and frame.join(existing, key, "left_semi").isEmpty():
            if frame.isEmpty():
                return Changes(self.version(table))
            # New rows only: an append rewrites no file and is much cheaper than a MERGE.
            return self._append(frame, table, writer)
        update(frame, gone, table, self.store.reference(table), scope=scope, writer=writer)
        return self._last_changes(table)

    def _append(self, frame: DataFrame, table: Table, writer: str) -> Changes:
        append(frame, self.store.reference(table), writer=writer)
        return self._last_changes(table)

    def _small_change(self, table: Table, scope: Mapping[str, str]) -> SmallChange | None:
        """A change that `deltalake` may write; None if the data set is large, or only Spark can write the table."""
        files = self._files(table, scope)
        if files is None or sum(Path(file).stat().st_size for file in files) > FILE_BYTES:
            return None
        delta = self._delta(table)
        return SmallChange(delta, table, scope=scope, compared=compared(table)) if written_here(delta) else None

    def _commit(self, change: SmallChange, table: Table, writer: str) -> Changes:
        change.commit(writer)
        return Changes(self.version(table), len(change.inserted), len(change.updated), len(change.deleted))

    def _has_rows(self, table: Table, scope: Mapping[str, str]) -> bool:
        return bool(select(self._delta(table), "1", f"{equal(scope)} LIMIT 1").num_rows)

    def compact(self, spark: SparkSession, table: Table, *, keep_hours: float) -> str:
        """Joins small files (OPTIMIZE), then removes files that only older versions need (VACUUM).

        Args:
            spark: the session.
            table: which table.
            keep_hours: how long versions stay readable; below Delta's 168 only where nothing else reads.
        """
        reference, checked = self.store.reference(table), "spark.databricks.delta.retentionDurationCheck.enabled"
        with self.store.locked(table):
            name_writer(spark, "dolly maintain")
            joined = spark.sql(f"OPTIMIZE {reference}").select("metrics").collect()[0]["metrics"]
            spark.conf.set(checked, str(keep_hours >= 168).lower())
            old = spark.sql(f"VACUUM {reference} RETAIN {keep_hours} HOURS DRY RUN").count()
            spark.sql(f"VACUUM {reference} RETAIN {keep_hours} HOURS")
            spark.conf.unset(checked)
        counts = (joined["numFilesRemoved"], joined["numFilesAdded"])
        return f"{counts[0]} files joined into {counts[1]}, {old} old files removed, version {self.version(table)}"

    def _prepare(self, spark: SparkSession, table: Table) -> None:
        """Creates the table, or adds missing columns.

        Raises:
            DataError: a column has another type, or a key column is missing.
        """
        if not self.exists(table):
            spark.sql(definition(table, self.store.reference(table)))
            return
        existing = self.columns(table)
        other = [f"{c.name} {existing[c.name]}" for c in table.columns if existing.get(c.name, c.type) != c.type]
        other += [f"no {key}" for key in table.key if key not in existing]
        if other:
            raise DataError(
                found=f"{table.name} in {self.address} with {', '.join(other)}",
                expected="the columns of this version of Dolly, or fewer",
                fix="run the version of Dolly that wrote it, or set state.tables to a new address; this table stays as "
                "it is",
            )
        if statement := new_columns(table, self.store.reference(table), existing):
            spark.sql(statement)


def _session(rows: DataFrame | pa.Table) -> SparkSession:
    import pyarrow as pa
    from pyspark.sql import SparkSession

    return SparkSession.active() if isinstance(rows, pa.Table) else rows.sparkSession


def _frame(rows: DataFrame | pa.Table) -> DataFrame:
    import pyarrow as pa

    return _session(rows).createDataFrame(rows) if isinstance(rows, pa.Table) else rows


def _typed(frame: DataFrame, table: Table) -> DataFrame:
    from pyspark.sql import functions as F

    return frame.select(*[F.col(c.name).cast(c.type).alias(c.name) for c in table.columns])


def _frames_differ(new: DataFrame, old: DataFrame) -> bool:
    """Do two frames hold different rows? Compares a row count and an order-free hash."""
    from pyspark.sql import functions as F

    def summary(frame: DataFrame) -> tuple[Any, ...]:
        # Two 64-bit hashes, summed as decimals so that they can't overflow.
        # Hashed one by one: of several columns, a hash leaves out the nulls.
        columns = [F.xxhash64(name) for name in frame.columns]
        first = F.xxhash64(*columns).cast("decimal(38,0)")
        second = F.xxhash64(F.lit(1), *columns).cast("decimal(38,0)")
        row = frame.agg(F.count("*"), F.sum(first), F.sum(second)).first()
        return tuple(row) if row else ()

    return summary(new) != summary(old)


def _literal(path: str) -> str:
    """Escapes the characters of a path that Spark reads as a glob pattern."""
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", path)
