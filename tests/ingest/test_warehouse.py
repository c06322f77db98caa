"""Sources that are tables: read as a whole, again only when they have changed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest

from dolly.errors import DataError, UsageError
from dolly.ingest.warehouse import database_table
from dolly.schema import BRONZE_EXAMPLES, BRONZE_FILES

pytestmark = pytest.mark.spark

ROWS = [("höher?", "a, b", 1), ("東京", 'line\nend "x"', None), ("same", "same", 2), ("same", "same", 2)]
COLUMNS = {"instruction": "q", "output": "a", "category": "n"}


def source(file_format: str, **more: Any) -> dict[str, Any]:
    return {"name": "s", "format": file_format, "columns": COLUMNS} | more


def assert_rows(ingest: Any, *more: tuple[str, str, str]) -> None:
    rows = ingest.rows(BRONZE_EXAMPLES, "s")
    expected = [(q, a, "" if n is None else str(n)) for q, a, n in ROWS] + list(more)
    assert sorted((row["instruction"], row["output"], row["category"]) for row in rows) == sorted(expected)
    assert sorted(row["position"] for row in rows) == list(range(len(expected)))
    assert len({row["record_id"] for row in rows}) == len(expected)


def frame(spark: Any) -> Any:
    return spark.createDataFrame(ROWS, "q string, a string, n int")


def test_parquet_and_delta(spark: Any, ingest: Any, tmp_path: Path) -> None:
    parquet, delta = str(tmp_path / "rows [1]"), str(tmp_path / "delta `x`")
    frame(spark).repartition(3).write.parquet(parquet)
    frame(spark).write.format("delta").save(delta)
    ingest(source("parquet", path=parquet), source("delta", path=delta) | {"name": "d"})
    assert_rows(ingest)
    ids = [{row["record_id"] for row in ingest.rows(BRONZE_EXAMPLES, name)} for name in ("s", "d")]
    assert [len(one) for one in ids] == [4, 4]
    before = ingest.versions()
    ingest(source("parquet", path=parquet), source("delta", path=delta) | {"name": "d"})
    assert ingest.versions() == before
    new = spark.createDataFrame([("new", "row", None), (None, None, None)], "q string, a string, n int")
    new.write.format("delta").mode("append").save(delta)
    ingest(source("delta", path=delta, version=0) | {"name": "d"})
    assert ingest.versions() == before
    assert "6 rows in = 6 bronze" in ingest(source("delta", path=delta) | {"name": "d"})
    assert ids[1] < {row["record_id"] for row in ingest.rows(BRONZE_EXAMPLES, "d")}
    assert ingest.rows(BRONZE_FILES, "d")[0]["checksum"].startswith("version 1 of ")
    with pytest.raises(DataError, match="can't be read"):
        ingest(source("delta", path=delta, version=9))
    shutil.copy(__file__, f"{parquet}/part-bad.parquet")
    with pytest.raises(DataError, match="Parquet files of one schema"):
        ingest(source("parquet", path=parquet))


def test_a_saved_data_set(ingest: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = datasets.Dataset.from_list([dict(zip("qan", row, strict=True)) for row in ROWS])
    made.save_to_disk(tmp_path / "one", num_shards=3)
    datasets.DatasetDict({"train": made, "test": made.select([0])}).save_to_disk(tmp_path / "two")
    first = source("datasets", path=str(tmp_path / "one"))
    split = source("datasets", path=str(tmp_path / "two"), split="test") | {"name": "t"}
    ingest(first, split)
    assert_rows(ingest)
    assert [row["position"] for row in ingest.rows(BRONZE_EXAMPLES, "t")] == [0]
    before = ingest.versions()
    ingest(first, split)
    assert ingest.versions() == before
    with pytest.raises(DataError, match="no split dev; there are train, test"):
        ingest(split | {"split": "dev"})
    with pytest.raises(DataError, match="save_to_disk"):
        ingest(source("datasets", path=str(tmp_path)))
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: made.select(range(3)))
    ingest(source("hub", path="org/name") | {"name": "h"}, allow_network=True)
    assert len(ingest.rows(BRONZE_EXAMPLES, "h")) == 3
    assert ingest.rows(BRONZE_FILES, "h")[0]["uri"] == "org_name/train"


@pytest.mark.parametrize(
    "url",
    ["jdbc:postgresql://h/d?user=u&password=x", "jdbc:postgresql://u:x@h/d", "jdbc:sqlserver://h;PASSWORD = x;"],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(spark: Any, url: str) -> None:
    with pytest.raises(UsageError, match="password_env") as caught:
        database_table(spark, url=url, table="t", query=None, user=None, password_env=None, driver="d")
    assert "x" not in str(caught.value).replace("expected", "").replace("fix", "")
