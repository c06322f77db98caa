"""Nothing is dropped silently: rows in = rows out + rejected, or the run fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dolly.errors import ReconciliationError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# What each rule means, for a reader of `rejected`.
REASONS = {
    "bad_json": "the line is not JSON",
    "wrong_type": "a value has another type than text",
    "wrong_field_count": "the row has more or fewer fields than the header",
    "bad_csv": "the row's quotes can't be read as CSV",
    "not_utf8": "the row has bytes that are not UTF-8",
    "missing_field": "a field of the column mapping is absent",
    "empty_instruction": "there is no question",
    "empty_output": "there is no answer",
    "too_many_characters": "the row is longer than clean.max_characters",
    "exact_duplicate": "another row has the same question, context and answer",
    "prompt_too_long": "the prompt alone fills prepare.max_tokens, so that no answer could be learnt",
    "too_many_tokens": "the row is longer than prepare.max_tokens and prepare.over_length is reject",
}
_DETAIL_CHARACTERS = 300


def rejected_rows(frame: DataFrame, *, dataset: str, stage: str, example_id: str) -> DataFrame:
    """Rows of the `rejected` table.

    Args:
        frame: rows with `source`, `position`, `rule` and `detail`.
        dataset: name of the config.
        stage: stage that rejects them.
        example_id: name of the column that identifies a row.
    """
    from pyspark.sql import functions as F

    reasons = F.create_map(*[F.lit(text) for pair in REASONS.items() for text in pair])
    return frame.select(
        F.lit(dataset).alias("dataset"),
        F.col(example_id).alias("example_id"),
        F.lit(stage).alias("stage"),
        "source",
        "position",
        "rule",
        reasons[F.col("rule")].alias("reason"),
        F.substring("detail", 1, _DETAIL_CHARACTERS).alias("detail"),
    )


def require_equal(what: str, rows_in: int, rows_out: int) -> None:
    """Fails the run if a stage lost or invented rows.

    Raises:
        ReconciliationError: the counts differ.
    """
    if rows_in != rows_out:
        raise ReconciliationError(
            found=f"{rows_in} rows into {what} and {rows_out} out of it",
            expected="rows in = rows out + rejected",
            fix="this is a defect of the stage: run it again with --debug and report the counts",
        )
