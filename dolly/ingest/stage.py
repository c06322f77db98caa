"""The ingest stage: the config's files → `bronze_examples` + `rejected`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dolly.accounting import rejected_rows, require_equal
from dolly.config import Source
from dolly.ingest.files import read_records
from dolly.schema import BRONZE_EXAMPLES, REJECTED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dolly.pipeline import Context


def run(context: Context) -> None:
    """Brings each source's rows in `bronze_examples` in line with its file."""
    from pyspark.sql import functions as F

    config = context.config
    rejected: DataFrame | None = None
    with context.tracker.stage("ingest") as stage:
        for source in config.sources:
            frame = _read(context, source)
            good = frame.where("rule IS NULL")
            bad = rejected_rows(
                frame.where("rule IS NOT NULL").withColumn("source", F.lit(source.name)),
                dataset=config.name,
                stage="ingest",
                example_id="record_id",
            )
            rejected = bad if rejected is None else rejected.unionByName(bad)
            counts = {"in": frame.count(), "bronze": good.count(), "rejected": bad.count()}
            require_equal(f"ingest of {source.name}", counts["in"], counts["bronze"] + counts["rejected"])
            changes = context.tables.sync(
                _bronze(good, source), BRONZE_EXAMPLES, scope={"source": source.name}, writer="dolly ingest"
            )
            stage.metrics({f"{source.name}/{key}": value for key, value in counts.items()})
            context.say(
                f"{source.name}: {counts['in']:,} rows in = {counts['bronze']:,} bronze "
                f"+ {counts['rejected']:,} rejected ({changes})"
            )
        assert rejected is not None, "the config has at least one source"
        scope = {"dataset": config.name, "stage": "ingest"}
        context.tables.sync(rejected, REJECTED, scope=scope, writer="dolly ingest")


def _read(context: Context, source: Source) -> DataFrame:
    columns = source.columns
    return read_records(
        context.spark,
        source=source.name,
        path=source.path,
        file_format=source.format,
        columns={name: getattr(columns, name) for name in type(columns).model_fields},
        required=columns.required(),
    )


def _bronze(good: DataFrame, source: Source) -> DataFrame:
    from pyspark.sql import functions as F

    return (
        good.withColumn("source", F.lit(source.name))
        .withColumn("visibility", F.lit(source.visibility))
        .withColumn("uri", F.lit(source.path))
        .withColumn("arrived_at", F.current_timestamp())
        .withColumnRenamed("group", "group_name")
    )
