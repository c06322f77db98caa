"""bronze → silver or rejected, as Spark expressions. Pure: frames in, frames out."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from dolly.clean.rules import TEXTS, Fix, Rejection

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def with_fixes(frame: DataFrame, rules: list[Fix]) -> DataFrame:
    """Applies the fixes; adds `fixes`, the names of those that changed the row."""
    from pyspark.sql import functions as F

    for rule in rules:
        before = {field: f"_before_{field}" for field in rule.fields}
        for field, kept in before.items():
            frame = frame.withColumn(kept, F.col(field)).withColumn(field, rule.apply(F.col(field)))
        changed = reduce(or_, [F.col(kept) != F.col(field) for field, kept in before.items()])
        frame = frame.withColumn(f"_fix_{rule.name}", F.when(changed, F.lit(rule.name))).drop(*before.values())
    marks = [f"_fix_{rule.name}" for rule in rules]
    names = F.filter(F.array(*marks), lambda name: name.isNotNull())
    return frame.withColumn("fixes", names).drop(*marks)


def with_rejections(frame: DataFrame, rules: list[Rejection]) -> DataFrame:
    """Adds `rule` and `detail` for rows that a rejection ends, null for the others."""
    from pyspark.sql import functions as F

    rule = F.coalesce(*[F.when(r.applies, F.lit(r.name)) for r in rules])
    detail = F.coalesce(*[F.when(r.applies, r.detail) for r in rules])
    return frame.withColumn("rule", rule).withColumn("detail", detail)


def with_duplicates_rejected(frame: DataFrame) -> DataFrame:
    """Rejects rows whose three texts equal an earlier row's but for case and white space.

    The row that stays is the first by source and position, whatever the partitioning.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    plain = [F.lower(F.regexp_replace(F.col(text), r"\s+", " ")) for text in TEXTS]
    # A rejected row is alone in its group: it must not shadow a good one.
    alone = F.when(F.col("rule").isNotNull(), F.col("record_id"))
    frame = frame.withColumn("_twin", F.sha2(F.concat_ws("\u0001", *plain, F.coalesce(alone, F.lit(""))), 256))
    order = Window.partitionBy("_twin").orderBy("source", "position", "record_id")
    frame = frame.withColumn("_first", F.first("record_id").over(order))
    double = F.col("_first") != F.col("record_id")
    return (
        frame.withColumn("rule", F.when(double, F.lit("exact_duplicate")).otherwise(F.col("rule")))
        .withColumn(
            "detail",
            F.when(double, F.concat(F.lit("same as "), "_first")).otherwise(F.col("detail")),
        )
        .drop("_twin", "_first")
    )


def silver_examples(frame: DataFrame, *, dataset: str) -> DataFrame:
    """Rows of `silver_examples` from cleaned rows that nothing rejected."""
    from pyspark.sql import functions as F

    def turn(role: str, content: Column) -> Column:
        return F.struct(F.lit(role).alias("role"), content.alias("content"))

    # The same joining of task and context as prompts.user_content.
    question = F.when(F.col("input") == "", F.col("instruction")).otherwise(
        F.concat("instruction", F.lit("\n\n"), "input")
    )
    asked = F.lower(F.regexp_replace(question, r"\s+", " "))
    group = F.when(F.col("group_name") != "", F.concat(F.lit("group:"), "group_name")).otherwise(asked)
    return frame.select(
        F.lit(dataset).alias("dataset"),
        F.col("record_id").alias("example_id"),
        "source",
        "visibility",
        "position",
        F.array(turn("user", question), turn("assistant", F.col("output"))).alias("turns"),
        F.sha2(F.concat_ws("\u0001", "source", group), 256).alias("group_id"),
        "variant",
        "expected",
        "category",
        "fixes",
    )
