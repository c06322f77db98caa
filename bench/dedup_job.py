"""Near-duplicate removal as one Spark job from Delta to Delta: what `bench/dedup.py` measures.

python -m bench.dedup_job SOURCE FOLDER [--cores 2] [--again]

SOURCE is a Delta table with the string columns id, instruction, output. FOLDER gets the Delta table
`kept` and, after the clock has stopped, `clusters.parquet` (id, cluster). The last line is a JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dolly.clean.annotate import with_annotations
from dolly.clean.duplicates import candidate_pairs, near_pairs
from dolly.clean.verdicts import cluster_members, verdicts
from dolly.spark import start_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

THRESHOLD = 0.8
ROWS_PER_PARTITION = 65_000
# Most of a job of less than some minutes is spent in code that has just been loaded: the second
# compiler and a concurrent collector would take more time of two cores than they save.
JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseParallelGC"


class Phases:
    """Seconds, and processor seconds of this process and all below it, since the last mark."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_seconds: dict[str, float] = {}
        self._last = (time.perf_counter(), cpu_seconds())

    def mark(self, name: str) -> None:
        now = (time.perf_counter(), cpu_seconds())
        self.seconds[name] = round(now[0] - self._last[0], 2)
        self.cpu_seconds[name] = round(now[1] - self._last[1], 2)
        self._last = now


def cpu_seconds() -> float:
    """Processor time of this process's whole tree, ended children included; 0 where there is no /proc."""
    children: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        process = int(entry.parent.name)
        children.setdefault(int(fields[1]), []).append(process)
        ticks[process] = sum(map(int, fields[11:15]))
    found, todo = 0, [os.getpid()]
    while todo:
        process = todo.pop()
        found += ticks.get(process, 0)
        todo += children.get(process, [])
    return found / os.sysconf("SC_CLK_TCK")


def remove_duplicates(spark: SparkSession, source: Path, target: Path, phases: Phases) -> tuple[DataFrame, DataFrame]:
    """Writes the rows of `source` without their near duplicates to `target`; returns signatures and verdicts."""
    from pyspark.sql import functions as F

    rows = spark.read.format("delta").load(str(source))
    signed = signatures(rows).persist()
    signed.count()
    phases.mark("signatures")
    candidates = candidate_pairs(signed.select("content_key", "bands"), fresh=None).persist()
    near = near_pairs(candidates, signed, threshold=THRESHOLD).persist()
    near.count()
    phases.mark("pairs")
    members = cluster_members(signed, near, sources=["bench"]).persist()
    judged = verdicts(signed, members).persist()
    judged.count()
    phases.mark("clusters")
    doubles = judged.where("duplicate IS NOT NULL").select(F.col("input_hash").alias("_hash"))
    kept = rows.join(F.broadcast(doubles), F.xxhash64("id") == F.col("_hash"), "left_anti")
    kept.write.format("delta").mode("overwrite").save(str(target))
    phases.mark("write")
    return signed, judged


def signatures(rows: DataFrame) -> DataFrame:
    """The columns of `checked` that duplicates are found with.

    Without `question_key`: which answers contradict each other is not asked here.
    """
    from pyspark.sql import functions as F

    def turn(role: str, column: str) -> Any:
        return F.struct(F.lit(role).alias("role"), F.col(column).alias("content"))

    turns = F.array(turn("user", "instruction"), turn("assistant", "output"))
    shaped = rows.select(F.col("id").alias("example_id"), F.lit("").alias("context"), turns.alias("turns"))
    annotated = with_annotations(shaped, privacy=None, languages=False, benchmarks=None)
    text, texts = "string", "array<string>"
    return annotated.select(
        *("example_id", "content_key", "bands", "turns"),
        F.xxhash64("example_id").alias("input_hash"),
        F.length(F.get("turns", F.lit(1))["content"]).alias("answer_length"),
        F.lit("bench").alias("source"),
        F.lit("public").alias("visibility"),
        F.lit(0).alias("position"),
        F.lit(None).cast("bigint").alias("question_key"),
        *[F.lit(None).cast(text).alias(name) for name in ("wordings", "variant")],
        *[F.array().cast(texts).alias(name) for name in ("fixes", "flags")],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rows", type=int, required=True, help="rows in SOURCE, for the number of partitions")
    parser.add_argument("--again", action="store_true", help="a second time in the same session, measured apart")
    parser.add_argument("--conf", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    start = Phases()
    spark = start_session(
        master=f"local[{options.cores}]",
        driver_memory="6g",
        shuffle_partitions=max(2 * options.cores, options.rows // ROWS_PER_PARTITION),
        conf={"spark.driver.extraJavaOptions": JAVA} | dict(pair.split("=", 1) for pair in options.conf),
        log=options.folder / "spark.log",
    )
    start.mark("start")
    figures: dict[str, Any] = {}
    for name in ("cold", "warm") if options.again else ("cold",):
        phases = Phases()
        signed, judged = remove_duplicates(spark, options.source, options.folder / "kept", phases)
        figures[name] = {"seconds": phases.seconds, "cpu_seconds": phases.cpu_seconds}
        if name == "cold" and options.again:
            spark.catalog.clearCache()
    groups = signed.join(judged, "input_hash").selectExpr("example_id AS id", "cluster_id AS cluster")
    groups.coalesce(1).write.mode("overwrite").parquet(str(options.folder / "clusters.parquet"))
    print(json.dumps({"start_seconds": start.seconds["start"], **figures}))


if __name__ == "__main__":
    main()
