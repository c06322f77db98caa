"""Counts the rows of the tables with Spark: one pass over narrow columns of each table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dolly.report.lengths import bucket
from dolly.schema import (
    BRONZE_DOCUMENTS,
    BRONZE_EXAMPLES,
    BRONZE_FILES,
    CHECKED,
    REJECTED,
    SILVER_DOCUMENTS,
    SILVER_EXAMPLES,
    Table,
)
from dolly.tables import Tables

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

# The start of `rejected.detail` for a benchmark's question, and its text for a duplicate of a kept row.
_BENCHMARK = r"([a-z][a-z0-9_]*):\S"
KEPT = r"same as (\S+)"
# Rows of `rejected` that stand for a whole file, or for the rest of a file after a fault.
_WHOLE_FILE = "stage = 'ingest' AND position < 0"


class Data(NamedTuple):
    """A data set's tables; `names` are its sources."""

    tables: Tables
    spark: SparkSession
    dataset: str
    names: Sequence[str]

    def frame(self, table: Table) -> DataFrame | None:
        """The data set's rows, in bronze only those of the config's sources; None if the table does not exist."""
        from pyspark.sql import functions as F

        if not self.tables.exists(table):
            return None
        rows = self.tables.read(self.spark, table, dataset=self.dataset)
        return rows.where(F.col("source").isin(list(self.names))) if table.name.startswith("bronze_") else rows


def collected(frame: DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries."""
    return [row.asDict(recursive=True) for row in frame.collect()]


def files(data: Data) -> list[dict[str, Any]]:
    """`source`, `files`, `records`, `bytes` of the ingested files."""
    from pyspark.sql import functions as F

    frame = data.frame(BRONZE_FILES)
    if frame is None:
        return []
    counts = (F.count("*").alias("files"), F.sum("records").alias("records"), F.sum("bytes").alias("bytes"))
    return collected(frame.groupBy("source").agg(*counts))


def bronze_examples(data: Data) -> list[dict[str, Any]]:
    """`source`, `rows`."""
    from pyspark.sql import functions as F

    frame = data.frame(BRONZE_EXAMPLES)
    return [] if frame is None else collected(frame.groupBy("source").agg(F.count("*").alias("rows")))


def bronze_documents(data: Data) -> list[dict[str, Any]]:
    """`source`, `kind`, `rows`, `pages`, `with_notes` (parts were left out)."""
    from pyspark.sql import functions as F

    frame = data.frame(BRONZE_DOCUMENTS)
    if frame is None:
        return []
    noted = F.sum((F.coalesce(F.size("notes"), F.lit(0)) > 0).cast("int")).alias("with_notes")
    counts = (F.count("*").alias("rows"), F.coalesce(F.sum("pages"), F.lit(0)).alias("pages"), noted)
    return collected(frame.groupBy("source", "kind").agg(*counts))


def checked(data: Data) -> list[dict[str, Any]]:
    """`what` (fixed or masked), `source`, `name`, `rows`, `occurrences`."""
    from pyspark.sql import functions as F

    frame = data.frame(CHECKED)
    if frame is None:
        return []

    def named(what: str, column: str) -> Column:
        each = F.transform(
            F.array_distinct(column),
            lambda name: F.struct(
                F.lit(what).alias("what"),
                name.alias("name"),
                F.size(F.filter(column, lambda other: other == name)).alias("occurrences"),
            ),
        )
        return F.coalesce(each, F.array().cast("array<struct<what: string, name: string, occurrences: int>>"))

    marked = frame.where("size(fixes) > 0 OR size(personal) > 0")
    marks = marked.select(
        "source", F.explode(F.concat(named("fixed", "fixes"), named("masked", "personal"))).alias("m")
    )
    counts = (F.count("*").alias("rows"), F.sum("m.occurrences").alias("occurrences"))
    return collected(marks.groupBy("m.what", "source", "m.name").agg(*counts))


def silver_examples(data: Data) -> list[dict[str, Any]]:
    """`source`, `language`, `flags`, buckets `question` and `answer`; rows, sums and largest of each.

    One pass over the texts, the widest column, gives all figures of silver.
    """
    from pyspark.sql import functions as F

    frame = data.frame(SILVER_EXAMPLES)
    if frame is None:
        return []

    def characters(role: str, index: int) -> Column:
        said = F.filter("turns", lambda turn: turn["role"] == role)
        every = F.aggregate(said, F.lit(0), lambda sum_, turn: sum_ + F.length(turn["content"]))
        return F.when(F.size("turns") == 2, F.length(F.get("turns", F.lit(index))["content"])).otherwise(every)

    topic = (F.coalesce("category", F.lit("")) != "").cast("int")
    narrow = frame.select(
        *("source", "language", "flags"),
        topic.alias("topic"),
        characters("user", 0).alias("question"),
        characters("assistant", 1).alias("answer"),
    )
    sides = ("question", "answer")
    keys = [F.col(key) for key in ("source", "language", "flags")] + [
        bucket(F.col(s)).alias(f"{s}_bucket") for s in sides
    ]
    counts = [F.count("*").alias("rows"), F.sum("topic").alias("with_category")]
    counts += [F.sum(side).alias(f"{side}_sum") for side in sides] + [
        F.max(side).alias(f"{side}_max") for side in sides
    ]
    return collected(narrow.groupBy(*keys).agg(*counts))


def categories(data: Data, *, most: int) -> list[dict[str, Any]]:
    """`category`, `rows` of the categories with the most silver rows."""
    from pyspark.sql import functions as F

    frame = data.frame(SILVER_EXAMPLES)
    if frame is None:
        return []
    counted = frame.where("category != ''").groupBy("category").agg(F.count("*").alias("rows"))
    return collected(counted.orderBy(F.desc("rows"), "category").limit(most))


def silver_documents(data: Data) -> list[dict[str, Any]]:
    """`source`, `language`, `flags`, `rows`."""
    from pyspark.sql import functions as F

    frame = data.frame(SILVER_DOCUMENTS)
    if frame is None:
        return []
    return collected(frame.groupBy("source", "language", "flags").agg(F.count("*").alias("rows")))


def rejected(data: Data) -> list[dict[str, Any]]:
    """`stage`, `source`, `rule`, `benchmark`; `rows`, `parts`, `whole_files`, `example` (of the smallest id)."""
    from pyspark.sql import functions as F

    frame = data.frame(REJECTED)
    if frame is None:
        return []
    benchmark = F.when(F.col("rule").contains("benchmark"), F.regexp_extract("detail", _BENCHMARK, 1))
    counts = (
        F.count("*").alias("rows"),
        F.sum((F.col("stage").eqNullSafe("prepare") & F.col("example_id").contains("#")).cast("int")).alias("parts"),
        F.sum(F.expr(_WHOLE_FILE).cast("int")).alias("whole_files"),
        F.min(F.struct("example_id", "reason", "detail")).alias("example"),
    )
    return collected(frame.groupBy("stage", "source", "rule", benchmark.alias("benchmark")).agg(*counts))


def whole_files(data: Data, *, most: int) -> list[dict[str, Any]]:
    """`source`, `rule`, `reason`, `detail` of files that could not be read, or not to their end."""
    frame = data.frame(REJECTED)
    if frame is None:
        return []
    bad = frame.where(_WHOLE_FILE)
    return collected(bad.select("source", "rule", "reason", "detail").orderBy("source", "detail").limit(most))


def clusters(data: Data, *, most: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Clusters of duplicates: `size` → `clusters`, and `kept`, `exact`, `near` of the largest clusters.

    The detail of a merged row names the row that was kept, so a cluster is that row and those merged into it.
    """
    from pyspark.sql import functions as F

    frame = data.frame(REJECTED)
    if frame is None:
        return [], []
    exact, near = [F.sum((F.col("rule") == name).cast("int")) for name in ("exact_duplicate", "near_duplicate")]
    merged = frame.where(F.col("rule").isin("exact_duplicate", "near_duplicate"))
    by_kept = (
        merged.groupBy(F.regexp_extract("detail", KEPT, 1).alias("kept"))
        .agg(exact.alias("exact"), near.alias("near"))
        .where("kept != ''")
        .withColumn("size", F.col("exact") + F.col("near") + 1)
        .persist()
    )
    sizes = collected(by_kept.groupBy("size").agg(F.count("*").alias("clusters")))
    largest = collected(by_kept.orderBy(F.desc("size"), "kept").limit(most))
    by_kept.unpersist()
    return sizes, largest
