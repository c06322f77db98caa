"""Checked rows: one shape for records, conversations and documents; texts joined as prompts join them."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import functions as F

from dolly.clean.benchmarks import BenchmarkIndex, Question
from dolly.clean.checked import checked_rows, document_rows, example_rows
from dolly.clean.privacy.settings import PrivacySettings
from dolly.clean.rules import checks, fixes
from dolly.prompts import user_content
from dolly.schema import BRONZE_DOCUMENTS, BRONZE_EXAMPLES, CHECKED

pytestmark = pytest.mark.spark

PRIVACY = PrivacySettings(("EMAIL", "SECRET"), ("US",), (), b"k" * 32)
INDEX = BenchmarkIndex.of([Question("bench:7", "How can I improve my time management skills?")], ngram=13)


def bronze(spark: Any, *records: dict[str, Any]) -> Any:
    rows = []
    for number, record in enumerate(records):
        row = {column.name: "" for column in BRONZE_EXAMPLES.columns if column.type == "string"}
        row |= {"record_id": f"r{number}", "source": "s", "visibility": "private", "turns": None, "arrived_at": None}
        rows.append(row | {"position": number, "content_hash": number} | record)
    names = [column.name for column in BRONZE_EXAMPLES.columns]
    schema = ", ".join(f"{column.name} {column.type}" for column in BRONZE_EXAMPLES.columns)
    return spark.createDataFrame([tuple(row[name] for name in names) for row in rows], schema)


def checked(frame: Any, *, conversations: bool = False, reject_personal_data: bool = False) -> list[Any]:
    made = checked_rows(
        frame,
        dataset="d",
        fixes=fixes(),
        checks=checks(),
        privacy=PRIVACY,
        benchmarks=INDEX,
        conversations=conversations,
        reject_personal_data=reject_personal_data,
    )
    assert made.columns == [column.name for column in CHECKED.columns]
    return sorted(made.collect(), key=lambda row: (row["position"], row["example_id"]))


def texts(row: Any) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"]) for turn in row["turns"]]


def test_records_and_conversations_come_out_in_one_shape(spark: Any) -> None:
    talk = [("user", "Where is the key?"), ("assistant", "In the box."), ("user", "Which box?"), ("assistant", "Red.")]
    frame = bronze(
        spark,
        {"instruction": "Name the colour.", "input": "A red barn.", "output": "Red."},
        {"instruction": "Name a colour.", "input": "No input", "output": "Blue.", "group_name": "g", "variant": "2"},
        {"turns": [{"role": role, "content": text} for role, text in talk]},
        {"turns": [{"role": "assistant", "content": "Hello."}]},
        {"instruction": "Mail?", "output": "Write to jo.doe@works.example today.", "expected": "jo.doe@works.example"},
        {"instruction": "name  the COLOUR.", "input": "A red barn.", "output": "Dark red."},
        {"instruction": "Well: how can I improve my time management skills", "output": "Plan the day."},
    )
    rows = checked(example_rows(frame, settings="x"), conversations=True)
    assert texts(rows[0]) == [("user", user_content("Name the colour.", "A red barn.")), ("assistant", "Red.")]
    assert texts(rows[1])[0] == ("user", user_content("Name a colour.", ""))
    assert rows[1]["fixes"] == ["no_input_marker"]
    assert rows[1]["wordings"] == rows[1]["group_id"]
    assert texts(rows[2]) == talk
    assert rows[2]["question_key"] is None
    assert (rows[3]["rule"], rows[3]["before"]) == ("no_complete_round", "Hello.\n")
    assert rows[4]["personal"] == ["EMAIL"]
    assert "personal_data" in rows[4]["fixes"]
    assert "@" not in texts(rows[4])[1][1]
    assert rows[4]["expected"] in texts(rows[4])[1][1]
    assert rows[4]["expected"].startswith("[EMAIL_")
    assert rows[0]["group_id"] == rows[5]["group_id"] != rows[1]["group_id"]
    assert rows[0]["question_key"] == rows[5]["question_key"]
    assert rows[6]["rule"] == "benchmark_question"
    assert rows[6]["detail"] == "bench:7: 'how can i improve my time management skills'"


def test_rows_with_personal_data_are_rejected_when_asked_and_never_shown(spark: Any) -> None:
    frame = bronze(spark, {"instruction": "Mail?", "output": "Write to jo.doe@works.example today."})
    (row,) = checked(example_rows(frame, settings="x"), reject_personal_data=True)
    assert (row["rule"], row["detail"]) == ("personal_data", "EMAIL")
    assert row["before"].startswith("Mail?\nWrite to [EMAIL_")


MAIL, PASSWORD = "jo.doe@works.example", "Zq7!pass"


def test_all_texts_of_a_row_are_masked_with_the_same_pseudonym(spark: Any) -> None:
    frame = bronze(
        spark,
        {"instruction": "Mail?", "output": f"Write to {MAIL}.", "group_name": MAIL, "variant": MAIL, "category": MAIL},
        {"instruction": "Which password?", "output": f"The password is {PASSWORD}", "expected": PASSWORD},
        {"instruction": "Which password?", "output": f"The password is {PASSWORD}, really.", "expected": "Zq7"},
        {"instruction": "Where?", "output": "In Rome.", "expected": "Rome"},
        {"instruction": "", "output": f"Ask&nbsp;{MAIL}"},
        {"instruction": f"Is the password {PASSWORD}?", "output": f"{PASSWORD}.", "expected": PASSWORD},
    )
    rows = checked(example_rows(frame, settings="x"))
    (mail,) = {rows[0][name] for name in ("variant", "category")}
    assert texts(rows[0])[1][1] == f"Write to {mail}."
    assert rows[0]["personal"] == ["EMAIL"]
    assert rows[0]["wordings"] == checked(example_rows(frame, settings="y"))[0]["wordings"] is not None
    assert texts(rows[1])[1][1] == f"The password is {rows[1]['expected']}"
    assert rows[2]["expected"] == ""  # a part of what was masked can't be asked for
    assert (rows[3]["uri"], rows[3]["expected"], rows[3]["personal"]) == (None, "Rome", [])
    assert (rows[4]["rule"], rows[4]["detail"].replace("\u00a0", " ")) == ("empty_instruction", f"Ask {mail}")
    assert rows[4]["before"] == f"\nAsk&nbsp;{mail}\n"
    assert texts(rows[5])[1][1] == f"{rows[5]['expected']}."
    kept = str([row.asDict() for row in rows])
    assert MAIL not in kept
    assert PASSWORD not in kept


def test_a_turn_that_is_left_out_is_masked_in_a_rejected_row(spark: Any) -> None:
    talk = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": ""}]
    talk = [{"role": "assistant", "content": "Hello"}, *talk, {"role": "user", "content": f"I am {MAIL}"}]
    (row,) = checked(example_rows(bronze(spark, {"turns": talk}), settings="x"), conversations=True)
    assert (row["rule"], row["detail"]) == ("no_complete_round", "4 turns: assistant, user, assistant, user")
    assert row["before"].startswith("Hello\nHi\n\nI am [EMAIL_")


def test_an_address_that_the_cut_halves_is_not_shown(spark: Any) -> None:
    texts_ = [("x" * 980 + " ") * 2 + "y" * 30 + f" {MAIL} " + "z " * 400, "&amp; " + "x " * 990 + MAIL]
    frame = bronze(spark, *[{"instruction": "", "output": text} for text in texts_])
    for row in checked(example_rows(frame, settings="x")):
        assert len(row["before"]) <= 2_000
        assert "jo.doe" not in row["before"]


def test_the_input_hash_changes_with_the_row_and_with_the_settings(spark: Any) -> None:
    record = {"instruction": "q", "output": "a"}
    frame = bronze(spark, record, record | {"content_hash": 0}, record | {"record_id": "r0", "content_hash": 9})
    hashes = [row["input_hash"] for row in example_rows(frame, settings="x").collect()]
    others = [row["input_hash"] for row in example_rows(frame, settings="y").collect()]
    assert len({*hashes, *others}) == 6


def test_documents_are_fixed_and_masked_and_not_judged_as_answers(spark: Any) -> None:
    row = {column.name: "" for column in BRONZE_DOCUMENTS.columns}
    row |= {"document_id": "d1", "source": "s", "visibility": "private", "pages": None, "notes": [], "arrived_at": None}
    row["uri"] = f"{MAIL}.md"
    row["text"] = "# Lift\u200b\n\nAsk jo.doe@works.example, who wrote 12 + 7 = 20 here."
    names = [column.name for column in BRONZE_DOCUMENTS.columns]
    schema = ", ".join(f"{column.name} {column.type}" for column in BRONZE_DOCUMENTS.columns)
    frame = spark.createDataFrame([tuple(row[name] for name in names)], schema)
    moved = frame.union(frame.withColumn("uri", F.lit("other.md")))
    assert len({shaped["input_hash"] for shaped in document_rows(moved, settings="x").collect()}) == 2
    made = checked_rows(
        document_rows(frame, settings="x"),
        dataset="d",
        fixes=fixes(),
        checks=[],
        privacy=PRIVACY,
        benchmarks=None,
        conversations=False,
        reject_personal_data=False,
    ).collect()[0]
    assert (made["kind"], made["rule"]) == ("document", None)
    assert {"zero_width", "personal_data"} <= set(made["fixes"])
    assert "[EMAIL_" in made["turns"][0]["content"]
    assert made["uri"].startswith("[EMAIL_")
    assert made["uri"].endswith("].md")
