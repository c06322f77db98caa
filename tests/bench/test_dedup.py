"""The near-duplicate job of the benchmark, at a tiny size: each row is kept or has one that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from deltalake import write_deltalake

from bench import quality
from bench.dedup_job import Phases, remove_duplicates
from bench.rows import make_rows


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.shared_data
def test_the_job_keeps_one_row_of_each_cluster(spark: Any, tmp_path: Path) -> None:
    made = make_rows(300)
    write_deltalake(str(tmp_path / "rows"), made.table)
    phases = Phases()
    signed, judged = remove_duplicates(spark, tmp_path / "rows", tmp_path / "kept", phases)
    named = signed.join(judged, "input_hash").select("example_id", "cluster_id").collect()
    kept = {row["id"] for row in spark.read.format("delta").load(str(tmp_path / "kept")).select("id").collect()}
    spark.catalog.clearCache()
    clusters = {int(row["example_id"][1:]): row["cluster_id"] for row in named}
    texts = [f"{row['instruction']}\n{row['output']}" for row in made.table.to_pylist()]
    found = quality.figures(texts, map(tuple, made.planted.tolist()), {"dolly": clusters})["dolly"]
    assert found["recall"] >= 0.9
    assert found["precision"] >= 0.95
    assert len(kept) == 300 - found["removed"]
    assert {int(name[1:]) for name in kept} & set(clusters)
    assert list(phases.seconds) == ["signatures", "pairs", "clusters", "write"]
