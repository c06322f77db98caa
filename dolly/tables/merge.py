"""Writes by Spark SQL: an append, and the two kinds of MERGE, each in one commit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dolly.errors import DataError
from dolly.schema import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Columns with the time and the run of a row's first write: never compared, never updated.
_VOLATILE = {"arrived_at", "run_id"}


def append(frame: DataFrame, reference: str, *, writer: str) -> None:
    """Adds the rows; rewrites no file."""
    name_writer(frame.sparkSession, writer)
    frame.writeTo(reference).append()


def update(
    frame: DataFrame,
    gone: DataFrame | None,
    table: Table,
    reference: str,
    *,
    scope: Mapping[str, str],
    writer: str,
) -> None:
    """Inserts and updates the rows of `frame`, and deletes those with the keys of `gone`."""
    from pyspark.sql import functions as F

    source = frame.withColumn("_gone", F.lit(False))
    if gone is not None:
        keys = gone.select(list(table.key)).withColumn("_gone", F.lit(True))
        source = source.unionByName(keys, allowMissingColumns=True)
    match = " AND ".join([_fence(scope), *[f"t.{key} = s.{key}" for key in table.key]])
    clauses = [
        "WHEN MATCHED AND s._gone THEN DELETE",
        f"WHEN MATCHED AND ({_differs(table)}) THEN UPDATE SET {_assignments(table)}",
        f"WHEN NOT MATCHED AND NOT s._gone THEN INSERT {_values(table)}",
    ]
    _merge(source, table, reference, match=match, clauses=clauses, writer=writer)


def replace(frame: DataFrame, table: Table, reference: str, *, scope: Mapping[str, str], writer: str) -> None:
    """Makes the rows of the scope equal to `frame`."""
    fence = _fence(scope)
    match = " AND ".join([fence, *[f"t.{key} <=> s.{key}" for key in table.key]])
    clauses = [
        f"WHEN MATCHED AND ({_differs(table)}) THEN UPDATE SET {_assignments(table)}",
        f"WHEN NOT MATCHED THEN INSERT {_values(table)}",
        f"WHEN NOT MATCHED BY SOURCE AND {fence} THEN DELETE",
    ]
    _merge(frame, table, reference, match=match, clauses=clauses, writer=writer)


def _merge(source: DataFrame, table: Table, reference: str, *, match: str, clauses: list[str], writer: str) -> None:
    spark = source.sparkSession
    name_writer(spark, writer)
    with _view(source, f"dolly_{table.name}") as view:
        spark.sql(f"MERGE INTO {reference} t USING {view} s ON {match} {' '.join(clauses)}")


@contextmanager
def _view(frame: DataFrame, name: str) -> Iterator[str]:
    frame.createOrReplaceTempView(name)
    try:
        yield name
    finally:
        frame.sparkSession.catalog.dropTempView(name)


def name_writer(spark: SparkSession, writer: str) -> None:
    """Names the writer of the next commits in the table's history."""
    spark.conf.set("spark.databricks.delta.commitInfo.userMetadata", writer)


def compared(table: Table) -> list[str]:
    """Names of the columns that are compared and updated."""
    return [column.name for column in table.columns if column.name not in _VOLATILE]


def _differs(table: Table) -> str:
    return " OR ".join(f"NOT (t.{name} <=> s.{name})" for name in compared(table))


def _assignments(table: Table) -> str:
    return ", ".join(f"t.{name} = s.{name}" for name in compared(table))


def _values(table: Table) -> str:
    names = [column.name for column in table.columns]
    return f"({', '.join(names)}) VALUES ({', '.join(f's.{name}' for name in names)})"


def _fence(scope: Mapping[str, str]) -> str:
    return " AND ".join(f"t.{column} = '{_quoted(value)}'" for column, value in scope.items()) or "TRUE"


def _quoted(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", value):
        raise DataError(found=f"the scope value {value!r}", expected="letters, digits, _ . -", fix="rename it")
    return value
