"""The mix: exact numbers, the same rows whatever the partitioning."""

from __future__ import annotations

from typing import Any

import pytest

from dolly.errors import DataError
from dolly.prepare.mix import targets, with_copies

ROWS = {"bank": 1000, "alpaca": 8000, "sharegpt": 999}


def made(**changes: Any) -> dict[str, int]:
    settings: dict[str, Any] = {"private": {"bank"}, "weights": {}, "private_share": None, "by": "sample"}
    return targets(ROWS, **settings | changes)


def test_without_wishes_all_rows_take_part_once() -> None:
    assert made() == ROWS


def test_weights_multiply_a_source() -> None:
    assert made(weights={"bank": 2.5, "alpaca": 0.25}) == {"bank": 2500, "alpaca": 2000, "sharegpt": 999}


@pytest.mark.parametrize("by", ["sample", "repeat"])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.2, 0.5, 0.9])
def test_the_private_share_is_met_to_the_row(by: str, share: float) -> None:
    result = made(private_share=share, by=by)
    total = sum(result.values())
    assert abs(result["bank"] - share * total) <= 1
    if by == "sample":
        assert all(result[source] <= ROWS[source] for source in ROWS)
    else:
        assert all(result[source] >= ROWS[source] for source in ROWS)


def test_public_sources_keep_their_proportions() -> None:
    result = made(private_share=0.5)
    assert result["bank"] == 1000
    assert result["alpaca"] == pytest.approx(1000 * 8000 / 8999, abs=1)


def test_a_share_of_a_side_without_rows_is_an_error() -> None:
    with pytest.raises(DataError, match=r"0 private and 9,999 public .*private_share 0\.2"):
        made(private=set(), private_share=0.2)


@pytest.mark.spark
def test_copies_are_exact_and_independent_of_partitions(spark: Any) -> None:
    rows = [("a", "train", f"a{i}", 0) for i in range(10)] + [("b", "train", f"b{i}", 0) for i in range(7)]
    rows += [("a", "eval", "e", 0)]
    frame = spark.createDataFrame(rows, "source string, split string, example_id string, part int")
    counts, wanted = {"a": 10, "b": 7}, {"a": 25, "b": 3}
    one, two, other = (
        {
            (row["source"], row["example_id"]): row["copies"]
            for row in with_copies(some, rows=counts, targets=wanted, seed=seed).collect()
        }
        for some, seed in ((frame.coalesce(1), 1), (frame.repartition(5), 1), (frame, 2))
    )
    assert one == two != other
    assert sum(copies for (source, name), copies in one.items() if source == "a" and name != "e") == 25
    assert {copies for (source, name), copies in one.items() if source == "a" and name != "e"} == {2, 3}
    assert sum(copies for (source, _), copies in one.items() if source == "b") == 3
    assert one["a", "e"] == 1
