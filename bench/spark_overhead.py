"""What Spark costs however few the rows: the start of a session, and a small change of a table.

python -m bench.spark_overhead [--rounds 5]

`start`: a process that starts a session and runs a first Delta query, with the archive of Spark's classes and without.
`change`: 10 rows updated, 5 inserted, 5 deleted in a table of 1,000 rows, by `deltalake` and by Spark's MERGE, in one
warm session. Both alternate; the results are medians of seconds.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from bench import results
from dolly.schema import REJECTED
from dolly.spark import start_session
from dolly.tables import Changes, Tables

_ROWS, _STEP = 1000, 5
_START = """
import sys
from pathlib import Path
import dolly.spark
if sys.argv[2] == "without":
    dolly.spark.java_options = lambda java: ""
folder = Path(sys.argv[1])
session = dolly.spark.start_session(
    master="local[2]", driver_memory="1g", shuffle_partitions=2, conf={}, log=folder / "spark.log"
)
session.range(100).write.format("delta").save(str(folder / "table"))
session.stop()
"""


def start(kind: str) -> float:
    """Seconds that a process takes."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", _START, folder, kind], check=True, capture_output=True)
        return time.perf_counter() - began


class Writer:
    """Changes a table, always in the same way."""

    def __init__(self, spark: Any, folder: Path, *, small: bool) -> None:
        self._spark, self._tables, self._small, self._first = spark, Tables(folder), small, 0
        self._merge(self._rows(0, _ROWS, "0"))

    def change(self) -> float:
        """Seconds of one change."""
        end = self._first + _ROWS
        rows = self._rows(end - 2 * _STEP, end + _STEP, f"from {self._first}")
        gone = self._rows(self._first, self._first + _STEP, "")
        self._first += _STEP
        began = time.perf_counter()
        done = self._merge(rows, gone)
        seconds = time.perf_counter() - began
        assert (done.inserted, done.updated, done.deleted) == (_STEP, 2 * _STEP, _STEP), done
        return seconds

    def _merge(self, rows: Any, gone: Any = None) -> Changes:
        scope = {"dataset": "bench", "stage": "clean"}
        with mock.patch("dolly.tables.small._ROWS", 10_000 if self._small else -1):
            return self._tables.merge(rows, REJECTED, gone=gone, scope=scope, writer="bench")

    def _rows(self, first: int, end: int, detail: str) -> Any:
        rows = [
            ("bench", f"{row:08d}", "clean", "source", row, "rule", "reason", detail, "before", "after")
            for row in range(first, end)
        ]
        return self._spark.createDataFrame(rows, ", ".join(f"{c.name} {c.type}" for c in REJECTED.columns))


def changes(rounds: int) -> dict[str, list[float]]:
    """Seconds of the changes by each writer, after two that are not counted."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "spark.log")
        spark = start_session(master="local[2]", driver_memory="2g", shuffle_partitions=2, conf={}, log=log)
        writers = {
            kind: Writer(spark, Path(folder, kind), small=kind == "deltalake") for kind in ("deltalake", "merge")
        }
        seconds = {kind: [writer.change() for _ in range(2)] for kind, writer in writers.items()}
        for _ in range(rounds):
            for kind, writer in writers.items():
                seconds[kind].append(writer.change())
        spark.stop()
    return {kind: times[2:] for kind, times in seconds.items()}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    options = parser.parse_args(arguments)
    starts: dict[str, list[float]] = {"with": [], "without": []}
    for _ in range(options.rounds):
        for kind, times in starts.items():
            times.append(start(kind))
    figures: dict[str, Any] = {"rounds": options.rounds}
    for name, measured, peer in (("start", starts, "without"), ("change", changes(options.rounds), "merge")):
        medians = {kind: round(statistics.median(times), 2) for kind, times in measured.items()}
        ours = next(kind for kind in medians if kind != peer)
        ratio = statistics.median(measured[peer]) / statistics.median(measured[ours])
        figures[name] = {"seconds": medians, "ratio": round(ratio, 2)}
    results.save("spark_overhead", figures, packages=("pyspark", "delta-spark", "deltalake"), folder=options.results)


if __name__ == "__main__":
    main()
