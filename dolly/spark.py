"""The Spark session: local or a cluster by configuration, Delta's jars given as files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dolly.errors import EnvironmentFault
from dolly.installed import delta_jars
from dolly.java import ADVICE, MINIMUM, find_java

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def start_session(
    *, master: str, driver_memory: str, shuffle_partitions: int, conf: dict[str, str], log: Path
) -> SparkSession:
    """Starts a session, or returns the one that runs.

    Args:
        master: `local[N]` or a cluster's URL.
        driver_memory: as Spark writes it, e.g. `2g`.
        shuffle_partitions: partitions after a shuffle.
        conf: further Spark properties; they win over ours.
        log: file for what the JVM prints.

    Raises:
        EnvironmentFault: no Java, or no Delta jars.
    """
    java = find_java()
    if java is None:
        raise EnvironmentFault(
            found=f"no Java {MINIMUM} or newer", expected="one for Spark, in JAVA_HOME or on the PATH", fix=ADVICE
        )
    os.environ["JAVA_HOME"] = str(java)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    from pyspark.sql import SparkSession

    settings = _settings(driver_memory=driver_memory, shuffle_partitions=shuffle_partitions)
    if master.startswith("local"):
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    builder = SparkSession.builder.master(master).appName("dolly")
    for key, value in (settings | conf).items():
        builder = builder.config(key, value)
    with _stderr_to(log):
        return builder.getOrCreate()


def _settings(*, driver_memory: str, shuffle_partitions: int) -> dict[str, str]:
    return {
        "spark.jars": ",".join(str(jar) for jar in delta_jars()),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.driver.memory": driver_memory,
        "spark.sql.shuffle.partitions": str(shuffle_partitions),
        # Few files: Delta's default of 50 partitions for its own log costs seconds a commit.
        "spark.databricks.delta.snapshotPartitions": "2",
        # A table's files are named one by one: there is nothing to be discovered by a job.
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000000",
        # VACUUM lists a table's folder by so many tasks; Spark's default of 10,000 takes it most of a minute.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(shuffle_partitions),
        # Java lowers a text's case as ICU does in the root locale; setting ICU up takes 3 s of each session.
        "spark.sql.icu.caseMappings.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "WARN",
    }


@contextmanager
def _stderr_to(log: Path) -> Iterator[None]:
    """The JVM inherits our standard error when it starts: its log belongs in a file, not in the report."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
