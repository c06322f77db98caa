"""Runs: their tree, what they log, how they end."""

from __future__ import annotations

import os
from dataclasses import replace

import mlflow
import pytest

from dolly.errors import UsageError
from dolly.state import State
from dolly.tracking.process import Process
from tests.tracking.conftest import runs, tracker


def test_runs_of_ended_processes_are_closed_as_killed_in_this_experiment_only(home: State) -> None:
    tracker(home, "other")
    tracker(home)
    client, here = mlflow.MlflowClient(home.tracking), Process.current()
    ended = replace(here, pid=2**22 + 1)
    tags = {"ended": str(ended), "alive": str(here), "elsewhere": str(replace(ended, boot="b", machine="m"))}
    for experiment in ("e", "other"):
        found = client.get_experiment_by_name(experiment)
        assert found is not None
        for name, tag in tags.items():
            client.create_run(found.experiment_id, run_name=name, tags={"dolly.process": tag})
    with tracker(home).parent(name="run", config="", params={}):
        pass
    statuses = {name: run.info.status for name, run in runs(home).items() if name != "run"}
    assert statuses == {"ended": "KILLED", "alive": "RUNNING", "elsewhere": "RUNNING"}
    assert {run.info.status for run in runs(home, "other").values()} == {"RUNNING"}


def test_a_stage_that_fails_is_recorded_as_failed_with_its_cost(home: State) -> None:
    tracking = tracker(home)

    def fail() -> None:
        with tracking.parent(name="run", config="a: 1", params={"a": 1}), tracking.stage("train") as stage:
            stage.metrics({"train/loss": 2.0, "unknown": None})
            raise RuntimeError("the stage failed")

    with pytest.raises(RuntimeError, match="the stage failed"):
        fail()
    found = runs(home)
    assert {run.info.status for run in found.values()} == {"FAILED"}
    metrics = found["train"].data.metrics
    assert metrics["train/loss"] == 2.0
    assert metrics["cost_EUR"] == pytest.approx(metrics["duration_seconds"])
    assert metrics["peak_memory_bytes"] > 1e6
    assert mlflow.active_run() is None


def test_stages_hang_below_the_parent_and_return_their_figures(home: State) -> None:
    tracking = tracker(home)
    with tracking.parent(name="run", config="a: 1", params={"a": 1}) as parent:
        with tracking.stage("prepare") as stage:
            stage.metrics({"gold": 3})
            result = stage.result(ids={"training_set": "abc"})
        parent.describe({"rows_gold": 3.0}, "# It ran")
    found = runs(home)
    assert found["prepare"].data.tags["mlflow.parentRunId"] == found["run"].info.run_id == parent.run_id
    assert (result.run_id, result.figures, result.ids) == (
        found["prepare"].info.run_id,
        {"gold": 3.0},
        {"training_set": "abc"},
    )
    assert found["run"].data.metrics["rows_gold"] == 3.0
    assert found["run"].data.tags["mlflow.note.content"] == "# It ran"
    assert found["run"].data.tags["mlflow.user"]


def test_a_job_belongs_to_the_run_that_its_scheduler_names(home: State, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker(home)
    client = mlflow.MlflowClient(home.tracking)
    experiment = client.get_experiment_by_name("e")
    assert experiment is not None
    nightly = client.create_run(experiment.experiment_id, run_name="nightly").info.run_id
    monkeypatch.setenv("DOLLY_PARENT_RUN_ID", nightly)
    for number in (1, 2):
        tracking = tracker(home)
        with tracking.parent(name=f"job {number}", config="", params={}) as parent, tracking.stage("clean"):
            parent.describe({f"figure_{number}": 1.0}, "")
    found = runs(home)
    assert {found[f"job {n}"].data.tags["mlflow.parentRunId"] for n in (1, 2)} == {nightly}
    assert found["clean"].data.tags["mlflow.parentRunId"] != nightly
    assert set(found["nightly"].data.metrics) == {"figure_1", "figure_2"}
    assert found["nightly"].info.status == "RUNNING"  # its owner ends it


def test_an_unknown_parent_run_is_refused_before_any_work(home: State, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker(home, "other")
    client = mlflow.MlflowClient(home.tracking)
    other = client.get_experiment_by_name("other")
    assert other is not None
    elsewhere = client.create_run(other.experiment_id).info.run_id
    for given, why in {"0" * 32: "no such run", "nonsense": "no such run", elsewhere: "a run of experiment"}.items():
        monkeypatch.setenv("DOLLY_PARENT_RUN_ID", given)
        with pytest.raises(UsageError, match=why):
            tracker(home)
    assert runs(home) == {}


def test_a_run_of_mlflows_own_environment_is_not_taken_over(home: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with tracker(home).parent(name="run", config="", params={}):
        pass
    assert set(runs(home)) == {"run"}


def test_no_secret_is_logged(home: State) -> None:
    tracking = tracker(home)
    secret = "jdbc:postgresql://reader:turnip88@host/db"
    with tracking.parent(name=f"run {secret}", config=f"url: {secret}", params={"sources.0.path": secret}) as parent:
        with tracking.stage("ingest") as stage:
            stage.tags({"source": secret})
            stage.params({"url": "password=turnip88"})
        parent.describe({}, secret)
    leaks = [file.name for file in home.home.rglob("*") if file.is_file() and b"turnip88" in file.read_bytes()]
    assert leaks == []
    assert "reader:***@host" in (mlflow.artifacts.load_text(f"runs:/{parent.run_id}/config.yaml"))


def test_more_parameters_than_mlflow_takes_at_once(home: State) -> None:
    with tracker(home).parent(name="run", config="", params={f"key.{n}": n for n in range(250)}):
        pass
    assert len(runs(home)["run"].data.params) == 250


def test_the_newest_report_is_the_last_one(home: State) -> None:
    tracking = tracker(home)
    assert tracking.last_report() is None
    for number in (1, 2):
        with tracking.parent(name=f"run {number}", config="", params={}):
            tracking.keep_report("<p>page</p>", {"number": number})
    assert tracker(home).last_report() == {"number": 2}


def test_artifacts_lie_in_the_home(home: State) -> None:
    with tracker(home).parent(name="run", config="a: 1", params={}) as parent:
        pass
    kept = home.home / "artifacts" / parent.run_id / "artifacts"
    assert {path.name for path in kept.iterdir()} == {"config.yaml", "packages.txt"}
    assert os.fspath(kept) in runs(home)["run"].info.artifact_uri.removeprefix("file://") + "/artifacts"
