"""What was read → the tables, in an order in which a kill between any two commits loses nothing.

`bronze_files` with the files to overwrite marked; bronze; `rejected`; the final `bronze_files`.
A run that finds marks reads those files again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

from dolly.accounting import REASONS, rejected_rows
from dolly.clean.masking import masked_rejections
from dolly.clean.privacy.settings import PrivacySettings
from dolly.ingest.convert import RULES
from dolly.ingest.rows import file_tag, masked_tag
from dolly.ingest.state import STAGE, Difference, FileRow, Rejections, files_rows, in_progress, key_rows
from dolly.schema import BRONZE_DOCUMENTS, BRONZE_EXAMPLES, BRONZE_FILES, REJECTED, Table
from dolly.tables import Changes, Tables

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_WRITER = "dolly ingest"


@dataclass(frozen=True)
class Part:
    """One source: its previous and current files, and the rows read from it.

    `results`: the new rows of `bronze_files`; `frame`: None if nothing had to be read.
    """

    source: str
    visibility: str
    table: Table
    settings: str
    file_keys: dict[str, str]
    known: dict[str, FileRow]
    difference: Difference
    frame: DataFrame | None
    results: dict[str, FileRow]
    privacy: PrivacySettings | None = None

    @property
    def masking(self) -> str:
        """Hash of how rejected rows are masked; empty where they are not."""
        return self.privacy.sha256 if self.privacy else ""

    @property
    def folder(self) -> bool:
        """Is the source a folder?"""
        return any(self.file_keys.values())

    @property
    def has_bad_rows(self) -> bool:
        """Are there rows in `frame` for `rejected`?"""
        return any(row.rejected for row in self.results.values())

    @property
    def rewritten(self) -> frozenset[str]:
        """Uris with changed bronze rows."""
        return self.difference.read | self.difference.removed

    @property
    def overwritten(self) -> frozenset[str]:
        """Uris of `rewritten` that were ingested before."""
        return self.rewritten & self.known.keys()

    @property
    def files(self) -> dict[str, FileRow]:
        """The rows of `bronze_files` after the commit."""
        return {uri: self.known[uri] for uri in self.difference.unchanged} | self.results

    @property
    def tags(self) -> set[str]:
        """Tags of the rejected rows that the files have."""
        tags = [
            file_tag(source=self.source, file_key=self.file_keys[uri], version=row.checksum, settings=self.settings)
            for uri, row in self.files.items()
        ]
        masking = self.masking
        return {masked_tag(tag, masking) for tag in tags}


def stale(parts: list[Part], earlier: Rejections) -> list[str]:
    """Ids of rejected rows of files, or of file versions, that no longer exist."""
    current = set().union(*(part.tags for part in parts))
    return [example for tag, ids in earlier.ids.items() if tag not in current for example in ids]


def commit(
    spark: SparkSession, tables: Tables, parts: list[Part], gone: list[str], *, dataset: str
) -> dict[str, Changes]:
    """Writes the parts.

    Args:
        spark: the session.
        tables: where to.
        parts: the sources.
        gone: ids of rejected rows to delete.
        dataset: name of the config.

    Returns:
        What changed in each source's bronze table.
    """
    scope = {"dataset": dataset}
    rewritten = [part for part in parts if part.rewritten]
    marks = {(part.source, uri): in_progress(part.known[uri]) for part in rewritten for uri in part.overwritten}
    if marks:
        tables.merge(files_rows(marks, dataset=dataset), BRONZE_FILES, scope=scope, writer=_WRITER)
    changes = {part.source: _bronze(spark, tables, part, dataset) for part in rewritten}
    _rejected(spark, tables, parts, gone, dataset)
    if rewritten:
        files = {(part.source, uri): row for part in rewritten for uri, row in part.results.items()}
        removed = [(dataset, part.source, uri) for part in rewritten for uri in part.difference.removed]
        tables.merge(
            files_rows(files, dataset=dataset),
            BRONZE_FILES,
            gone=key_rows(BRONZE_FILES.key, removed) if removed else None,
            scope=scope,
            writer=_WRITER,
        )
    return changes


def _bronze(spark: SparkSession, tables: Tables, part: Part, dataset: str) -> Changes:
    from pyspark.sql import functions as F

    tables.ensure(spark, part.table)
    rows = _empty(spark, part.table) if part.frame is None else bronze_rows(part.frame, part, dataset=dataset)
    scope = {"dataset": dataset, "source": part.source}
    _retire_other_table(spark, tables, part, scope)
    gone = None
    if tables.rows(part.table, **scope):
        kept = part.difference.unchanged
        old = tables.read(spark, part.table, **scope)
        old = old.join(
            F.broadcast(spark.createDataFrame(key_rows(("uri",), [(uri,) for uri in kept]))), "uri", "left_anti"
        )
        gone = old.join(rows.select(*part.table.key), list(part.table.key), "left_anti").select(*part.table.key)
    return tables.merge(rows, part.table, gone=gone, scope=scope, writer=_WRITER)


def bronze_rows(frame: DataFrame, part: Part, *, dataset: str) -> DataFrame:
    """The good rows as the part's bronze table has them."""
    from pyspark.sql import functions as F

    rows = (
        frame.where("rule IS NULL")
        .withColumn("dataset", F.lit(dataset))
        .withColumn("source", F.lit(part.source))
        .withColumn("visibility", F.lit(part.visibility))
        .withColumn("arrived_at", F.current_timestamp())
    )
    if part.table is BRONZE_DOCUMENTS:
        return rows
    rows = rows.withColumnRenamed("group", "group_name")
    mapped = ("instruction", "input", "output", "turns", "group_name", "variant", "expected", "category")
    return rows.withColumn("content_hash", F.xxhash64(*mapped))


def _retire_other_table(spark: SparkSession, tables: Tables, part: Part, scope: Mapping[str, str]) -> None:
    """A source that has become one of documents, or no longer is, leaves no row where it was."""
    other = BRONZE_EXAMPLES if part.table is BRONZE_DOCUMENTS else BRONZE_DOCUMENTS
    if tables.exists(other) and tables.rows(other, **scope):
        tables.sync(_empty(spark, other), other, scope=scope, writer=_WRITER)


def _rejected(spark: SparkSession, tables: Tables, parts: list[Part], gone: list[str], dataset: str) -> None:
    from pyspark.sql import DataFrame

    frames = [_bad_rows(part.frame, part, dataset) for part in parts if part.frame is not None and part.has_bad_rows]
    if not frames and not gone:
        return
    rows = reduce(DataFrame.unionByName, frames) if frames else _empty(spark, REJECTED)
    keys = key_rows(REJECTED.key, [(dataset, STAGE, example) for example in gone]) if gone else None
    tables.merge(rows, REJECTED, gone=keys, scope={"dataset": dataset, "stage": STAGE}, writer=_WRITER)


def _bad_rows(frame: DataFrame, part: Part, dataset: str) -> DataFrame:
    from pyspark.sql import functions as F

    bad = frame.where("rule IS NOT NULL").withColumn("source", F.lit(part.source))
    bad = bad.withColumn("before", F.col("raw") if part.table is BRONZE_EXAMPLES else F.lit(None).cast("string"))
    bad = masked_rejections(bad, part.privacy)
    if masking := part.masking:
        tag, digits = F.substring("rejected_id", 1, 16), F.substring("rejected_id", 17, 48)
        masked = F.substring(F.sha2(F.concat(tag, F.lit(f"\0{masking}")), 256), 1, 16)
        bad = bad.withColumn("rejected_id", F.concat(masked, digits))
    # Of a folder's row, `position` alone would not say where it is.
    if part.folder:
        bad = bad.withColumn("detail", F.concat("uri", F.lit(": "), "detail"))
    return rejected_rows(bad, dataset=dataset, stage=STAGE, example_id="rejected_id", reasons=RULES | REASONS)


def _empty(spark: SparkSession, table: Table) -> DataFrame:
    return spark.createDataFrame([], ", ".join(f"{column.name} {column.type}" for column in table.columns))
