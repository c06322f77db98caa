"""An e-mail address, a phone number and a password in every field: no file that a run leaves holds one, but bronze."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dolly.config import Config
from dolly.pipeline import STAGES, Context, run_stages
from dolly.schema import REJECTED, SILVER_DOCUMENTS, SILVER_EXAMPLES
from dolly.tables import Tables

pytestmark = [pytest.mark.spark, pytest.mark.slow]

MAIL, PHONE, PASSWORD = "jane.doe@planted.example", "+1 415 555 0132", "Zq7!secret"
SAID = f"Write to {MAIL}, call {PHONE}; the password is {PASSWORD} here."
# What is left of each in any spelling, file name or part.
NEEDLES = ("jane.doe", "planted.example", "555 0132", "5550132", "555%200132", "zq7!", "zq7%21")


def prose(word: str, sentences: int) -> str:
    """Text without loops, like no other."""
    return " ".join(f"Part {number * 7} of the {word} is {word}{number}." for number in range(sentences))


def write_sources(root: Path) -> list[dict[str, Any]]:
    def lines(name: str, *rows: Any) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))

    fields = {name: f"{name}: {SAID}" for name in ("q", "g", "v", "c")}
    good = [fields | {"q": f"Question {at}? {SAID}", "a": f"Answer {at}. {SAID}", "e": MAIL} for at in range(6)]
    good += [{"q": f"Which of {at}?", "a": f"{at}: the password is {PASSWORD}", "e": PASSWORD} for at in range(4)]
    good = [dict.fromkeys("qagvce", "") | row for row in good]
    long = good[0] | {"q": f"Long? {SAID}", "a": f"{SAID} " + prose("step", 60)}
    doubled = good[0] | {"q": f"{good[0]['q']}  "}
    bad = [f'{{"q": "{SAID}" "a"}}', f'{{"q": "x"}} {SAID}', f'"{SAID}"', {"q": SAID}, good[0] | {"q": [SAID]}]
    lines(f"records/{MAIL}.jsonl", *good, long, doubled, good[0] | {"a": ""}, *bad)
    lines("records/b.jsonl", {**good[1], "q": f"In b: {SAID}", SAID: 1}, '{"q": 1, "q": 2}')
    rows = [f'"{at} {SAID}","Yes {at}. {SAID}"' for at in range(3)]
    lines("table.csv", "question,answer", *rows, f'"one field {SAID}"', f'1,2,"{SAID}"')
    said = [{"from": "human", "value": f"Hello. {SAID}"}, {"from": "gpt", "value": f"Yes. {SAID}"}]
    bad_talk = [[*said, {"from": SAID, "value": "x"}], said[:1], [], SAID]
    lines("talk.jsonl", {"turns": [*said, *said]}, *[{"turns": turns} for turns in bad_talk])
    documents = root / "documents"
    documents.mkdir()
    (documents / f"{MAIL}.md").write_text(f"# About {SAID}\n\n{prose('lift', 30)}\n")
    (documents / f"call {PHONE}.txt").write_text(f"{SAID}\n{prose('gate', 30)}")
    (documents / f"the password is {PASSWORD}.md").write_text(f"# Title\n\n{SAID} {prose('crane', 30)}\n")
    (documents / f"{MAIL}.pdf").write_text(SAID)
    (documents / f"of {MAIL}.odd").write_text(SAID)
    columns = {"instruction": "q", "output": "a", "input": None, "group": "g", "variant": "v"}
    columns |= {"expected": "e", "category": "c"}
    table = {"instruction": "question", "output": "answer", "input": None}
    return [
        {"name": "records", "format": "jsonl", "path": str(root / "records"), "columns": columns},
        {"name": "table", "format": "csv", "path": str(root / "table.csv"), "columns": table},
        {"name": "talk", "format": "jsonl", "path": str(root / "talk.jsonl"), "columns": {"turns": "turns"}},
        {"name": "documents", "format": "documents", "path": str(documents)},
    ]


@pytest.fixture(scope="module")
def home(spark: Any, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home after the whole run, in the Spark session that all tests share."""
    root = tmp_path_factory.mktemp("planted")
    config = Config.model_validate(
        {
            "name": "planted",
            "home": str(root / "home"),
            "sources": write_sources(root / "data"),
            "model": {"base": str(tiny_base)},
            "prepare": {"max_tokens": 450, "over_length": "reject", "max_lost_share": 1, "eval_share": 0.3},
            "train": {"method": "full", "learning_rate": 1e-3, "epochs": 1, "batch_size": 4, "block_tokens": 512},
            "evaluate": {"max_questions": 6, "max_new_tokens": 8, "max_loss_ratio": 9},
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dolly.pipeline.config_session", lambda *_: spark)
        patch.setattr(Context, "stop_spark", lambda _: None)
        run_stages(config, STAGES)
    return root / "home"


def contents(path: Path) -> Iterator[str]:
    """A file's name and bytes, and what they hold once unpacked."""
    yield path.name
    yield path.read_bytes().decode("utf-8", "replace")
    if path.suffix == ".parquet":
        yield json.dumps(pq.read_table(path, partitioning=None).to_pylist(), default=str)
    elif path.suffix == ".db":
        with sqlite3.connect(path) as database:
            yield "\n".join(database.iterdump())


def holders(paths: Iterator[Path]) -> set[tuple[str, str]]:
    """Files and what of `NEEDLES` they hold."""
    files = [path for path in paths if path.is_file()]
    return {
        (needle, path.as_posix())
        for path in files
        for text in contents(path)
        for needle in NEEDLES
        if needle in text.lower()
    }


def test_bronze_holds_what_was_planted(home: Path) -> None:
    bronze = [path for folder in (home / "tables").glob("bronze_*") for path in folder.rglob("*")]
    assert {needle for needle, _ in holders(iter(bronze))} >= {"jane.doe", "planted.example", "555 0132", "zq7!"}


def test_no_other_file_holds_it(home: Path) -> None:
    assert list(home.glob("checkpoints/*/evaluations/*.json"))
    assert list(home.glob("artifacts/**/model.safetensors"))
    assert not holders(path for path in home.rglob("*") if "/tables/bronze_" not in path.as_posix())


def test_rows_were_rejected_by_each_stage(home: Path) -> None:
    rows = Tables(home / "tables").find(REJECTED, prefix={"dataset": "planted"})
    rules = {(row["stage"], row["rule"]) for row in rows}
    ingest = ("bad_json", "wrong_type", "missing_field", "duplicate_key", "wrong_field_count", "unknown_role")
    assert rules >= {("ingest", rule) for rule in ingest}
    assert rules >= {("ingest", "no_turns"), ("ingest", "damaged_file"), ("ingest", "unknown_kind")}
    assert rules >= {("clean", "exact_duplicate"), ("clean", "empty_output"), ("clean", "no_complete_round")}
    assert ("prepare", "too_many_tokens") in rules
    assert any("[EMAIL_" in row["detail"] for row in rows if row["stage"] == "ingest")


def test_each_column_has_the_same_pseudonym(home: Path) -> None:
    tables = Tables(home / "tables")
    examples = tables.find(SILVER_EXAMPLES, prefix={"dataset": "planted"})
    documents = tables.find(SILVER_DOCUMENTS, prefix={"dataset": "planted"})
    mail = next(row["uri"] for row in documents if row["uri"].startswith("[EMAIL_")).removesuffix(".md")
    row = next(row for row in examples if row["source"] == "records" and row["category"])
    assert row["expected"] == mail
    assert mail in row["turns"][1]["content"]
    assert mail in row["category"]
    assert mail in row["variant"]
    assert any(mail in document["title"] for document in documents)
    asked = [row for row in examples if row["expected"].startswith("[SECRET_")]
    assert len(asked) == 4
    assert all(row["expected"] in row["turns"][1]["content"] for row in asked)
