"""How fast the whole clean job is, how it grows with the data, and what 1 % new rows cost.

python -m bench.clean [--rows 50000 200000 1000000] [--folder FOLDER]

Rows in Alpaca's manner (`bench/rows.py`) are written as 64 JSON Lines files, ingested, and cleaned by
`dolly run … --from clean --until clean`: all rules, personal data, languages, benchmarks, near duplicates,
accounting and report. Timed is the clean stage as the command prints it, without the start of Python
and of the JVM, which the figures give beside it. Then 1 % new rows are added in one more file.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import yaml

from bench.results import save
from bench.rows import SHARED, make_rows

_FILES = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 200_000, 1_000_000])
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder if not given")
    parser.add_argument("--memory", default="8g", help="of the Spark driver")
    given = parser.parse_args()
    runs = {}
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        for count in given.rows:
            folder = Path(scratch, str(count))
            runs[str(count)] = measure(folder, count, memory=given.memory)
            print(count, runs[str(count)], file=sys.stderr)
            shutil.rmtree(folder)
    small, large = str(min(given.rows)), str(max(given.rows))
    per_row = {name: run["clean_seconds"] / run["rows"] for name, run in runs.items()}
    figures = {
        "rows_per_second": {name: round(run["rows"] / run["clean_seconds"]) for name, run in runs.items()},
        "growth_of_time_per_row": round(per_row[large] / per_row[small], 3),
        "cost_of_one_percent": round(runs[large]["one_percent_seconds"] / runs[large]["clean_seconds"], 3),
        "runs": runs,
    }
    save("clean", figures)


def measure(folder: Path, count: int, *, memory: str) -> dict[str, float]:
    """Seconds of each step for one size."""
    source = folder / "rows"
    source.mkdir(parents=True)
    rows = make_rows(count).table
    step = -(-count // _FILES)
    for number in range(_FILES):
        write(rows.slice(number * step, step), source / f"{number:02}.jsonl")
    more = make_rows(max(count // 100, 1), seed=99).table
    del rows
    config = folder / "bench.yaml"
    benchmarks = [{"name": "vicuna", "path": str(SHARED / "vicuna" / "questions_80.jsonl"), "fields": ["turns"]}]
    settings = {
        "name": "bench",
        "home": str(folder / "home"),
        "sources": [{"name": "rows", "path": str(source), "format": "jsonl", "visibility": "public"}],
        "spark": {"driver_memory": memory, "shuffle_partitions": 8},
        "clean": {"benchmarks": benchmarks, "languages": ["en"]},
    }
    config.write_text(yaml.safe_dump(settings))
    figures = {"rows": count, "ingest_seconds": run(config, "ingest")[0]}
    figures["clean_seconds"], figures["clean_process_seconds"] = run(config, "clean")
    write(more, source / "more.jsonl")
    figures["one_percent_ingest_seconds"] = run(config, "ingest")[0]
    figures["one_percent_seconds"], figures["one_percent_process_seconds"] = run(config, "clean")
    figures["unchanged_seconds"] = run(config, "clean")[0]
    return figures


def write(rows: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows.select(["instruction", "output"]).to_pylist():
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def run(config: Path, stage: str) -> tuple[float, float]:
    """Seconds that the stage took, as the command prints them, and of the whole process."""
    started = time.monotonic()
    command = [sys.executable, "-m", "dolly.cli", "run", str(config), "--from", stage, "--until", stage]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    print(done.stdout, file=sys.stderr)
    found = re.findall(r"^  ([\d.]+) s$", done.stdout, re.MULTILINE)
    return float(found[-1]), round(time.monotonic() - started, 1)


if __name__ == "__main__":
    main()
