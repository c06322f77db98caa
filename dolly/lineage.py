"""The history of one row, from its file to the models that were trained on it; without a JVM."""

from __future__ import annotations

from typing import Any, NamedTuple

from dolly.errors import DataError
from dolly.schema import (
    BRONZE_DOCUMENTS,
    BRONZE_EXAMPLES,
    CHECKED,
    EVALUATIONS,
    GOLD_EXAMPLES,
    LEDGER,
    REJECTED,
    SILVER_DOCUMENTS,
    SILVER_EXAMPLES,
    TRAINED_ROWS,
    Column,
    Table,
)
from dolly.tables import Tables

_SHOWN = 200  # characters of a text
# Columns that say nothing about the history of a row.
_LEFT_OUT = {"bands", "input_hash", "content_hash", "content_key", "question_key", "state", "input_ids", "loss_mask"}
_ID_COLUMNS = {
    BRONZE_EXAMPLES: "record_id",
    BRONZE_DOCUMENTS: "document_id",
    CHECKED: "example_id",
    SILVER_EXAMPLES: "example_id",
    SILVER_DOCUMENTS: "document_id",
    REJECTED: "example_id",
    GOLD_EXAMPLES: "example_id",
    LEDGER: "example_id",
    TRAINED_ROWS: "example_id",
    EVALUATIONS: "example_id",
}


class Event(NamedTuple):
    """The row in one table; `facts`: its informative columns, in their order."""

    table: str
    facts: dict[str, str]


def life(tables: Tables, row_id: str) -> list[Event]:
    """Looks up a row in each table, in the order of the data flow.

    Args:
        tables: the tables to read.
        row_id: a record's or document's id, or its beginning.

    Raises:
        DataError: no row matches, or several do.
    """
    rows_by_table = {table: tables.find(table, prefix={name: row_id}) for table, name in _ID_COLUMNS.items()}
    ids = {row[_ID_COLUMNS[table]].split("#")[0] for table, rows in rows_by_table.items() for row in rows}
    if not ids:
        raise DataError(
            found=f"no row whose id begins with {row_id!r} in {tables.address}",
            expected="an example_id or document_id, or its beginning",
            fix="take one from a table, from dolly rejected or from the report of a run",
        )
    if len(ids) > 1:
        raise DataError(
            found=f"{len(ids)} rows whose id begins with {row_id!r}",
            expected="one",
            fix=f"give more of its characters: {', '.join(sorted(ids)[:5])}{', …' if len(ids) > 5 else ''}",
        )
    return [Event(table.name, _facts(table, row)) for table, rows in rows_by_table.items() for row in rows]


def training_sets(events: list[Event]) -> list[str]:
    """The training sets that contain the row."""
    return list(dict.fromkeys(event.facts["training_set"] for event in events if event.table == LEDGER.name))


def _facts(table: Table, row: dict[str, Any]) -> dict[str, str]:
    chosen = [column for column in table.columns if column.name not in _LEFT_OUT]
    facts = {column.name: _text(column, row.get(column.name)) for column in chosen}
    if row.get("input_ids") is not None:
        facts["tokens"] = f"{len(row['input_ids']):,}"
    return {name: text for name, text in facts.items() if text}


def _text(column: Column, value: Any) -> str:
    if value is None or value == []:
        return ""
    if isinstance(value, list):
        parts = [f"{item['role']}: {item['content']}" if isinstance(item, dict) else str(item) for item in value]
        value = " | ".join(parts) if column.name == "turns" else ", ".join(parts)
    text = " ".join(str(value).split())
    return text if len(text) <= _SHOWN or column.name.endswith(("_id", "_sha256")) else text[:_SHOWN] + "…"
