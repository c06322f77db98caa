"""The ingest stage on its own: real tables and Spark, no MLflow."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dolly.config import Config
from dolly.ingest import stage
from dolly.pipeline import Context
from dolly.schema import BRONZE_DOCUMENTS, BRONZE_EXAMPLES, BRONZE_FILES, REJECTED, Table
from dolly.state import State
from dolly.tables import Tables


class Ingester:
    """Runs the stage in one home; `measured` are the metrics of the last run."""

    def __init__(self, spark: Any, root: Path) -> None:
        self._spark, self._state = spark, State.at(root)
        self.tables = Tables(self._state.tables)
        # One key in all homes: ids of rejected rows depend on it, and tests compare homes.
        if not self._state.privacy_key.exists():
            self._state.privacy_key.write_text("5a" * 32)
            self._state.privacy_key.chmod(0o600)
        self.measured: dict[str, float] = {}

    def __call__(self, *sources: dict[str, Any], name: str = "mine", **more: Any) -> str:
        """Gives what the stage prints."""
        config = Config.model_validate({"name": name, "sources": list(sources)} | more)
        console = Console(file=io.StringIO(), highlight=False, soft_wrap=True)
        self.measured = {}
        tracker: Any = self
        stage.run(Context(config, self._state, self.tables, tracker, console, self._spark))
        printed: Any = console.file
        return str(printed.getvalue())

    @contextmanager
    def stage(self, _: str) -> Iterator[Any]:
        yield self

    def metrics(self, values: dict[str, float]) -> None:
        self.measured |= values

    def result(self) -> None:
        """What the stage returns is not looked at."""

    def rows(self, table: Table, name: str, dataset: str = "mine") -> list[dict[str, Any]]:
        """Rows of a source; of `rejected`, those of a data set."""
        if not self.tables.exists(table):
            return []
        where = {"scope": name} if table is REJECTED else {"scope": dataset, "source": name}
        rows: list[dict[str, Any]] = self.tables.read_arrow(table, **where).to_pylist()
        return rows

    def versions(self) -> dict[str, int]:
        made = (BRONZE_FILES, BRONZE_EXAMPLES, BRONZE_DOCUMENTS, REJECTED)
        return {table.name: self.tables.version(table) for table in made if self.tables.exists(table)}

    def state(self, source: str, dataset: str = "mine") -> dict[str, list[str]]:
        """All rows of a source but for the times, comparable."""
        found = {}
        for table in (BRONZE_FILES, BRONZE_EXAMPLES, BRONZE_DOCUMENTS, REJECTED):
            rows = self.rows(table, dataset if table is REJECTED else source, dataset)
            found[table.name] = sorted(str({k: v for k, v in row.items() if k != "arrived_at"}) for row in rows)
        return found


@pytest.fixture
def ingester(spark: Any, tmp_path: Path) -> Callable[[str], Ingester]:
    """Makes an `Ingester` with a home of this name."""
    return lambda name: Ingester(spark, tmp_path / name)


@pytest.fixture
def ingest(ingester: Callable[[str], Ingester]) -> Ingester:
    return ingester("home")
