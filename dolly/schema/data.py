"""Tables of the data stages: bronze, checked, silver, rejected."""

from __future__ import annotations

from dolly.schema import columns as c
from dolly.schema.columns import Column, Table

BRONZE_FILES = Table(
    "bronze_files",
    ("dataset", "source", "uri"),
    (
        c.DATASET,
        c.SOURCE,
        Column("uri", "string", "path within the source; of another place its whole name"),
        Column("checksum", "string", "sha256 of the bytes, or the version of a table"),
        Column("bytes", "bigint", "size"),
        Column("settings", "string", "hash of how it was read: format, columns, limits"),
        Column("records", "bigint", "records or documents found in it"),
        Column("rejected", "bigint", "how many of them were rejected"),
        c.ARRIVED,
    ),
    "a file as it was last read",
)

BRONZE_EXAMPLES = Table(
    "bronze_examples",
    ("dataset", "record_id"),
    (
        c.DATASET,
        Column("record_id", "string", "sha256 of source, file, content and occurrence"),
        c.SOURCE,
        c.VISIBILITY,
        c.URI,
        c.POSITION,
        Column("raw", "string", "the record as it came, as JSON"),
        Column("instruction", "string", "mapped field"),
        Column("input", "string", "mapped field; empty where there is none"),
        Column("output", "string", "mapped field"),
        Column("turns", c.TURNS, "mapped field: a conversation; null for a single question"),
        Column("group_name", "string", "mapped field: what the row asks for"),
        Column("variant", "string", "mapped field: which wording of it"),
        Column("expected", "string", "mapped field: text that a right answer contains"),
        Column("category", "string", "mapped field: topic"),
        Column("content_hash", "bigint", "xxhash64 of the mapped fields"),
        c.ARRIVED,
    ),
    "a record as it came",
    (c.KNOWN_VISIBILITY,),
)
BRONZE_DOCUMENTS = Table(
    "bronze_documents",
    ("dataset", "document_id"),
    (
        c.DATASET,
        Column("document_id", "string", "sha256 of source and uri"),
        c.SOURCE,
        c.VISIBILITY,
        Column("uri", "string", "path within the source, as in bronze_files"),
        Column("checksum", "string", "sha256 of the file's bytes"),
        Column("kind", "string", "markdown, html, pdf, docx, odt or text"),
        Column("title", "string", "title or first heading"),
        Column("text", "string", "the document as Markdown"),
        Column("pages", "int", "pages; null where there are none"),
        Column("notes", "array<string>", "what was left out, e.g. attachments"),
        c.ARRIVED,
    ),
    "a parsed document",
    (c.KNOWN_VISIBILITY,),
)
CHECKED = Table(
    "checked",
    ("dataset", "example_id"),
    (
        c.DATASET,
        Column("example_id", "string", "the bronze record_id or document_id of the row"),
        Column("kind", "string", "example or document"),
        c.SOURCE,
        c.VISIBILITY,
        c.POSITION,
        Column("uri", "string", "file of a document, masked; null for an example"),
        Column("title", "string", "title of a document, masked"),
        Column("input_hash", "bigint", "xxhash64 of the bronze row's content and the settings of clean"),
        Column("content_key", "bigint", "xxhash64 of the texts but for case and white space"),
        Column("question_key", "bigint", "the same of the question alone; null for several rounds"),
        Column("bands", "array<bigint>", "MinHash bands; empty for a short text"),
        Column("turns", c.TURNS, "the conversation, or the document as its only turn, cleaned"),
        Column("answer_length", "int", "characters"),
        c.GROUP,
        Column("wordings", "string", "group_id where the source names the group, else null"),
        c.VARIANT,
        c.EXPECTED,
        c.CATEGORY,
        *c.FOUND,
        Column("rule", "string", "name of the rule that rejects it; null if none does"),
        Column("detail", "string", "what that rule found"),
        Column("before", "string", "the texts as they came, masked and shortened, of a rejected row"),
    ),
    "a bronze row as the rules for single rows leave it, before duplicates are looked for",
)
DUPLICATE_PAIRS = Table(
    "duplicate_pairs",
    ("dataset", "a", "b"),
    (
        c.DATASET,
        Column("a", "bigint", "the smaller key: xxhash64 of the compared row's input_hash and the threshold"),
        Column("b", "bigint", "the larger key; a itself for a content that was compared with all others"),
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
    (
        c.DATASET,
        c.EXAMPLE,
        c.SOURCE,
        c.VISIBILITY,
        c.POSITION,
        Column("turns", c.TURNS, "the conversation, user first"),
        c.GROUP,
        c.VARIANT,
        c.EXPECTED,
        c.CATEGORY,
        *c.FOUND,
        *c.JUDGED,
    ),
    "a clean conversation",
    (
        c.KNOWN_VISIBILITY,
        ("has_an_answer", "cardinality(turns) >= 2"),
    ),
)
SILVER_DOCUMENTS = Table(
    "silver_documents",
    ("dataset", "document_id"),
    (
        c.DATASET,
        Column("document_id", "string", "the bronze document_id"),
        c.SOURCE,
        c.VISIBILITY,
        Column("uri", "string", "path within the source, masked"),
        Column("title", "string", "title or first heading, masked"),
        Column("text", "string", "the document as Markdown, cleaned and masked"),
        *c.FOUND,
        *c.JUDGED,
    ),
    "a clean document",
)
REJECTED = Table(
    "rejected",
    ("dataset", "stage", "example_id"),
    (
        c.DATASET,
        Column("example_id", "string", "the row's id, or a hash of what was found"),
        Column("stage", "string", "stage that did not pass it"),
        c.SOURCE,
        c.POSITION,
        Column("rule", "string", "name of the rule"),
        Column("reason", "string", "why, for a reader"),
        Column("detail", "string", "what was found, masked and shortened"),
        Column("before", "string", "the row as it came, masked and shortened"),
        Column("after", "string", "the row as it was when it was rejected, shortened; null if unchanged"),
    ),
    "a row that did not pass",
    (("has_a_reason", "reason IS NOT NULL"),),
)
