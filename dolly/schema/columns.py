"""What a table is made of, and the columns that several tables share."""

from __future__ import annotations

from typing import NamedTuple


class Column(NamedTuple):
    """One column; `type` is a Spark SQL type."""

    name: str
    type: str
    meaning: str


class Table(NamedTuple):
    """One table, partitioned by `dataset`; `key` identifies a row.

    `checks` are conditions that Delta holds each row to; no column of the key may be null.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    purpose: str
    checks: tuple[tuple[str, str], ...] = ()


DATASET = Column("dataset", "string", "name of the config that the row belongs to")
EXAMPLE = Column("example_id", "string", "the bronze record_id of the row")
PART = Column("part", "int", "place in a conversation that was split, from 0")
SOURCE = Column("source", "string", "name of the source in the config")
VISIBILITY = Column("visibility", "string", "private or public")
POSITION = Column("position", "bigint", "place in the file, from 0")
TURNS = "array<struct<role: string, content: string>>"
URI = Column("uri", "string", "file that it came from, as in bronze_files")
ARRIVED = Column("arrived_at", "timestamp", "when it was first ingested")
GROUP = Column("group_id", "string", "hash of source and group; of the question where there is none")
VARIANT = Column("variant", "string", "which wording of the group")
EXPECTED = Column("expected", "string", "text that a right answer contains")
CATEGORY = Column("category", "string", "topic")
SPLIT = Column("split", "string", "train or eval")
FOUND = (
    Column("language", "string", "ISO 639-1 code; null if it is not known"),
    Column("personal", "array<string>", "kinds of personal data that were masked, one an occurrence"),
    Column("fixes", "array<string>", "names of the rules that changed it"),
    Column("flags", "array<string>", "names of the rules that mark it"),
)
JUDGED = (
    Column("cluster_id", "string", "those that say the same; null if it is alone"),
    Column("state", "bigint", "xxhash64 of the checked row, its place and its cluster: what has changed"),
)
KNOWN_VISIBILITY = ("visibility_is_known", "visibility IN ('private', 'public')")
