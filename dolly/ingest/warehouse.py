"""Sources that are tables, not files: Parquet, Delta, a database, a folder or name of `datasets`.

Such a source is taken as a whole: its rows become JSON, and a checksum or version shows whether it
has changed. A database gives its rows in no order, so they are put in that of their JSON.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dolly.errors import DataError, UsageError
from dolly.ingest.arrow_folder import arrow_rows
from dolly.ingest.json_text import line_decoder, line_record
from dolly.ingest.remote import first_line
from dolly.ingest.rows import RECORD_SCHEMA, Batch, Reading, record_batches, record_rows
from dolly.secrets import MASK, contains_secret

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

_OPTIONS = {"fetchsize": "10000"}  # rows; PostgreSQL's driver would else hold all of them in memory


class Snapshot(NamedTuple):
    """The current state of a table: its name, a checksum of its content, and its rows.

    `rows` gives a frame of `raw` (the row as JSON) and `position`.
    """

    uri: str
    checksum: str
    rows: Callable[[], DataFrame]


def delta_table(spark: SparkSession, path: str, version: int | None) -> Snapshot:
    """A Delta table at a version; None for the newest.

    Raises:
        DataError: no such table or version.
    """
    expected = "a Delta table, at a version that it still has"
    quoted = f"delta.`{path.replace('`', '``')}`"
    with _as_data_error(path, expected):
        if version is None:
            version = spark.sql(f"DESCRIBE HISTORY {quoted} LIMIT 1").collect()[0]["version"]
        table_id = spark.sql(f"DESCRIBE DETAIL {quoted}").collect()[0]["id"]

    def rows() -> DataFrame:
        with _as_data_error(path, expected):
            return _ordered(_as_json(spark.read.format("delta").option("versionAsOf", str(version)).load(path)))

    return Snapshot(_name(path), f"version {version} of {table_id}", rows)


def parquet_files(spark: SparkSession, path: str) -> Snapshot:
    """A Parquet file, or a folder of them with its partition columns.

    Raises:
        DataError: they can't be read.
    """
    from pyspark.sql import functions as F

    # A plain path, not percent-encoded; Spark would read []{}*? in it as a pattern.
    local = "file://" + re.sub(r"([\[\]{}*?\\])", r"\\\1", str(Path(path).absolute()))
    with _as_data_error(path, "Parquet files of one schema"):
        frame = spark.read.parquet(path if "://" in path else local)
        order = [F.col("_metadata.file_path").alias("_file"), F.col("_metadata.row_index").alias("_row")]
        return _hashed(_name(path), _ordered(_as_json(frame, *order), "_file", "_row"))


def database_table(
    spark: SparkSession,
    *,
    url: str,
    table: str | None,
    query: str | None,
    user: str | None,
    password_env: str | None,
    driver: str,
    environment: Mapping[str, str] = os.environ,
) -> Snapshot:
    """A table or query of a database, by JDBC.

    Raises:
        UsageError: a password in the URL, or none in the variable that was named.
        DataError: the database or the table can't be read.
    """
    if contains_secret("url", url):
        raise UsageError(
            found="a password or key in jdbc.url",
            expected="it in an environment variable, so that no log or config holds it",
            fix="take it out of the URL and name the variable in jdbc.password_env",
        )
    options = _OPTIONS | {"url": url, "driver": driver} | ({"dbtable": table} if table else {"query": query or ""})
    if user:
        options["user"] = user
    if password_env:
        if not environment.get(password_env):
            raise UsageError(
                found=f"no environment variable {password_env}",
                expected="the database's password in it",
                fix=f"export {password_env}=…, or correct jdbc.password_env",
            )
        options["password"] = environment[password_env]
    name = table or "query " + hashlib.sha256((query or "").encode()).hexdigest()[:16]
    expected = "a database that answers, and a table in it that this user may read"
    with _as_data_error(f"{name} of {url}", expected, hidden=options.get("password")):
        return _hashed(name, _ordered(_as_json(spark.read.format("jdbc").options(**options).load())))


def saved_dataset(spark: SparkSession, path: str, split: str) -> Snapshot:
    """A folder that `save_to_disk` of the library `datasets` wrote.

    Raises:
        DataError: no such folder or split.
    """
    with _as_data_error(path, "a folder that datasets' save_to_disk wrote"):
        return _hashed(f"{_name(path)}/{split}", arrow_rows(spark, path, split))


def table_frame(snapshot: Snapshot, reading: Reading) -> DataFrame:
    """A row of `RECORD_SCHEMA` for each row of the table."""
    from pyspark.sql import functions as F

    # Equal rows must meet in one task, where their occurrences are counted.
    rows = snapshot.rows().withColumn("key", F.xxhash64("raw"))
    rows = rows.repartition("key").sortWithinPartitions("key", "position")
    uri, version = snapshot.uri, snapshot.checksum

    def parse(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        decoder = line_decoder()

        def records() -> Iterator[Any]:
            for batch in batches:
                for raw, position in zip(
                    batch.column("raw").to_pylist(), batch.column("position").to_pylist(), strict=True
                ):
                    yield line_record(raw, position, decoder, reading.max_characters)

        yield from record_batches(record_rows(Batch(uri, "", version, None, records()), reading))

    return rows.select("raw", "position").mapInArrow(parse, RECORD_SCHEMA)


def _as_json(frame: DataFrame, *order: Any) -> DataFrame:
    from pyspark.sql import functions as F

    columns = [F.col(f"`{name.replace('`', '``')}`") for name in frame.columns]
    whole = F.to_json(F.struct(*columns), {"ignoreNullFields": "false"})
    return frame.select(whole.alias("raw"), *order)


def _ordered(frame: DataFrame, *order: str) -> DataFrame:
    """`raw` and `position`: the row's number by `order`, or by the JSON itself."""
    from pyspark.sql import functions as F

    ordered = frame.sort(*(order or ("raw",))).select("raw", F.spark_partition_id().alias("_part"))
    ordered = ordered.persist()
    sizes = {row["_part"]: row["count"] for row in ordered.groupBy("_part").count().collect()}
    starts, total = [F.lit(-1), F.lit(0)], 0
    for part in sorted(sizes):
        starts += [F.lit(part), F.lit(total)]
        total += sizes[part]
    # Within a partition, the lower 33 bits of this id count the rows.
    row = F.monotonically_increasing_id().bitwiseAND(F.lit((1 << 33) - 1))
    return ordered.select("raw", (row + F.create_map(*starts)[F.col("_part")]).alias("position"))


def _hashed(uri: str, rows: DataFrame) -> Snapshot:
    """With a checksum of all rows and their positions; free of the order in which they are read."""
    from pyspark.sql import functions as F

    def total(*columns: Any) -> Any:
        return F.sum(F.xxhash64(*columns).cast("decimal(38,0)"))

    row = rows.agg(F.count("*"), total("raw", "position"), total(F.lit(1), "position", "raw")).collect()[0]
    return Snapshot(uri, hashlib.sha256("\0".join(map(str, row)).encode()).hexdigest(), lambda: rows)


@contextmanager
def _as_data_error(source: str, expected: str, *, hidden: str | None = None) -> Iterator[None]:
    """Errors of Spark and of database drivers become a DataError of one line.

    Args:
        source: what is read, as the message names it.
        expected: what the source should be.
        hidden: a password, masked where the driver quotes it.

    Raises:
        DataError: the source can't be read.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (Py4JJavaError, PySparkException) as error:
        said = first_line(error)
        raise DataError(
            found=f"{source} can't be read ({said.replace(hidden, MASK) if hidden else said})",
            expected=expected,
            fix="correct the source in the config, or what it names",
        ) from error


def _name(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
