"""Every table's columns: names, Spark SQL types, meaning. `tables` makes tables from these."""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """One column; `type` is a Spark SQL type."""

    name: str
    type: str
    meaning: str


class Table(NamedTuple):
    """One table; `key` identifies a row, `scope` is the column that it is partitioned by."""

    name: str
    key: tuple[str, ...]
    scope: str
    columns: tuple[Column, ...]
    purpose: str


_DATASET = Column("dataset", "string", "name of the config that the row belongs to")
_EXAMPLE = Column("example_id", "string", "the bronze record_id of the row")
_SOURCE = Column("source", "string", "name of the source in the config")
_TURNS = "array<struct<role: string, content: string>>"

BRONZE_EXAMPLES = Table(
    "bronze_examples",
    ("source", "record_id"),
    "source",
    (
        Column("record_id", "string", "sha256 of source, content and occurrence"),
        _SOURCE,
        Column("visibility", "string", "private or public"),
        Column("uri", "string", "name of the file that it came from"),
        Column("position", "bigint", "place in the file, from 0"),
        Column("raw", "string", "the record as it came, as JSON"),
        Column("instruction", "string", "mapped field"),
        Column("input", "string", "mapped field; empty where there is none"),
        Column("output", "string", "mapped field"),
        Column("group_name", "string", "mapped field: what the row asks for"),
        Column("variant", "string", "mapped field: which wording of it"),
        Column("expected", "string", "mapped field: text that a right answer contains"),
        Column("category", "string", "mapped field: topic"),
        Column("arrived_at", "timestamp", "when it was first ingested"),
    ),
    "a record as it came",
)
SILVER_EXAMPLES = Table(
    "silver_examples",
    ("dataset", "example_id"),
    "dataset",
    (
        _DATASET,
        _EXAMPLE,
        _SOURCE,
        Column("visibility", "string", "private or public"),
        Column("position", "bigint", "place in the source, from 0"),
        Column("turns", _TURNS, "the conversation, user first"),
        Column("group_id", "string", "hash of source and group; of the question where there is none"),
        Column("variant", "string", "which wording of the group"),
        Column("expected", "string", "text that a right answer contains"),
        Column("category", "string", "topic"),
        Column("fixes", "array<string>", "names of the rules that changed the row"),
    ),
    "a clean conversation",
)
REJECTED = Table(
    "rejected",
    ("dataset", "stage", "example_id"),
    "dataset",
    (
        _DATASET,
        Column("example_id", "string", "the row's id, or a hash of what was found"),
        Column("stage", "string", "stage that did not pass it"),
        _SOURCE,
        Column("position", "bigint", "place in the source, from 0"),
        Column("rule", "string", "name of the rule"),
        Column("reason", "string", "why, for a reader"),
        Column("detail", "string", "what was found, shortened"),
    ),
    "a row that did not pass",
)
GOLD_EXAMPLES = Table(
    "gold_examples",
    ("dataset", "example_id"),
    "dataset",
    (
        _DATASET,
        _EXAMPLE,
        _SOURCE,
        Column("visibility", "string", "private or public"),
        Column("position", "bigint", "place in the source, from 0"),
        Column("turns", _TURNS, "the conversation, user first"),
        Column("group_id", "string", "hash of what the row asks for"),
        Column("variant", "string", "which wording of the group"),
        Column("expected", "string", "text that a right answer contains"),
        Column("split", "string", "train or eval"),
        Column("weight", "double", "mix weight"),
        Column("input_ids", "array<int>", "tokens of the whole conversation"),
        Column("loss_mask", "array<boolean>", "true where a token is trained on"),
        Column("prompt_sha256", "string", "identity of the prompt template"),
        Column("tokenizer_sha256", "string", "identity of the tokenizer"),
    ),
    "a silver row with its split and tokens",
)
LEDGER = Table(
    "ledger",
    ("dataset", "training_set", "example_id"),
    "dataset",
    (
        _DATASET,
        Column("training_set", "string", "hash of the gold rows it stands for"),
        _EXAMPLE,
        _SOURCE,
        Column("split", "string", "train or eval"),
        Column("fate", "string", "trained, truncated, evaluated or left_out"),
        Column("tokens", "int", "tokens kept"),
        Column("trained_tokens", "int", "tokens kept that carry loss"),
        Column("truncated_tokens", "int", "tokens cut off"),
    ),
    "what became of each gold row in a training set",
)
EVALUATIONS = Table(
    "evaluations",
    ("dataset", "evaluation", "example_id"),
    "dataset",
    (
        _DATASET,
        Column("evaluation", "string", "hash of weights, questions and decoding settings"),
        _EXAMPLE,
        _SOURCE,
        Column("run_id", "string", "MLflow run that wrote the row"),
        Column("question", "string", "what was asked"),
        Column("reference", "string", "the held-out answer"),
        Column("expected", "string", "text that a right answer contains"),
        Column("before", "string", "the base model's answer"),
        Column("after", "string", "the trained model's answer"),
        Column("before_right", "boolean", "expected text found in the base model's answer"),
        Column("after_right", "boolean", "expected text found in the trained model's answer"),
    ),
    "a question, the answers, the verdicts",
)

TABLES: dict[str, Table] = {
    table.name: table for table in (BRONZE_EXAMPLES, SILVER_EXAMPLES, REJECTED, GOLD_EXAMPLES, LEDGER, EVALUATIONS)
}
