"""A table's definition in Spark SQL, and its columns' types as Delta's log writes them."""

from __future__ import annotations

import json
from typing import Any

from dolly.schema import Table

_PROPERTIES = {
    # Every reader supports plain files, and reads them fastest.
    "delta.enableDeletionVectors": "false",
    "delta.columnMapping.mode": "none",
    "delta.enableChangeDataFeed": "true",
}
_TYPES = {"integer": "int", "long": "bigint"}


def definition(table: Table, reference: str) -> str:
    """The statement that creates an empty table if it does not exist."""
    columns = [
        f"{c.name} {c.type}{' NOT NULL' if c.name in table.key else ''} COMMENT {_literal(c.meaning)}"
        for c in table.columns
    ]
    properties = _PROPERTIES | {f"delta.constraints.{name}": condition for name, condition in table.checks}
    pairs = ", ".join(f"{_literal(key)} = {_literal(value)}" for key, value in properties.items())
    return (
        f"CREATE TABLE IF NOT EXISTS {reference} ({', '.join(columns)}) USING delta PARTITIONED BY (dataset) "
        f"COMMENT {_literal(table.purpose)} TBLPROPERTIES ({pairs})"
    )


def new_columns(table: Table, reference: str, existing: dict[str, str]) -> str | None:
    """The statement that adds the missing columns to a table; None if there are none."""
    missing = [c for c in table.columns if c.name not in existing]
    columns = ", ".join(f"{c.name} {c.type} COMMENT {_literal(c.meaning)}" for c in missing)
    return f"ALTER TABLE {reference} ADD COLUMNS ({columns})" if missing else None


def sql_type(written: str) -> str:
    """`{"type": "array", …}` or `"long"` of Delta's log → `array<…>` or `bigint`."""
    return _sql_type(json.loads(written))


def _sql_type(node: Any) -> str:
    if isinstance(node, str):
        return _TYPES.get(node, node)
    if node["type"] == "array":
        return f"array<{_sql_type(node['elementType'])}>"
    if node["type"] == "map":
        return f"map<{_sql_type(node['keyType'])}, {_sql_type(node['valueType'])}>"
    fields = ", ".join(f"{field['name']}: {_sql_type(field['type'])}" for field in node["fields"])
    return f"struct<{fields}>"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
