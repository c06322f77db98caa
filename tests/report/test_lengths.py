"""Buckets, percentiles and ranges."""

from __future__ import annotations

from itertools import pairwise

from dolly.report.lengths import CLUSTER_SIZES, EDGES, bars, bucket_rows, grouped, percentiles, range_labels


def test_percentiles_are_values_that_occur() -> None:
    assert percentiles({10: 50, 20: 40, 30: 9, 400: 1}) == {"p50": 10, "p90": 20, "p99": 30, "max": 400}
    assert percentiles({7: 1}) == {"p50": 7, "p90": 7, "p99": 7, "max": 7}


def test_bars_hold_every_row_in_few_ranges_of_one_width() -> None:
    counts = {1: 2, 100: 3, 511: 4, 512: 1}
    made = bars(counts)
    assert sum(row["rows"] for row in made) == 10
    assert len(made) <= 32
    assert {later["from"] - row["from"] for row, later in pairwise(made)} == {32}
    assert made[-1] == {"from": 512, "rows": 1}


def test_buckets_between_used_ones_are_there_though_empty() -> None:
    assert bucket_rows({1: 5, 3: 2}) == [{"from": 1, "rows": 5}, {"from": 10, "rows": 0}, {"from": 20, "rows": 2}]
    assert bucket_rows({}) == []


def test_ranges_are_named_by_both_ends() -> None:
    assert range_labels([0, 1, 50_000], (0, *EDGES)) == ["0", "1–9", "50,000+"]
    sizes = grouped({2: 5, 7: 1, 9: 1, 5_000: 1}, CLUSTER_SIZES)
    assert sizes == [{"from": 2, "rows": 5}, {"from": 6, "rows": 2}, {"from": 1_000, "rows": 1}]
    assert range_labels([row["from"] for row in sizes], CLUSTER_SIZES) == ["2", "6–9", "1,000+"]
