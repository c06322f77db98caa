"""Small changes of small tables, written by `deltalake` on the driver.

A MERGE in Spark runs 13 or more jobs and takes 3 to 5 s for one row; this takes some 0.05 s. Both commit the same
changes: rows that are equal to those of the table are not written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from dolly.schema import Table
from dolly.tables.arrow import arrow_schema, equal, literal, query, select

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

# Limits of what the driver takes: rows and bytes of text of a change; bytes of a data set's files.
_ROWS, _BYTES, FILE_BYTES = 10_000, 64 << 20, 256 << 20
# A table with other features is left to Spark.
_WRITTEN = {"appendOnly", "changeDataFeed", "checkConstraints", "invariants"}

Key = tuple[Any, ...]


def written_here(delta: Any) -> bool:
    """Does `deltalake` write this table as Spark does?"""
    from deltalake.exceptions import DeltaError

    protocol = delta.protocol()
    if protocol.min_reader_version > 1 or not set(protocol.writer_features or ()) <= _WRITTEN:
        return False
    properties = delta.metadata().configuration
    checks = [f"({check})" for name, check in properties.items() if name.startswith("delta.constraints.")]
    try:
        # A check may have functions that only Spark knows.
        select(delta, "1", f"{' AND '.join(checks) or 'true'} LIMIT 0")
    except DeltaError:
        return False
    return True


def collected(rows: DataFrame | pa.Table) -> list[dict[str, Any]] | None:
    """The rows on the driver; None if they are more, or longer, than it should take."""
    import pyarrow as pa
    from pyspark.sql import functions as F

    if isinstance(rows, pa.Table):
        return rows.to_pylist() if rows.num_rows <= _ROWS else None
    some = rows.limit(_ROWS + 1).persist()
    try:
        sizes = [F.coalesce(F.octet_length(F.col(name).cast("string")), F.lit(0)) for name in some.columns]
        count, size = some.agg(F.count("*"), F.sum(reduce(add, sizes))).collect()[0]
        if count > _ROWS or (size or 0) > _BYTES:
            return None
        found: list[dict[str, Any]] = some.toArrow().to_pylist()
        return found
    finally:
        some.unpersist()


class SmallChange:
    """The difference between some rows and a table's.

    Args:
        delta: the table, as `deltalake` opens it.
        table: its columns and key.
        scope: column values that all rows have.
        compared: names of the columns that are compared and updated.
    """

    def __init__(self, delta: Any, table: Table, *, scope: Mapping[str, str], compared: Collection[str]) -> None:
        self._delta, self._table, self._scope, self._compared = delta, table, scope, compared
        self.inserted: list[dict[str, Any]] = []
        self.updated: list[dict[str, Any]] = []
        self.deleted: list[dict[str, Any]] = []

    def put(self, rows: Collection[dict[str, Any]]) -> None:
        """Notes the rows that the table lacks, or has with other values.

        Raises:
            ValueError: two rows have the same key.
        """
        by_key = {self._key(row): row for row in rows}
        if len(by_key) < len(rows):
            raise ValueError(f"{len(rows)} rows for {self._table.name} have {len(by_key)} keys")
        stored = {self._key(row): row for row in self._stored(self._compared, by_key)}
        for key, row in by_key.items():
            if key not in stored:
                self.inserted.append(row)
            elif any(row[name] != stored[key][name] for name in self._compared):
                self.updated.append(row)

    def remove(self, keys: Collection[Key]) -> None:
        """Notes the table's rows with these keys for deletion."""
        self.deleted += [row for row in self._stored(self._table.key, keys) if self._key(row) in keys]

    def keep_only(self, rows: Iterable[dict[str, Any]]) -> None:
        """Notes all rows of the scope for deletion that are not among these."""
        kept = {self._key(row) for row in rows}
        self.deleted += [row for row in self._stored(self._table.key) if self._key(row) not in kept]

    def commit(self, writer: str) -> None:
        """Writes the changes in one commit; no commit if there are none."""
        from deltalake import CommitProperties, write_deltalake

        if not (self.inserted or self.updated or self.deleted):
            return
        properties = CommitProperties(custom_metadata={"userMetadata": writer})
        if not (self.updated or self.deleted):
            # An append reads no file. The schema is merged for columns that a newer version of Dolly has added.
            rows = self._arrow(self.inserted)
            write_deltalake(self._delta, rows, mode="append", schema_mode="merge", commit_properties=properties)
            return
        source = self._arrow(self.inserted + self.updated, gone=self.deleted)
        fence = [f"t.{column} = {literal(value)}" for column, value in self._scope.items()]
        match = " AND ".join([*fence, *[f"t.{key} = s.{key}" for key in self._table.key]])
        merger = self._delta.merge(
            source, match, source_alias="s", target_alias="t", commit_properties=properties
        ).when_matched_delete("s._gone")
        merger = merger.when_matched_update({name: f"s.{name}" for name in self._compared}, "NOT s._gone")
        merger.when_not_matched_insert({c.name: f"s.{c.name}" for c in self._table.columns}, "NOT s._gone").execute()

    def _key(self, row: Mapping[str, Any]) -> Key:
        return tuple(row[name] for name in self._table.key)

    def _stored(self, columns: Iterable[str], keys: Collection[Key] | None = None) -> list[dict[str, Any]]:
        """The scope's rows; if keys are given, all rows with these and possibly some others."""
        conditions = [equal(self._scope)]
        if keys is not None:
            if not keys:
                return []
            values = [", ".join(map(literal, sorted(set(some)))) for some in zip(*keys, strict=True)]
            conditions += [f"{key} IN ({some})" for key, some in zip(self._table.key, values, strict=True)]
        rows = query(self._delta, self._table, [*self._table.key, *columns], " AND ".join(conditions))
        found: list[dict[str, Any]] = rows.to_pylist()
        return found

    def _arrow(self, rows: list[dict[str, Any]], gone: list[dict[str, Any]] | None = None) -> pa.Table:
        import pyarrow as pa

        # Without comments: an append whose comment differs from the table's is refused.
        schema = arrow_schema(self._table.columns, comments=False)
        if gone is None:
            return pa.Table.from_pylist(rows, schema=schema)
        table = pa.Table.from_pylist(rows + gone, schema=schema)
        marks = [False] * len(rows) + [True] * len(gone)
        return table.append_column("_gone", pa.array(marks, pa.bool_()))
