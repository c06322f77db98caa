"""A home with a SQLite tracking store of its own; MLflow's tables are made once and copied."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest

from dolly.state import State
from dolly.tracking import Tracker, connect


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, without runs."""
    state = State.at(tmp_path_factory.mktemp("empty") / "home")
    connect(state)
    return state.home / "mlflow.db"


@pytest.fixture
def home(tmp_path: Path, empty_database: Path) -> Iterator[State]:
    state = State.at(tmp_path / "home")
    shutil.copy(empty_database, state.home)
    yield state
    while mlflow.active_run():
        mlflow.end_run()


def tracker(home: State, experiment: str = "e", said: list[str] | None = None) -> Tracker:
    say = print if said is None else said.append
    return Tracker(home, experiment=experiment, price_per_hour=3600.0, currency="EUR", say=say)


def runs(home: State, experiment: str = "e") -> dict[str, mlflow.entities.Run]:
    """Name → run."""
    client = mlflow.MlflowClient(home.tracking)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return {run.info.run_name: run for run in client.search_runs([found.experiment_id])}
