"""Near-duplicate removal, Delta to Delta on two cores, against rensa, datasketch and text-dedup.

python -m bench.dedup [--rows 52000 520000] [--peers FOLDER] [--repeat 3]

FOLDER is a virtual environment with `bench/peers.txt`; without it only Dolly's job is measured. Each
tool runs `--repeat` times, each time in a process of its own and in another order, on the same rows; what
counts is the median. All read, find and write; no tool's interpreter start and imports are counted, nor
Spark's start, which is given apart. `cold` is the first job of a Spark session, `warm` the second.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from bench import quality, results
from bench.rows import make_rows

ROOT = Path(__file__).parents[1]
PEERS = ("rensa", "datasketch", "text-dedup")
ROWS_PER_FILE = 50_000
# With more rows the slower peers would take many minutes.
ALL_PEERS_UP_TO = 100_000
PEER_LIMIT_SECONDS = 180


class Data(NamedTuple):
    """`table` is a Delta table, `texts` a folder of Parquet files (id, text); rows are in the same order."""

    rows: int
    table: Path
    texts: Path
    planted: np.ndarray


def prepare(rows: int, folder: Path) -> Data:
    from deltalake import write_deltalake

    made = make_rows(rows)
    data = Data(rows, folder / f"rows-{rows}", folder / f"texts-{rows}", made.planted)
    data.texts.mkdir()
    text = pc.binary_join_element_wise(made.table["instruction"], made.table["output"], "\n")
    texts = pa.table({"id": made.table["id"], "text": text})
    step = min(ROWS_PER_FILE, -(-rows // 4))
    for start in range(0, rows, step):
        write_deltalake(str(data.table), made.table.slice(start, step), mode="append")
        pq.write_table(texts.slice(start, step), data.texts / f"part-{start:09d}.parquet")
    return data


def run_dolly(data: Data, out: Path, cores: int) -> dict[str, Any]:
    command = ["-m", "bench.dedup_job", str(data.table), str(out), "--cores", str(cores), "--rows", str(data.rows)]
    figures = _last_line([sys.executable, *command, "--again"])
    kept = ds.dataset(_delta_files(out / "kept"), format="parquet").count_rows()
    return figures | {"seconds": sum(figures["cold"]["seconds"].values()), "kept": kept}


def run_peer(name: str, python: Path, data: Data, out: Path) -> dict[str, Any]:
    script = str(ROOT / "bench" / "dedup_peers.py")
    return _last_line([str(python), script, name, str(data.texts), str(out)], limit=PEER_LIMIT_SECONDS)


def compare(data: Data, folder: Path, *, peers: dict[str, Path], repeat: int, cores: int) -> dict[str, Any]:
    """Figures of Dolly's job and of the peers on the same rows."""
    runs: dict[str, list[dict[str, Any]]] = {"dolly": [], **{name: [] for name in peers}}
    skipped: dict[str, str] = {}
    for number in range(repeat):
        order = list(runs)[number % len(runs) :] + list(runs)[: number % len(runs)]
        for name in order:
            out = folder / name
            shutil.rmtree(out, ignore_errors=True)
            if name == "dolly":
                runs[name].append(run_dolly(data, out, cores))
            elif name not in skipped:
                try:
                    runs[name].append(run_peer(name, peers[name], data, out))
                except subprocess.TimeoutExpired:
                    skipped[name] = f"took more than {PEER_LIMIT_SECONDS} seconds"
                    continue
            print(f"{data.rows:,} rows, {name}: {runs[name][-1]['seconds']:.1f} s", flush=True)
    measured = [name for name in runs if name not in skipped]
    texts = pq.read_table(data.texts, columns=["text"])["text"].to_pylist()
    figures = quality.figures(
        texts, map(tuple, data.planted.tolist()), {name: _clusters(folder / name) for name in measured}
    )
    tools = {name: _summary(data.rows, runs[name]) | figures[name] for name in measured}
    _require_all_kept(data.rows, runs["dolly"][-1]["kept"], figures["dolly"]["removed"])
    ours = tools["dolly"]["seconds"]
    faster = {name: round(tools[name]["seconds"] / ours, 2) for name in measured if name != "dolly"}
    return {"rows": data.rows, "tools": tools, "times_as_fast_as": faster, "skipped": skipped}


def _summary(rows: int, runs: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = [run["seconds"] for run in runs]
    middle = statistics.median(seconds)
    found = {
        "seconds": round(middle, 2),
        "rows_per_second": round(rows / middle),
        "runs": [round(s, 2) for s in seconds],
    }
    if "cold" not in runs[0]:
        return found | {"version": runs[0]["version"]}
    warm = statistics.median(sum(run["warm"]["seconds"].values()) for run in runs)
    start = statistics.median(run["start_seconds"] for run in runs)
    nearest = min(runs, key=lambda run: abs(run["seconds"] - middle))
    return found | {
        "rows_per_second_with_start": round(rows / (middle + start)),
        "rows_per_second_warm": round(rows / warm),
        "start_seconds": start,
        "phases": {name: nearest[name] for name in ("cold", "warm")},
    }


def _require_all_kept(rows: int, kept: int, removed: float | int) -> None:
    if kept + removed != rows:
        raise SystemExit(f"bench.dedup: {kept:,} rows kept and {removed:,} removed, but {rows:,} were there")


def _clusters(out: Path) -> dict[int, Any]:
    table = pq.read_table(out / "clusters.parquet")
    return {
        int(name[1:]): group for name, group in zip(*(table[c].to_pylist() for c in ("id", "cluster")), strict=True)
    }


def _delta_files(table: Path) -> list[str]:
    from deltalake import DeltaTable

    return list(DeltaTable(str(table)).file_uris())


def _last_line(command: list[str], limit: float | None = None) -> dict[str, Any]:
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | offline, capture_output=True, text=True, timeout=limit, check=False
    )
    if done.returncode:
        raise SystemExit(f"bench.dedup: {' '.join(command)} failed:\n{done.stderr[-3000:]}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[52_000, 520_000])
    parser.add_argument("--peers", type=Path, help="virtual environment with bench/peers.txt")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--results", type=Path, default=results.FOLDER)
    options = parser.parse_args(arguments)
    # All processes started from here inherit it: each tool has the same cores.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    python = options.peers and options.peers.absolute() / "bin" / "python"
    sizes = []
    with tempfile.TemporaryDirectory(prefix="bench-dedup-") as folder:
        for rows in options.rows:
            data = prepare(rows, Path(folder))
            names = PEERS if rows <= ALL_PEERS_UP_TO else PEERS[:1]
            peers = dict.fromkeys(names, python) if python else {}
            sizes.append(compare(data, Path(folder), peers=peers, repeat=options.repeat, cores=options.cores))
    note = "measured" if python else "not measured: no --peers"
    figures = {"cores": options.cores, "peers": note, "sizes": sizes}
    results.save("dedup", figures, packages=("pyspark", "delta-spark", "pyarrow", "numpy"), folder=options.results)


if __name__ == "__main__":
    main()
