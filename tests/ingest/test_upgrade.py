"""A home of the version whose bronze tables were keyed by source alone: opened, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import functions as F

from dolly.schema import BRONZE_EXAMPLES, BRONZE_FILES
from dolly.tables.migrations import UNASSIGNED, upgrade

pytestmark = pytest.mark.spark


def source(path: Path, name: str = "s") -> dict[str, Any]:
    return {"name": name, "path": str(path), "format": "jsonl"}


def write(path: Path, *answers: str, bad: int = 0) -> None:
    rows = [json.dumps({"instruction": f"q {answer}", "output": answer}) for answer in answers]
    path.write_text("".join(f"{row}\n" for row in rows + ["{bad"] * bad))


def as_before(spark: Any, ingest: Any) -> None:
    """Gives the bronze tables the shape that they had, without `dataset` and with a source's rows once."""
    for table in (BRONZE_EXAMPLES, BRONZE_FILES):
        rows = spark.read.table(ingest.tables.store.reference(table)).drop("dataset").distinct()
        rows = rows.dropDuplicates(["source", "record_id" if table is BRONZE_EXAMPLES else "uri"])
        writer = rows.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        writer.partitionBy("source").save(ingest.tables.location(table))


def test_each_data_set_keeps_the_rows_of_its_sources(spark: Any, ingest: Any, tmp_path: Path) -> None:
    shared, own, lone = (tmp_path / f"{name}.jsonl" for name in ("shared", "own", "lone"))
    write(shared, "1", "2", bad=1)
    write(own, "3", bad=2)
    write(lone, "4")
    ingest(source(shared), name="one")
    ingest(source(shared), source(own, "t"), name="two")
    ingest(source(lone, "u"), name="three")
    before = {name: [ingest.state(s, name) for s in "st"] for name in ("one", "two")}
    as_before(spark, ingest)
    versions = ingest.versions()

    lines = list(upgrade(ingest.tables, lambda: spark, dataset="one", sources=["s"]))
    assert [line.split(":")[0] for line in lines] == ["bronze_examples", "bronze_files"]
    assert {name: [ingest.state(s, name) for s in "st"] for name in ("one", "two")} == before
    # No data set is known to have used the last one: its rows are kept, and read anew by their own.
    assert len(ingest.rows(BRONZE_EXAMPLES, "u", UNASSIGNED)) == 1
    assert "1 rows in = 1 bronze" in ingest(source(lone, "u"), name="three")
    assert "(+0 ~0 -0" in ingest(source(shared), name="one")
    # The versions before it can still be read.
    old = spark.read.option("versionAsOf", versions["bronze_examples"])
    assert old.table(ingest.tables.store.reference(BRONZE_EXAMPLES)).where(F.col("source") == "s").count() == 2
    assert not list(upgrade(ingest.tables, lambda: spark, dataset="one", sources=["s"]))
