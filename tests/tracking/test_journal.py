"""A training's metrics: none lost, none doubled, and no waiting for MLflow."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException

from dolly.errors import TrackingError
from dolly.state import State
from dolly.tracking.journal import MetricJournal, MetricSender
from tests.tracking.conftest import runs, tracker


class FakeMlflow:
    """Keeps what is sent; `failure`, if set, is raised instead."""

    def __init__(self) -> None:
        self.points: list[tuple[str, str, int, float]] = []
        self.failure: Exception | None = None

    def __call__(self, run_id: str, metrics: Sequence[Metric]) -> None:
        if self.failure:
            raise self.failure
        assert len(metrics) <= 1000
        if any("!" in metric.key for metric in metrics):
            raise MlflowException("invalid name", error_code=1000)  # INVALID_PARAMETER_VALUE
        self.points += [(run_id, metric.key, metric.step, metric.value) for metric in metrics]


@contextmanager
def locked(home: State) -> Iterator[None]:
    """Another process writes to the database and does not end."""
    with closing(sqlite3.connect(home.home / "mlflow.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield


def test_what_an_outage_keeps_back_is_sent_later_once(tmp_path: Path) -> None:
    fake, journal = FakeMlflow(), MetricJournal(tmp_path, "r")
    fake.failure = MlflowException("down")
    sender = MetricSender(tmp_path, fake)
    for step in range(3):
        journal.write(step, {"loss": 1.0 / (step + 1)})
        assert not sender.send_new()
    assert fake.points == []
    fake.failure = None
    assert MetricSender(tmp_path, fake).send_new()  # as the next run does
    journal.write(3, {"loss": 0.0})
    assert MetricSender(tmp_path, fake).send_new()
    assert [step for _, _, step, _ in fake.points] == [0, 1, 2, 3]


def test_thousands_of_metrics_go_in_batches(tmp_path: Path) -> None:
    fake, journal = FakeMlflow(), MetricJournal(tmp_path, "r")
    for step in range(1200):
        journal.write(step, {"loss": 1.0, "rate": 2.0, "norm": 3.0})
    assert MetricSender(tmp_path, fake).send_new()
    assert len(set(fake.points)) == len(fake.points) == 3600


def test_a_trainer_killed_in_mid_line_loses_that_line_only(tmp_path: Path) -> None:
    fake = FakeMlflow()
    MetricJournal(tmp_path, "r").write(1, {"loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"run_id": "r", "st')
    assert MetricSender(tmp_path, fake).send_new()
    MetricJournal(tmp_path, "again").write(2, {"loss": 2.0})
    assert MetricSender(tmp_path, fake).send_new()
    assert fake.points == [("r", "loss", 1, 1.0), ("again", "loss", 2, 2.0)]


def test_a_refused_metric_does_not_hold_up_the_others(tmp_path: Path) -> None:
    fake, journal = FakeMlflow(), MetricJournal(tmp_path, "r")
    for step in range(4):
        journal.write(step, {"loss": 1.0, "bad!": 1.0})
    sender = MetricSender(tmp_path, fake)
    assert sender.send_new()
    assert [(key, step) for _, key, step, _ in fake.points] == [("loss", step) for step in range(4)]
    assert len(sender.refused) == 4


def test_a_run_that_is_gone_does_not_hold_up_the_next_one(tmp_path: Path) -> None:
    fake = FakeMlflow()
    MetricJournal(tmp_path, "gone").write(1, {"loss": 1.0})
    MetricJournal(tmp_path, "there").write(1, {"loss": 1.0})

    def send(run_id: str, metrics: Sequence[Metric]) -> None:
        if run_id == "gone":
            raise MlflowException("no run", error_code=1004)  # RESOURCE_DOES_NOT_EXIST
        fake(run_id, metrics)

    assert MetricSender(tmp_path, send).send_new()
    assert [run for run, *_ in fake.points] == ["there"]


def test_a_training_writes_on_at_once_while_the_database_is_locked(
    home: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dolly.tracking.journal._PERIOD", 0.05)
    tracking = tracker(home)
    with tracking.parent(name="run", config="", params={}), tracking.stage("train") as stage:
        with stage.training_metrics(tmp_path):
            journal = MetricJournal(tmp_path, stage.run_id)
            with locked(home):
                started = time.monotonic()
                for step in range(100):
                    journal.write(step, {"train/loss": float(step)})
                assert time.monotonic() - started < 1
                time.sleep(0.5)  # the thread's first attempt is under way
        run_id = stage.run_id
    history = mlflow.MlflowClient(home.tracking).get_metric_history(run_id, "train/loss")
    assert sorted(point.step for point in history) == list(range(100))


def test_the_next_run_sends_what_this_one_could_not(
    home: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOLLY_TRACKING_PATIENCE_SECONDS", "0.5")
    tracking = tracker(home)
    with tracking.stage("train") as stage:
        first = stage.run_id
        monkeypatch.setattr(type(stage), "_send", _down)
        with pytest.raises(TrackingError, match="metrics wait in"), stage.training_metrics(tmp_path):
            MetricJournal(tmp_path, first).write(1, {"train/loss": math.pi})
    monkeypatch.undo()
    with tracking.stage("train") as again, again.training_metrics(tmp_path):
        pass
    assert mlflow.MlflowClient(home.tracking).get_run(first).data.metrics["train/loss"] == pytest.approx(math.pi)


def _down(*_: Any) -> None:
    raise ConnectionError("down")


def test_equal_points_are_kept_once_by_mlflow(home: State, tmp_path: Path) -> None:
    tracking = tracker(home)
    with tracking.stage("train") as stage:
        for _ in range(2):
            with stage.training_metrics(tmp_path):
                MetricJournal(tmp_path, stage.run_id) if (tmp_path / "metrics.jsonl").exists() else MetricJournal(
                    tmp_path, stage.run_id
                ).write(1, {"loss": 1.0, "nan": math.nan})
            (tmp_path / "metrics.sent").unlink()  # as if killed between the answer and the note of it
    client = mlflow.MlflowClient(home.tracking)
    assert [len(client.get_metric_history(stage.run_id, key)) for key in ("loss", "nan")] == [1, 1]


def test_a_run_deleted_in_the_ui_is_restored(home: State, tmp_path: Path) -> None:
    said: list[str] = []
    tracking = tracker(home, said=said)
    with tracking.stage("train") as stage, stage.training_metrics(tmp_path):
        mlflow.MlflowClient(home.tracking).delete_run(stage.run_id)
        MetricJournal(tmp_path, stage.run_id).write(1, {"loss": 1.0})
    assert runs(home)["train"].data.metrics["loss"] == 1.0
    assert said == ["the MLflow run train was deleted while it was at work: it is restored"]


def test_the_trainer_needs_no_mlflow_and_no_spark_for_its_journal(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from dolly.tracking.journal import MetricJournal\n"
        f"MetricJournal(Path({str(tmp_path)!r}), 'r').write(1, {{'loss': 1.0}})\n"
        "print(sorted({'mlflow', 'pyspark', 'py4j'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
