"""The clean stage: bronze → `checked` → `silver_examples`, `silver_documents` and `rejected`.

Only rows that are new, changed or judged by other settings are checked again, and only what differs
is written. A row that only has another position or visibility keeps its verdict. The comparison uses
the tables alone, never a note of what an earlier run was about to do, so that a run which was killed
anywhere is completed by the next one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from typing import TYPE_CHECKING

from dolly.accounting import rejected_rows, require_equal, say_counts
from dolly.clean.checked import checked_rows, document_rows, example_rows
from dolly.clean.duplicates import candidate_pairs, near_pairs
from dolly.clean.reasons import REASONS
from dolly.clean.settings import RowRules, row_rules
from dolly.clean.silver import duplicates_rejected, silver_documents, silver_examples, with_verdicts
from dolly.clean.stored_pairs import stored_contents, with_other_keys
from dolly.clean.verdicts import cluster_members, verdicts
from dolly.schema import (
    BRONZE_DOCUMENTS,
    BRONZE_EXAMPLES,
    CHECKED,
    DUPLICATE_PAIRS,
    REJECTED,
    SILVER_DOCUMENTS,
    SILVER_EXAMPLES,
    Table,
)
from dolly.tables import Changes
from dolly.tables.arrow import arrow_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from dolly.pipeline import Context
    from dolly.result import StageResult
    from dolly.tracking import StageRun

_WRITER = "dolly clean"
# Columns of `checked` that change without the row's content.
_PLACE = ("position", "visibility")
# Below this many rows a join sends one side to all tasks instead of shuffling the texts of the other.
_BROADCAST_ROWS = 3_000_000


def run(context: Context) -> StageResult:
    """Cleans the config's rows; each ends in one of the silver tables or in `rejected`."""
    with context.tracker.stage("clean") as stage:
        _ = context.spark  # rules are column expressions, which need a session
        rules = row_rules(context.config, context.state)
        bronze = _bronze(context, stage, rules)
        _check(context, bronze, rules)
        good = _checked(context).where("rule IS NULL")
        with _near(context, good) as pairs:
            _judge(context, good, pairs)
        _account(context, stage, rows_in=sum(rows.count() for rows in bronze.values()))
        return stage.result(ids={"settings": rules.sha256})


def _bronze(context: Context, stage: StageRun, rules: RowRules) -> dict[str, DataFrame]:
    """The config's rows of the bronze tables, by kind, in one shape."""
    from pyspark.sql import functions as F

    shapes = {"example": (BRONZE_EXAMPLES, example_rows), "document": (BRONZE_DOCUMENTS, document_rows)}
    sources: dict[str, list[str]] = {}
    for source in context.config.sources:
        sources.setdefault("document" if source.holds_documents else "example", []).append(source.name)
    frames = {}
    for kind, names in sources.items():
        table, shape = shapes[kind]
        stage.input(table, role="clean")
        rows = context.tables.read(context.spark, table, dataset=context.config.name).where(F.col("source").isin(names))
        frames[kind] = shape(rows, settings=rules.sha256)
    return frames


def _checked(context: Context, columns: list[str] | None = None) -> DataFrame:
    frame = context.tables.read(context.spark, CHECKED, dataset=context.config.name)
    return frame.select(*columns) if columns else frame


def _check(context: Context, bronze: dict[str, DataFrame], rules: RowRules) -> None:
    """Brings `checked` in line with bronze."""
    from pyspark.sql import functions as F

    tables, dataset = context.tables, context.config.name
    scope = {"dataset": dataset}
    tables.ensure(context.spark, CHECKED)
    known = _checked(context, ["dataset", "example_id", "input_hash", *_PLACE])
    first = known.isEmpty()
    checks = {"example": rules.checks, "document": rules.document_checks}
    fresh = bronze
    if not first:
        fresh = {kind: rows.join(known, "input_hash", "left_anti") for kind, rows in bronze.items()}
        # Spark needs 20 s for a plan of all rules, whether it has rows or not.
        fresh = {kind: rows for kind, rows in fresh.items() if not rows.isEmpty()}
    frames = [
        checked_rows(
            rows,
            dataset=dataset,
            fixes=rules.fixes,
            checks=checks[kind],
            privacy=rules.privacy,
            benchmarks=rules.benchmarks,
            conversations=any(source.columns.turns for source in context.config.sources),
            reject_personal_data=rules.reject_personal_data,
        )
        for kind, rows in fresh.items()
    ]
    if first:
        changes = tables.merge(_union(frames), CHECKED, scope=scope, writer=_WRITER)
    else:
        places = _union([frame.select("input_hash", *_PLACE) for frame in bronze.values()])
        moved = places.join(known, places.columns, "left_anti").persist()
        few = moved.count() <= _BROADCAST_ROWS
        old = _checked(context).drop(*_PLACE)
        rows = _union([*frames, old.join(F.broadcast(moved) if few else moved, "input_hash")]).persist()
        present = _union([frame.select("input_hash") for frame in bronze.values()])
        gone = known.join(present, "input_hash", "left_anti")
        gone = gone.join(rows.select("example_id"), "example_id", "left_anti")
        changes = tables.merge(rows, CHECKED, gone=gone, scope=scope, writer=_WRITER)
        rows.unpersist()
        moved.unpersist()
    context.say(f"checked: {changes}")


def _union(frames: list[DataFrame]) -> DataFrame:
    return reduce(lambda one, two: one.unionByName(two), frames)


@contextmanager
def _near(context: Context, good: DataFrame) -> Iterator[DataFrame]:
    """Brings `duplicate_pairs` in line with the contents of the good rows, and gives the pairs of near contents.

    A content that was compared with all others is in the table as a pair with itself; that is how a
    run knows which ones are new.
    """
    from pyspark.sql import functions as F

    if not context.config.clean.duplicates.near:
        yield context.spark.createDataFrame([], "a bigint, b bigint, similarity double")
        return
    tables, dataset = context.tables, context.config.name
    scope, threshold = {"dataset": dataset}, context.config.clean.duplicates.threshold
    tables.ensure(context.spark, DUPLICATE_PAIRS)
    stored = tables.read(context.spark, DUPLICATE_PAIRS, dataset=dataset)
    live = good.where("size(bands) > 0")
    contents = stored_contents(live, threshold=threshold).persist()
    compared = stored.where("a = b").select(F.col("a").alias("stored_key"))
    fresh = contents.join(compared, "stored_key", "left_anti").persist()
    first = compared.isEmpty()
    pairs = candidate_pairs(live.select("content_key", "bands"), fresh=None if first else fresh).persist()
    near = near_pairs(pairs, good, threshold=threshold).transform(with_other_keys, contents, to="stored_key")
    itself = fresh.selectExpr("stored_key AS a", "stored_key AS b", "1.0D AS similarity")
    rows = near.unionByName(itself).withColumn("dataset", F.lit(dataset))
    dead = [stored.join(contents, stored[side] == contents["stored_key"], "left_anti") for side in ("a", "b")]
    gone = None if first else dead[0].unionByName(dead[1]).select("dataset", "a", "b").distinct()
    changes = tables.merge(rows, DUPLICATE_PAIRS, gone=gone, scope=scope, writer=_WRITER)
    pairs.unpersist()
    fresh.unpersist()
    context.say(f"duplicate pairs: {changes}")
    near = tables.read(context.spark, DUPLICATE_PAIRS, dataset=dataset).where("a < b")
    yield near.transform(with_other_keys, contents, to="content_key")
    contents.unpersist()


def _judge(context: Context, good: DataFrame, pairs: DataFrame) -> None:
    """Brings the silver tables and the clean stage's part of `rejected` in line with the good rows."""
    from pyspark.sql import functions as F

    config, tables = context.config, context.tables
    dataset = config.name
    members = cluster_members(good, pairs, sources=[source.name for source in config.sources]).persist()
    judgements = verdicts(good, members).persist()
    few = judgements.count() <= _BROADCAST_ROWS
    judged = with_verdicts(good, F.broadcast(judgements) if few else judgements)
    kept = judged.where("rule IS NULL")
    _write(context, silver_examples(kept), SILVER_EXAMPLES)
    if any(source.holds_documents for source in config.sources) or tables.exists(SILVER_DOCUMENTS):
        _write(context, silver_documents(kept), SILVER_DOCUMENTS)
    bad = _checked(context).where("rule IS NOT NULL").unionByName(duplicates_rejected(judged), allowMissingColumns=True)
    rejected = rejected_rows(bad, dataset=dataset, stage="clean", example_id="example_id", reasons=REASONS)
    tables.sync(rejected, REJECTED, scope={"dataset": dataset, "stage": "clean"}, writer=_WRITER)
    judgements.unpersist()
    members.unpersist()


def _write(context: Context, rows: DataFrame, table: Table) -> Changes:
    """Brings a silver table in line with `rows`; rows of equal `state` are equal."""
    from pyspark.sql import functions as F

    tables, scope = context.tables, {"dataset": context.config.name}
    tables.ensure(context.spark, table)
    key = table.key[1]
    stored = tables.read(context.spark, table, **scope).select("dataset", key, "state")
    if stored.isEmpty():
        changes = tables.merge(rows, table, scope=scope, writer=_WRITER)
    else:
        wanted = rows.select(key, "state").persist()
        changed = wanted.join(stored.select("state"), "state", "left_anti").persist()
        count = changed.count()
        gone = stored.join(wanted.select("state"), "state", "left_anti").join(changed.select(key), key, "left_anti")
        states = changed.select("state")
        rows = rows.join(F.broadcast(states) if count <= _BROADCAST_ROWS else states, "state", "left_semi")
        # Spark's plan of these rows takes seconds, whether there are any or not.
        none = arrow_schema(table.columns).empty_table()
        changes = tables.merge(rows if count else none, table, gone=gone, scope=scope, writer=_WRITER)
        changed.unpersist()
        wanted.unpersist()
    context.say(f"{table.name}: {changes}")
    return changes


def _account(context: Context, stage: StageRun, *, rows_in: int) -> None:
    """Requires each bronze row in exactly one table; prints and logs the counts by source and rule."""
    tables, dataset = context.tables, context.config.name
    counts = {
        "in": rows_in,
        "silver": tables.rows(SILVER_EXAMPLES, dataset=dataset),
        "documents": tables.rows(SILVER_DOCUMENTS, dataset=dataset) if tables.exists(SILVER_DOCUMENTS) else 0,
        "rejected": tables.rows(REJECTED, dataset=dataset, stage="clean"),
    }
    require_equal("clean", rows_in, counts["silver"] + counts["documents"] + counts["rejected"])
    stage.metrics(counts)
    context.say(
        f"{rows_in:,} rows in = {counts['silver']:,} silver examples + {counts['documents']:,} silver documents "
        f"+ {counts['rejected']:,} rejected"
    )
    checked = _checked(context)
    say_counts(context.say, stage, checked, kind="fixed", name="explode(fixes)")
    say_counts(context.say, stage, checked, kind="masked", name="explode(personal)")
    for table in (SILVER_EXAMPLES, SILVER_DOCUMENTS):
        if tables.exists(table):
            rows = tables.read(context.spark, table, dataset=dataset)
            say_counts(context.say, stage, rows, kind="flagged", name="explode(flags)")
    rejected = tables.read(context.spark, REJECTED, dataset=dataset, stage="clean")
    say_counts(context.say, stage, rejected, kind="rejected", name="rule")
