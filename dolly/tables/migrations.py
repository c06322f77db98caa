"""Migrations of tables of older versions of Dolly, beyond the addition of nullable columns.

Each migration checks the tables themselves, so that the next run completes one that was killed. It makes one Delta
commit per table; earlier versions stay readable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dolly.schema import BRONZE_DOCUMENTS, BRONZE_EXAMPLES, BRONZE_FILES, CHECKED, REJECTED, Table
from dolly.tables.store import Session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dolly.tables import Tables

# Data set of rows with a source that no data set has used: kept, never read.
UNASSIGNED = "unassigned"


def upgrade(tables: Tables, spark: Session, *, dataset: str, sources: Sequence[str]) -> Iterator[str]:
    """Runs the migrations that the tables need.

    Args:
        tables: the tables.
        spark: returns the session; only called if a table needs a migration.
        dataset: name of the config.
        sources: names of its sources.

    Yields:
        One line for each table that was changed.
    """
    yield from _bronze_by_data_set(tables, spark, dataset=dataset, sources=sources)


def _bronze_by_data_set(tables: Tables, spark: Session, *, dataset: str, sources: Sequence[str]) -> Iterator[str]:
    """Adds `dataset` to bronze: each data set that has used a source gets a copy of the source's rows."""
    for table in (BRONZE_EXAMPLES, BRONZE_DOCUMENTS, BRONZE_FILES):
        if not _lacks_data_set(tables, table):
            continue
        with tables.store.locked(table):
            if not _lacks_data_set(tables, table):  # another process has migrated it in the meantime
                continue
            rows = spark().read.table(tables.store.reference(table))
            owned = _assigned(rows, _owners(tables, spark(), dataset=dataset, sources=sources), table)
            writer = owned.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
            writer.option("userMetadata", "dolly").partitionBy("dataset").save(tables.location(table))
        yield f"{table.name}: rows now belong to data sets (version {tables.version(table)})"


def _lacks_data_set(tables: Tables, table: Table) -> bool:
    return tables.exists(table) and "dataset" not in tables.columns(table)


def _owners(tables: Tables, spark: SparkSession, *, dataset: str, sources: Sequence[str]) -> DataFrame:
    """`dataset` and `source` of all cleaned or rejected rows, and of the current config."""
    pairs = spark.createDataFrame([(dataset, source) for source in sources], "dataset string, source string")
    for table in (CHECKED, REJECTED):
        if tables.exists(table):
            pairs = pairs.unionByName(tables.read(spark, table).select("dataset", "source"))
    return pairs.distinct()


def _assigned(rows: DataFrame, owners: DataFrame, table: Table) -> DataFrame:
    from pyspark.sql import functions as F

    joined = rows.join(F.broadcast(owners), "source", "left")
    joined = joined.withColumn("dataset", F.coalesce("dataset", F.lit(UNASSIGNED)))
    return joined.select(*[column.name for column in table.columns])
