"""The clean stage: the config's rows of `bronze_examples` → `silver_examples` + `rejected`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dolly.accounting import rejected_rows, require_equal
from dolly.clean.examples import (
    silver_examples,
    with_duplicates_rejected,
    with_fixes,
    with_rejections,
)
from dolly.clean.rules import fixes, rejections
from dolly.schema import BRONZE_EXAMPLES, REJECTED, SILVER_EXAMPLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dolly.pipeline import Context


def run(context: Context) -> None:
    """Cleans all rows of the config's sources; each ends in one of the two tables."""
    from pyspark.sql import functions as F

    config = context.config
    with context.tracker.stage("clean") as stage:
        stage.input(BRONZE_EXAMPLES, role="clean")
        names = [source.name for source in config.sources]
        bronze = context.tables.read(context.spark, BRONZE_EXAMPLES).where(F.col("source").isin(names))
        cleaned = (
            bronze.transform(with_fixes, fixes(mask_emails=config.clean.mask_emails))
            .transform(with_rejections, rejections(max_characters=config.clean.max_characters))
            .transform(with_duplicates_rejected)
            .persist()
        )
        silver = silver_examples(cleaned.where("rule IS NULL"), dataset=config.name)
        bad = rejected_rows(
            cleaned.where("rule IS NOT NULL"), dataset=config.name, stage="clean", example_id="record_id"
        )
        rows_in, rows_silver, rows_bad = bronze.count(), silver.count(), bad.count()
        require_equal("clean", rows_in, rows_silver + rows_bad)
        scope = {"dataset": config.name}
        changes = context.tables.sync(silver, SILVER_EXAMPLES, scope=scope, writer="dolly clean")
        context.tables.sync(bad, REJECTED, scope=scope | {"stage": "clean"}, writer="dolly clean")
        context.say(f"{rows_in:,} rows in = {rows_silver:,} silver + {rows_bad:,} rejected ({changes})")
        stage.metrics({"in": rows_in, "silver": rows_silver, "rejected": rows_bad})
        for kind, counts in (("fixed", _counts(cleaned, "explode(fixes)")), ("rejected", _counts(bad, "rule"))):
            stage.metrics({f"{kind}/{name}": count for name, count in counts.items()})
            context.say(f"  {kind}: " + (", ".join(f"{n} {c:,}" for n, c in counts.items()) or "none"))
        cleaned.unpersist()


def _counts(frame: DataFrame, expression: str) -> dict[str, int]:
    rows = frame.selectExpr(f"{expression} AS name").groupBy("name").count().orderBy("name").collect()
    return {row["name"]: row["count"] for row in rows}
