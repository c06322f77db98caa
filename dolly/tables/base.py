"""The part of reading and writing that needs no Spark: the store, versions, files, errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from dolly.errors import DataError
from dolly.schema import Table
from dolly.tables.definition import sql_type
from dolly.tables.opening import open_store
from dolly.tables.store import Session

# Table features with which the Parquet files alone do not determine the rows.
_NOT_IN_FILES = {"deletionVectors", "columnMapping"}


@dataclass(frozen=True)
class Changes:
    """Row counts of a write, and the table's version after it."""

    version: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    def __str__(self) -> str:
        return f"+{self.inserted} ~{self.updated} -{self.deleted} rows, version {self.version}"


class TableSet:
    """The Delta tables at one address.

    Args:
        address: a folder, an object store's URI or `catalog.schema`.
        spark: returns the session, which a catalog needs.
    """

    def __init__(self, address: str | Path, spark: Session | None = None) -> None:
        self.store = open_store(str(address), spark)

    @property
    def address(self) -> str:
        return self.store.address

    def location(self, table: Table) -> str:
        """Path or URI of a table that exists."""
        return self.store.location(table)

    def address_without_spark(self, table: Table) -> str:
        """The address at which training, without Spark, opens these tables to read `table`.

        Raises:
            EnvironmentFault: the table can only be read through Spark's catalog.
        """
        return self.store.address_without_spark(table)

    def exists(self, table: Table) -> bool:
        return self.store.exists(table)

    def version(self, table: Table) -> int:
        """The newest version.

        Raises:
            DataError: there is no such table yet.
        """
        return int(self._delta(table).version())

    def _last_changes(self, table: Table) -> Changes:
        last = self._delta(table).history(1)[0]
        metrics = last.get("operationMetrics", {})
        counts = [int(metrics.get(f"numTargetRows{kind}", 0)) for kind in ("Inserted", "Updated", "Deleted")]
        counts[0] += int(metrics.get("numOutputRows", 0)) if last.get("operation") == "WRITE" else 0
        return Changes(int(last["version"]), *counts)

    def _delta(self, table: Table, version: int | None = None) -> Any:
        from deltalake import DeltaTable

        self._require(table)
        return DeltaTable(self.location(table), version=version, storage_options=self.store.options())

    def columns(self, table: Table, version: int | None = None) -> dict[str, str]:
        """Name → Spark SQL type of the columns that the table has."""
        return {f.name: sql_type(f.type.to_json()) for f in self._delta(table, version).schema().fields}

    def _files(self, table: Table, scope: Mapping[str, str]) -> list[str] | None:
        """Paths of the newest version's files, of one data set or of all; None if they do not determine the rows."""
        if not self.store.lists_files:
            return None
        import pyarrow as pa

        delta = self._delta(table)
        if _NOT_IN_FILES & set(delta.protocol().reader_features or ()):
            return None
        added = pa.table(delta.get_add_actions(flatten=True))
        paths = added["path"].to_pylist()
        if (column := "partition.dataset") in added.column_names and "dataset" in scope:
            inside = added[column].to_pylist()
            paths = [path for path, dataset in zip(paths, inside, strict=True) if dataset == scope["dataset"]]
        # The log has URL-encoded paths relative to the table.
        return [f"{self.location(table)}/{unquote(path)}" for path in paths]

    def _require(self, table: Table) -> None:
        if not self.exists(table):
            raise DataError(
                found=f"no table {table.name} in {self.address}",
                expected=table.purpose,
                fix="run the stage that writes it first: ingest, clean, prepare, in this order",
            )
