"""Four processes that append to one Delta table at once on a local disk, with the project's lock and without.

python -m bench.concurrent_writers [--kinds deltalake same-rows spark] [--writers 4] [--appends 250]

`deltalake` writers have no JVM and call `Tables.insert_new`, each row with a key of its own; `same-rows`
writers all insert the same rows, which must be there once; `spark` writers, each with its own JVM, call
`Tables.merge` with rows of a new scope, which is a plain Delta append. Without the lock is the same code with
the lock replaced by nothing: what is lost or doubled then is what the lock is for. Each append that
raised no error counts as done; a row of one that is not in the table is lost. Writers that would take longer
than `--limit` seconds stop there: `appends_tried` tells.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import results
from dolly.schema import EVALUATIONS, Table
from dolly.tables import Tables
from dolly.tables.folder import FolderStore

ROOT = Path(__file__).parents[1]
KINDS = ("deltalake", "same-rows", "spark")
# Four JVMs on two cores: the plain commits of small rows need neither threads nor the second compiler.
SPARK_CONF = {"spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}


class UnlockedStore(FolderStore):
    """The control: a folder whose writers do not wait for one another."""

    @contextmanager
    def locked(self, table: Table) -> Iterator[None]:
        yield


def tables_at(root: Path, *, lock: bool) -> Tables:
    """The tables, with the project's lock or without."""
    tables = Tables(root)
    if not lock:
        tables.store = UnlockedStore(root)
    return tables


def run(kind: str, *, lock: bool, writers: int, appends: int, limit: float, folder: Path) -> dict[str, Any]:
    """Lets the writers append, for at most `limit` seconds, and counts what is in the table."""
    root = folder / f"{kind}-{'lock' if lock else 'no-lock'}"
    _make(Tables(root))
    command = [sys.executable, "-m", "bench.concurrent_writers", "--worker", kind, "--appends", str(appends)]
    command += ["--limit", str(limit)]
    command += ["--root", str(root), *([] if lock else ["--no-lock"])]
    workers = [
        subprocess.Popen(
            [*command, "--number", str(number)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for number in range(writers)
    ]
    for worker in workers:
        _line(worker)  # ready
    begin = time.perf_counter()
    for worker in workers:
        _start_round(worker)
    reports = [json.loads(_line(worker)) for worker in workers]
    seconds = time.perf_counter() - begin
    for worker in workers:
        worker.communicate()
    return _counted(Tables(root), reports) | {
        "kind": kind,
        "lock": lock,
        "seconds": round(seconds, 1),
        "appends_wanted": writers * appends,
        "appends_tried": sum(len(report["done"]) + len(report["errors"]) for report in reports),
    }


def _counted(tables: Tables, reports: list[dict[str, Any]]) -> dict[str, Any]:
    done = {key for report in reports for key in report["done"]}
    errors = Counter(error for report in reports for error in report["errors"])
    found = Counter(row["example_id"] for row in tables.find(EVALUATIONS, prefix={"evaluation": ""}))
    del found["first"]
    return {
        "expected": len(done),
        "found": found.total(),
        "lost": len(done - set(found)),
        "doubled": found.total() - len(found),
        "refused": dict(errors),
        "version": tables.version(EVALUATIONS),
    }


def _make(tables: Tables) -> None:
    """The table with one row, so that no writer has to make it."""
    tables.insert_new(EVALUATIONS, [_row("first", "first")], scope="first", writer="bench")


def _row(scope: str, key: str) -> dict[str, Any]:
    return {
        column.name: {"dataset": scope, "example_id": key}.get(
            column.name, True if column.type == "boolean" else "text"
        )
        for column in EVALUATIONS.columns
    }


def work(kind: str, *, lock: bool, number: int, appends: int, limit: float, root: Path) -> None:
    """One writer: says that it is ready, waits for a line, appends, reports."""
    tables = tables_at(root, lock=lock)
    append = _spark_writer(tables, number) if kind == "spark" else _deltalake_writer(tables)
    owner = "all" if kind == "same-rows" else f"writer{number}"
    print("ready", flush=True)
    if not sys.stdin.readline():  # whoever started this process has ended
        return
    done, errors = [], []
    end = time.monotonic() + limit
    for at in range(appends):
        if time.monotonic() > end:
            break
        key = f"{owner}-{at}"
        try:
            append(key)
        except Exception as error:  # whatever it is, the writer was told of it
            errors.append(type(error).__name__)
        else:
            done.append(key)
    print(json.dumps({"done": done, "errors": errors}), flush=True)


def _deltalake_writer(tables: Tables) -> Callable[[str], None]:
    def append(key: str) -> None:
        scope = key.split("-")[0]
        tables.insert_new(EVALUATIONS, [_row(scope, key)], scope=scope, writer="bench")

    return append


def _spark_writer(tables: Tables, number: int) -> Callable[[str], None]:
    from pyspark.sql import functions as F

    from dolly.spark import start_session

    log = Path(tables.address) / f"spark-{number}.log"
    spark = start_session(master="local[1]", driver_memory="1g", shuffle_partitions=1, conf=SPARK_CONF, log=log)

    def append(key: str) -> None:
        row = spark.range(1).select(*[F.lit(value).alias(name) for name, value in _row(key, key).items()])
        tables.merge(row, EVALUATIONS, scope={"dataset": key}, writer="bench")

    tables.read(spark, EVALUATIONS).count()  # what a JVM does once is done before the clock starts
    return append


def _line(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise SystemExit(f"bench.concurrent_writers: a writer ended with status {worker.wait()}")
    return line


def _start_round(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--appends", type=int, default=250, help="for each writer")
    parser.add_argument("--limit", type=float, default=480, help="seconds after which a writer begins no append")
    parser.add_argument("--folder", type=Path, help="where the tables are made; a temporary one if not given")
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    hidden: dict[str, Any] = {"help": argparse.SUPPRESS}
    parser.add_argument("--worker", choices=KINDS, **hidden)
    parser.add_argument("--root", type=Path, **hidden)
    parser.add_argument("--number", type=int, **hidden)
    parser.add_argument("--no-lock", action="store_true", **hidden)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    options = _options(arguments)
    if options.worker:
        work(
            options.worker,
            lock=not options.no_lock,
            number=options.number,
            appends=options.appends,
            limit=options.limit,
            root=options.root,
        )
        return
    runs = []
    with tempfile.TemporaryDirectory(prefix="bench-writers-", dir=options.folder) as folder:
        for kind in options.kinds:
            for lock in (True, False):
                found = run(
                    kind,
                    lock=lock,
                    writers=options.writers,
                    appends=options.appends,
                    limit=options.limit,
                    folder=Path(folder),
                )
                print(json.dumps(found), flush=True)
                runs.append(found)
    figures = {"writers": options.writers, "appends": options.appends, "runs": runs}
    results.save(
        "concurrent_writers",
        figures,
        packages=("deltalake", "delta-spark", "pyspark", "filelock"),
        folder=options.results,
    )


if __name__ == "__main__":
    main()
