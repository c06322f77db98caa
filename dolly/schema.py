"""Every table's columns: names, Spark SQL types, meaning. `tables` makes tables from these."""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """One column; `type` is a Spark SQL type."""

    name: str
    type: str
    meaning: str


class Table(NamedTuple):
    """One table; `key` identifies a row, `scope` is the column that it is partitioned by.

    `checks` are conditions that Delta holds each row to; no column of the key may be null.
    """

    name: str
    key: tuple[str, ...]
    scope: str
    columns: tuple[Column, ...]
    purpose: str
    checks: tuple[tuple[str, str], ...] = ()


_DATASET = Column("dataset", "string", "name of the config that the row belongs to")
_EXAMPLE = Column("example_id", "string", "the bronze record_id of the row")
_PART = Column("part", "int", "place in a conversation that was split, from 0")
_SOURCE = Column("source", "string", "name of the source in the config")
_VISIBILITY = Column("visibility", "string", "private or public")
_POSITION = Column("position", "bigint", "place in the file, from 0")
_TURNS = "array<struct<role: string, content: string>>"
_URI = Column("uri", "string", "file that it came from, as in bronze_files")
_ARRIVED = Column("arrived_at", "timestamp", "when it was first ingested")
_GROUP = Column("group_id", "string", "hash of source and group; of the question where there is none")
_VARIANT = Column("variant", "string", "which wording of the group")
_EXPECTED = Column("expected", "string", "text that a right answer contains")
_CATEGORY = Column("category", "string", "topic")
_SPLIT = Column("split", "string", "train or eval")
_FOUND = (
    Column("language", "string", "ISO 639-1 code; null if it can't be told"),
    Column("personal", "array<string>", "kinds of personal data that were masked, one an occurrence"),
    Column("fixes", "array<string>", "names of the rules that changed it"),
    Column("flags", "array<string>", "names of the rules that mark it"),
)
_JUDGED = (
    Column("cluster_id", "string", "those that say the same; null if it is alone"),
    Column("state", "bigint", "xxhash64 of the checked row and its cluster: what has changed"),
)
_KNOWN_VISIBILITY = ("visibility_is_known", "visibility IN ('private', 'public')")

BRONZE_FILES = Table(
    "bronze_files",
    ("source", "uri"),
    "source",
    (
        _SOURCE,
        Column("uri", "string", "path within the source; of another place its whole name"),
        Column("checksum", "string", "sha256 of the bytes, or the version of a table"),
        Column("bytes", "bigint", "size"),
        Column("settings", "string", "hash of how it was read: format, columns, limits"),
        Column("records", "bigint", "records or documents found in it"),
        Column("rejected", "bigint", "how many of them were rejected"),
        _ARRIVED,
    ),
    "a file as it was last read",
)

BRONZE_EXAMPLES = Table(
    "bronze_examples",
    ("source", "record_id"),
    "source",
    (
        Column("record_id", "string", "sha256 of source, file, content and occurrence"),
        _SOURCE,
        _VISIBILITY,
        _URI,
        _POSITION,
        Column("raw", "string", "the record as it came, as JSON"),
        Column("instruction", "string", "mapped field"),
        Column("input", "string", "mapped field; empty where there is none"),
        Column("output", "string", "mapped field"),
        Column("turns", _TURNS, "mapped field: a conversation; null for a single question"),
        Column("group_name", "string", "mapped field: what the row asks for"),
        Column("variant", "string", "mapped field: which wording of it"),
        Column("expected", "string", "mapped field: text that a right answer contains"),
        Column("category", "string", "mapped field: topic"),
        Column("content_hash", "bigint", "xxhash64 of the mapped fields"),
        _ARRIVED,
    ),
    "a record as it came",
    (_KNOWN_VISIBILITY,),
)
BRONZE_DOCUMENTS = Table(
    "bronze_documents",
    ("source", "document_id"),
    "source",
    (
        Column("document_id", "string", "sha256 of source and uri"),
        _SOURCE,
        _VISIBILITY,
        Column("uri", "string", "path within the source, as in bronze_files"),
        Column("checksum", "string", "sha256 of the file's bytes"),
        Column("kind", "string", "markdown, html, pdf, docx, odt or text"),
        Column("title", "string", "title or first heading"),
        Column("text", "string", "the document as Markdown"),
        Column("pages", "int", "pages; null where there are none"),
        Column("notes", "array<string>", "what was left out, e.g. attachments"),
        _ARRIVED,
    ),
    "a parsed document",
    (_KNOWN_VISIBILITY,),
)
CHECKED = Table(
    "checked",
    ("dataset", "example_id"),
    "dataset",
    (
        _DATASET,
        Column("example_id", "string", "the bronze record_id or document_id of the row"),
        Column("kind", "string", "example or document"),
        _SOURCE,
        _VISIBILITY,
        _POSITION,
        _URI,
        Column("title", "string", "title of a document"),
        Column("input_hash", "bigint", "xxhash64 of the bronze row and the settings of clean: what has changed"),
        Column("content_key", "bigint", "xxhash64 of the texts but for case and white space"),
        Column("question_key", "bigint", "the same of the question alone; null for several rounds"),
        Column("bands", "array<bigint>", "MinHash bands; empty for a short text"),
        Column("turns", _TURNS, "the conversation, or the document as its only turn, cleaned"),
        Column("answer_length", "int", "characters"),
        _GROUP,
        Column("wordings", "string", "group_id where the source names the group, else null"),
        _VARIANT,
        _EXPECTED,
        _CATEGORY,
        *_FOUND,
        Column("rule", "string", "name of the rule that rejects it; null if none does"),
        Column("detail", "string", "what that rule found"),
        Column("before", "string", "the texts as they came, of a rejected row; null if they hold personal data"),
    ),
    "a bronze row as the rules for single rows leave it, before duplicates are looked for",
)
DUPLICATE_PAIRS = Table(
    "duplicate_pairs",
    ("dataset", "a", "b"),
    "dataset",
    (
        _DATASET,
        Column("a", "bigint", "the smaller content_key"),
        Column("b", "bigint", "the larger content_key"),
        Column("similarity", "double", "Jaccard similarity of their word trigrams"),
    ),
    "two contents that nearly say the same",
    (
        ("is_in_order", "a <= b"),
        ("similarity_is_a_share", "similarity BETWEEN 0 AND 1"),
    ),
)
SILVER_EXAMPLES = Table(
    "silver_examples",
    ("dataset", "example_id"),
    "dataset",
    (
        _DATASET,
        _EXAMPLE,
        _SOURCE,
        _VISIBILITY,
        _POSITION,
        Column("turns", _TURNS, "the conversation, user first"),
        _GROUP,
        _VARIANT,
        _EXPECTED,
        _CATEGORY,
        *_FOUND,
        *_JUDGED,
    ),
    "a clean conversation",
    (
        _KNOWN_VISIBILITY,
        ("has_an_answer", "size(turns) >= 2"),
    ),
)
SILVER_DOCUMENTS = Table(
    "silver_documents",
    ("dataset", "document_id"),
    "dataset",
    (
        _DATASET,
        Column("document_id", "string", "the bronze document_id"),
        _SOURCE,
        _VISIBILITY,
        Column("uri", "string", "path within the source, as in bronze_files"),
        Column("title", "string", "title or first heading"),
        Column("text", "string", "the document as Markdown, cleaned"),
        *_FOUND,
        *_JUDGED,
    ),
    "a clean document",
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
        _POSITION,
        Column("rule", "string", "name of the rule"),
        Column("reason", "string", "why, for a reader"),
        Column("detail", "string", "what was found, shortened"),
        Column("before", "string", "the row as it came, shortened"),
        Column("after", "string", "the row as it was when it was rejected, shortened; null if unchanged"),
    ),
    "a row that did not pass",
    (("has_a_reason", "reason IS NOT NULL"),),
)
GOLD_EXAMPLES = Table(
    "gold_examples",
    ("dataset", "example_id", "part"),
    "dataset",
    (
        _DATASET,
        _EXAMPLE,
        _PART,
        _SOURCE,
        _VISIBILITY,
        _POSITION,
        Column("turns", _TURNS, "the conversation, user first"),
        _GROUP,
        _VARIANT,
        _EXPECTED,
        _SPLIT,
        Column("copies", "int", "how many times it takes part in an epoch: its weight in the mix"),
        Column("input_ids", "array<int>", "tokens of the whole conversation"),
        Column("loss_mask", "array<boolean>", "true where a token is trained on"),
        Column("prompt_sha256", "string", "identity of the prompt template"),
        Column("tokenizer_sha256", "string", "identity of the tokenizer"),
    ),
    "a silver row with its split and tokens",
    (
        ("split_is_known", "split IN ('train', 'eval')"),
        ("takes_part", "copies >= 1"),
        ("masks_all_tokens", "size(input_ids) = size(loss_mask)"),
    ),
)
LEDGER = Table(
    "ledger",
    ("dataset", "training_set", "example_id", "part"),
    "dataset",
    (
        _DATASET,
        Column("training_set", "string", "hash of the gold rows it stands for"),
        _EXAMPLE,
        _PART,
        _SOURCE,
        _SPLIT,
        Column("fate", "string", "trained, truncated, evaluated or left_out"),
        Column("copies", "int", "how many times it takes part in an epoch"),
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
        _EXPECTED,
        Column("before", "string", "the base model's answer"),
        Column("after", "string", "the trained model's answer"),
        Column("before_right", "boolean", "expected text found in the base model's answer"),
        Column("after_right", "boolean", "expected text found in the trained model's answer"),
    ),
    "a question, the answers, the verdicts",
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        BRONZE_FILES,
        BRONZE_EXAMPLES,
        BRONZE_DOCUMENTS,
        CHECKED,
        DUPLICATE_PAIRS,
        SILVER_EXAMPLES,
        SILVER_DOCUMENTS,
        REJECTED,
        GOLD_EXAMPLES,
        LEDGER,
        EVALUATIONS,
    )
}
