"""Buckets of text lengths, percentiles of counted values, and bars of a histogram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import Column

# Lower ends of the buckets, in characters; the first bucket holds empty texts.
EDGES = (1, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
CLUSTER_SIZES = (2, 3, 4, 5, 6, 10, 20, 50, 100, 1_000)
PERCENTILES = (50, 90, 99)
_BARS = 32


def bucket(length: Column) -> Column:
    """The bucket of a length in characters, 0 to `len(EDGES)`."""
    from pyspark.sql import functions as F

    # Spark compiles a sum of comparisons, but not a look-up in an array.
    index = F.lit(0)
    for edge in EDGES:
        index = index + (length >= edge).cast("int")
    return index


def bucket_rows(counts: Mapping[int, int]) -> list[dict[str, Any]]:
    """Rows of each bucket, from the first to the last non-empty one."""
    used = [index for index, count in counts.items() if count]
    if not used:
        return []
    return [{"from": _lower(index), "rows": counts.get(index, 0)} for index in range(min(used), max(used) + 1)]


def _lower(index: int) -> int:
    return EDGES[index - 1] if index else 0


def percentiles(counts: Mapping[int, int]) -> dict[str, int]:
    """Percentiles and the maximum of values.

    Args:
        counts: value → number of rows.
    """
    total, running, percentile = sum(counts.values()), 0, {}
    wanted = list(PERCENTILES)
    for value in sorted(counts):
        running += counts[value]
        while wanted and running * 100 >= total * wanted[0]:
            percentile[f"p{wanted.pop(0)}"] = value
    return percentile | {"max": max(counts, default=0)}


def bars(counts: Mapping[int, int]) -> list[dict[str, int]]:
    """A histogram of at most 32 bars; their width is a power of two: {"from", "rows"} of each."""
    if not counts:
        return []
    width = 1
    while max(counts) // width >= _BARS:
        width *= 2
    rows: dict[int, int] = {}
    for value, count in counts.items():
        rows[value // width] = rows.get(value // width, 0) + count
    return [{"from": index * width, "rows": rows.get(index, 0)} for index in range(max(rows) + 1)]


def grouped(counts: Mapping[int, int], lower: Sequence[int]) -> list[dict[str, int]]:
    """Rows in the ranges that begin at `lower`: {"from", "rows"} of the non-empty ranges."""
    rows: dict[int, int] = {}
    for value, count in counts.items():
        start = max((edge for edge in lower if edge <= value), default=lower[0])
        rows[start] = rows.get(start, 0) + count
    return [{"from": start, "rows": rows[start]} for start in sorted(rows)]


def range_labels(starts: Sequence[int], lower: Sequence[int]) -> list[str]:
    """Labels of the ranges that begin at `starts`: 0, 1–9, 10+.

    Args:
        starts: some of `lower`.
        lower: lower ends of all ranges; the last range is open.
    """
    ends = dict(pairwise(lower))
    labels = []
    for start in starts:
        last = ends[start] - 1 if start in ends else None
        labels.append(f"{start:,}+" if last is None else f"{start:,}" if start == last else f"{start:,}–{last:,}")
    return labels
