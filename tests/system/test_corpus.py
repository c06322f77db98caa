"""A corpus of bad records and files: all of them are found again, good or rejected, and nothing crashes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dolly.schema import BRONZE_DOCUMENTS, BRONZE_EXAMPLES, CHECKED, REJECTED, SILVER_DOCUMENTS, SILVER_EXAMPLES
from dolly.tables import Tables
from tests.support import QUICK_JAVA, dolly
from tests.system.corpus import Corpus, make_corpus

pytestmark = [pytest.mark.spark, pytest.mark.slow]

QUICK = {"spark": {"conf": {"spark.driver.extraJavaOptions": QUICK_JAVA}, "driver_memory": "3g"}}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    made = make_corpus(tmp_path_factory.mktemp("corpus"), **QUICK)
    result = dolly("run", str(made.config), "--until", "clean")
    assert result.returncode == 0, result.stdout + result.stderr
    print(result.stdout)
    return made


@pytest.fixture(scope="module")
def tables(corpus: Corpus) -> Tables:
    return Tables(corpus.config.parent / "home" / "tables")


def rejected(tables: Tables, stage: str) -> list[dict[str, Any]]:
    return tables.find(REJECTED, prefix={"stage": stage}, columns=["source", "rule", "detail", "before", "example_id"])


def test_the_corpus_is_large_and_of_many_classes(corpus: Corpus) -> None:
    assert sum(entry.made for entry in corpus.classes.values()) >= 10_000
    assert len(corpus.classes) >= 24


def test_all_that_was_made_is_bronze_or_rejected(corpus: Corpus, tables: Tables) -> None:
    made: Counter[str] = Counter()
    for (source, _), entry in corpus.classes.items():
        made[source] += entry.made
    found = Counter(row["source"] for row in rejected(tables, "ingest"))
    for source in made:
        found[source] += tables.rows(BRONZE_DOCUMENTS if source == "papers" else BRONZE_EXAMPLES, source=source)
    assert found == made


def test_all_of_bronze_is_silver_or_rejected(corpus: Corpus, tables: Tables) -> None:
    sources = {source for source, _ in corpus.classes}
    bronze = sum(tables.rows(BRONZE_EXAMPLES, source=source) for source in sources)
    bronze += tables.rows(BRONZE_DOCUMENTS, source="papers")
    silver = tables.rows(SILVER_EXAMPLES, dataset="corpus") + tables.rows(SILVER_DOCUMENTS, dataset="corpus")
    assert bronze == silver + len(rejected(tables, "clean"))


def test_each_rule_catches_at_least_what_was_made_for_it(corpus: Corpus, tables: Tables) -> None:
    caught = Counter((row["source"], row["rule"]) for stage in ("ingest", "clean") for row in rejected(tables, stage))
    fixed = Counter(
        (row["source"], fix)
        for row in tables.find(CHECKED, prefix={"source": ""}, columns=["source", "fixes"])
        for fix in row["fixes"]
    )
    missed = {}
    for (source, name), entry in corpus.classes.items():
        if entry.rules and sum(caught[source, rule] for rule in set(entry.rules)) < entry.made - (
            name == "exact_duplicates"
        ):
            missed[name] = {rule: caught[source, rule] for rule in entry.rules}
        if entry.fixes and sum(fixed[source, fix] for fix in entry.fixes) < entry.made:
            missed[name] = {fix: fixed[source, fix] for fix in entry.fixes}
    assert not missed, caught


def test_each_rejected_row_has_a_reason_and_no_planted_secret_is_left(tables: Tables) -> None:
    rows = tables.find(REJECTED, prefix={"stage": ""})
    assert all(row["reason"] for row in rows)
    kept = tables.find(SILVER_EXAMPLES, prefix={"source": "lines"}, columns=["turns", "personal"])
    texts = "\n".join(turn["content"] for row in kept for turn in row["turns"])
    assert "hunter2" not in texts
    assert ".example.com" not in texts
    assert "[SECRET_" in texts
    assert not any("hunter2" in (row["before"] or "") + (row["detail"] or "") for row in rows)


def test_files_outside_the_folder_were_not_read(tables: Tables) -> None:
    documents = tables.find(BRONZE_DOCUMENTS, prefix={"source": "papers"}, columns=["text"])
    text = "\n".join(row["text"] for row in documents)
    assert "lies outside" not in text
    assert "root:" not in text


def test_a_second_run_changes_nothing(corpus: Corpus, tables: Tables) -> None:
    before = [(line.name, line.version) for line in tables.overview()]
    result = dolly("run", str(corpus.config), "--until", "clean")
    assert result.returncode == 0, result.stdout + result.stderr
    assert [(line.name, line.version) for line in tables.overview()] == before


def test_paths_in_the_tables_can_be_printed(tables: Tables) -> None:
    rows = tables.find(BRONZE_DOCUMENTS, prefix={"source": "papers"}, columns=["uri"])
    assert all(row["uri"].isprintable() for row in rows)
    assert not any(Path(row["uri"]).is_absolute() for row in rows)
