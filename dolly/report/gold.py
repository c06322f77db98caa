"""Gold and its ledger: which training set the gold rows are, and its tokens.

Tokens are counted from the ledger: gold's own, which are the same, are its widest column.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from dolly.report.aggregates import Data, collected
from dolly.report.lengths import bars, percentiles
from dolly.schema import GOLD_EXAMPLES, LEDGER

if TYPE_CHECKING:
    from pyspark.sql import Column

Rows = list[dict[str, Any]]


def gold_rows(data: Data) -> Rows:
    """`source`, `split`; `rows`, `copies`, `visibility`, `identity` (a hash of the rows in any order)."""
    from pyspark.sql import functions as F

    frame = data.frame(GOLD_EXAMPLES)
    if frame is None:
        return []
    visibility = F.min("visibility").alias("visibility")
    counts = (F.count("*").alias("rows"), F.sum("copies").alias("copies"), visibility, _identity())
    return collected(frame.groupBy("source", "split").agg(*counts))


def training_set_of(data: Data, gold: Rows) -> str | None:
    """Hash of the training set that the gold rows are, which only the ledger names; None if none is."""
    from pyspark.sql import functions as F

    frame = data.frame(LEDGER)
    if frame is None:
        return None
    used = frame.where("fate != 'left_out'")
    counts = (F.count("*").alias("rows"), F.sum("tokens").alias("tokens"), _identity())
    sets = collected(used.groupBy("training_set").agg(*counts).orderBy("training_set"))
    identity = 0
    for row in gold:
        identity ^= row["identity"]
    rows = sum(row["rows"] for row in gold)
    same = [row for row in sets if (row["rows"], row["identity"]) == (rows, identity)]
    if len(same) > 1:
        # The same rows, cleaned or tokenised otherwise.
        total = _tokens_in_gold(data)
        same = [row for row in same if row["tokens"] == total]
    return same[0]["training_set"] if same else None


def ledger_rows(data: Data, training_set: str | None) -> Rows:
    """`source`, `split`, `fate`, `tokens` of one row; `rows`, `copies`, `parts`, `truncated_tokens`."""
    from pyspark.sql import functions as F

    frame = data.frame(LEDGER)
    if frame is None or training_set is None:
        return []
    sums = [F.sum(name).alias(name) for name in ("copies", "truncated_tokens")]
    parts = F.sum((F.col("part") > 0).cast("int")).alias("parts")
    wanted = frame.where(F.col("training_set") == training_set)
    return collected(wanted.groupBy("source", "split", "fate", "tokens").agg(F.count("*").alias("rows"), parts, *sums))


def tokens(ledger: Rows) -> dict[str, Any]:
    """Percentiles, mean and histogram of the tokens of rows that take part, and what was cut off."""
    counts: Counter[int] = Counter()
    for row in ledger:
        if row["fate"] != "left_out":
            counts[row["tokens"]] += row["rows"]
    if not counts:
        return {}
    return {
        **percentiles(counts),
        "mean": round(sum(size * rows for size, rows in counts.items()) / counts.total()),
        "truncated_rows": sum(row["rows"] for row in ledger if row["fate"] == "truncated"),
        "truncated_tokens": sum(row["truncated_tokens"] for row in ledger),
        "bars": bars(counts),
    }


def _identity() -> Column:
    from pyspark.sql import functions as F

    return F.bit_xor(F.xxhash64("example_id", "part", "split", "copies")).alias("identity")


def _tokens_in_gold(data: Data) -> int:
    from pyspark.sql import functions as F

    frame = data.frame(GOLD_EXAMPLES)
    row = None if frame is None else frame.agg(F.sum(F.size("input_ids"))).first()
    return int(row[0] or 0) if row else 0
