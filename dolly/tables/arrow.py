"""Tables without a JVM, for training, evaluation and the command line.

`deltalake`'s query engine supports deletion vectors, column mapping and object stores.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dolly.schema import TABLES, Column, Table
from dolly.tables.base import Changes, TableSet
from dolly.tables.definition import definition

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


class ArrowTables(TableSet):
    """Reads and small writes."""

    def read_arrow(
        self, table: Table, *, version: int | None = None, columns: list[str] | None = None, scope: str, **where: str
    ) -> pa.Table:
        """Rows of one data set at a pinned version.

        Args:
            table: which table.
            version: the table's version; None for the newest.
            columns: columns to read; None for all but `dataset`.
            scope: the data set.
            where: column values that the rows must also have.
        """
        names = columns or [c.name for c in table.columns if c.name != "dataset"]
        return self._query(table, names, equal({"dataset": scope} | where), version=version)

    def find(
        self, table: Table, *, prefix: Mapping[str, str], columns: list[str] | None = None
    ) -> list[dict[str, Any]]:
        """Rows of the newest version with text columns that begin with the given values.

        Args:
            table: which table.
            prefix: text column → beginning of its value.
            columns: columns to read; None for all.
        """
        if not self.exists(table):
            return []
        conditions = [
            f"starts_with({quoted_name(column)}, {literal(value)})" for column, value in prefix.items() if value
        ]
        names = columns or [c.name for c in table.columns]
        rows: list[dict[str, Any]] = self._query(table, names, " AND ".join(conditions) or "true").to_pylist()
        return rows

    def rows(self, table: Table, **where: str) -> int:
        """The number of rows with these column values."""
        return int(self._select(table, "count(*) AS rows", equal(where))["rows"][0].as_py())

    def insert_new(self, table: Table, rows: list[dict[str, Any]], *, scope: str, writer: str) -> Changes:
        """Inserts the rows with new keys, in one commit; for small results.

        Args:
            table: one that no Spark job writes: on an object store the two writers could lose each other's commits.
            rows: one value for each column.
            scope: the data set, the same in all rows.
            writer: name for the table's history.
        """
        import pyarrow as pa
        from deltalake import CommitProperties, write_deltalake

        # Without comments: an append whose comment differs from the table's is refused.
        arrow = arrow_schema(table.columns, comments=False)
        with self.store.locked(table):
            if not self.exists(table):
                self._create(table)
            keys = [key for key in table.key if key != "dataset"]
            existing = {tuple(row.values()) for row in self.read_arrow(table, columns=keys, scope=scope).to_pylist()}
            new = [row for row in rows if tuple(row[key] for key in keys) not in existing]
            if new:
                write_deltalake(
                    self.location(table),
                    pa.Table.from_pylist(new, schema=arrow),
                    mode="append",
                    schema_mode="merge",  # columns that a newer version of Dolly has
                    commit_properties=CommitProperties(custom_metadata={"userMetadata": writer}),
                    storage_options=self.store.options(),
                )
            return Changes(self.version(table), inserted=len(new))

    def overview(self) -> list[Overview]:
        """One line per table that exists, in the order of the data flow."""
        import pyarrow as pa

        lines = []
        for table in TABLES.values():
            if not self.exists(table):
                continue
            delta = self._delta(table)
            size = sum(pa.table(delta.get_add_actions(flatten=True))["size_bytes"].to_pylist())
            last = delta.history(1)[0]
            writer = str(last.get("userMetadata") or last.get("operation", "?"))
            lines.append(Overview(table.name, int(last["version"]), self.rows(table), size, writer))
        return lines

    def _create(self, table: Table) -> None:
        """Creates an empty table; in a catalog with Spark, which registers its name."""
        from deltalake import DeltaTable

        if self.store.session is not None:
            self.store.session().sql(definition(table, self.store.reference(table)))
            return
        DeltaTable.create(
            self.location(table),
            arrow_schema(table.columns),
            partition_by=["dataset"],
            description=table.purpose,
            storage_options=self.store.options(),
        )

    def _query(self, table: Table, names: list[str], condition: str, *, version: int | None = None) -> pa.Table:
        return query(self._delta(table, version), table, names, condition)

    def _select(self, table: Table, expressions: str, condition: str, *, version: int | None = None) -> pa.Table:
        return select(self._delta(table, version), expressions, condition)


def select(delta: Any, expressions: str, condition: str) -> pa.Table:
    """Result of a query on a table that `deltalake` has opened."""
    import pyarrow as pa
    from deltalake import QueryBuilder

    engine = QueryBuilder().register("t", delta)
    return pa.table(engine.execute(f"SELECT {expressions} FROM t WHERE {condition}").read_all())


def query(delta: Any, table: Table, names: Iterable[str], condition: str) -> pa.Table:
    """The columns of the rows that meet a SQL condition; a column that the table lacks is null."""
    existing = {field.name for field in delta.schema().fields}
    columns = {column.name: column for column in table.columns}
    chosen = {name: columns[name] for name in names}
    expressions = [quoted_name(name) if name in existing else f"NULL AS {quoted_name(name)}" for name in chosen]
    return select(delta, ", ".join(expressions), condition).cast(arrow_schema(tuple(chosen.values())))


def arrow_schema(columns: tuple[Column, ...], *, comments: bool = True) -> pa.Schema:
    """The Arrow schema of columns, with their meanings as comments if wanted."""
    import pyarrow as pa

    notes = [{"comment": column.meaning} if comments else None for column in columns]
    pairs = zip(columns, notes, strict=True)
    return pa.schema([pa.field(column.name, _arrow_type(column.type), metadata=note) for column, note in pairs])


def _arrow_type(name: str) -> Any:
    """The Arrow type of one of the Spark SQL types that `dolly.schema` uses."""
    import pyarrow as pa

    if name.startswith("array<"):
        return pa.list_(pa.field("element", _arrow_type(name[6:-1])))
    if name.startswith("struct<"):
        fields = [part.split(": ") for part in name[7:-1].split(", ")]
        return pa.struct([pa.field(key, _arrow_type(kind)) for key, kind in fields])
    types = {"int": pa.int32(), "bigint": pa.int64(), "double": pa.float64(), "string": pa.string()}
    return (types | {"boolean": pa.bool_(), "timestamp": pa.timestamp("us", tz="UTC")})[name]


def equal(where: Mapping[str, str]) -> str:
    """The condition that columns have these values."""
    return " AND ".join(f"{quoted_name(column)} = {literal(value)}" for column, value in where.items()) or "true"


def quoted_name(column: str) -> str:
    """A column's name in a query."""
    return '"' + column.replace('"', '""') + '"'


def literal(value: str | int) -> str:
    """A value in a query."""
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
