"""Every table's columns: names, Spark SQL types, meaning. `tables` makes tables from these."""

from __future__ import annotations

from dolly.schema.columns import Column, Table
from dolly.schema.data import (
    BRONZE_DOCUMENTS,
    BRONZE_EXAMPLES,
    BRONZE_FILES,
    CHECKED,
    DUPLICATE_PAIRS,
    REJECTED,
    SILVER_DOCUMENTS,
    SILVER_EXAMPLES,
)
from dolly.schema.training import EVALUATIONS, GOLD_EXAMPLES, LEDGER, TRAINED_ROWS

__all__ = [
    "BRONZE_DOCUMENTS",
    "BRONZE_EXAMPLES",
    "BRONZE_FILES",
    "CHECKED",
    "DUPLICATE_PAIRS",
    "EVALUATIONS",
    "GOLD_EXAMPLES",
    "LEDGER",
    "REJECTED",
    "SILVER_DOCUMENTS",
    "SILVER_EXAMPLES",
    "TABLES",
    "TRAINED_ROWS",
    "Column",
    "Table",
]

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        BRONZE_FILES,
        BRONZE_EXAMPLES,
        BRONZE_DOCUMENTS,
        CHECKED,
        DUPLICATE_PAIRS,
        SILVER_EXAMPLES,
        SILVER_DOCUMENTS,
        REJECTED,
        GOLD_EXAMPLES,
        LEDGER,
        TRAINED_ROWS,
        EVALUATIONS,
    )
}
