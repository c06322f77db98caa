"""A whole run once more, and stages that were killed or stopped and run again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from dolly.errors import TrainingStopped
from dolly.schema import REJECTED, SILVER_EXAMPLES, TABLES, TRAINED_ROWS
from dolly.tables import Tables
from tests.support import Run, dolly, mlflow_client, rows, tiny_config

pytestmark = [pytest.mark.spark, pytest.mark.model, pytest.mark.slow]


def test_run_again_changes_nothing(finished_run: Run) -> None:
    home = finished_run.home
    before = {name: rows(home, table) for name, table in TABLES.items()}
    versions = {line.name: line.version for line in Tables(home / "tables").overview()}
    result = dolly("run", str(finished_run.config))
    assert result.returncode == 0, result.stderr
    assert {line.name: line.version for line in Tables(home / "tables").overview()} == versions
    assert {name: rows(home, TABLES[name]) for name in before} == before
    assert "already trained" in result.stdout
    assert len(mlflow_client(home).search_model_versions("name = 'tiny-model'")) == 1


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


def test_sigterm_saves_and_the_same_command_goes_on(finished_run: Run, tmp_path: Path) -> None:
    shutil.copytree(finished_run.home / "tables", tmp_path / "home" / "tables")
    settings = [f"home={tmp_path / 'home'}", "train.epochs=8", "train.checkpoint_every=1000"]
    command = [sys.executable, "-m", "dolly.cli", "train", str(finished_run.config), *settings]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: [*tmp_path.glob("home/checkpoints/tiny-*/progress.json")], process)
    process.terminate()
    _, told = process.communicate(timeout=120)
    assert process.returncode == TrainingStopped.exit_code == 75
    assert "checkpoint is saved" in told
    again = dolly("train", str(finished_run.config), *settings)
    assert again.returncode == 0, again.stderr
    assert "resumed at step" in again.stdout
    folder = next(tmp_path.glob("home/checkpoints/tiny-*"))
    whole, card = (json.loads((folder / name).read_text()) for name in ("result.json", "final/dolly.json"))
    rows = Tables(tmp_path / "home" / "tables").read_arrow(TRAINED_ROWS, scope="tiny").to_pylist()
    seen = [row for row in rows if row["training"] == card["training"]]
    assert sum(row["times"] for row in seen) == whole["steps"] * 8
    assert sum(row["times"] * row["trained_tokens"] for row in seen) == whole["trained_tokens"]


def wait_for(condition: Any, process: subprocess.Popen[bytes], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process ended before it could be killed"
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.01)
