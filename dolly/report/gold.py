"""Gold and its ledger: tokens, and which training set the gold rows are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from dolly.report.aggregates import Data, collected
from dolly.report.lengths import bars, percentiles
from dolly.schema import GOLD_EXAMPLES, LEDGER

if TYPE_CHECKING:
    from pyspark.sql import Column

Rows = list[dict[str, Any]]


def gold_rows(data: Data) -> list[dict[str, Any]]:
    """`source`, `split`, `tokens` of one row; `rows`, `copies`, `visibility`, `identity` (an order-free hash)."""
    from pyspark.sql import functions as F

    frame = data.frame(GOLD_EXAMPLES)
    if frame is None:
        return []
    counts = (
        F.count("*").alias("rows"),
        F.sum("copies").alias("copies"),
        F.min("visibility").alias("visibility"),
        _row_identity().alias("identity"),
    )
    return collected(frame.withColumn("tokens", F.size("input_ids")).groupBy("source", "split", "tokens").agg(*counts))


def ledger_rows(data: Data, training_set: str | None) -> list[dict[str, Any]]:
    """`training_set`, `source`, `fate`; `rows`, `parts`, token sums, `identity` as in `gold_rows`."""
    from pyspark.sql import functions as F

    frame = data.frame(LEDGER)
    if frame is None:
        return []
    if training_set is not None:
        frame = frame.where(F.col("training_set") == training_set)
    sums = [F.sum(name).alias(name) for name in ("copies", "tokens", "trained_tokens", "truncated_tokens")]
    parts = F.sum((F.col("part") > 0).cast("int")).alias("parts")
    counts = (F.count("*").alias("rows"), parts, *sums, _row_identity().alias("identity"))
    return collected(frame.groupBy("training_set", "source", "fate").agg(*counts))


def _row_identity() -> Column:
    from pyspark.sql import functions as F

    return F.bit_xor(F.xxhash64("example_id", "part", "split", "copies", "tokens"))


def current(ledger: Rows, gold: Rows) -> Rows:
    """Rows of the ledger's training set that the gold rows are: gold itself does not name it."""
    identity = _identity(gold)
    by_set: dict[str, Rows] = {}
    for row in ledger:
        by_set.setdefault(row["training_set"], []).append(row)
    for training_set in sorted(by_set):
        rows = by_set[training_set]
        if _identity([row for row in rows if row["fate"] != "left_out"]) == identity:
            return rows
    return []


def tokens(gold: Rows, ledger: Rows) -> dict[str, Any]:
    """Percentiles, mean and histogram of the rows' tokens, and what was cut off."""
    if not gold:
        return {}
    counts: Counter[int] = Counter()
    for row in gold:
        counts[row["tokens"]] += row["rows"]
    cut = [row for row in ledger if row["fate"] == "truncated"]
    return {
        **percentiles(counts),
        "mean": round(sum(size * rows for size, rows in counts.items()) / counts.total()),
        "truncated_rows": sum(row["rows"] for row in cut),
        "truncated_tokens": sum(row["truncated_tokens"] for row in ledger),
        "bars": bars(counts),
    }


def _identity(rows: Rows) -> tuple[int, int]:
    hashed = 0
    for row in rows:
        hashed ^= row["identity"]
    return sum(row["rows"] for row in rows), hashed
