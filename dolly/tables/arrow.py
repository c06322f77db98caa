"""Tables without a JVM: for training, evaluation and the command line, by `deltalake` and `pyarrow`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

from dolly.schema import TABLES, Table
from dolly.tables.folder import Changes, TableFolder

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Overview:
    """One line of `dolly tables`; `size` in bytes."""

    name: str
    version: int
    rows: int
    size: int
    last_writer: str


class ArrowTables(TableFolder):
    """Reads and small writes."""

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

        # Reading the named files by pyarrow: deltalake's own to_pyarrow_table() ends some
        # interpreters with SIGABRT at exit.
        files = self._files(table, version=version, place=scope)
        names = columns or [c.name for c in table.columns if c.name != table.scope]
        if not files:
            return pa.table({name: [] for name in names})
        return ds.dataset(files, format="parquet").to_table(columns=names)

    def find(
        self, table: Table, *, prefix: Mapping[str, str], columns: list[str] | None = None
    ) -> list[dict[str, Any]]:
        """Rows of the newest version whose text columns begin with the given values.

        Args:
            table: which table.
            prefix: text column → beginning of its value.
            columns: columns to read; None for all.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.dataset as ds

        if not self.exists(table):
            return []
        files = self._files(table)
        if not files:
            return []
        hive = ds.partitioning(pa.schema([(table.scope, pa.string())]), flavor="hive")
        rows = ds.dataset(files, format="parquet", partitioning=hive, partition_base_dir=str(self.path(table)))
        wanted = [pc.starts_with(ds.field(column), pattern=value) for column, value in prefix.items()]
        found: list[dict[str, Any]] = rows.to_table(columns=columns, filter=reduce(and_, wanted)).to_pylist()
        return found

    def rows(self, table: Table, **scope: str) -> int:
        """How many rows have these column values; without a JVM."""
        import pyarrow as pa
        import pyarrow.dataset as ds

        value = scope.pop(table.scope)
        if not scope:  # the log knows
            adds = pa.table(self._delta(table, None).get_add_actions(flatten=True))
            inside = zip(adds[f"partition.{table.scope}"].to_pylist(), adds["num_records"].to_pylist(), strict=True)
            return sum(count for place, count in inside if place == value)
        files = self._files(table, place=value)
        wanted = [ds.field(column) == value for column, value in scope.items()]
        return ds.dataset(files, format="parquet").count_rows(filter=reduce(and_, wanted)) if files else 0

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


def _arrow_schema(table: Table) -> Any:
    import pyarrow as pa

    numbers = {"int": pa.int32(), "bigint": pa.int64(), "double": pa.float64()}
    types = {"string": pa.string(), "boolean": pa.bool_()} | numbers
    return pa.schema([pa.field(c.name, types[c.type], metadata={"comment": c.meaning}) for c in table.columns])
