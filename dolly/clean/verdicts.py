"""Which rows say the same, which one of them is kept, and which answer one question differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dolly.clean.duplicates import clusters

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def verdicts(good: DataFrame, pairs: DataFrame, *, sources: Sequence[str]) -> DataFrame:
    """One narrow row for each good row that is not alone.

    Of the rows that say the same (equal texts, or a chain of near ones) the best one is kept: private
    before public, then one whose source groups its wordings, then the fewest fixes and flags, then the
    longest answer, then the order of the config's sources and of their rows.

    Args:
        good: rows of `checked` that no rule rejected.
        pairs: `a`, `b`, `similarity` of near contents that are there.
        sources: names of the config's sources, in its order.

    Returns:
        `input_hash`, `cluster_id`, `duplicate` (the rule) and `same_as` (the detail) of a row that is
        merged into another, `conflict` (the same question is answered otherwise by another kept row).
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    repeated = (
        good.groupBy("content_key").count().where("count > 1").selectExpr("content_key", "content_key AS cluster")
    )
    # A cluster is named after its smallest content; that of one content after itself.
    together = repeated.unionByName(clusters(pairs)).groupBy("content_key").agg(F.min("cluster").alias("cluster"))
    order = F.array_position(F.array(*[F.lit(name) for name in sources]), F.col("source"))
    ranked = Window.partitionBy("cluster").orderBy(
        F.when(F.col("visibility") == "private", 0).otherwise(1),
        F.when(F.col("wordings").isNotNull(), 0).otherwise(1),
        F.size("fixes") + F.size("flags"),
        F.desc("answer_length"),
        order,
        "position",
        "example_id",
    )
    likeness = pairs.select(F.explode(F.array("a", "b")).alias("content_key"), "similarity")
    likeness = likeness.groupBy("content_key").agg(F.max("similarity").alias("similarity"))
    members = (
        good.join(together, "content_key")
        .join(likeness, "content_key", "left")
        .withColumn("kept", F.first(F.struct("example_id", "content_key")).over(ranked))
    )
    double = F.col("kept.example_id") != F.col("example_id")
    exact = F.col("kept.content_key") == F.col("content_key")
    near = F.format_string("says nearly the same as %s (similarity %.2f)", "kept.example_id", "similarity")
    members = members.select(
        "input_hash",
        "question_key",
        F.format_string("%016x", "cluster").alias("cluster_id"),
        F.when(double, F.when(exact, "exact_duplicate").otherwise("near_duplicate")).alias("duplicate"),
        F.when(double, F.when(exact, F.concat(F.lit("same as "), "kept.example_id")).otherwise(near)).alias("same_as"),
    )
    return _with_conflicts(good, members)


def _with_conflicts(good: DataFrame, members: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    merged = members.where("duplicate IS NOT NULL").select("input_hash")
    asked = good.where("question_key IS NOT NULL").select("input_hash", "question_key", "wordings", "variant")
    several = asked.groupBy("question_key").count().where("count > 1").select("question_key")
    asked = asked.join(several, "question_key", "left_semi").join(merged, "input_hash", "left_anti")
    several = asked.groupBy("question_key").count().where("count > 1").select("question_key")
    conflicts = asked.join(several, "question_key", "left_semi").select("input_hash", F.lit(True).alias("conflict"))
    joined = members.drop("question_key").join(conflicts, "input_hash", "full_outer")
    return joined.withColumn("conflict", F.coalesce("conflict", F.lit(False)))
