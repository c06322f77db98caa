"""Near-duplicate removal by other tools, each as its documentation shows; runs in their own environment.

FOLDER/bin/python bench/dedup_peers.py rensa|datasketch|text-dedup FILES OUT

FILES is a folder of Parquet files with the string columns id and text. OUT gets the kept rows and,
after the clock has stopped, `clusters.parquet` (id, cluster). The last line is a JSON object: seconds for
reading, finding and writing, without the interpreter's start and the imports.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import pickle
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

THRESHOLD = 0.8
PERMUTATIONS = 128
BANDS = 16  # in rensa's README, with 128 permutations and a threshold of 0.8
SHINGLE_WORDS = 3
_WORD = re.compile(r"\w+")

Edges = list[tuple[int, int]]


def shingles(texts: list[str]) -> Iterator[list[str]]:
    for text in texts:
        words = _WORD.findall(text.lower())
        yield [" ".join(words[at : at + SHINGLE_WORDS]) for at in range(max(len(words) - SHINGLE_WORDS + 1, 1))]


def rensa(files: Path, out: Path) -> tuple[float, Edges]:
    """README, "Deduplicating a dataset", by its batch calls."""
    from rensa import RMinHash, RMinHashLSH

    begin = time.perf_counter()
    table = pq.read_table(files)
    hashes = RMinHash.from_token_sets(shingles(table["text"].to_pylist()), num_perm=PERMUTATIONS, seed=42)
    index = RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=BANDS)
    index.insert_many(hashes)
    edges = _verified(index.query_all(hashes), hashes)
    _write(table, edges, out)
    return time.perf_counter() - begin, edges


def datasketch(files: Path, out: Path) -> tuple[float, Edges]:
    """Documentation, "MinHash LSH", with `MinHash.bulk` and `insertion_session`, its faster ways."""
    from datasketch import MinHash, MinHashLSH

    begin = time.perf_counter()
    table = pq.read_table(files)
    sets = ([shingle.encode() for shingle in row] for row in shingles(table["text"].to_pylist()))
    hashes = MinHash.bulk(sets, num_perm=PERMUTATIONS)
    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    with index.insertion_session() as session:
        for number, minhash in enumerate(hashes):
            session.insert(number, minhash)
    edges = _verified((index.query(minhash) for minhash in hashes), hashes)
    _write(table, edges, out)
    return time.perf_counter() - begin, edges


def text_dedup(files: Path, out: Path) -> tuple[float, Edges]:
    """README, "MinHash Near Deduplication", with the verification that it switches on there."""
    from datasets import config as datasets_config
    from text_dedup.config import Config
    from text_dedup.minhash import main

    datasets_config.HF_DATASETS_CACHE = out / "cache"  # nothing is taken from an earlier run
    _settings(files, out)
    begin = time.perf_counter()
    main(Config())
    seconds = time.perf_counter() - begin
    clusters = pickle.loads((out / "kept" / "clusters.pickle").read_bytes())
    return seconds, [(row, cluster) for row, cluster in clusters.items() if row != cluster]


def _settings(files: Path, out: Path) -> None:
    """Writes `config.toml` where it looks for it: in the current folder."""
    os.chdir(out)
    source = {"path": "parquet", "data_files": f"{files}/*.parquet", "split": "train", "cache_dir": str(out / "cache")}
    algorithm = {
        "algorithm_name": "minhash",
        "text_column": "text",
        "num_perm": PERMUTATIONS,
        "threshold": THRESHOLD,
        "ngram_size": SHINGLE_WORDS,
        "check_false_positive": True,
        "num_proc": len(os.sched_getaffinity(0)),
    }
    sections: dict[str, dict[str, Any]] = {
        "input": {"input_type": "local_files", "file_type": "parquet"},
        "input.read_arguments": source,
        "algorithm": algorithm,
        "output": {"output_dir": str(out / "kept"), "save_clusters": True},
        "debug": {"enable_profiling": False},
    }
    lines = []
    for name, values in sections.items():
        lines += [f"[{name}]", *[f"{key} = {json.dumps(value)}" for key, value in values.items()]]
    Path("config.toml").write_text("\n".join(lines) + "\n")


def _verified(candidates: Any, hashes: Any) -> Edges:
    """The pairs, each once, whose estimated similarity reaches the threshold; the larger row goes."""
    edges = []
    for number, found in enumerate(candidates):
        for other in found:
            if other > number and hashes[number].jaccard(hashes[other]) >= THRESHOLD:
                edges.append((other, number))
    return edges


def _write(table: pa.Table, edges: Edges, out: Path) -> None:
    removed = {row for row, _ in edges}
    keep = pa.array([number not in removed for number in range(len(table))])
    pq.write_table(table.filter(keep), out / "kept.parquet")


def clusters(rows: int, edges: Edges) -> list[int]:
    """The smallest row of each row's connected component."""
    parent = list(range(rows))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for one, two in edges:
        low, high = sorted((root(one), root(two)))
        parent[high] = low
    return [root(row) for row in range(rows)]


def main() -> None:
    name, files, out = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    tool = {"rensa": rensa, "datasketch": datasketch, "text-dedup": text_dedup}[name]
    seconds, edges = tool(files, out)
    ids = pq.read_table(files, columns=["id"])["id"]
    pq.write_table(pa.table({"id": ids, "cluster": clusters(len(ids), edges)}), out / "clusters.parquet")
    print(json.dumps({"seconds": round(seconds, 2), "version": importlib.metadata.version(name)}))


if __name__ == "__main__":
    main()
