"""State on servers: tables on S3, runs on an MLflow server with PostgreSQL and artifacts on S3."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import mlflow
import pytest

from tests.support import FEW_RULES, Run, tiny_config
from tests.system.server import Server, answers_http, running
from tests.system.servers import S3

pytestmark = [pytest.mark.spark, pytest.mark.model, pytest.mark.slow]


# The interpreter would abort at its end.
READ = """
import json, os, sys
from deltalake import DeltaTable
print(json.dumps(DeltaTable(sys.argv[1]).to_pyarrow_table().to_pylist(), default=str), flush=True)
os._exit(0)
"""
GROUPS = {"first": 16, "second": 24}


@dataclass(frozen=True)
class Remote:
    """A config whose state is on the servers, and what its commands need in the environment."""

    config: Path
    home: Path
    tables: str
    tracking: str
    environment: Mapping[str, str]

    def dolly(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.start(*arguments).wait()

    def start(self, *arguments: str) -> Started:
        return Started([sys.executable, "-m", "dolly.cli", *arguments], self.environment)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return rows_of(f"{self.tables.replace('s3a:', 's3:')}/{table}", self.environment)


class Started:
    """A command that runs."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = list(command)
        self.process = subprocess.Popen(
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | dict(environment),
        )

    def wait(self) -> subprocess.CompletedProcess[str]:
        printed, _ = self.process.communicate(timeout=500)
        return subprocess.CompletedProcess(self._command, self.process.returncode, printed)


def remote(folder: Path, base: Path, s3: S3, mlflow_server: Server, key_of: Run, **changes: Any) -> Remote:
    """The tiny experiment with tables in a folder of the bucket that no other test uses."""
    tables, tracking = f"s3a://{s3.bucket}/{folder.name}", f"http://127.0.0.1:{mlflow_server.port}"
    (folder / "home").mkdir(parents=True, exist_ok=True)
    if not (folder / "home" / "privacy.key").exists():  # the same key, so the same pseudonyms
        shutil.copy(key_of.home / "privacy.key", folder / "home")
    config = tiny_config(folder, base, state={"tables": tables, "tracking": tracking}, **changes)
    return Remote(config, folder / "home", tables, tracking, s3.environment)


def rows_of(address: str, environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of a Delta table but for times and runs, sorted; read by `deltalake` alone, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", READ, address], capture_output=True, text=True, env=os.environ | dict(environment)
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    return sorted(({k: v for k, v in row.items() if k not in ("arrived_at", "run_id")} for row in rows), key=str)


def succeeded(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def finished(
    finished_run: Run, tiny_base: Path, s3: S3, mlflow_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Remote:
    """The whole run with all state but checkpoints on the servers."""
    name = f"remote_{os.getpid()}"
    made = remote(tmp_path_factory.mktemp(name, numbered=False), tiny_base, s3, mlflow_server, finished_run)
    succeeded(made.dolly("run", str(made.config)))
    return made


@pytest.fixture
def client(finished: Remote) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(finished.tracking)


@pytest.mark.parametrize("table", ["silver_examples", "gold_examples", "rejected", "ledger"])
def test_tables_on_s3_hold_the_rows_of_a_local_run(finished: Remote, finished_run: Run, table: str) -> None:
    rows = finished.rows(table)
    assert len(rows) > 10
    assert rows == rows_of(str(finished_run.home / "tables" / table), {})


def test_neither_tables_nor_runs_nor_models_are_kept_at_home(finished: Remote) -> None:
    kept = {path.name for path in finished.home.iterdir()}
    assert {"checkpoints", "logs", "privacy.key"} <= kept
    assert not kept & {"tables", "mlflow.db", "artifacts"}


def test_runs_and_the_model_are_on_the_server_and_its_artifacts_on_s3(
    finished: Remote, client: mlflow.MlflowClient, s3: S3
) -> None:
    version = client.get_model_version_by_alias("tiny-model", "champion")
    run = client.get_run(version.run_id)
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    pages = s3.client().get_paginator("list_objects_v2").paginate(Bucket=s3.bucket, Prefix="mlflow/")
    keys = [item["Key"] for page in pages for item in page["Contents"]]
    assert [key for key in keys if key.endswith("model.safetensors")]
    logged = json.dumps([run.data.params, run.data.tags])
    assert s3.secret not in logged


def test_the_model_is_served_from_there(finished: Remote, tmp_path: Path) -> None:
    server = Server(
        lambda port: [sys.executable, "-m", "dolly.cli", "serve", str(finished.config), f"serve.port={port}"],
        ready=answers_http("/health"),
        log=tmp_path / "log",
        environment={**finished.environment, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    with running(server):
        request = {"messages": [{"role": "user", "content": "Where is the depot?"}], "max_tokens": 4}
        address = f"http://127.0.0.1:{server.port}/v1/chat/completions"
        answer = httpx.post(address, json=request, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["role"] == "assistant"


def test_a_server_killed_in_mid_training_loses_no_metric(finished: Remote, mlflow_server: Server) -> None:
    training = finished.start("train", str(finished.config), "train.epochs=40")
    progress = wait_for_step(finished, training, steps=5)
    mlflow_server.kill()
    at_kill = json.loads(progress.read_text())["step"]
    deadline = time.monotonic() + 120
    while training.process.poll() is None and json.loads(progress.read_text())["step"] < at_kill + 5:
        assert time.monotonic() < deadline, "the training waits for the server"
        time.sleep(0.05)
    assert training.process.poll() is None, training.wait().stdout
    mlflow_server.start()
    succeeded(training.wait())
    client = mlflow.MlflowClient(finished.tracking)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    (run, *_) = client.search_runs(
        [experiment.experiment_id], "tags.stage = 'train'", order_by=["attributes.start_time DESC"]
    )
    history = client.get_metric_history(run.info.run_id, "train/loss")
    result = json.loads((progress.parent / "result.json").read_text())
    assert [point.step for point in history] == list(range(1, result["steps"] + 1))
    assert [point.value for point in history] == pytest.approx(result["step_losses"])
    assert run.info.status == "FINISHED"


def wait_for_step(remote: Remote, training: Started, *, steps: int) -> Path:
    """Waits until a training that has not ended before is in this step; gives its progress file."""
    before = set(remote.home.glob("checkpoints/tiny-*/result.json"))
    deadline = time.monotonic() + 180
    while True:
        for progress in remote.home.glob("checkpoints/tiny-*/progress.json"):
            unfinished = progress.with_name("result.json") not in before
            if unfinished and json.loads(progress.read_text())["step"] >= steps:
                return progress
        assert training.process.poll() is None, training.wait().stdout
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def writer(
    finished_run: Run, tiny_base: Path, s3: S3, mlflow_server: Server, tmp_path: Path
) -> Callable[[str, str], Remote]:
    """Makes the config of a data set and a home for it; all of a test write to one folder of the bucket."""

    def made(dataset: str, home: str) -> Remote:
        folder = tmp_path / home / tmp_path.name  # the last part names the folder in the bucket
        folder.mkdir(parents=True)
        lines = [
            {"instruction": f"Which shelf holds part {n} of {dataset}?", "output": f"Shelf {n * 37 % 101}, row {n}."}
            for n in range(GROUPS[dataset])
        ]
        (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
        sources = [{"name": "parts", "path": str(folder / "rows.jsonl"), "format": "jsonl"}]
        changes = {"name": dataset, "sources": sources, "clean": {"rules": FEW_RULES}}
        return remote(folder, tiny_base, s3, mlflow_server, finished_run, **changes)

    return made


def run_at_once(stage: str, *writers: Remote) -> None:
    """Each writer runs the stage; all succeed."""
    started = [writer.start(stage, str(writer.config)) for writer in writers]
    for one in started:
        succeeded(one.wait())


def assert_whole(tables: Remote, dataset: str) -> None:
    """Each row of the data set's file is once in silver or in `rejected`."""
    silver = [row["example_id"] for row in tables.rows("silver_examples") if row["dataset"] == dataset]
    rejected = [row for row in tables.rows("rejected") if row["dataset"] == dataset]
    assert len(silver) == len(set(silver)) > 0
    assert len(silver) + len(rejected) == GROUPS[dataset]


def test_two_data_sets_written_by_three_machines_at_once_lose_and_double_nothing(
    writer: Callable[[str, str], Remote],
) -> None:
    writers = writer("first", "a"), writer("first", "b"), writer("second", "c")
    for stage in ("ingest", "clean"):
        run_at_once(stage, *writers)
    assert len(writers[0].rows("bronze_examples")) == sum(GROUPS.values())
    for dataset in GROUPS:
        assert_whole(writers[0], dataset)
