"""Selection and split: stable, and never one group on both sides."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from dolly.prepare.split import with_selection, with_split

pytestmark = pytest.mark.spark


def frame(spark: Any, rows: list[tuple[str, str, str, int]]) -> Any:
    hashed = [(s, hashlib.sha256(g.encode()).hexdigest(), g, v, p) for s, g, v, p in rows]
    return spark.createDataFrame(hashed, "source string, group_id string, name string, variant string, position bigint")


def test_the_first_groups_of_a_source_are_selected_whole(spark: Any) -> None:
    rows = [("a", f"g{i // 2}", "", i) for i in range(8)] + [("b", f"h{i}", "", i) for i in range(3)]
    made = with_selection(frame(spark, rows).repartition(3), max_groups={"a": 2}).where("selected").collect()
    assert sorted((row["source"], row["position"]) for row in made) == [
        *[("a", i) for i in range(4)],
        *[("b", i) for i in range(3)],
    ]


def test_groups_stay_on_one_side_and_the_share_is_kept(spark: Any) -> None:
    rows = [("a", f"g{i % 1000}", "", i) for i in range(3000)]
    made = with_split(frame(spark, rows), eval_share=0.2, eval_variants={}).collect()
    sides: dict[str, set[str]] = {}
    for row in made:
        sides.setdefault(row["name"], set()).add(row["split"])
    assert all(len(side) == 1 for side in sides.values())
    held_out = sum(side == {"eval"} for side in sides.values()) / len(sides)
    assert held_out == pytest.approx(0.2, abs=0.04)


def test_the_split_does_not_depend_on_partitioning_or_other_rows(spark: Any) -> None:
    rows = [("a", f"g{i}", "", i) for i in range(200)]
    some = {
        r["name"]: r["split"] for r in with_split(frame(spark, rows[:50]), eval_share=0.3, eval_variants={}).collect()
    }
    every = with_split(frame(spark, rows).repartition(5), eval_share=0.3, eval_variants={}).collect()
    assert some.items() <= {row["name"]: row["split"] for row in every}.items()


def test_wordings_are_held_out_where_the_config_says(spark: Any) -> None:
    rows = [("facts", "g", str(v), v) for v in range(1, 5)] + [("other", "o", "4", 9)]
    made = with_split(frame(spark, rows), eval_share=0.0, eval_variants={"facts": ("4",)}).collect()
    assert {(row["source"], row["variant"]): row["split"] for row in made} == {
        ("facts", "1"): "train",
        ("facts", "2"): "train",
        ("facts", "3"): "train",
        ("facts", "4"): "eval",
        ("other", "4"): "train",
    }


def test_one_wording_of_each_group_is_held_out_by_hash(spark: Any) -> None:
    rows = [("facts", f"g{i // 4}", str(i % 4 + 1), i) for i in range(400)] + [("facts", "single", "1", 400)]
    made = with_split(frame(spark, rows).repartition(3), eval_share=0.5, eval_variants={"facts": "one_per_group"})
    held_out = [(row["name"], row["variant"]) for row in made.where("split = 'eval'").collect()]
    assert sorted({name for name, _ in held_out}) == sorted({f"g{i}" for i in range(100)})
    assert len(held_out) == 100
    assert {variant for _, variant in held_out} == {"1", "2", "3", "4"}
