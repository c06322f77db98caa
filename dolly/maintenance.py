"""Maintenance of the tables: joins small files and removes old ones."""

from __future__ import annotations

from collections.abc import Iterator

from dolly.config import Config
from dolly.schema import TABLES
from dolly.spark import config_session, java_watched
from dolly.state import State
from dolly.tables import Tables


def run_maintenance(config: Config, *, keep_days: int) -> Iterator[str]:
    """Compacts each table and removes files that no version of the last `keep_days` days needs.

    The rows of a model can be read as long as the table versions that it was trained on are kept.
    """
    state = State.of(config)
    tables = Tables(state.tables, lambda: config_session(config, state))
    with java_watched(state.spark_log):
        spark = config_session(config, state)
        try:
            for table in TABLES.values():
                if tables.exists(table):
                    yield f"{table.name}: {tables.compact(spark, table, keep_hours=24 * keep_days)}"
        finally:
            if config.spark.master is not None:
                spark.stop()
