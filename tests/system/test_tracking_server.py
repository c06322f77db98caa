"""An MLflow server that is killed with -9 in mid-training and started again loses no metric."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import mlflow
import pytest

from dolly.state import State
from dolly.tracking import Tracker
from dolly.tracking.journal import MetricJournal
from tests.support import free_port

STEPS = 60


class Server:
    """`mlflow server` on loopback with a SQLite file."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, free_port()
        self.address = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        store = ["--backend-store-uri", f"sqlite:///{self._folder / 'server.db'}"]
        store += ["--artifacts-destination", str(self._folder / "artifacts"), "--workers", "1"]
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port), *store]
        settings = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=os.environ | settings, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        deadline = time.monotonic() + 120
        while True:
            try:
                if httpx.get(f"{self.address}/health", trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            assert time.monotonic() < deadline, (self._folder / "server.log").read_text()
            time.sleep(0.2)

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    made.wait()
    yield made
    made.kill()


@pytest.mark.slow
def test_a_server_killed_and_started_again_in_mid_training_loses_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    home = State.at(tmp_path / "home")
    state = replace(home, tracking=server.address, registry=server.address, artifacts=None)
    tracker = Tracker(state, experiment="e", price_per_hour=1.0, currency="EUR")
    slowest = 0.0
    with tracker.parent(name="run", config="a: 1", params={"a": 1}), tracker.stage("train") as stage:
        with stage.training_metrics(tmp_path):
            journal = MetricJournal(tmp_path, stage.run_id)
            for step in range(STEPS):
                if step == STEPS // 3:
                    server.kill()
                if step == STEPS // 2:
                    server.start()  # and is not waited for: the training goes on
                started = time.monotonic()
                journal.write(step, {"train/loss": 1.0 / (step + 1), "train/rate": float(step)})
                slowest = max(slowest, time.monotonic() - started)
                time.sleep(0.05)
        stage.metrics({"steps": STEPS})
    client = mlflow.MlflowClient(server.address)
    run = client.get_run(stage.run_id)
    assert run.info.status == "FINISHED"
    for key in ("train/loss", "train/rate"):
        assert sorted(point.step for point in client.get_metric_history(stage.run_id, key)) == list(range(STEPS))
    assert slowest < 0.5  # seconds: a step never waits for the server
