"""Applying rules: which texts a fix reaches, what checks see, what a row keeps of them."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import functions as F

from dolly.clean.apply import with_checks, with_fixes, with_texts
from dolly.clean.rules import Check, Fix, checks, fixes

pytestmark = pytest.mark.spark

SCHEMA = "context string, turns array<struct<role: string, content: string>>"
TWO_ROUNDS = [("system", "s"), ("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2")]


def frame_of(spark: Any, *rows: tuple[str, list[tuple[str, str]]]) -> Any:
    return spark.createDataFrame(list(rows), SCHEMA).coalesce(1)


def contents(row: Any) -> list[str]:
    return [turn["content"] for turn in row["turns"]]


def test_a_fix_changes_all_texts_or_the_context(spark: Any) -> None:
    def marked(name: str, *, only_context: bool = False) -> Fix:
        return Fix(name, lambda text: F.concat(text, F.lit(f" {name}")), "", only_context=only_context)

    made = [marked("all"), marked("context", only_context=True)]
    row = with_fixes(frame_of(spark, ("C", TWO_ROUNDS)), made).first()
    assert (row["context"], row["fixes"]) == ("C all context", ["all", "context"])
    assert contents(row) == ["s all", "q1 all", "a1 all", "q2 all", "a2 all"]
    assert [turn["role"] for turn in row["turns"]] == [role for role, _ in TWO_ROUNDS]


def test_names_are_appended_to_those_of_earlier_fixes(spark: Any) -> None:
    fix = Fix("mark", lambda text: F.replace(text, F.lit("a1"), F.lit("A1")), "")
    frame = frame_of(spark, ("", TWO_ROUNDS), ("", [("user", "q")])).withColumn("fixes", F.array(F.lit("before")))
    rows = with_fixes(frame.withColumn("kept", F.lit(1)), [fix]).collect()
    assert [row["fixes"] for row in rows] == [["before", "mark"], ["before"]]
    assert set(rows[0].asDict()) == {"context", "turns", "fixes", "kept"}


def test_a_gate_that_no_text_passes_leaves_the_row_alone(spark: Any) -> None:
    fix = Fix("mark", lambda text: F.concat(text, F.lit("!")), "", gate=lambda text: text.rlike("[0-9]"))
    rows = with_fixes(frame_of(spark, ("", [("user", "q")]), ("7", [("user", "q")])), [fix]).collect()
    assert [(row["context"], contents(row), row["fixes"]) for row in rows] == [
        ("", ["q"], []),
        ("7!", ["q!"], ["mark"]),
    ]


def test_checks_see_all_rounds_and_the_context(spark: Any) -> None:
    rows = with_texts(frame_of(spark, ("C", TWO_ROUNDS), ("", [("user", "q")]))).collect()
    names = ("question", "instruction", "answer", "last_answer")
    assert [rows[0][name] for name in names] == ["q1\n\nq2\n\nC", "q1", "a1\n\na2", "a2"]
    assert [rows[1][name] for name in names] == ["q", "q", "", ""]


def test_the_first_rejection_is_the_rule_and_all_others_are_flags(spark: Any) -> None:
    answer, nothing = F.col("answer"), F.lit(None).cast("string")
    rules = [
        Check("flag_a", "flag", answer.contains("a"), answer, ""),
        Check("unknown", "reject", F.lit(None).cast("boolean"), answer, ""),
        Check("reject_b", "reject", answer.contains("b"), nothing, ""),
        Check("reject_c", "reject", answer.contains("c"), answer, ""),
    ]
    texts = ["x", "a", "abc", "c"]
    rows = with_checks(frame_of(spark, *[("", [("assistant", text)]) for text in texts]), rules).collect()
    found = [(row["rule"], row["detail"], row["flags"]) for row in rows]
    assert found == [
        (None, None, []),
        (None, None, ["flag_a"]),
        ("reject_b", "", ["flag_a", "reject_c"]),
        ("reject_c", "c", []),
    ]
    assert set(rows[0].asDict()) == {"context", "turns", "rule", "detail", "flags"}


def test_texts_that_the_caller_derived_are_kept(spark: Any) -> None:
    frame = with_texts(frame_of(spark, ("", [("user", "q"), ("assistant", "a")])))
    rule = Check("any", "flag", F.col("answer") == "a", F.col("answer"), "")
    assert {"question", "answer"} <= set(with_checks(frame, [rule]).columns)


def test_texts_are_checked_as_the_fixes_leave_them(spark: Any) -> None:
    frame = frame_of(
        spark, ("", [("user", "q"), ("assistant", " \u0007\n")]), ("", [("user", "\ufeff"), ("assistant", "a")])
    )
    rows = with_checks(with_fixes(frame, fixes()), checks()).collect()
    assert [row["rule"] for row in rows] == ["empty_output", "empty_instruction"]
