"""Runs: what a killed process left open is closed, what a living one has open is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import mlflow
import pytest

from dolly.state import State
from dolly.tracking import MetricWriter, Tracker


@pytest.fixture
def home(tmp_path: Path) -> State:
    return State.at(tmp_path / "home")


def tracker(home: State) -> Tracker:
    return Tracker(home, experiment="e", price_per_hour=3600.0, currency="EUR")


def test_runs_of_dead_processes_are_closed_as_killed(home: State) -> None:
    tracker(home)
    client = mlflow.MlflowClient(home.tracking)
    experiment = client.get_experiment_by_name("e")
    assert experiment is not None
    host = os.uname().nodename
    tags = {"dead": f"{host}:{2**22 + 1}", "alive": f"{host}:{os.getpid()}", "elsewhere": "other-host:1"}
    runs = {
        name: client.create_run(experiment.experiment_id, tags={"dolly.process": tag}).info.run_id
        for name, tag in tags.items()
    }
    with tracker(home).parent(name="run", config="", params={}):
        pass
    statuses = {name: client.get_run(run).info.status for name, run in runs.items()}
    assert statuses == {"dead": "KILLED", "alive": "RUNNING", "elsewhere": "RUNNING"}


def test_a_stage_that_fails_is_recorded_as_failed_with_its_cost(home: State) -> None:
    tracking = tracker(home)

    def fail() -> None:
        with tracking.parent(name="run", config="a: 1", params={"a": 1}), tracking.stage("train") as stage:
            MetricWriter(tracking.uri, stage.run_id).write(1, {"train/loss": 2.0})
            raise RuntimeError("the stage failed")

    with pytest.raises(RuntimeError, match="the stage failed"):
        fail()
    client = mlflow.MlflowClient(home.tracking)
    experiments = [e.experiment_id for e in client.search_experiments()]
    found = {run.info.run_name: run for run in client.search_runs(experiments)}
    assert {run.info.status for run in found.values()} == {"FAILED"}
    metrics = found["train"].data.metrics
    assert metrics["train/loss"] == 2.0
    assert metrics["cost_EUR"] == pytest.approx(metrics["duration_seconds"], rel=0.5, abs=0.2)
    assert metrics["peak_memory_bytes"] > 1e6
