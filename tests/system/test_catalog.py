"""Tables in a metastore, by name: a session of its own, since a session has one kind of catalog."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import QUICK_JAVA

pytestmark = [pytest.mark.spark, pytest.mark.slow]

SCRIPT = """
import json, sys
from pathlib import Path
from dolly.errors import DollyError
from dolly.schema import GOLD_EXAMPLES, REJECTED
from dolly.spark import start_session
from dolly.tables import Tables, open_store

folder, java = Path(sys.argv[1]), sys.argv[2]
conf = {"spark.driver.extraJavaOptions": java, "spark.sql.catalogImplementation": "hive"}
spark = start_session(
    master="local[2]", driver_memory="2g", shuffle_partitions=2, conf=conf, log=folder / "logs" / "spark.log"
)
def fault(address):
    try:
        open_store(address, lambda: spark).check()
    except DollyError as error:
        return str(error)
out = {"schema": fault("spark_catalog.lake"), "catalog": fault("nowhere.lake")}
spark.sql("CREATE SCHEMA spark_catalog.lake")
out["ready"] = fault("spark_catalog.lake")
tables = Tables("spark_catalog.lake", lambda: spark)
schema = ", ".join(f"{c.name} {c.type}" for c in REJECTED.columns)
def rejected(*rows):
    full = [("d", row, "clean", "s", 0, "rule", "reason", text, None, None) for row, text in rows]
    return spark.createDataFrame(full, schema)
def details():
    rows = tables.read_arrow(REJECTED, columns=["example_id", "detail"], scope="d").to_pylist()
    return {row["example_id"]: row["detail"] for row in rows}
# By another engine: deletion vectors and mapped columns.
columns = ", ".join(f"{c.name} {c.type}" for c in REJECTED.columns)
spark.sql(f"CREATE TABLE spark_catalog.lake.rejected ({columns}) USING delta PARTITIONED BY (dataset) TBLPROPERTIES "
    "('delta.enableDeletionVectors' = 'true', 'delta.columnMapping.mode' = 'name')")
many = rejected(*[(str(n), str(n)) for n in range(50)]).coalesce(1)
many.writeTo("spark_catalog.lake.rejected").append()
spark.sql("DELETE FROM spark_catalog.lake.rejected WHERE example_id = '7'")
spark.sql("ALTER TABLE spark_catalog.lake.rejected RENAME COLUMN detail TO other")
spark.sql("ALTER TABLE spark_catalog.lake.rejected RENAME COLUMN other TO detail")
out["spark"] = sorted(row["detail"] for row in tables.read(spark, REJECTED, dataset="d").collect())
out["arrow"] = sorted(details().values())
tables.merge(rejected(("8", "new"), ("x", "y")), REJECTED, gone=rejected(("9", "")), scope={"dataset": "d"}, writer="w")
out["merged"] = details()
# One of Dolly's own.
tables.ensure(spark, GOLD_EXAMPLES)
out["version"] = tables.version(GOLD_EXAMPLES)
out["trained from"] = tables.address_without_spark(GOLD_EXAMPLES)
out["without spark"] = Tables(out["trained from"]).rows(GOLD_EXAMPLES, dataset="d")
out["named"] = spark.catalog.tableExists("spark_catalog.lake.gold_examples")
print("OUT " + json.dumps(out))
"""


def test_tables_of_a_metastore_are_read_and_written_by_name(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), QUICK_JAVA],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("OUT ")]
    assert lines, done.stdout + done.stderr
    out = json.loads(lines[0][4:])
    assert "no schema spark_catalog.lake" in out["schema"]
    assert "no schema nowhere.lake" in out["catalog"]
    assert out["ready"] is None
    kept = sorted(str(n) for n in range(50) if n != 7)
    assert out["spark"] == out["arrow"] == kept
    merged = {str(n): str(n) for n in range(50) if n not in (7, 9)} | {"8": "new", "x": "y"}
    assert out["merged"] == merged
    assert out["named"]
    assert (out["version"], out["without spark"]) == (0, 0)
    assert Path(out["trained from"]).parent.parent == tmp_path / "logs"
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"logs"}, "Spark or Hive left files where it was called"
