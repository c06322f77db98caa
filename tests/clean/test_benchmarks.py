"""Benchmark questions: long ones by n-grams, short ones whole, very short ones only alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dolly.clean.benchmarks import BenchmarkIndex, Question, read_questions
from dolly.clean.shingles import words
from dolly.errors import DataError

LONG = "Compose an engaging travel blog post about a recent trip to Hawaii, highlighting cultural experiences"
SHORT = "How can I improve my time management skills?"
QUESTIONS = [
    Question("bench:1", LONG, ("Paris",)),
    Question("bench:2", SHORT),
    Question("bench:3", "Tell me more"),
    Question(
        "bench:4", "Which word is it?", ("one two three four five six seven eight nine ten eleven twelve thirteen",)
    ),
]


def matches(*rows: list[str]) -> list[str | None]:
    index = BenchmarkIndex.of(QUESTIONS, ngram=13)
    flat = [text for row in rows for text in row]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return [match.question if match else None for match in index.matches(words(pa.array(flat)), offsets)]


def test_a_long_question_is_found_by_thirteen_of_its_words() -> None:
    part = "x y. compose AN engaging travel blog post, about a recent trip to hawaii highlighting: z"
    assert matches([part, "", "a"], ["a", "", LONG]) == ["bench:1", "bench:1"]
    assert matches(["an engaging travel blog post about a recent trip to hawaii highlighting", "", "a"]) == [None]


def test_a_short_question_must_occur_whole() -> None:
    assert matches(["Please answer. how can i improve my time-management skills", "", "a"]) == ["bench:2"]
    assert matches(["How can I improve my time management?", "", "skills"]) == [None]


def test_a_very_short_question_must_be_the_whole_first_turn() -> None:
    rows = (
        ["tell me more!", "", "a"],
        ["Now tell me more", "", "a"],
        ["a", "", "tell me more"],
        ["Tell me", "more", "a"],
    )
    assert matches(*rows) == ["bench:3", None, None, None]


def test_short_answers_are_no_evidence_and_long_contexts_are() -> None:
    assert matches(["What is the capital of France?", "", "Paris"]) == [None]
    thirteen = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    assert matches(["q", thirteen, "a"]) == ["bench:4"]


def test_the_match_names_the_words() -> None:
    index = BenchmarkIndex.of(QUESTIONS, ngram=13)
    (match,) = index.matches(
        words(pa.array(["so: How can I improve\n my time management skills", "", "a"])), np.array([0, 3])
    )
    assert match is not None
    assert match.gram == "how can i improve my time management skills"


def test_questions_are_read_through_lists_and_turns(tmp_path: Path) -> None:
    file = tmp_path / "b.jsonl"
    records = [
        {"question_id": 81, "turns": ["first turn", "second turn"]},
        {"id": "u1", "turns": ["q"], "instances": [{"input": "context", "output": ""}]},
    ]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    read = read_questions("b", str(file), file_format="jsonl", fields=("turns", "instances.input"))
    assert read == [
        Question("b:81", "first turn"),
        Question("b:81", "second turn"),
        Question("b:u1", "q", ("context",)),
    ]


def test_a_record_without_a_question_stops_the_run(tmp_path: Path) -> None:
    file = tmp_path / "b.jsonl"
    file.write_text('{"prompt": "x"}\n')
    with pytest.raises(DataError, match=r"record 0 has no instruction.*correct clean\.benchmarks\.b\.fields"):
        read_questions("b", str(file), file_format="jsonl", fields=("instruction",))
    with pytest.raises(DataError, match="no file"):
        read_questions("b", str(tmp_path / "none"), file_format="jsonl", fields=("instruction",))
