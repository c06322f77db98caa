"""After a change of the files, all tables equal those of a new home with the same files."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import dolly.clean.stage
import dolly.ingest.stage
import dolly.prepare.stage
from dolly.clean.checked import checked_rows
from dolly.config import Config
from dolly.pipeline import Context
from dolly.schema import CHECKED, DUPLICATE_PAIRS, REJECTED, SILVER_DOCUMENTS, TABLES
from dolly.state import State
from dolly.tables import Tables
from tests.support import FEW_RULES

pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.timeout(1800)]

Rows = list[dict[str, str]]
WORDS = ("amber", "basin", "cedar", "delta", "ember", "fjord", "glade", "heron", "islet", "jetty", "knoll", "larch")


class Tracker:
    """Takes what the stages log."""

    @contextmanager
    def stage(self, _: str) -> Iterator[Any]:
        yield self

    def input(self, *_: Any, **__: Any) -> None: ...

    def metrics(self, _: Any) -> None: ...

    def tags(self, _: Any) -> None: ...

    def result(self, **_: Any) -> None: ...


class Home:
    """One home; `checked` are the texts that the rules saw in the last run."""

    def __init__(self, spark: Any, root: Path, base: Path) -> None:
        self._spark, self._state, self._base = spark, State.at(root), base
        self.tables = Tables(self._state.tables)
        # One key in all homes: hashes depend on it.
        self._state.privacy_key.write_text("5a" * 32)
        self._state.privacy_key.chmod(0o600)
        self.checked: set[str] = set()

    def run(self, sources: list[dict[str, Any]]) -> str:
        """Runs the data stages; gives what they print."""
        clean = {"rules": FEW_RULES}
        others = {"model": {"base": str(self._base)}, "prepare": {"max_tokens": 512}}
        config = Config.model_validate({"name": "d", "sources": sources, "clean": clean, **others})
        console: Any = Console(file=io.StringIO(), highlight=False, soft_wrap=True)
        tracker: Any = Tracker()
        self.checked = set()

        def observed(rows: Any, **named: Any) -> Any:
            self.checked |= {row["turns"][0]["content"] for row in rows.select("turns").collect()}
            return checked_rows(rows, **named)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dolly.clean.stage, "checked_rows", observed)
            for stage in (dolly.ingest.stage, dolly.clean.stage, dolly.prepare.stage):
                stage.run(Context(config, self._state, self.tables, tracker, console, self._spark))
        return str(console.file.getvalue())

    def rows(self, name: str, source: str) -> list[str]:
        """A table's rows of one source but for the times, comparable."""
        table = TABLES[name]
        if not self.tables.exists(table):
            return []
        found = self.tables.read_arrow(table, scope="d").to_pylist()
        if name == "ledger":  # older training sets keep theirs
            found = [row for row in found if row["training_set"] in self.training_set()]
        kept = [row for row in found if row.get("source", source) == source]
        return sorted(json.dumps({k: v for k, v in row.items() if k != "arrived_at"}, default=str) for row in kept)

    def training_set(self) -> list[str]:
        from dolly.training_set import read_training_set

        return [read_training_set(self.tables, dataset="d").sha256]

    def versions(self) -> dict[str, int]:
        return {name: self.tables.version(table) for name, table in TABLES.items() if self.tables.exists(table)}


def crate(number: int, **more: str) -> dict[str, str]:
    question = f"How much does the crate with the number {number} weigh?"
    return {"instruction": question, "output": f"That crate weighs {number + 100} kg."} | more


def crates(first: int, count: int) -> Rows:
    return [crate(number) for number in range(first, first + count)]


def wordings(theme: str, *groups: str) -> Rows:
    """Questions that differ in one word, with the same answer."""
    answer = " ".join(f"{theme}{word}" for word in WORDS)
    question = " ".join(f"{word}{theme}" for word in WORDS)
    made = zip(("begin", "start"), groups, strict=True)
    return [{"instruction": f"{question} {word}?", "output": f"{answer}.", "group": group} for word, group in made]


@dataclass(frozen=True)
class Case:
    """A source before and after a change; `new` are the questions that the rules have to see again."""

    before: Rows
    after: Rows
    new: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)


EMPTY = {"instruction": "What does the empty crate weigh?", "output": ""}
TWINS = [crate(4000, output=f"It weighs as much as a small {word} does.") for word in ("piano", "Piano")]
REVERSED = [TWINS[0], *crates(1000, 12), EMPTY, *crates(1012, 12), TWINS[1]]
SHORTENED = crates(2000, 12)
# A row of the source that comes first in the config is kept, unless another source's row is private.
CASES = {
    "reversed": Case(REVERSED, REVERSED[::-1], settings={"max_groups": 8}),
    "shortened": Case(SHORTENED, SHORTENED[:5] + SHORTENED[6:], settings={"max_groups": 8, "visibility": "public"}),
    "published": Case([*SHORTENED[:2], crate(6000)], [*SHORTENED[:2], crate(6000)], changed={"visibility": "public"}),
    "extended": Case(
        crates(3000, 12), [crate(3099), crate(3098), *crates(3000, 12)], 2, {"max_groups": 8}, {"file": "renamed"}
    ),
    "regrouped": Case(
        wordings("um", "1", "2") + wordings("ix", "1", "1"),
        wordings("um", "1", "1") + wordings("ix", "1", "2"),
        2,
        {"columns": {"group": "group"}},
    ),
}


def sources(folder: Path, *, after: bool) -> list[dict[str, Any]]:
    """Writes the files, and gives their sources: at first also documents."""
    made = []
    for name, case in CASES.items():
        settings = case.settings | (case.changed if after else {})
        path = folder / f"{name}{settings.pop('file', '')}.json"
        path.write_text(json.dumps(case.after if after else case.before))
        made.append({"name": name, "path": str(path), "format": "json", **settings})
    if after:
        return made
    manual = folder / "manual.md"
    manual.write_text("# Crates\n\nHow crates are weighed, and who may lift them.")
    return [*made, {"name": "manual", "path": str(manual), "format": "documents"}]


@dataclass(frozen=True)
class Homes:
    """A home that has followed the change, and one that has seen the last files only."""

    old: Home
    new: Home
    selected_before: list[str]
    checked_again: set[str]
    unchanged: tuple[str, dict[str, int], dict[str, int]]


@pytest.fixture(scope="module")
def homes(spark: Any, tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Homes:
    folder = tmp_path_factory.mktemp("changed")
    base = folder / "base"
    tiny_tokenizer.save_pretrained(base)
    (base / "config.json").write_text("{}")
    old, new = Home(spark, folder / "old", base), Home(spark, folder / "new", base)
    old.run(sources(folder, after=False))
    selected_before = old.rows("gold_examples", "reversed")
    files = sources(folder, after=True)
    old.run(files)
    checked_again, versions = old.checked, old.versions()
    new.run(files)
    printed = old.run(files)
    return Homes(old, new, selected_before, checked_again, (printed, versions, old.versions()))


@pytest.mark.parametrize("source", CASES)
def test_the_tables_are_those_of_a_new_home(homes: Homes, source: str) -> None:
    tables = [name for name, table in TABLES.items() if "source" in [column.name for column in table.columns]]
    assert [name for name in tables if homes.old.rows(name, source) != homes.new.rows(name, source)] == []


def test_the_pairs_of_near_contents_are_those_of_a_new_home(homes: Homes) -> None:
    pairs = homes.new.rows(DUPLICATE_PAIRS.name, "")
    assert homes.old.rows(DUPLICATE_PAIRS.name, "") == pairs
    assert {json.loads(pair)["a"] == json.loads(pair)["b"] for pair in pairs} == {True, False}


def test_the_cases_hold_what_they_are_about(homes: Homes) -> None:
    gold = {name: homes.new.rows("gold_examples", name) for name in CASES}
    assert len(homes.selected_before) == len(gold["reversed"]) == 8
    assert not set(homes.selected_before) & set(gold["reversed"])
    assert {name: len(rows) for name, rows in gold.items()} == {
        "reversed": 8,
        "shortened": 8,
        "published": 1,
        "extended": 8,
        "regrouped": 3,
    }
    rejected = [json.loads(row) for row in homes.old.rows(REJECTED.name, "reversed")]
    assert sorted((row["rule"], row["position"]) for row in rejected) == [("empty_output", 13), ("exact_duplicate", 26)]


def test_rows_with_the_same_content_are_not_checked_again(homes: Homes) -> None:
    new = {row["instruction"] for case in CASES.values() if case.new for row in case.after}
    assert homes.checked_again <= new
    assert len(homes.checked_again) == sum(case.new for case in CASES.values())


def test_a_run_without_a_change_writes_nothing(homes: Homes) -> None:
    printed, before, after = homes.unchanged
    assert after == before
    assert "checked: +0 ~0 -0" in printed


def test_cleaned_documents_are_deleted_with_their_last_source(homes: Homes) -> None:
    assert [homes.old.rows(name, "manual") for name in (CHECKED.name, SILVER_DOCUMENTS.name)] == [[], []]
