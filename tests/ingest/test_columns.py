from __future__ import annotations

import json
from typing import Any

import pytest

from dolly.ingest.columns import instances, mapped
from dolly.ingest.parse import records
from dolly.ingest.record import Record
from tests.support import SHARED

CHAT: dict[str, str | None] = {"instruction": "instruction", "input": "input", "output": "output", "turns": "chat"}


def record(fields: dict[str, Any]) -> Record:
    return Record(3, fields, json.dumps(fields))


def chat(*turns: Any) -> Record | dict[str, Any]:
    return mapped(record({"chat": list(turns)}), CHAT, ["chat"])


def test_speakers_of_both_forms_become_roles() -> None:
    made = chat(
        {"role": "System", "content": "Be short."},
        {"from": "human", "value": "Where?"},
        {"from": "gpt", "value": ""},
        {"role": "user", "content": "When?"},
        {"role": "model", "content": "Now.", "extra": 1},
    )
    assert made == {
        "instruction": "",
        "input": "",
        "output": "",
        "turns": [
            {"role": role, "content": text}
            for role, text in [
                ("system", "Be short."),
                ("user", "Where?"),
                ("assistant", ""),
                ("user", "When?"),
                ("assistant", "Now."),
            ]
        ],
    }


@pytest.mark.parametrize(
    ("turn", "rule"),
    [
        ({"from": "tool", "value": "x"}, "unknown_role"),
        ({"role": None, "content": "x"}, "unknown_role"),
        ({"role": ["user"], "content": "x"}, "unknown_role"),
        ({"role": "user", "content": 3}, "wrong_type"),
        ({"role": "user", "content": None}, "wrong_type"),
        ({"role": "user", "content": [{"type": "text", "text": "x"}]}, "wrong_type"),
        ({"role": "user"}, "missing_field"),
        ({"text": "x"}, "missing_field"),
        ("x", "wrong_type"),
        (None, "wrong_type"),
    ],
)
def test_a_turn_at_fault_is_told_by_its_place(turn: Any, rule: str) -> None:
    made = chat({"role": "user", "content": "x"}, turn)
    assert isinstance(made, Record)
    assert (made.position, made.rule) == (3, rule)
    assert "turn 1" in made.detail


@pytest.mark.parametrize(("value", "rule"), [([], "no_turns"), ("x", "wrong_type"), (None, "wrong_type")])
def test_a_conversation_that_is_none_is_refused(value: Any, rule: str) -> None:
    made = mapped(record({"chat": value}), CHAT, ["chat"])
    assert isinstance(made, Record)
    assert made.rule == rule


def test_each_instance_is_a_record_with_the_outer_fields() -> None:
    outer = {"id": "t", "instruction": "Add.", "instances": [{"input": "1 1", "output": "2"}, {"output": "?"}]}
    made = instances(record(outer), "instances")
    assert [one.fields for one in made] == [
        {"id": "t", "instruction": "Add.", "input": "1 1", "output": "2"},
        {"id": "t", "instruction": "Add.", "output": "?"},
    ]
    assert {one.position for one in made} == {3}
    assert len({one.text for one in made}) == 2


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({}, "missing_field"),
        ({"instances": []}, "no_instances"),
        ({"instances": {}}, "wrong_type"),
        ({"instances": ["x"]}, "wrong_type"),
        ({"instances": None}, "wrong_type"),
    ],
)
def test_instances_that_are_none_are_refused(fields: dict[str, Any], rule: str) -> None:
    (made,) = instances(record({"instruction": "x"} | fields), "instances")
    assert (made.fields, made.rule) == (None, rule)


@pytest.mark.shared_data
def test_real_conversations_and_seed_tasks_are_read() -> None:
    columns = CHAT | {"turns": "conversations"}
    dummy = (SHARED / "sharegpt" / "dummy_conversation.json").read_bytes()
    chats = [mapped(one, columns, ["conversations"]) for one in records(dummy, "json")]
    assert len(chats) == 500
    assert all(isinstance(one, dict) and one["turns"][0]["role"] == "user" for one in chats)
    seeds = list(records((SHARED / "self_instruct" / "seed_tasks.jsonl").read_bytes(), "jsonl"))
    made = [one for seed in seeds for one in instances(seed, "instances")]
    assert len(seeds) == 175
    plain = {"instruction": "instruction", "input": "input", "output": "output"}
    assert all(isinstance(mapped(one, plain, ["instruction", "output"]), dict) for one in made)
