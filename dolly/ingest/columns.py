"""A record's own fields → ours: texts, a conversation, or one record for each instance."""

from __future__ import annotations

import json
from typing import Any

from dolly.ingest.json_text import canonical_record
from dolly.ingest.record import Record, refused

_TEXTS = ("instruction", "input", "output")
# Speakers of ShareGPT's exports (from/value) and of chat APIs (role/content).
_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bard": "assistant",
    "bing": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "system": "system",
}


def instances(record: Record, field: str | None) -> list[Record]:
    """Self-Instruct's form: each object in the list `field` is a record with the outer fields.

    Args:
        record: a record that could be read.
        field: name of the list; None if there is none.
    """
    if field is None or record.fields is None:
        return [record]
    values = record.fields.get(field)
    if field not in record.fields:
        return [_broken(record, "missing_field", f"no {field}; fields: {_names(record.fields)}")]
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        return [_broken(record, "wrong_type", f"{field} is {type(values).__name__}, expected a list of objects")]
    if not values:
        return [_broken(record, "no_instances", f"{field} is empty")]
    outer = {name: field_value for name, field_value in record.fields.items() if name != field}
    return [canonical_record(record.position, outer | value) for value in values]


def mapped(record: Record, columns: dict[str, str | None], required: list[str]) -> Record | dict[str, Any]:
    """The record's mapped fields, or the record again with the rule it broke.

    Args:
        record: a record that could be read.
        columns: our field → the record's field, or None. With `turns`, the three texts are empty.
        required: fields that the record must have.
    """
    fields = record.fields or {}
    for name in required:
        if name not in fields:
            missing = ", ".join(name for name in required if name not in fields)
            return _broken(record, "missing_field", f"no {missing}; fields: {_names(fields)}")
    values: dict[str, Any] = {}
    chat = columns.get("turns")
    for ours, theirs in columns.items():
        if ours in ("turns", "instances"):
            continue
        if theirs is None or (chat and ours in _TEXTS):
            values[ours] = ""
            continue
        value = fields.get(theirs)
        if value is not None and not isinstance(value, str):
            if ours in _TEXTS or isinstance(value, (dict, list)):
                return _broken(record, "wrong_type", f"{theirs} is {type(value).__name__}, expected text")
            value = json.dumps(value)
        values[ours] = value or ""
    if chat:
        turns = _turns(record, fields.get(chat), chat)
        if isinstance(turns, Record):
            return turns
        values["turns"] = turns
    return values


def _turns(record: Record, value: Any, field: str) -> Record | list[dict[str, str]]:
    if not isinstance(value, list):
        return _broken(record, "wrong_type", f"{field} is {type(value).__name__}, expected a list of turns")
    if not value:
        return _broken(record, "no_turns", f"{field} is empty")
    turns = []
    for number, turn in enumerate(value):
        if not isinstance(turn, dict):
            return _broken(record, "wrong_type", f"turn {number} is {type(turn).__name__}, expected an object")
        who, what = ("from", "value") if "from" in turn else ("role", "content")
        if missing := [name for name in (who, what) if name not in turn]:
            return _broken(record, "missing_field", f"turn {number} has no {missing[0]}; fields: {_names(turn)}")
        speaker, text = turn[who], turn[what]
        if not isinstance(text, str):
            return _broken(record, "wrong_type", f"{what} of turn {number} is {type(text).__name__}, expected text")
        role = _ROLES.get(speaker.strip().lower()) if isinstance(speaker, str) else None
        if role is None:
            return _broken(record, "unknown_role", f"turn {number} is by {speaker!r}; known are {', '.join(_ROLES)}")
        turns.append({"role": role, "content": text})
    return turns


def _broken(record: Record, rule: str, detail: str) -> Record:
    return refused(record.position, record.text, rule, detail)


def _names(fields: dict[str, Any]) -> str:
    return ", ".join(sorted(fields)) or "none"
