"""Gold and its ledger: the training set of the gold rows, and its tokens.

Tokens are counted in the ledger; in gold they are the widest column.
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
    """`source`, `split`; `rows`, `copies`, `visibility`, `rows_hash` (a hash of the rows in any order)."""
    from pyspark.sql import functions as F

    frame = data.frame(GOLD_EXAMPLES)
    if frame is None:
        return []
    visibility = F.min("visibility").alias("visibility")
    counts = (F.count("*").alias("rows"), F.sum("copies").alias("copies"), visibility, _rows_hash())
    return collected(frame.groupBy("source", "split").agg(*counts))


def training_set_of(data: Data, gold: Rows) -> str | None:
    """Hash of the training set of the gold rows, read from the ledger; None if the ledger has none."""
    from pyspark.sql import functions as F

    frame = data.frame(LEDGER)
    if frame is None:
        return None
    used = frame.where("fate != 'left_out'")
    counts = (F.count("*").alias("rows"), F.sum("tokens").alias("tokens"), _rows_hash())
    sets = collected(used.groupBy("training_set").agg(*counts).orderBy("training_set"))
    gold_hash = 0
    for row in gold:
        gold_hash ^= row["rows_hash"]
    rows = sum(row["rows"] for row in gold)
    same = [row for row in sets if (row["rows"], row["rows_hash"]) == (rows, gold_hash)]
    if len(same) > 1:
        # The same rows with other texts or other tokens.
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
    """Percentiles, mean and histogram of the tokens of rows in the training set, and the tokens cut off."""
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


def _rows_hash() -> Column:
    from pyspark.sql import functions as F

    return F.bit_xor(F.xxhash64("example_id", "part", "split", "copies")).alias("rows_hash")


def _tokens_in_gold(data: Data) -> int:
    from pyspark.sql import functions as F

    frame = data.frame(GOLD_EXAMPLES)
    row = None if frame is None else frame.agg(F.sum(F.size("input_ids"))).first()
    return int(row[0] or 0) if row else 0
