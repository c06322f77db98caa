"""Which rows take part, and on which side: pure Spark expressions, independent of partitioning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def with_selection(frame: DataFrame, *, max_groups: Mapping[str, int]) -> DataFrame:
    """Adds `selected`: true for rows of the first N groups of their source, in file order.

    Args:
        frame: rows with `source`, `group_id` and `position`.
        max_groups: source → N; sources that are not named are selected whole.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    if not max_groups:
        return frame.withColumn("selected", F.lit(True))
    start = F.min("position").over(Window.partitionBy("source", "group_id"))
    frame = frame.withColumn("_start", start)
    rank = F.dense_rank().over(Window.partitionBy("source").orderBy("_start", "group_id"))
    limits = F.create_map(*[F.lit(value) for pair in max_groups.items() for value in pair])
    limit = F.coalesce(limits[F.col("source")], F.lit(2**31 - 1))
    return frame.withColumn("selected", rank <= limit).drop("_start")


def with_split(
    frame: DataFrame, *, eval_share: float, eval_variants: Mapping[str, tuple[str, ...] | str], seed: int
) -> DataFrame:
    """Adds `split`.

    Rows of a source in `eval_variants` are held out by their wording. Of the others whole groups are
    held out, so that rows which ask for the same thing are never on both sides: in each category of
    each source its share of the groups, those with the smallest hashes. A source's total is exact.

    Args:
        frame: rows with `source`, `group_id`, `variant` and `category`.
        eval_share: share of a source's groups that is held out.
        eval_variants: source → wordings that are held out, or `one_per_group`: in each group with
            several wordings one of them, chosen by hash.
        seed: another one holds out other groups.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    group = Window.partitionBy("source", "group_id")
    # The variant with the smallest hash, and how many there are, in the row's group.
    order = F.sha2(F.concat_ws(":", "group_id", "variant"), 256)
    chosen = (F.min(order).over(group) == order) & (F.size(F.collect_set("variant").over(group)) > 1)
    held_out = F.col("_held_out")
    for source, variants in eval_variants.items():
        by_variant = chosen if variants == "one_per_group" else F.col("variant").isin(*variants)
        held_out = F.when(F.col("source") == source, by_variant).otherwise(held_out)
    joined = frame.join(_groups_held_out(frame, eval_share=eval_share, seed=seed), ["source", "group_id"])
    return joined.withColumn("split", F.when(held_out, F.lit("eval")).otherwise(F.lit("train"))).drop("_held_out")


def _groups_held_out(frame: DataFrame, *, eval_share: float, seed: int) -> DataFrame:
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    groups = frame.groupBy("source", "group_id").agg(F.min(F.coalesce("category", F.lit(""))).alias("category"))
    # Quotas are differences of rounded running totals, so that they add up to the rounded share of all.
    running = F.sum("groups").over(Window.partitionBy("source").orderBy("category"))
    quota = F.round(running * eval_share) - F.round((running - F.col("groups")) * eval_share)
    strata = groups.groupBy("source", "category").agg(F.count("*").alias("groups")).withColumn("quota", quota)
    hashed = F.sha2(F.concat_ws(":", F.lit(str(seed)), "group_id"), 256)
    rank = F.row_number().over(Window.partitionBy("source", "category").orderBy(hashed))
    ranked = groups.withColumn("rank", rank).join(strata, ["source", "category"])
    return ranked.select("source", "group_id", (F.col("rank") <= F.col("quota")).alias("_held_out"))
