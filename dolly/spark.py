"""Starts the Spark session, local or on a cluster, with Delta's jars as files."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dolly.class_archive import java_options
from dolly.errors import EnvironmentFault
from dolly.extras import require
from dolly.installed import DELTA_COORDINATES, delta_jars, s3_jars
from dolly.java import ADVICE, MINIMUM, find_java
from dolly.signals import quiet_py4j

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dolly.config import Config
    from dolly.state import State

# A larger code cache. With only the first compiler Java reserves 48 MB; a run fills them, and the JVM then stops
# compiling. The user's extraJavaOptions come after these.
_JAVA_OPTIONS = "-XX:ReservedCodeCacheSize=256m"
# Set if spark-submit, Spark Connect or Databricks started this process.
_SESSION_VARIABLES = ("PYSPARK_GATEWAY_PORT", "SPARK_REMOTE", "DATABRICKS_RUNTIME_VERSION")


def start_session(
    *,
    master: str | None,
    driver_memory: str,
    shuffle_partitions: int,
    conf: dict[str, str],
    log: Path,
    s3: bool = False,
) -> SparkSession:
    """Starts a session, or returns the running one.

    Args:
        master: `local[N]` or a cluster's URL; None takes the session of spark-submit or of Databricks.
        driver_memory: in Spark's notation, e.g. `2g`.
        shuffle_partitions: partitions after a shuffle.
        conf: further Spark properties, which override the defaults set here.
        log: file for the JVM's output; Spark's own files go to its folder.
        s3: will S3 be read or written?

    Raises:
        EnvironmentFault: PySpark, Java or Delta's jars are missing, or Java does not start.
    """
    if master is None:
        return _existing_session(shuffle_partitions)
    require("spark", "pyspark")
    _choose_programs()
    from pyspark.errors import PySparkRuntimeError
    from pyspark.sql import SparkSession

    quiet_py4j()
    settings = _settings(driver_memory=driver_memory, shuffle_partitions=shuffle_partitions, s3=s3)
    settings |= _own_folders(log.parent, conf)
    if archived := java_options(Path(os.environ["JAVA_HOME"])):
        settings["spark.driver.defaultJavaOptions"] += f" {archived}"
    if master.startswith("local"):
        settings |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    builder = SparkSession.builder.master(master).appName("dolly")
    for key, value in (settings | conf).items():
        builder = builder.config(key, value)
    try:
        with _stderr_to(log):
            return builder.getOrCreate()
    except PySparkRuntimeError as error:
        if error.getCondition() != "JAVA_GATEWAY_EXITED":
            raise
        raise EnvironmentFault(
            found="a Java that ends as soon as Spark starts it",
            expected="a JVM with the options of spark.conf",
            fix=f"read the end of {log}; most often an extraJavaOptions or spark.driver_memory that Java does not take",
        ) from error


def _choose_programs() -> None:
    """Sets the Java and the Python that Spark starts.

    Raises:
        EnvironmentFault: no Java that Spark runs on.
    """
    java = find_java()
    if java is None:
        raise EnvironmentFault(
            found=f"no Java {MINIMUM} or newer", expected="one for Spark, in JAVA_HOME or on the PATH", fix=ADVICE
        )
    os.environ["JAVA_HOME"] = str(java)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)


def config_session(config: Config, state: State) -> SparkSession:
    """The session of a config, started if it does not run yet."""
    addresses = [state.tables, *(source.path for source in config.sources)]
    s3 = any(address.startswith(("s3a://", "s3://")) for address in addresses)
    return start_session(**config.spark.model_dump(), log=state.spark_log, s3=s3)


def _existing_session(shuffle_partitions: int) -> SparkSession:
    """The session of spark-submit, Spark Connect or Databricks.

    Raises:
        EnvironmentFault: there is no session, or it lacks Delta.
    """
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is None and not any(name in os.environ for name in _SESSION_VARIABLES):
        raise EnvironmentFault(
            found="spark.master: null and no Spark session",
            expected="a call by spark-submit or on Databricks",
            fix="start it there, or set spark.master, e.g. local[2]",
        )
    session = session or SparkSession.builder.getOrCreate()
    extensions = session.conf.get("spark.sql.extensions", "") or ""
    if "Delta" not in extensions and "DATABRICKS_RUNTIME_VERSION" not in os.environ:
        raise EnvironmentFault(
            found="a Spark session without Delta",
            expected=f"{DELTA_COORDINATES} and its extension",
            fix="give spark-submit --packages and --conf spark.sql.extensions="
            "io.delta.sql.DeltaSparkSessionExtension --conf spark.sql.catalog.spark_catalog="
            "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        )
    session.conf.set("spark.sql.session.timeZone", "UTC")
    session.conf.set("spark.sql.shuffle.partitions", str(shuffle_partitions))
    return session


def _own_folders(folder: Path, conf: Mapping[str, str]) -> dict[str, str]:
    """Settings for the folders that Spark and Hive would otherwise create in the working directory."""
    settings = {"spark.sql.warehouse.dir": str(folder / "spark-warehouse")}
    if conf.get("spark.sql.catalogImplementation") == "hive":
        database = f"jdbc:derby:;databaseName={folder / 'metastore_db'};create=true"
        settings["spark.hadoop.javax.jdo.option.ConnectionURL"] = database
        settings["spark.driver.defaultJavaOptions"] = f'{_JAVA_OPTIONS} "-Dderby.stream.error.file={folder}/derby.log"'
    return settings


def _s3_settings() -> dict[str, str]:
    """S3A's endpoint and region from the environment; S3A itself reads the keys from there."""
    settings = {}
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        settings["spark.hadoop.fs.s3a.endpoint"] = endpoint
        settings["spark.hadoop.fs.s3a.path.style.access"] = "true"
        settings["spark.hadoop.fs.s3a.connection.ssl.enabled"] = str(endpoint.startswith("https")).lower()
    if region := os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
        settings["spark.hadoop.fs.s3a.endpoint.region"] = region
    return settings


def _settings(*, driver_memory: str, shuffle_partitions: int, s3: bool) -> dict[str, str]:
    return (_s3_settings() if s3 else {}) | {
        "spark.jars": ",".join(str(jar) for jar in [*delta_jars(), *(s3_jars() if s3 else [])]),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.driver.memory": driver_memory,
        "spark.driver.defaultJavaOptions": _JAVA_OPTIONS,
        "spark.executor.defaultJavaOptions": _JAVA_OPTIONS,
        "spark.sql.shuffle.partitions": str(shuffle_partitions),
        # Delta's default of 50 partitions for its log costs seconds per commit.
        "spark.databricks.delta.snapshotPartitions": "2",
        # A table's files are listed by path: Spark need not discover them with a job.
        "spark.sql.sources.parallelPartitionDiscovery.threshold": "1000000",
        # Number of tasks with which VACUUM lists a table's folder; Spark's default of 10,000 takes most of a minute.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(shuffle_partitions),
        # Java maps case as ICU does in the root locale; initialising ICU takes 3 s in each session.
        "spark.sql.icu.caseMappings.enabled": "false",
        # Each call of a column's function would make three more, to name its line in errors: half of clean's calls.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "WARN",
    }


@contextmanager
def java_watched(log: Path) -> Iterator[None]:
    """Reports the end of the JVM, instead of the error that then follows in Python.

    Raises:
        EnvironmentFault: the JVM ended.
    """
    written_before = log.stat().st_size if log.exists() else 0
    try:
        yield
    except Exception as error:
        code = _java_exit_code() if _may_come_from_java(error) else None
        if code is None:
            raise
        ended = f"Spark's Java process ended while it worked, with exit code {code}"
        raise EnvironmentFault(
            found=f"{ended}; the last error in its log: {_last_error(log, written_before)}",
            expected="it to live as long as the run",
            fix=f"read the end of {log}; -9 is the system's kill, most often for want of memory: lower "
            "spark.driver_memory or end other programs; the same command resumes where this run ended",
        ) from error


def _may_come_from_java(error: Exception) -> bool:
    """Is it an error that the end of the JVM can cause? Without a session Py4J may not be installed."""
    if "py4j.protocol" not in sys.modules:
        return False
    from py4j.protocol import Py4JError

    return isinstance(error, (Py4JError, ConnectionError, EOFError))


def _last_error(log: Path, start: int) -> str:
    """The last line with an error in a log, from byte `start` on."""
    lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
    errors = [line for line in lines if "ERROR" in line or "Error" in line]
    return errors[-1][:300] if errors else "none"


def _java_exit_code() -> int | None:
    """Exit code of the JVM that this process started; None while it runs, or if there was none."""
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    if gateway is None:
        return None
    try:
        code: int = gateway.proc.wait(1)  # its sockets close shortly before it ends
    except subprocess.TimeoutExpired:
        return None
    return code


@contextmanager
def _stderr_to(log: Path) -> Iterator[None]:
    """Redirects standard error, which the JVM inherits when it starts, to a file."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with log.open("ab") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
