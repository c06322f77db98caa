"""The rules on real records: what each finds there was read by eye."""

from __future__ import annotations

import csv
import json
from collections import Counter
from typing import Any

import pytest

from dolly.clean.apply import with_checks, with_fixes
from dolly.clean.rules import checks, fixes
from tests.support import SHARED

ALPACA = SHARED / "alpaca" / "alpaca_2k.json"
SEEDS = SHARED / "self_instruct" / "seed_tasks.jsonl"
BANK = SHARED / "enterprise" / "bank_faqs.csv"

pytestmark = [
    pytest.mark.spark,
    pytest.mark.shared_data,
]


def records() -> list[tuple[str, str, str, str]]:
    """Source, question, context and answer."""
    rows = [("alpaca", row["instruction"], row["input"], row["output"]) for row in json.loads(ALPACA.read_text())]
    for line in SEEDS.read_text().splitlines():
        task = json.loads(line)
        rows += [("seeds", task["instruction"], one["input"], one["output"]) for one in task["instances"]]
    with BANK.open(encoding="utf-8", newline="") as file:
        return rows + [("bank", row["Question"], "", row["Answer"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def found(spark: Any) -> dict[str, Counter[str]]:
    """Source → how many rows each rule fixed, rejected or flagged."""
    rows = [(source, context, [("user", task), ("assistant", answer)]) for source, task, context, answer in records()]
    schema = "source string, context string, turns array<struct<role: string, content: string>>"
    frame = spark.createDataFrame(rows, schema).transform(with_fixes, fixes()).transform(with_checks, checks())
    counts: dict[str, Counter[str]] = {source: Counter() for source in ("alpaca", "seeds", "bank")}
    for row in frame.select("source", "fixes", "rule", "flags").collect():
        names = [f"fixed {name}" for name in row["fixes"]] + [f"flagged {name}" for name in row["flags"]]
        counts[row["source"]].update(names + [f"rejected {row['rule']}"] * (row["rule"] is not None))
    return counts


def test_alpacas_known_defects_are_found_and_nothing_else_is_rejected(found: Any) -> None:
    assert found["alpaca"] == {
        "fixed no_input_marker": 49,
        "rejected merged_instructions": 22,
        "rejected url_without_content": 10,
        "flagged missing_input": 3,
        "flagged truncated": 1,
        "flagged lost_characters": 1,
    }


def test_of_records_that_people_wrote_none_is_rejected(found: Any) -> None:
    assert found["seeds"] == {}
    assert not [name for name in found["bank"] if name.startswith("rejected")]


def test_buttons_that_came_along_with_a_banks_answers_are_flagged(found: Any) -> None:
    assert found["bank"]["flagged page_leftover"] == 243
