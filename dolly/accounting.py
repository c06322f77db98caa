"""Row accounting: a run fails unless rows in = rows out + rejected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dolly.errors import ReconciliationError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from dolly.tracking import StageRun

# Of an id: the first 16 of a rejected record are those of its file.
SHOWN_DIGITS = 28

# Rule → its meaning, as written to `rejected`.
REASONS = {
    "bad_json": "the line is not JSON",
    "wrong_type": "a value has another type than text",
    "wrong_field_count": "the row has more or fewer fields than the header",
    "bad_csv": "the row's quotes can't be read as CSV",
    "not_utf8": "the row has bytes that are not UTF-8",
    "missing_field": "a field of the column mapping is absent",
    "duplicate_key": "a key occurs twice in one object, so that one of its values would be lost",
    "not_json_number": "NaN, Infinity or a number out of range, which JSON does not have",
    "record_too_large": "the record is longer than ingest.max_record_characters",
    "unknown_role": "a turn is by none of the known speakers",
    "no_turns": "the conversation is empty",
    "no_instances": "the list of instances is empty",
    "empty_file": "the file holds no record",
    "not_utf8_file": "the file is no UTF-8, nor UTF-16 or UTF-32 with a byte order mark",
    "wrong_kind": "the file's content is of another kind than its name says",
    "not_an_array": "the file is not one JSON array",
    "truncated_file": "the rest of the file can't be read",
    "doubled_column": "two columns have the same name",
    "bad_xlsx": "the workbook can't be read",
    "damaged_file": "the file is cut off or damaged",
    "protected_file": "the file needs a password",
    "unsafe_xml": "the file's XML declares a document type or entities",
    "zip_bomb": "the file unpacks to far more than it should",
    "unknown_kind": "the file's name is not one of the source's format",
    "file_too_large": "the file is larger than ingest.max_file_megabytes",
    "unreadable": "the file can't be opened",
    "not_a_file": "a pipe, socket, device or endless symlink",
    "symlink_outside": "a symlink that leads out of the source's folder",
    "prompt_too_long": "the prompt alone fills prepare.max_tokens, so that no token of the answer is left",
    "too_many_tokens": "the row is longer than prepare.max_tokens and prepare.over_length is reject",
}
# `rejected` keeps this much of a row's texts and of a rule's detail.
TEXT_CHARACTERS = 2_000
DETAIL_CHARACTERS = 300
# Texts are masked before they are cut, with this margin: half an e-mail address would not be recognised.
CUT_MARGIN = 200


def rejected_rows(
    frame: DataFrame, *, dataset: str, stage: str, example_id: str, reasons: Mapping[str, str] = REASONS
) -> DataFrame:
    """Rows of the `rejected` table.

    Args:
        frame: rows with `source`, `position`, `rule`, `detail`, and `before` and `after` where known.
        dataset: name of the config.
        stage: the stage that rejects the rows.
        example_id: name of the column that identifies a row.
        reasons: rule → its meaning.
    """
    from pyspark.sql import functions as F

    def text(name: str, characters: int) -> Column:
        return (F.substring(name, 1, characters) if name in frame.columns else F.lit(None)).alias(name)

    meaning = F.create_map(*[F.lit(text) for pair in reasons.items() for text in pair])
    return frame.select(
        F.lit(dataset).alias("dataset"),
        F.col(example_id).alias("example_id"),
        F.lit(stage).alias("stage"),
        "source",
        "position",
        "rule",
        meaning[F.col("rule")].alias("reason"),
        text("detail", DETAIL_CHARACTERS),
        text("before", TEXT_CHARACTERS),
        text("after", TEXT_CHARACTERS),
    )


def say_counts(say: Callable[[str], None], stage: StageRun, frame: DataFrame, *, kind: str, name: str) -> None:
    """Prints how often each name occurs in a source, and logs the counts as metrics.

    Args:
        say: prints one line.
        stage: the run that logs them.
        frame: rows with `source`.
        kind: the kind of names, e.g. `rejected`.
        name: an SQL expression for the name; null for none.
    """
    counted = frame.selectExpr("source", f"{name} AS name").where("name IS NOT NULL").groupBy("source", "name").count()
    rows = [tuple(row) for row in counted.orderBy("source", "name").collect()]
    for source in dict.fromkeys(row[0] for row in rows):
        counted_rules = ", ".join(f"{rule} {count:,}" for of_source, rule, count in rows if of_source == source)
        say(f"  {kind} {source}: {counted_rules}")
    totals: Counter[str] = Counter()
    for _, rule, count in rows:
        totals[rule] += count
    counts = {f"{kind}/{source}/{rule}": count for source, rule, count in rows}
    stage.metrics(counts | {f"{kind}/{rule}": count for rule, count in totals.items()})


def rejected_summary(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Lines of `dolly rejected`: config, stage, source, rule, rows, reason, an example's id; most rows first."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["dataset"], row["stage"], row["source"], row["rule"]), []).append(row)
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1]), item[0]))
    return [
        (*key, f"{len(some):,}", some[0]["reason"], min(row["example_id"] for row in some)[:SHOWN_DIGITS])
        for key, some in ordered
    ]


def require_equal(what: str, rows_in: int, rows_out: int) -> None:
    """Fails the run if a stage lost or added rows.

    Raises:
        ReconciliationError: the counts differ.
    """
    if rows_in != rows_out:
        raise ReconciliationError(
            found=f"{rows_in} rows into {what} and {rows_out} out of it",
            expected="rows in = rows out + rejected",
            fix="this is a defect of the stage: run it again with --debug and report the counts",
        )
