"""Bronze rows → `checked`: the rules that look at single rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dolly.accounting import CUT_MARGIN, TEXT_CHARACTERS
from dolly.clean.annotate import with_annotations
from dolly.clean.apply import with_checks, with_fixes, with_texts
from dolly.clean.benchmarks import BenchmarkIndex
from dolly.clean.conversations import with_clean_turns
from dolly.clean.privacy.settings import PrivacySettings
from dolly.clean.rules import Check, Fix

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def example_rows(bronze: DataFrame, *, settings: str) -> DataFrame:
    """`bronze_examples` in the shape that `checked_rows` takes.

    Args:
        bronze: rows of `bronze_examples`.
        settings: hash of all that a row's verdict depends on besides the row.
    """
    from pyspark.sql import functions as F

    single = F.array(_turn("user", F.col("instruction")), _turn("assistant", F.col("output")))
    return bronze.select(
        F.col("record_id").alias("example_id"),
        F.lit("example").alias("kind"),
        *("source", "visibility", "position"),
        # A file may get another name, which must not change its rows; bronze has it.
        F.lit(None).cast("string").alias("uri"),
        F.lit(None).cast("string").alias("title"),
        F.xxhash64("record_id", "content_hash", F.lit(settings)).alias("input_hash"),
        F.coalesce("input", F.lit("")).alias("context"),
        F.coalesce("turns", single).alias("turns"),
        F.col("turns").isNotNull().alias("conversation"),
        *("group_name", "variant", "expected", "category"),
    )


def document_rows(bronze: DataFrame, *, settings: str) -> DataFrame:
    """`bronze_documents` in the same shape: the text is the only turn, of the role `document`."""
    from pyspark.sql import functions as F

    absent = [F.lit("").alias(name) for name in ("group_name", "variant", "expected", "category")]
    return bronze.select(
        F.col("document_id").alias("example_id"),
        F.lit("document").alias("kind"),
        *("source", "visibility"),
        F.lit(-1).cast("bigint").alias("position"),
        *("uri", "title"),
        F.xxhash64("document_id", "uri", "title", "text", F.lit(settings)).alias("input_hash"),
        F.lit("").alias("context"),
        F.array(_turn("document", F.col("text"))).alias("turns"),
        F.lit(False).alias("conversation"),
        *absent,
    )


def checked_rows(
    rows: DataFrame,
    *,
    dataset: str,
    fixes: Sequence[Fix],
    checks: Sequence[Check],
    privacy: PrivacySettings | None,
    benchmarks: BenchmarkIndex | None,
    conversations: bool,
    reject_personal_data: bool,
) -> DataFrame:
    """Applies the rules.

    Args:
        rows: from `example_rows` or `document_rows`.
        dataset: name of the config.
        fixes: rules that change a text, in their order.
        checks: rules that reject or flag a row, after what concerns the data set as a whole: a broken
            conversation, a benchmark's question, personal data.
        privacy: how personal data is masked; None leaves it.
        benchmarks: questions that reject a row; None for none.
        conversations: are there rows of several rounds?
        reject_personal_data: reject rows that hold some, besides masking it.

    Returns:
        Rows of the table `checked`.
    """
    from pyspark.sql import functions as F

    rows = rows.withColumn("before", F.substring(_all_texts(), 1, TEXT_CHARACTERS + CUT_MARGIN))
    rows = _with_whole_rounds(rows) if conversations else _with_nothing_broken(rows)
    rows = rows.transform(with_fixes, list(fixes))
    # Of a row that no fix has changed, the texts as they came are those that are masked anyway.
    rows = rows.withColumn("before", F.when(F.size("fixes") > 0, F.col("before")))
    rows = with_annotations(rows, privacy=privacy, languages=True, benchmarks=benchmarks)
    rows = rows.transform(with_texts).transform(with_checks, list(checks))
    rows = _with_verdict(rows, reject_personal_data=reject_personal_data)
    return _columns(rows, dataset=dataset)


def _with_whole_rounds(rows: DataFrame) -> DataFrame:
    """Mends conversations; `broken` and `broken_detail` hold the rule and detail of those that can't be mended."""
    from pyspark.sql import functions as F

    whole = rows.where("conversation").transform(with_clean_turns)
    rows = rows.where("NOT conversation").unionByName(whole, allowMissingColumns=True)
    none = F.array().cast("array<string>")
    added = {"broken": F.col("rule"), "broken_detail": F.col("detail"), "fixes": F.coalesce("fixes", none)}
    return rows.withColumns(added).drop("rule", "detail")


def _with_nothing_broken(rows: DataFrame) -> DataFrame:
    from pyspark.sql import functions as F

    return rows.withColumns({name: F.lit(None).cast("string") for name in ("broken", "broken_detail")})


def _with_verdict(rows: DataFrame, *, reject_personal_data: bool) -> DataFrame:
    """`rule` and `detail` of the first that rejects: a broken conversation, a benchmark, personal data, a check."""
    from pyspark.sql import functions as F

    masked = F.coalesce(F.size("personal"), F.lit(0)) > 0
    held = F.col("benchmark").isNotNull()
    applies = {"benchmark_question": held, "personal_data": masked & F.lit(reject_personal_data)}
    details = {
        "benchmark_question": F.format_string("%s: '%s'", "benchmark", "gram"),
        "personal_data": F.array_join(F.array_distinct("personal"), ", "),
    }
    rule = F.coalesce("broken", *[F.when(applies[name], F.lit(name)) for name in applies], "rule")
    detail = F.coalesce("broken_detail", *[F.when(applies[name], details[name]) for name in applies], "detail")
    named = F.when(masked, F.array_append("fixes", F.lit("personal_data"))).otherwise(F.col("fixes"))
    return rows.withColumns({"rule": rule, "detail": detail, "fixes": named})


def _columns(rows: DataFrame, *, dataset: str) -> DataFrame:
    from pyspark.sql import functions as F

    # The same joining of task and context as prompts.user_content.
    first = F.get("turns", F.lit(0))
    asked = F.when(F.col("context") == "", first["content"]).otherwise(
        F.concat(first["content"], F.lit("\n\n"), "context")
    )
    merged = F.concat(F.array(_turn(first["role"], asked)), F.slice("turns", 2, 2**31 - 1))
    turns = F.when(F.col("context") == "", F.col("turns")).otherwise(merged)
    named = F.when(
        F.col("group_name") != "", F.sha2(F.concat_ws("\u0001", "source", F.concat(F.lit("group:"), "group_name")), 256)
    )
    return rows.select(
        F.lit(dataset).alias("dataset"),
        *("example_id", "kind", "source", "visibility", "position", "uri", "title", "input_hash"),
        "content_key",
        F.when((F.size("turns") == 2) & (F.col("kind") == "example"), F.col("question_key")).alias("question_key"),
        "bands",
        turns.alias("turns"),
        F.length("answer").alias("answer_length"),
        F.coalesce(named, F.sha2(F.concat_ws("\u0001", "source", F.col("question_key").cast("string")), 256)).alias(
            "group_id"
        ),
        named.alias("wordings"),
        "variant",
        *("expected", "category", "language", "personal", "fixes", "flags", "rule", "detail"),
        F.when(F.col("rule").isNotNull(), F.substring(F.coalesce("before", _all_texts()), 1, TEXT_CHARACTERS)).alias(
            "before"
        ),
    )


def _all_texts() -> Column:
    from pyspark.sql import functions as F

    return F.concat_ws("\n", F.transform("turns", lambda turn: turn["content"]), "context")


def _turn(role: str | Column, content: Column) -> Column:
    from pyspark.sql import functions as F

    return F.struct((F.lit(role) if isinstance(role, str) else role).alias("role"), content.alias("content"))
