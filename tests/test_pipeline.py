"""The whole run by the command line, on a tiny model: what it leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dolly.cli import main
from dolly.schema import BRONZE_EXAMPLES, GOLD_EXAMPLES, LEDGER, REJECTED, SILVER_EXAMPLES, TABLES
from tests.support import SAMPLE, Run, mlflow_client, rows

pytestmark = [pytest.mark.spark, pytest.mark.model, pytest.mark.slow]


def runs(home: Path) -> list[Any]:
    found = mlflow_client(home)
    experiments = [e.experiment_id for e in found.search_experiments()]
    return list(found.search_runs(experiments, order_by=["attributes.start_time ASC"]))


def test_every_row_of_the_files_is_accounted_for(finished_run: Run) -> None:
    home = finished_run.home
    lines = len((SAMPLE / "instructions.jsonl").read_text().splitlines())
    bronze = rows(home, BRONZE_EXAMPLES, source="general")
    rejected = rows(home, REJECTED)
    at_ingest = [row for row in rejected if row["stage"] == "ingest"]
    assert len(bronze) + len(at_ingest) == lines == 126
    everything = len(bronze) + len(rows(home, BRONZE_EXAMPLES, source="facts"))
    at_clean = [row for row in rejected if row["stage"] == "clean"]
    assert everything == len(rows(home, SILVER_EXAMPLES)) + len(at_clean)
    assert all(row["reason"] and row["rule"] for row in rejected)


def test_a_run_leaves_nothing_in_the_folder_that_it_is_called_in(finished_run: Run) -> None:
    assert list(finished_run.called_from.iterdir()) == []


def test_the_planted_faults_of_the_sample_are_found(finished_run: Run) -> None:
    counts: dict[str, int] = {}
    for row in rows(finished_run.home, REJECTED):
        counts[row["rule"]] = counts.get(row["rule"], 0) + 1
    assert counts == {
        "bad_json": 1,
        "wrong_type": 1,
        "missing_field": 1,
        "empty_output": 5,
        "empty_instruction": 3,
        "exact_duplicate": 10,
    }
    silver = [row for row in rows(finished_run.home, SILVER_EXAMPLES) if row["source"] == "general"]
    fixes = [fix for row in silver for fix in row["fixes"]]
    assert fixes.count("no_input_marker") == 8
    assert fixes.count("control_characters") == 4
    assert fixes.count("personal_data") == 4


def test_the_ledger_tells_the_fate_of_each_silver_row(finished_run: Run) -> None:
    ledger = rows(finished_run.home, LEDGER)
    assert {r["example_id"] for r in ledger} == {r["example_id"] for r in rows(finished_run.home, SILVER_EXAMPLES)}
    gold = {row["example_id"]: row for row in rows(finished_run.home, GOLD_EXAMPLES)}
    for row in ledger:
        assert row["tokens"] == (len(gold[row["example_id"]]["input_ids"]) if row["example_id"] in gold else 0)
    assert {row["fate"] for row in ledger} == {"trained", "evaluated", "left_out"}


def test_held_out_wordings_are_never_trained_on(finished_run: Run) -> None:
    facts = [row for row in rows(finished_run.home, GOLD_EXAMPLES) if row["source"] == "facts"]
    sides = {(row["variant"], row["split"]) for row in facts}
    assert sides == {(number, "eval" if number == "4" else "train") for number in "123456"}


def test_one_mlflow_run_a_stage_under_one_parent(finished_run: Run) -> None:
    found = {run.info.run_name: run for run in runs(finished_run.home)}
    name = "base0 full lr 3e-3 1 epoch"
    parent = found[name]
    assert set(found) == {name, "ingest", "clean", "prepare", "train", "evaluate", "register", "serve"}
    children = [run for run in found.values() if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert parent.data.params["train.learning_rate"] == "0.003"
    assert "train.schedule" not in parent.data.params  # at its default
    headline = {"rows_in", "rows_gold", "tokens_per_second", "loss_before/facts", "loss_after/facts", "cost_EUR"}
    assert headline | {"fact_accuracy_after", "gate_passed", "duration_seconds"} <= set(parent.data.metrics)
    assert "model: tiny-model version 1" in parent.data.tags["mlflow.note.content"]
    assert parent.data.tags["mlflow.source.git.commit"]
    read = {(i.dataset.name, i.dataset.digest) for i in found["train"].inputs.dataset_inputs}
    assert read == {("gold_examples", "v1")}
    history = mlflow_client(finished_run.home).get_metric_history(found["train"].info.run_id, "train/loss")
    assert [point.step for point in history] == list(range(1, len(history) + 1))
    metrics = found["train"].data.metrics
    assert {"tokens_seen", "tokens_per_second", "peak_memory_bytes", "cost_EUR", "eval/facts/loss"} <= set(metrics)
    assert metrics["loss_after/facts"] < metrics["loss_before/facts"]


def test_the_model_leads_back_to_its_rows(finished_run: Run) -> None:
    version = mlflow_client(finished_run.home).get_model_version_by_alias("tiny-model", "champion")
    ledger = rows(finished_run.home, LEDGER)
    assert version.tags["training_set"] in {row["training_set"] for row in ledger}
    assert version.tags["gold_version"] == "1"


def test_the_champion_answers_on_the_command_line(finished_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ask", "What is the gate code?", "--home", str(finished_run.home), "--max-tokens", "4"]) == 0
    assert "dolly:" not in capsys.readouterr().err


def test_an_unknown_alias_names_those_there_are(finished_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["ask", "Why?", "--home", str(finished_run.home), "--model", "tiny-model", "--alias", "best"]
    assert main(arguments) == 1
    assert "tiny-model@best (registered: tiny-model with challenger, champion)" in capsys.readouterr().err


def test_tables_are_listed_with_their_last_writer(finished_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "--home", str(finished_run.home)]) == 0
    output = capsys.readouterr().out
    documents = {"bronze_documents", "silver_documents"}  # the config has none
    assert all((name in output) == (name not in documents) for name in TABLES)
    assert "dolly prepare" in output
