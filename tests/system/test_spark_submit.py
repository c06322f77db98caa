"""A job that a scheduler starts by spark-submit, from anywhere: it takes the session that is there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from dolly.installed import delta_jars
from dolly.java import find_java
from dolly.schema import BRONZE_EXAMPLES
from dolly.tables import Tables
from tests.support import QUICK_JAVA, dolly, tiny_config

pytestmark = [pytest.mark.spark, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.driver.extraJavaOptions": QUICK_JAVA,
    "spark.ui.enabled": "false",
}


def submit(config: Path, cwd: Path, conf: dict[str, str]) -> subprocess.CompletedProcess[str]:
    program = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    options = [text for key, value in conf.items() for text in ("--conf", f"{key}={value}")]
    jars = ["--jars", ",".join(map(str, delta_jars()))]
    java = ["--driver-java-options", QUICK_JAVA]
    own = {"JAVA_HOME": str(find_java()), "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    command = [str(program), "--master", "local[2]", *java, *jars, *options]
    return subprocess.run(
        [*command, str(ROOT / "jobs/ingest.py"), str(config)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | own | {"SPARK_LOCAL_IP": "127.0.0.1"},
        timeout=300,
    )


def test_the_session_of_spark_submit_is_taken(tiny_base: Path, tmp_path: Path) -> None:
    config, elsewhere = tiny_config(tmp_path, tiny_base, spark={"master": None}), tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = submit(config, elsewhere, DELTA)
    assert done.returncode == 0, done.stderr[-3000:]
    assert Tables(tmp_path / "home" / "tables").rows(BRONZE_EXAMPLES, dataset="tiny", source="general") == 123


def test_a_session_without_delta_is_refused_before_any_work(tiny_base: Path, tmp_path: Path) -> None:
    config = tiny_config(tmp_path, tiny_base, spark={"master": None})
    done = submit(config, tmp_path, {"spark.ui.enabled": "false"})
    assert done.returncode == 1
    # spark-submit prints to standard output whatever Python prints.
    assert "found a Spark session without Delta; expected io.delta:delta-spark" in done.stdout
    assert not (tmp_path / "home" / "tables" / "bronze_examples").exists()


def test_without_a_session_the_key_to_set_is_named(tiny_base: Path, tmp_path: Path) -> None:
    done = dolly("ingest", str(tiny_config(tmp_path, tiny_base, spark={"master": None})))
    assert done.returncode == 1
    assert "found spark.master: null and no Spark session" in done.stderr
