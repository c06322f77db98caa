"""Where the Delta tables lie, their newest versions, and the lock that writers take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from filelock import FileLock

from dolly.errors import DataError
from dolly.schema import Table


@dataclass(frozen=True)
class Changes:
    """What a write did; `version` is the table's version after it."""

    version: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    def __str__(self) -> str:
        return f"+{self.inserted} ~{self.updated} -{self.deleted} rows, version {self.version}"


class TableFolder:
    """The Delta tables under one folder."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)

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

    def _last_changes(self, table: Table) -> Changes:
        last = self._delta(table, None).history(1)[0]
        metrics = last.get("operationMetrics", {})
        counts = [int(metrics.get(f"numTargetRows{kind}", 0)) for kind in ("Inserted", "Updated", "Deleted")]
        counts[0] += int(metrics.get("numOutputRows", 0)) if last.get("operation") == "WRITE" else 0
        return Changes(int(last["version"]), *counts)

    def _delta(self, table: Table, version: int | None) -> Any:
        from deltalake import DeltaTable

        self._require(table)
        return DeltaTable(str(self.path(table)), version=version)

    def _files(self, table: Table, *, version: int | None = None, place: str | None = None) -> list[str]:
        """Paths of the data files at a version (None: the newest), of one partition or of all."""
        import pyarrow as pa

        added = pa.table(self._delta(table, version).get_add_actions(flatten=True))
        places = added[f"partition.{table.scope}"].to_pylist()
        # The log has paths within the table, as parts of a URL.
        return [
            str(self.path(table) / unquote(path))
            for path, inside in zip(added["path"].to_pylist(), places, strict=True)
            if place is None or inside == place
        ]

    def _require(self, table: Table) -> None:
        if not self.exists(table):
            raise DataError(
                found=f"no table {table.name} in {self.root}",
                expected=table.purpose,
                fix="run the stage that writes it first: ingest, clean, prepare, in this order",
            )

    @contextmanager
    def _locked(self, table: Table) -> Iterator[None]:
        folder = self.root / ".locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{table.name}.lock"):
            yield
