"""Checked rows and their verdicts → rows of the silver tables and of `rejected`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def with_verdicts(good: DataFrame, verdicts: DataFrame) -> DataFrame:
    """Adds `cluster_id`, `state`, the flag of a conflict, and `rule` and `detail` of a duplicate.

    Args:
        good: rows of `checked` that no rule rejected.
        verdicts: from `verdicts.verdicts`; rows that are alone have none.
    """
    from pyspark.sql import functions as F

    joined = good.drop("rule", "detail").join(verdicts, "input_hash", "left")
    conflict = F.coalesce("conflict", F.lit(False))
    return joined.withColumns(
        {
            "rule": F.col("duplicate"),
            "detail": F.col("same_as"),
            "flags": F.when(conflict, F.array_append("flags", F.lit("conflicting_answers"))).otherwise(F.col("flags")),
            "state": F.xxhash64("input_hash", "position", "visibility", "cluster_id", conflict),
        }
    )


def silver_examples(kept: DataFrame) -> DataFrame:
    """Rows of `silver_examples` from the kept rows of both kinds."""
    return kept.where("kind = 'example'")


def silver_documents(kept: DataFrame) -> DataFrame:
    """Rows of `silver_documents` from the kept rows of both kinds."""
    from pyspark.sql import functions as F

    documents = kept.where("kind = 'document'").withColumn("text", F.get("turns", F.lit(0))["content"])
    return documents.withColumnRenamed("example_id", "document_id")


def duplicates_rejected(judged: DataFrame) -> DataFrame:
    """The rows that are merged into another one, with their texts as `before`."""
    from pyspark.sql import functions as F

    contents: Column = F.concat_ws("\n", F.transform("turns", lambda turn: turn["content"]))
    columns = ["example_id", "source", "position", "rule", "detail"]
    merged = judged.where("rule IS NOT NULL")
    return merged.select(*columns, contents.alias("before"))
