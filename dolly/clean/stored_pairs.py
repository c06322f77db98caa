"""The keys of contents in `duplicate_pairs`: another key means that the content is compared again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def stored_contents(good: DataFrame, *, threshold: float) -> DataFrame:
    """`content_key` of each content and the `stored_key` that `duplicate_pairs` has for it.

    It is another one if the row that is compared, the rules or the threshold change: the content is
    then compared again.
    """
    from pyspark.sql import functions as F

    key = F.xxhash64(F.min("input_hash"), F.lit(threshold))
    return good.groupBy("content_key").agg(key.alias("stored_key"))


def with_other_keys(pairs: DataFrame, contents: DataFrame, *, to: str) -> DataFrame:
    """Pairs with the other key of `contents` as `a < b`; those of a content that is not there are left out."""
    from pyspark.sql import functions as F

    (key,) = set(contents.columns) - {to}
    for side in ("a", "b"):
        pairs = pairs.join(contents.select(F.col(key).alias(side), F.col(to).alias(f"_{side}")), side)
    return pairs.select(F.least("_a", "_b").alias("a"), F.greatest("_a", "_b").alias("b"), "similarity")
