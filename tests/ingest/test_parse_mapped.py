from __future__ import annotations

from typing import Any

import pytest

from dolly.ingest.columns import mapped
from dolly.ingest.record import Record

COLUMNS = {"instruction": "q", "output": "a", "input": None, "expected": "fact"}


def record(fields: dict[str, Any]) -> Record:
    return Record(7, fields, "as it came")


def values(fields: dict[str, Any]) -> dict[str, str]:
    made = mapped(record(fields), COLUMNS, ["q", "a"])
    assert isinstance(made, dict), made
    return made


def refused(fields: dict[str, Any]) -> Record:
    made = mapped(record(fields), COLUMNS, ["q", "a"])
    assert isinstance(made, Record), made
    assert (made.position, made.text) == (7, "as it came")
    return made


def test_mapped_fields_come_out_under_our_names() -> None:
    made = values({"q": "Where?", "a": " Here.\n", "fact": "Here", "other": 3})
    assert made == {"instruction": "Where?", "output": " Here.\n", "input": "", "expected": "Here"}


@pytest.mark.parametrize("fields", [{}, {"fact": None}])
def test_a_field_that_may_be_absent_is_empty(fields: dict[str, Any]) -> None:
    assert values({"q": "Where?", "a": "Here."} | fields)["expected"] == ""


def test_a_required_field_that_is_null_is_empty() -> None:
    assert values({"q": None, "a": "Here."})["instruction"] == ""


@pytest.mark.parametrize(
    ("fields", "missing", "present"),
    [({"q": "Where?", "b": "x"}, ["a"], ["b", "q"]), ({"z": "x"}, ["q", "a"], ["z"]), ({}, ["q", "a"], ["none"])],
)
def test_a_missing_field_is_told_with_those_that_are_there(
    fields: dict[str, Any], missing: list[str], present: list[str]
) -> None:
    made = refused(fields)
    told, there = made.detail.split("fields: ")
    assert made.rule == "missing_field"
    assert all(name in told for name in missing)
    assert there == ", ".join(present)


@pytest.mark.parametrize("value", [3, 2.5, True, ["x"], {"x": 1}])
@pytest.mark.parametrize("field", ["q", "a"])
def test_a_question_or_answer_that_is_no_text_is_refused(field: str, value: Any) -> None:
    made = refused({"q": "Where?", "a": "Here."} | {field: value})
    assert made.rule == "wrong_type"
    assert field in made.detail
    assert type(value).__name__ in made.detail


@pytest.mark.parametrize(("value", "text"), [(3, "3"), (2.5, "2.5"), (True, "true"), (0, "0"), (False, "false")])
def test_a_label_may_be_a_number(value: Any, text: str) -> None:
    assert values({"q": "How many?", "a": "Three.", "fact": value})["expected"] == text


@pytest.mark.parametrize("value", [["x"], {"x": 1}, []])
def test_a_label_that_is_a_list_or_object_is_refused(value: Any) -> None:
    assert refused({"q": "Where?", "a": "Here.", "fact": value}).rule == "wrong_type"
