"""The figures of a report, as JSON values, computed from the counts of `aggregates`.

A section without rows of the data set is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from dolly.report import aggregates
from dolly.report.aggregates import Data
from dolly.report.flow import has_run, step
from dolly.report.gold import gold_rows, ledger_rows, tokens, training_set_of
from dolly.report.lengths import CLUSTER_SIZES, bucket_rows, grouped
from dolly.report.shown import DETAIL_CHARACTERS, NAME_CHARACTERS, short_id, shown
from dolly.tables import Tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Rows = list[dict[str, Any]]
TOP_CATEGORIES = 20
LARGEST_CLUSTERS = 10
BAD_FILES = 20


class SourceLike(Protocol):
    """A source of the config."""

    @property
    def name(self) -> str: ...
    @property
    def visibility(self) -> str: ...


def figures_of(
    tables: Tables, spark: SparkSession, *, dataset: str, sources: Sequence[SourceLike], training_set: str | None
) -> dict[str, Any]:
    """Counts everything; the arguments are those of `data_report`."""
    data = Data(tables, spark, dataset, [source.name for source in sources])
    visibility = {source.name: source.visibility for source in sources}
    rejected, silver = aggregates.rejected(data), aggregates.silver_examples(data)
    silver_documents, bronze_documents = aggregates.silver_documents(data), aggregates.bronze_documents(data)
    gold, checked, files = gold_rows(data), aggregates.checked(data), aggregates.files(data)
    ledger = ledger_rows(data, training_set or training_set_of(data, gold))
    counts = {
        "files": _by_source(files, "files"),
        "records": _by_source(files, "records"),
        "bronze examples": _by_source(aggregates.bronze_examples(data)),
        "bronze documents": _by_source(bronze_documents),
        "silver examples": _by_source(silver),
        "silver documents": _by_source(silver_documents),
        "gold": _by_source(gold),
        "held out": _by_source(_where(gold, split="eval")),
        "left out": _by_source(_where(ledger, fate="left_out")),
        "parts": _by_source(ledger, "parts") + _by_source(rejected, "parts"),
        "samples": _by_source(_where(gold, split="train"), "copies"),
        "tokens": _summed(_where(ledger, split="train"), lambda row: row["tokens"] * row["copies"]),
    } | {f"rejected by {stage}": _by_source(_where(rejected, stage=stage)) for stage in ("ingest", "clean", "prepare")}
    whole: dict[str, Any] = {
        "dataset": dataset,
        "headline": {name: count.total() for name, count in counts.items()},
        "flow": [balance for balance in _flow(counts) if has_run(balance)],
        "sources": _sources(counts, visibility, gold),
        "rejected": _rejected(rejected),
        "fixed": _named(_where(checked, what="fixed")),
        "flagged": _flagged([*silver, *silver_documents]),
        "masked": _named(_where(checked, what="masked")),
        "duplicates": _duplicates(data, rejected),
        "characters": {side: _characters(silver, side) for side in ("question", "answer")} if silver else {},
        "tokens": tokens(ledger),
        "languages": _languages(silver, silver_documents),
        "categories": _categories(data, silver),
        "documents": _documents(bronze_documents),
        "bad_files": _bad_files(data, rejected),
        "benchmarks": _benchmarks(rejected),
    }
    return {name: section for name, section in whole.items() if section}


def _where(rows: Iterable[dict[str, Any]], **values: str) -> Rows:
    return [row for row in rows if all(row[key] == value for key, value in values.items())]


def _by_source(rows: Iterable[Mapping[str, Any]], column: str = "rows") -> Counter[str]:
    return _summed(rows, lambda row: row[column] or 0)


def _summed(
    rows: Iterable[Mapping[str, Any]], value: Callable[[Mapping[str, Any]], int], key: str = "source"
) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in rows:
        counts[row[key] or ""] += value(row)
    return counts


def _largest_first(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: (-row["rows"], *(str(value) for value in row.values())))


def _flow(counts: Mapping[str, Counter[str]]) -> Rows:
    bronze = {name: counts[name] for name in ("bronze examples", "bronze documents")}
    silver = {name: counts[name] for name in ("silver examples", "silver documents")}
    parts = {"further parts of split conversations": counts["parts"]}
    ends = {"gold": counts["gold"], "left out": counts["left out"]}
    return [
        step("ingest", {"records": counts["records"]}, bronze | {"rejected": counts["rejected by ingest"]}),
        step("clean", bronze, silver | {"rejected": counts["rejected by clean"]}),
        step(
            "prepare",
            {"silver examples": counts["silver examples"]} | parts,
            ends | {"rejected": counts["rejected by prepare"]},
        ),
    ]


def _sources(counts: Mapping[str, Counter[str]], visibility: Mapping[str, str], gold: Rows) -> Rows:
    known = {row["source"]: row["visibility"] for row in gold} | dict(visibility)
    names = {name for count in counts.values() for name in count} | visibility.keys()
    rows = []
    for name in sorted(names, key=lambda name: (list(visibility).index(name) if name in visibility else 10**6, name)):
        row: dict[str, Any] = {"source": name, "visibility": known.get(name, "no longer in the config")}
        rows.append(row | {measure: count[name] for measure, count in counts.items()})
    return rows


def _rejected(rows: Rows) -> Rows:
    """One line for each stage, source and rule; the benchmarks of a rule are summed."""
    merged: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["example"]["example_id"]):
        key = (row["stage"] or "", row["source"] or "", row["rule"] or "")
        example = row["example"]
        line = merged.setdefault(
            key,
            dict(zip(("stage", "source", "rule"), key, strict=True))
            | {"rows": 0, "reason": shown(example["reason"], characters=DETAIL_CHARACTERS)}
            | {"example": short_id(example["example_id"])}
            | {"detail": shown(example["detail"], characters=DETAIL_CHARACTERS)},
        )
        line["rows"] += row["rows"]
    return _largest_first(list(merged.values()))


def _named(rows: Rows) -> Rows:
    columns = ("source", "name", "rows", "occurrences")
    return _largest_first([{column: row[column] for column in columns} for row in rows])


def _flagged(rows: Rows) -> Rows:
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        for flag in row["flags"] or ():
            counts[row["source"], flag] += row["rows"]
    return _largest_first([{"source": source, "name": flag, "rows": n} for (source, flag), n in counts.items()])


def _duplicates(data: Data, rejected: Rows) -> dict[str, Any]:
    exact, near = [sum(r["rows"] for r in _where(rejected, rule=f"{kind}_duplicate")) for kind in ("exact", "near")]
    if not exact + near:
        return {}
    sizes, largest = aggregates.clusters(data, most=LARGEST_CLUSTERS)
    return {
        "exact": exact,
        "near": near,
        "clusters": sum(row["clusters"] for row in sizes),
        "sizes": grouped({row["size"]: row["clusters"] for row in sizes}, CLUSTER_SIZES),
        "largest": [row | {"kept": short_id(row["kept"])} for row in largest],
    }


def _characters(silver: Rows, side: str) -> dict[str, Any]:
    rows = sum(row["rows"] for row in silver)
    counts: Counter[int] = Counter()
    for row in silver:
        counts[row[f"{side}_bucket"]] += row["rows"]
    total = sum(row[f"{side}_sum"] for row in silver)
    longest = max(row[f"{side}_max"] for row in silver)
    return {"mean": round(total / rows), "max": longest, "buckets": bucket_rows(counts)}


def _languages(examples: Rows, documents: Rows) -> Rows:
    sides = {
        name: _summed(rows, lambda row: row["rows"], "language")
        for name, rows in (("examples", examples), ("documents", documents))
    }
    lines = [
        {"language": code or "unknown", "rows": sum(count[code] for count in sides.values())}
        | {name: count[code] for name, count in sides.items()}
        for code in {code for count in sides.values() for code in count}
    ]
    return _largest_first(lines)


def _categories(data: Data, silver: Rows) -> dict[str, Any]:
    named = sum(row["with_category"] for row in silver)
    if not named:
        return {}
    top = aggregates.categories(data, most=TOP_CATEGORIES)
    return {
        "top": [{"category": shown(r["category"], characters=NAME_CHARACTERS), "rows": r["rows"]} for r in top],
        "others": named - sum(row["rows"] for row in top),
        "without": sum(row["rows"] for row in silver) - named,
    }


def _documents(rows: Rows) -> Rows:
    columns = ("rows", "pages", "with_notes")
    totals = {column: _summed(rows, itemgetter(column), "kind") for column in columns}
    kinds = sorted({row["kind"] or "" for row in rows})
    return _largest_first([{"kind": kind} | {column: totals[column][kind] for column in columns} for kind in kinds])


def _bad_files(data: Data, rejected: Rows) -> dict[str, Any]:
    total = sum(row["whole_files"] for row in rejected)
    if not total:
        return {}
    columns = ("source", "rule", "reason", "detail")
    files = aggregates.whole_files(data, most=BAD_FILES)
    shortened = [{key: shown(row[key], characters=DETAIL_CHARACTERS) for key in columns} for row in files]
    return {"rows": total, "some": shortened}


def _benchmarks(rejected: Rows) -> Rows:
    named = [row for row in rejected if row["benchmark"] is not None]
    counts = _summed(named, lambda row: row["rows"], "benchmark")
    return _largest_first([{"benchmark": name or "not named", "rows": count} for name, count in counts.items()])
