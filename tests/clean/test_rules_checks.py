"""The checks: for each the rows that it must hit and near misses that it must not."""

from __future__ import annotations

from typing import Any

import pytest

from dolly.clean.apply import with_checks
from dolly.clean.rules import checks
from dolly.clean.rules.shape import language_checks, length_checks
from tests.clean.test_rules_cases import HITS, LIMITS, MISSES

pytestmark = pytest.mark.spark

SCHEMA = (
    "id int, context string, turns array<struct<role: string, content: string>>, language string, language_score double"
)


# Each is a conversation of its own and may take no longer than others.
HOSTILE = ["a b " * 40_000, "`" * 100_000, "1+" * 50_000, "(((" * 40_000, "a\n" * 60_000, "the same " * 20_000]
LATER_ROUNDS = {
    "empty_output": [("user", "q"), ("assistant", "a"), ("user", "more"), ("assistant", "")],
    "error_text": [("user", "q"), ("assistant", "a"), ("user", "more"), ("assistant", "Error: network error")],
    "refusal": [("user", "q"), ("assistant", "a"), ("user", "more"), ("assistant", "Sorry, I can't access the file.")],
}


def names_of(row: Any) -> set[str]:
    return {row["rule"], *row["flags"]} - {None}


def checked(spark: Any, conversations: list[tuple[str, list[tuple[str, str]]]], rules: list[Any]) -> list[Any]:
    rows = [(i, context, turns, None, None) for i, (context, turns) in enumerate(conversations)]
    frame = with_checks(spark.createDataFrame(rows, SCHEMA).coalesce(1), rules)
    return sorted(frame.collect(), key=lambda row: row["id"])


def conversation(question: str, context: str, answer: str) -> tuple[str, list[tuple[str, str]]]:
    return context, [("user", question), ("assistant", answer.strip())]


@pytest.fixture(scope="module")
def verdicts(spark: Any) -> dict[Any, Any]:
    """The rows of all cases, by the case, and those of several rounds, by their rule."""
    rows = sorted({row for cases in (*HITS.values(), *MISSES.values()) for row in cases})
    hostile = [(text[:2_000], text, text) for text in HOSTILE]
    single = [conversation(*row) for row in rows + hostile]
    found = checked(spark, [*single, *[("", turns) for turns in LATER_ROUNDS.values()]], checks(**LIMITS))
    return dict(zip([*rows, *hostile, *LATER_ROUNDS], found, strict=True))


@pytest.mark.parametrize("rule", HITS)
def test_a_check_hits_its_rows(verdicts: Any, rule: str) -> None:
    missed = [row for row in HITS[rule] if rule not in names_of(verdicts[row])]
    assert missed == []


@pytest.mark.parametrize("rule", MISSES)
def test_a_check_spares_near_misses(verdicts: Any, rule: str) -> None:
    wrong = [row for row in MISSES[rule] if rule in names_of(verdicts[row])]
    assert wrong == []


def test_details_are_the_offending_piece(verdicts: Any) -> None:
    assert verdicts[HITS["wrong_equation"][0]]["detail"] == "12 + 7 = 20"
    assert verdicts[HITS["merged_instructions"][1]]["detail"] == "11. Instruction: Write a poem."
    lengths = [len(row["detail"]) for row in verdicts.values() if row["rule"] == "repeated_text"]
    assert 0 < max(lengths) <= 200


@pytest.mark.parametrize("rule", LATER_ROUNDS)
def test_a_spoilt_later_round_counts(verdicts: Any, rule: str) -> None:
    assert rule in names_of(verdicts[rule])


def test_limits_are_the_callers(spark: Any) -> None:
    rules = length_checks(max_characters=20, min_answer_characters=5)
    rows = [("Who?", "", "abcd"), ("Who?", "", "abcde"), ("Who?", "", "a" * 16), ("Who?", "", "a" * 17)]
    found = checked(spark, [conversation(*row) for row in rows], rules)
    assert [row["rule"] for row in found] == ["short_answer", None, None, "too_many_characters"]
    assert [found[0]["detail"], found[3]["detail"]] == ["4 characters", "21 characters"]


def test_languages_count_only_where_they_are_named_and_known(spark: Any) -> None:
    turns = [("user", "Was ist das?"), ("assistant", "Eine Katze.")]
    known = [("de", 0.9), ("en", 0.9), ("de", 0.2), (None, None)]
    frame = spark.createDataFrame([(i, "", turns, *pair) for i, pair in enumerate(known)], SCHEMA).coalesce(1)
    rows = with_checks(frame, language_checks(["en", "fr"])).orderBy("id").collect()
    assert [(row["rule"], row["detail"]) for row in rows] == [("wrong_language", "de 0.9"), *[(None, None)] * 3]
    assert language_checks([]) == []
