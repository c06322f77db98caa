from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dolly.errors import EnvironmentFault
from dolly.spark import java_watched
from tests.support import QUICK_JAVA

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

DYING = """
import os, sys
from pathlib import Path
from dolly.spark import java_watched, start_session

log = Path(sys.argv[1])
options = {"spark.driver.extraJavaOptions": sys.argv[2]}
with java_watched(log):
    spark = start_session(master="local[1]", driver_memory="1g", shuffle_partitions=1, conf=options, log=log)
    try:
        os.kill(spark.sparkContext._gateway.proc.pid, 9)
        spark.range(1).count()
    finally:
        spark.stop()
"""


def dying(log: Path, options: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", DYING, str(log), options], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 1, result.stdout
    return result.stderr.splitlines()[-1]


def test_java_has_room_for_compiled_code_beside_the_users_options(spark: SparkSession) -> None:
    assert spark.sparkContext._jvm is not None
    given = set(spark.sparkContext._jvm.java.lang.management.ManagementFactory.getRuntimeMXBean().getInputArguments())
    assert {"-XX:ReservedCodeCacheSize=256m", *QUICK_JAVA.split()} <= given


def test_a_killed_java_is_told_as_such(tmp_path: Path) -> None:
    said = dying(tmp_path / "spark.log", QUICK_JAVA)
    assert "EnvironmentFault" in said
    assert f"exit code -{signal.SIGKILL.value}" in said
    assert str(tmp_path / "spark.log") in said


def test_the_last_error_of_its_log_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "spark.log"
    log.write_text("09:00 ERROR of the run before\n")
    monkeypatch.setattr("dolly.spark._java_exit_code", lambda: 50)

    def ended(written: str) -> None:
        with java_watched(log):
            with log.open("a") as file:
                file.write(written)
            raise ConnectionResetError("gone")

    with pytest.raises(EnvironmentFault, match="exit code 50; the last error in its log: none; expected"):
        ended("10:00 INFO begins\n")
    with pytest.raises(EnvironmentFault, match="the last error in its log: 10:01 ERROR out of space; expected"):
        ended("10:00 ERROR first\n10:01 ERROR out of space\n10:02 INFO shutdown hook\n")


def test_a_java_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    said = dying(tmp_path / "spark.log", "-XX:ReservedCodeCacheSize=1k")
    assert "found a Java that ends as soon as Spark starts it" in said
    assert "ReservedCodeCacheSize" in (tmp_path / "spark.log").read_text()


def test_other_faults_pass_unchanged(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError, match="another server's"), java_watched(tmp_path / "spark.log"):
        raise ConnectionResetError("another server's")
