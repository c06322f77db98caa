"""The whole run by the command line, on a tiny model: what it leaves, run again, killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import pytest

from dolly.cli import main
from dolly.schema import BRONZE_EXAMPLES, GOLD_EXAMPLES, LEDGER, REJECTED, SILVER_EXAMPLES, TABLES, Table
from dolly.state import State
from dolly.tables import Tables
from tests.support import SAMPLE, Run, dolly, tiny_config

pytestmark = [pytest.mark.spark, pytest.mark.model, pytest.mark.slow]


def rows(home: Path, table: Table, **where: str) -> list[dict[str, Any]]:
    tables = Tables(home / "tables")
    found = tables.read_arrow(table, scope="tiny", **where).to_pylist() if tables.exists(table) else []
    timeless = [{k: v for k, v in row.items() if k not in ("arrived_at", "run_id")} for row in found]
    return sorted(timeless, key=str)


def client(home: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(State.at(home).tracking)


def runs(home: Path) -> list[Any]:
    found = client(home)
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
    name = "base0 full lr 3e-3 1 epochs"
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
    history = client(finished_run.home).get_metric_history(found["train"].info.run_id, "train/loss")
    assert [point.step for point in history] == list(range(1, len(history) + 1))
    metrics = found["train"].data.metrics
    assert {"tokens_seen", "tokens_per_second", "peak_memory_bytes", "cost_EUR", "eval/facts/loss"} <= set(metrics)
    assert metrics["loss_after/facts"] < metrics["loss_before/facts"]


def test_the_model_leads_back_to_its_rows(finished_run: Run) -> None:
    version = client(finished_run.home).get_model_version_by_alias("tiny-model", "champion")
    ledger = rows(finished_run.home, LEDGER)
    assert version.tags["training_set"] in {row["training_set"] for row in ledger}
    assert version.tags["gold_version"] == "1"


def test_run_again_changes_nothing(finished_run: Run) -> None:
    home = finished_run.home
    before = {name: rows(home, table) for name, table in TABLES.items()}
    versions = {line.name: line.version for line in Tables(home / "tables").overview()}
    result = dolly("run", str(finished_run.config))
    assert result.returncode == 0, result.stderr
    assert {line.name: line.version for line in Tables(home / "tables").overview()} == versions
    assert {name: rows(home, TABLES[name]) for name in before} == before
    assert "already trained" in result.stdout
    assert len(client(home).search_model_versions("name = 'tiny-model'")) == 1


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


def test_clean_killed_between_its_tables_and_run_again(finished_run: Run, tiny_base: Path, tmp_path: Path) -> None:
    config = tiny_config(tmp_path, tiny_base)
    home = tmp_path / "home"
    for table in ("bronze_examples", "bronze_files", "rejected"):
        (home / "tables").mkdir(parents=True, exist_ok=True)
        shutil.copytree(finished_run.home / "tables" / table, home / "tables" / table)
    shutil.copy(finished_run.home / "privacy.key", home)  # the same key, so the same pseudonyms
    command = [sys.executable, "-m", "dolly.cli", "clean", str(config)]
    forget_clean(home)
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    commit = home / "tables" / "silver_examples" / "_delta_log" / "00000000000000000001.json"
    deadline = time.monotonic() + 120
    while not commit.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not [row for row in rows(home, REJECTED) if row["stage"] == "clean"], "killed too late to show anything"
    result = dolly("clean", str(config))
    assert result.returncode == 0, result.stderr
    for table in (SILVER_EXAMPLES, REJECTED):
        assert rows(home, table) == rows(finished_run.home, table)


def forget_clean(home: Path) -> None:
    """Takes the versions since the clean stage's out of `rejected`."""
    tables = Tables(home / "tables")
    log = home / "tables" / "rejected" / "_delta_log"
    while [row for row in rows(home, REJECTED) if row["stage"] == "clean"]:
        version = f"{tables.version(REJECTED):020}"
        for file in [*log.glob(f"{version}.*"), *log.glob(f".{version}.*")]:  # Hadoop's checksums begin with a dot
            file.unlink()
