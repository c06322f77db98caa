"""Selection and split: stable, and never one group on both sides."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from dolly.prepare.split import with_selection, with_split

pytestmark = pytest.mark.spark


def frame(spark: Any, rows: list[tuple[str, str, str, int]]) -> Any:
    hashed = [(s, hashlib.sha256(g.encode()).hexdigest(), g, v, p, g[:1]) for s, g, v, p in rows]
    schema = "source string, group_id string, name string, variant string, position bigint, category string"
    return spark.createDataFrame(hashed, schema)


def test_the_first_groups_of_a_source_are_selected_whole(spark: Any) -> None:
    rows = [("a", f"g{i // 2}", "", i) for i in range(8)] + [("b", f"h{i}", "", i) for i in range(3)]
    made = with_selection(frame(spark, rows).repartition(3), max_groups={"a": 2}).where("selected").collect()
    assert sorted((row["source"], row["position"]) for row in made) == [
        *[("a", i) for i in range(4)],
        *[("b", i) for i in range(3)],
    ]


def sides(frame: Any, share: float, seed: int = 1) -> dict[str, str]:
    """Group → side; fails if a group is on both."""
    found: dict[str, set[str]] = {}
    for row in with_split(frame, eval_share=share, eval_variants={}, seed=seed).collect():
        found.setdefault(row["name"], set()).add(row["split"])
    assert all(len(side) == 1 for side in found.values())
    return {name: side.pop() for name, side in found.items()}


def test_groups_stay_on_one_side_and_the_share_is_exact(spark: Any) -> None:
    rows = [("a", f"g{i % 1000}", "", i) for i in range(3000)] + [("b", f"h{i}", "", i) for i in range(30)]
    held_out = [name for name, side in sides(frame(spark, rows), 0.2).items() if side == "eval"]
    assert sum(name.startswith("g") for name in held_out) == 200
    assert sum(name.startswith("h") for name in held_out) == 6


def test_each_category_gives_its_share(spark: Any) -> None:
    rows = [
        ("a", f"{category}{i}", "", i) for category, count in (("x", 100), ("y", 41), ("z", 9)) for i in range(count)
    ]
    held_out = [name[0] for name, side in sides(frame(spark, rows), 0.1).items() if side == "eval"]
    assert (held_out.count("x"), held_out.count("y"), held_out.count("z")) == (10, 4, 1)


def test_the_split_depends_on_the_seed_and_not_on_partitioning(spark: Any) -> None:
    made = frame(spark, [("a", f"g{i}", "", i) for i in range(200)])
    assert sides(made, 0.3) == sides(made.repartition(5), 0.3) != sides(made, 0.3, seed=2)


def test_wordings_are_held_out_where_the_config_says(spark: Any) -> None:
    rows = [("facts", "g", str(v), v) for v in range(1, 5)] + [("other", "o", "4", 9)]
    made = with_split(frame(spark, rows), eval_share=0.0, eval_variants={"facts": ("4",)}, seed=1).collect()
    assert {(row["source"], row["variant"]): row["split"] for row in made} == {
        ("facts", "1"): "train",
        ("facts", "2"): "train",
        ("facts", "3"): "train",
        ("facts", "4"): "eval",
        ("other", "4"): "train",
    }


def test_one_wording_of_each_group_is_held_out_by_hash(spark: Any) -> None:
    rows = [("facts", f"g{i // 4}", str(i % 4 + 1), i) for i in range(400)] + [("facts", "single", "1", 400)]
    made = with_split(
        frame(spark, rows).repartition(3), eval_share=0.5, eval_variants={"facts": "one_per_group"}, seed=1
    )
    held_out = [(row["name"], row["variant"]) for row in made.where("split = 'eval'").collect()]
    assert sorted({name for name, _ in held_out}) == sorted({f"g{i}" for i in range(100)})
    assert len(held_out) == 100
    assert {variant for _, variant in held_out} == {"1", "2", "3", "4"}
