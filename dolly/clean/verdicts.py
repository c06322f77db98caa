"""Duplicate rows, the row of them that is kept, and rows that answer the same question differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dolly.clean.duplicates import clusters

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def cluster_members(good: DataFrame, pairs: DataFrame, *, sources: Sequence[str]) -> DataFrame:
    """One narrow row for each good row that says the same as another: equal texts, or a chain of near ones.

    The best row of a cluster is kept: private before public, then one whose source groups its wordings,
    then the fewest fixes and flags, then the longest answer, then the order of the config's sources and
    of their rows.

    Args:
        good: rows of `checked` that no rule rejected.
        pairs: `a`, `b`, `similarity` of near contents that are there.
        sources: names of the config's sources, in its order.

    Returns:
        `input_hash`, `cluster_id`, and of a row that is merged into another `duplicate` (the rule) and
        `same_as` (the detail).
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    repeated = good.groupBy("content_key").count().where("count > 1")
    repeated = repeated.selectExpr("content_key", "content_key AS cluster")
    # A cluster is named after its smallest content; that of one content after itself.
    together = repeated.unionByName(clusters(pairs)).groupBy("content_key").agg(F.min("cluster").alias("cluster"))
    likeness = pairs.select(F.explode(F.array("a", "b")).alias("content_key"), "similarity")
    likeness = likeness.groupBy("content_key").agg(F.max("similarity").alias("similarity"))
    best = F.first(F.struct("example_id", "content_key")).over(Window.partitionBy("cluster").orderBy(*_order(sources)))
    members = good.join(together, "content_key").join(likeness, "content_key", "left").withColumn("kept", best)
    double = F.col("kept.example_id") != F.col("example_id")
    exact = F.col("kept.content_key") == F.col("content_key")
    near = F.format_string("says nearly the same as %s (similarity %.2f)", "kept.example_id", "similarity")
    return members.select(
        "input_hash",
        F.format_string("%016x", "cluster").alias("cluster_id"),
        F.when(double, F.when(exact, "exact_duplicate").otherwise("near_duplicate")).alias("duplicate"),
        F.when(double, F.when(exact, F.concat(F.lit("same as "), "kept.example_id")).otherwise(near)).alias("same_as"),
    )


def _order(sources: Sequence[str]) -> list[Column | str]:
    """The best row comes first."""
    from pyspark.sql import functions as F

    return [
        F.when(F.col("visibility") == "private", 0).otherwise(1),
        F.when(F.col("wordings").isNotNull(), 0).otherwise(1),
        F.size("fixes") + F.size("flags"),
        F.desc("answer_length"),
        F.array_position(F.array(*[F.lit(name) for name in sources]), F.col("source")),
        "position",
        "example_id",
    ]


def verdicts(good: DataFrame, members: DataFrame) -> DataFrame:
    """The rows of `cluster_members` and those in conflict: the same question is answered otherwise by another.

    Args:
        good: rows of `checked` that no rule rejected.
        members: from `cluster_members`; read twice, so best persisted.

    Returns:
        The columns of `members`, null for a row that is alone, and `conflict`.
    """
    from pyspark.sql import functions as F

    merged = members.where("duplicate IS NOT NULL").select("input_hash")
    # Few questions are there twice: what follows the first filter is small, however many rows there are.
    asked = _several(good.where("question_key IS NOT NULL").select("input_hash", "question_key"))
    asked = _several(asked.join(merged, "input_hash", "left_anti"))
    conflicts = asked.select("input_hash", F.lit(True).alias("conflict"))
    joined = members.join(conflicts, "input_hash", "full_outer")
    return joined.withColumn("conflict", F.coalesce("conflict", F.lit(False)))


def _several(asked: DataFrame) -> DataFrame:
    """The rows with a question that occurs more than once."""
    several = asked.groupBy("question_key").count().where("count > 1").select("question_key")
    return asked.join(several, "question_key", "left_semi")
