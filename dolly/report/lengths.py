"""Lengths: which bucket a text falls into, percentiles of counted values, bars of a histogram."""

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

    # A sum of comparisons is compiled by Spark; a look-up in an array is not.
    places = F.lit(0)
    for edge in EDGES:
        places = places + (length >= edge).cast("int")
    return places


def bucket_rows(counts: Mapping[int, int]) -> list[dict[str, Any]]:
    """Rows of each bucket, from the first to the last that has any."""
    used = [place for place, count in counts.items() if count]
    if not used:
        return []
    return [{"from": _lower(place), "rows": counts.get(place, 0)} for place in range(min(used), max(used) + 1)]


def _lower(place: int) -> int:
    return EDGES[place - 1] if place else 0


def percentiles(counts: Mapping[int, int]) -> dict[str, int]:
    """The values below or at which that many percent of the rows lie, and the largest one.

    Args:
        counts: value → rows that have it.
    """
    total, running, found = sum(counts.values()), 0, {}
    wanted = list(PERCENTILES)
    for value in sorted(counts):
        running += counts[value]
        while wanted and running * 100 >= total * wanted[0]:
            found[f"p{wanted.pop(0)}"] = value
    return found | {"max": max(counts, default=0)}


def bars(counts: Mapping[int, int]) -> list[dict[str, int]]:
    """Values in at most 32 ranges of one width, a power of two: {"from", "rows"} of each."""
    if not counts:
        return []
    width = 1
    while max(counts) // width >= _BARS:
        width *= 2
    rows: dict[int, int] = {}
    for value, count in counts.items():
        rows[value // width] = rows.get(value // width, 0) + count
    return [{"from": place * width, "rows": rows.get(place, 0)} for place in range(max(rows) + 1)]


def grouped(counts: Mapping[int, int], lower: Sequence[int]) -> list[dict[str, int]]:
    """Values in the ranges that begin at `lower`: {"from", "rows"} of those that have any."""
    rows: dict[int, int] = {}
    for value, count in counts.items():
        start = max((edge for edge in lower if edge <= value), default=lower[0])
        rows[start] = rows.get(start, 0) + count
    return [{"from": start, "rows": rows[start]} for start in sorted(rows)]


def range_labels(starts: Sequence[int], lower: Sequence[int]) -> list[str]:
    """What the ranges are called that begin at `starts`: 0, 1–9, 10+.

    Args:
        starts: some of `lower`.
        lower: where all ranges begin; the last one has no end.
    """
    ends = dict(pairwise(lower))
    labels = []
    for start in starts:
        last = ends[start] - 1 if start in ends else None
        labels.append(f"{start:,}+" if last is None else f"{start:,}" if start == last else f"{start:,}–{last:,}")
    return labels
