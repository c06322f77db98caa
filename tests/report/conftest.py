"""A small data set in all tables, counted by hand: see FLOW in test_report.py."""

from __future__ import annotations

import shutil
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from dolly.schema import TABLES
from dolly.tables import Tables

EVIL = "<script>alert(1)</script>\"'&$\\frac{\x1b\u202e"
MAIL = "ada@example.com"


class Source(NamedTuple):
    name: str
    visibility: str


SOURCES = [Source("faq", "private"), Source("chat", "public"), Source("docs", "private")]


def turns(*contents: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(contents)]


TURNS = turns("q" * 30, "a" * 300)
LONG = turns("q" * 8, "a" * 5, "q" * 4, "a" * 7)


def row_id(name: str) -> str:
    return name.encode().hex().ljust(64, "0")


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a Spark SQL type."""
    scalars = {
        "string": pa.string(),
        "int": pa.int32(),
        "bigint": pa.int64(),
        "boolean": pa.bool_(),
        "double": pa.float64(),
    }
    if name == "timestamp":
        return pa.timestamp("us", tz="UTC")
    if name == "array<struct<role: string, content: string>>":
        return pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
    return pa.list_(scalars[name[6:-1]]) if name.startswith("array<") else scalars[name]


def fill(tables: Tables, name: str, rows: list[dict[str, Any]]) -> None:
    """Writes rows, given by the columns that matter; without Spark, which takes seconds a table."""
    table = TABLES[name]
    schema = pa.schema([(column.name, arrow_type(column.type)) for column in table.columns])
    whole = [{column.name: row.get(column.name) for column in table.columns} for row in rows]
    data = pa.Table.from_pylist(whole, schema=schema)
    write_deltalake(tables.location(table), data, mode="append", partition_by=["dataset"])


def bad(stage: str, source: str, rule: str, name: str, detail: str, position: int = 0) -> dict[str, Any]:
    row = {"dataset": "mine", "stage": stage, "source": source, "rule": rule, "reason": "why", "before": MAIL}
    return row | {"example_id": name, "detail": detail, "position": position}


def rejected_rows() -> list[dict[str, Any]]:
    return [
        bad("ingest", "faq", "bad_json", row_id("f9"), f"not JSON: {MAIL}"),
        bad("ingest", "docs", "bad_pdf", row_id("d2"), f"{EVIL}.pdf: no pages", position=-1),
        bad("clean", "faq", "exact_duplicate", row_id("f8"), f"same as {row_id('f0')}"),
        bad(
            "clean", "chat", "near_duplicate", row_id("c5"), f"says nearly the same as {row_id('f0')} (similarity 0.80)"
        ),
        bad("clean", "chat", "benchmark_question", row_id("c4"), "vicuna:12: compose a blog post"),
        bad("prepare", "chat", "too_many_tokens", f"{row_id('c3')}#1", "600 tokens, limit 512"),
    ]


def silver_rows() -> list[dict[str, Any]]:
    def row(source: str, at: int) -> dict[str, Any]:
        private = source == "faq"
        return {
            **{"dataset": "mine", "example_id": row_id(f"{source[0]}{at}"), "source": source, "position": at},
            **{"visibility": "private" if private else "public", "language": "en" if private else None},
            **{
                "turns": TURNS if private else LONG,
                "category": EVIL if at < 2 else f"topic of {MAIL}" if private else "",
            },
            **{"flags": ["refusal"] if at == 0 else [], "fixes": [], "personal": []},
        }

    return [row("faq", at) for at in range(8)] + [row("chat", at) for at in range(4)]


def gold_rows() -> list[dict[str, Any]]:
    rows = []
    for at, (source, split, copies, size) in enumerate(
        [("faq", "train", 2, 10)] * 5 + [("faq", "eval", 1, 20)] + [("chat", "train", 1, 40)] * 3
    ):
        place = row_id(f"f{at}") if source == "faq" else row_id(f"c{at - 6}")
        row = {"dataset": "mine", "example_id": place, "part": 0, "source": source, "split": split, "copies": copies}
        row |= {"visibility": "private" if source == "faq" else "public", "turns": TURNS, "position": at}
        rows.append(row | {"input_ids": [1] * size, "loss_mask": [True] * size})
    return rows


def ledger_rows(gold: list[dict[str, Any]]) -> list[dict[str, Any]]:
    columns = ("dataset", "example_id", "part", "source", "split", "copies")
    rows = []
    for row in gold:
        cut = 5 if row["source"] == "chat" else 0
        fate = "evaluated" if row["split"] == "eval" else "truncated" if cut else "trained"
        tokens = {"tokens": len(row["input_ids"]), "trained_tokens": 3, "truncated_tokens": cut, "fate": fate}
        rows.append({column: row[column] for column in columns} | tokens | {"training_set": "now"})
    unused = {"dataset": "mine", "part": 0, "split": "train", "fate": "left_out", "copies": 0}
    unused |= {"tokens": 0, "trained_tokens": 0, "truncated_tokens": 0}
    left = [("faq", "f6"), ("faq", "f7"), ("chat", "c3")]
    rows += [unused | {"training_set": "now", "source": s, "example_id": row_id(name)} for s, name in left]
    # Other training sets of the same data set: of other rows, and of these as another rule left them.
    rows += [row | {"training_set": "copied", "copies": row["copies"] + 1} for row in rows]
    return rows + [row | {"training_set": "earlier", "tokens": row["tokens"] + 1} for row in rows[:12]]


def fill_bronze(tables: Tables) -> None:
    files = [("faq", 1, 10, 1), ("chat", 2, 6, 0), ("docs", 3, 3, 1)]
    fill(
        tables,
        "bronze_files",
        [
            {
                "dataset": "mine",
                "source": s,
                "uri": f"{at}",
                "records": records // n,
                "rejected": rejected if at == 0 else 0,
                "bytes": 9,
            }
            for s, n, records, rejected in files
            for at in range(n)
        ],
    )
    examples = [("mine", "faq", "private", 9), ("mine", "chat", "public", 6), ("other", "faq", "public", 50)]
    fill(
        tables,
        "bronze_examples",
        [
            {"dataset": d, "source": s, "record_id": row_id(f"{s[0]}{at}"), "visibility": visibility, "raw": MAIL}
            for d, s, visibility, n in examples
            for at in range(n)
        ],
    )
    common = {"dataset": "mine", "source": "docs", "visibility": "private"}
    fill(
        tables,
        "bronze_documents",
        [
            common | {"document_id": row_id("d0"), "kind": "pdf", "pages": 4, "notes": ["an attachment"]},
            common | {"document_id": row_id("d1"), "kind": "markdown", "notes": []},
        ],
    )


def fill_rest(tables: Tables) -> None:
    common = {"dataset": "mine", "personal": [], "fixes": [], "flags": []}
    checked = [
        {
            "example_id": row_id("f0"),
            "source": "faq",
            "personal": ["EMAIL", "EMAIL"],
            "fixes": ["mojibake", "html_entities"],
        },
        {"example_id": row_id("f1"), "source": "faq", "personal": ["EMAIL", "PHONE"]},
        {"example_id": row_id("c1"), "source": "chat", "fixes": ["mojibake"]},
        {"example_id": row_id("c2"), "source": "chat"},
    ]
    fill(tables, "checked", [common | row for row in checked])
    fill(tables, "silver_examples", silver_rows())
    document = common | {"source": "docs", "visibility": "private", "language": "en", "flags": ["refusal"]}
    fill(tables, "silver_documents", [document | {"document_id": row_id(name)} for name in ("d0", "d1")])
    gold = gold_rows()
    fill(tables, "gold_examples", gold)
    fill(tables, "ledger", ledger_rows(gold))


@pytest.fixture(scope="session")
def bronze_only(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """A home after `--until ingest`, with a rejected row."""
    tables = Tables(tmp_path_factory.mktemp("bronze") / "tables")
    fill_bronze(tables)
    fill(tables, "rejected", [row for row in rejected_rows() if row["stage"] == "ingest"])
    return tables


@pytest.fixture(scope="session")
def filled(bronze_only: Tables, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """A home after prepare."""
    root = tmp_path_factory.mktemp("filled") / "tables"
    shutil.copytree(bronze_only.address, root)
    tables = Tables(root)
    fill(tables, "rejected", [row for row in rejected_rows() if row["stage"] != "ingest"])
    fill_rest(tables)
    return tables
