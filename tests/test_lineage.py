"""One row's life, from its file to the model that it taught."""

from __future__ import annotations

from pathlib import Path

import pytest

from dolly.accounting import SHOWN_DIGITS
from dolly.errors import DataError
from dolly.lineage import life, training_sets
from dolly.schema import GOLD_EXAMPLES, REJECTED
from dolly.tables import Tables
from tests.support import Run, dolly, rows

pytestmark = [pytest.mark.spark, pytest.mark.model, pytest.mark.slow]


def test_a_trained_row_is_followed_to_its_model(finished_run: Run) -> None:
    tables = Tables(finished_run.home / "tables")
    row = next(r for r in tables.find(GOLD_EXAMPLES, prefix={"dataset": "tiny"}) if r["split"] == "train")
    events = life(tables, row["example_id"][:16])
    assert [event.table for event in events] == [
        *("bronze_examples", "checked", "silver_examples", "gold_examples", "ledger", "trained_rows"),
    ]
    assert events[0].facts["uri"].endswith((".csv", ".jsonl"))
    assert len(training_sets(events)) == 1
    shown = dolly("rows", row["example_id"][:16], "--home", str(finished_run.home))
    assert shown.returncode == 0, shown.stderr
    assert "tiny-model version 1" in shown.stdout
    assert "trained" in shown.stdout


def test_a_rejected_row_names_rule_and_reason(finished_run: Run) -> None:
    tables = Tables(finished_run.home / "tables")
    row = next(r for r in tables.find(REJECTED, prefix={"rule": "exact_duplicate"}))
    events = life(tables, row["example_id"])
    assert [event.table for event in events] == ["bronze_examples", "checked", "rejected"]
    assert events[-1].facts["detail"].startswith("same as ")


def test_an_unknown_or_ambiguous_id_is_an_error(finished_run: Run, tmp_path: Path) -> None:
    tables = Tables(finished_run.home / "tables")
    with pytest.raises(DataError, match="no row whose id begins with 'xyz'"):
        life(tables, "xyz")
    with pytest.raises(DataError, match="give more of its characters"):
        life(tables, "")
    with pytest.raises(DataError, match="no row"):
        life(Tables(tmp_path), "a")


def test_rejected_rows_are_summarised(finished_run: Run) -> None:
    home = str(finished_run.home)
    summary = dolly("rejected", "--home", home)
    assert summary.returncode == 0, summary.stderr
    assert "exact_duplicate" in summary.stdout
    single = dolly("rejected", "--home", home, "--rule", "exact_duplicate")
    assert single.stdout.count("same as") == 10
    ids = [word for line in single.stdout.splitlines() for word in line.split() if len(word) == SHOWN_DIGITS]
    assert len(set(ids)) == 10
    tables = Tables(finished_run.home / "tables")
    for row in rows(finished_run.home, REJECTED):
        assert life(tables, row["example_id"][:SHOWN_DIGITS])[-1].facts["rule"] == row["rule"]
    other = dolly("rejected", "--home", home, "--rule", "no_such_rule")
    assert "nothing was rejected of rule no_such_rule" in other.stdout
    assert "exact_duplicate" in other.stdout
