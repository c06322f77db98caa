"""Cleaning: each fix and rejection on rows made for it, every row in just one place."""

from __future__ import annotations

from typing import Any

import pytest

from dolly.clean.examples import silver_examples, with_duplicates_rejected, with_fixes, with_rejections
from dolly.clean.rules import fixes, rejections
from dolly.prompts import user_content

pytestmark = pytest.mark.spark

SCHEMA = (
    "record_id string, source string, visibility string, position bigint, instruction string, "
    "input string, output string, group_name string, variant string, expected string, category string"
)


def clean(spark: Any, *texts: tuple[str, str, str], partitions: int = 1, mask_emails: bool = True) -> list[Any]:
    rows = [(f"r{i}", "s", "private", i, *text, "", "", "", "") for i, text in enumerate(texts)]
    frame = (
        spark.createDataFrame(rows, SCHEMA)
        .repartition(partitions)
        .transform(with_fixes, fixes(mask_emails=mask_emails))
        .transform(with_rejections, rejections(max_characters=100))
        .transform(with_duplicates_rejected)
    )
    return sorted(frame.collect(), key=lambda row: row["position"])


@pytest.mark.parametrize(
    "marker",
    [
        *("No input", "noinput", "<noinput>", "`<noinput>`", "No input required.", "N/A", '"<no input>"'),
        *("{\\noinput}", "\\<noinput\\>", "None", "<noinput", " n/a "),
    ],
)
def test_no_input_markers_are_emptied(spark: Any, marker: str) -> None:
    (row,) = clean(spark, ("q", marker, "a"))
    assert row["input"] == ""
    assert "no_input_marker" in row["fixes"]


def test_an_input_that_only_looks_like_a_marker_stays(spark: Any) -> None:
    inputs = ["Nonesuch", "no input was read from the sensor", "NA", "none of these", "Anna"]
    rows = clean(spark, *[("q", text, "a") for text in inputs])
    assert [row["input"] for row in rows] == inputs
    assert all(row["fixes"] == [] for row in rows)


def test_control_characters_and_line_endings_are_mended_and_named(spark: Any) -> None:
    rows = clean(spark, ("one\r\ntwo", "", "a\u0007b\u001b\u007f"), ("tab\tand\nline", "", "plain"))
    assert (rows[0]["instruction"], rows[0]["output"]) == ("one\ntwo", "ab")
    assert rows[0]["fixes"] == ["line_endings", "control_characters"]
    assert (rows[1]["instruction"], rows[1]["fixes"]) == ("tab\tand\nline", [])


def test_emails_are_masked_only_when_asked(spark: Any) -> None:
    text = ("q", "", "Write to jo.doe+x@mail.tarnwick.example today")
    assert clean(spark, text)[0]["output"] == "Write to [email] today"
    assert "@" in clean(spark, text, mask_emails=False)[0]["output"]


def test_rows_without_question_or_answer_are_rejected(spark: Any) -> None:
    rows = clean(spark, (" \t", "", "a"), ("q", "", "\u00a0\n"), ("q" * 99, "", "aa"), ("q", "", "a"))
    assert [row["rule"] for row in rows] == ["empty_instruction", "empty_output", "too_many_characters", None]


@pytest.mark.parametrize("partitions", [1, 4])
def test_duplicates_keep_the_first_whatever_the_partitioning(spark: Any, partitions: int) -> None:
    texts = [("Q one", "", "A"), ("q  ONE ", "", "a"), ("Q one", "ctx", "A"), ("Q one", "", "B"), ("Q one", "", "A")]
    rows = clean(spark, *texts, partitions=partitions)
    assert [row["rule"] for row in rows] == [None, "exact_duplicate", None, None, "exact_duplicate"]
    assert rows[1]["detail"] == rows[4]["detail"] == "same as r0"


def test_a_rejected_row_shadows_no_good_one(spark: Any) -> None:
    rows = clean(spark, ("", "", "same"), ("", "", "same"))
    assert [row["rule"] for row in rows] == ["empty_instruction", "empty_instruction"]


def test_the_question_joins_task_and_context_as_the_prompt_does(spark: Any) -> None:
    rows = [("r0", "s", "private", 0, "task", "context", "answer", "", "", "", "")]
    rows += [("r1", "s", "private", 1, "task", "", "answer", "g", "2", "", "")]
    frame = with_fixes(spark.createDataFrame(rows, SCHEMA), fixes(mask_emails=True))
    made = sorted(silver_examples(frame, dataset="d").collect(), key=lambda row: row["position"])
    assert made[0]["turns"][0]["content"] == user_content("task", "context")
    assert made[1]["turns"][0]["content"] == user_content("task", "")
    assert made[0]["turns"][1].asDict() == {"role": "assistant", "content": "answer"}


def test_rows_of_a_group_share_its_id_and_others_do_not(spark: Any) -> None:
    groups = ["g", "g", "", "", "h"]
    questions = ["a", "b", "What is it?", "what  is IT?", "a"]
    rows = [
        (f"r{i}", "s", "private", i, question, "", str(i), group, "", "", "")
        for i, (group, question) in enumerate(zip(groups, questions, strict=True))
    ]
    frame = with_fixes(spark.createDataFrame(rows, SCHEMA), fixes(mask_emails=True))
    ids = [row["group_id"] for row in silver_examples(frame, dataset="d").orderBy("position").collect()]
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert len(set(ids)) == 3
