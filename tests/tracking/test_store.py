"""Opening a store: at once by several, on addresses that are wrong, on experiments that were deleted."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import mlflow
import pytest

from dolly.errors import DollyError, TrackingError, UsageError
from dolly.state import State
from dolly.tracking import connect
from tests.support import free_port
from tests.tracking.conftest import runs, tracker

START = """
import sys
from dolly.state import State
from dolly.tracking import Tracker
tracker = Tracker(State.at(sys.argv[1]), experiment="e", price_per_hour=0, currency="EUR")
with tracker.parent(name="run " + sys.argv[2], config="", params={}):
    pass
"""


@contextmanager
def answering(status: int, body: str) -> Iterator[str]:
    """A server that answers each request so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Prints nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def fault(home: State, address: str) -> str:
    """The one line of error that an address gives."""
    with pytest.raises(DollyError) as raised:
        connect(replace(home, tracking=address, registry=address, artifacts=None))
    text = str(raised.value)
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.slow
def test_three_first_starts_at_once_in_a_fresh_home(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", START, str(tmp_path / "home"), str(number)] for number in range(3)]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    errors = [process.communicate(timeout=200)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], errors
    assert set(runs(State.at(tmp_path / "home"))) == {"run 0", "run 1", "run 2"}


def test_an_experiment_opens_as_training(home: State) -> None:
    tracker(home)
    found = mlflow.MlflowClient(home.tracking).get_experiment_by_name("e")
    assert found is not None
    assert found.tags["mlflow.experimentKind"] == "custom_model_development"
    assert found.artifact_location == home.artifacts


def test_an_experiment_deleted_in_the_ui_is_restored_with_its_runs(home: State) -> None:
    with tracker(home).parent(name="before", config="", params={}):
        pass
    client = mlflow.MlflowClient(home.tracking)
    found = client.get_experiment_by_name("e")
    assert found is not None
    client.delete_experiment(found.experiment_id)
    said: list[str] = []
    with tracker(home, said=said).parent(name="after", config="", params={}):
        pass
    assert said == ["the MLflow experiment e was deleted in the UI: it is restored, with its runs"]
    assert set(runs(home)) == {"before", "after"}


def test_an_experiment_that_another_process_makes_at_the_same_time_is_used(
    home: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker(home)
    look, calls = mlflow.MlflowClient.get_experiment_by_name, []

    def too_early(self: mlflow.MlflowClient, name: str) -> object:
        calls.append(name)
        return look(self, name) if len(calls) > 1 else None

    monkeypatch.setattr(mlflow.MlflowClient, "get_experiment_by_name", too_early)
    tracker(home)
    assert len(calls) == 2


def test_a_server_that_is_down_is_one_line_within_seconds(home: State) -> None:
    assert "no MLflow store answers at http://127.0.0.1:" in fault(home, f"http://127.0.0.1:{free_port()}")


def test_a_server_that_never_answers_is_one_line_within_seconds(home: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules["dolly.tracking.probe"]._ONE_TRY, "MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        assert "no MLflow store answers at" in fault(home, f"http://127.0.0.1:{silent.getsockname()[1]}")


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials_say_where_they_come_from(home: State, status: int) -> None:
    with answering(status, "no") as address:
        text = fault(home, address)
    assert f"refuses the credentials (HTTP {status})" in text
    assert "MLFLOW_TRACKING_PASSWORD" in text


def test_a_server_of_another_kind_is_one_line(home: State) -> None:
    with answering(200, "<html>hello</html>") as address:
        assert "no MLflow store answers at" in fault(home, address)


@pytest.mark.parametrize("address", ["ftp://host/mlflow", "s3://bucket", "databrics"])
def test_an_unknown_kind_of_address_is_a_wrong_request(home: State, address: str) -> None:
    with pytest.raises(UsageError, match=r"state\.tracking"):
        connect(replace(home, tracking=address))


def test_a_password_in_an_address_is_masked(home: State) -> None:
    text = fault(home, f"http://someone:turnip@127.0.0.1:{free_port()}")
    assert "someone:***@127.0.0.1" in text
    assert "turnip" not in text


def test_a_file_that_is_no_database_is_one_line(home: State) -> None:
    (home.home / "other.db").write_text("not a database" * 100)
    assert "can't be used as MLflow's store" in fault(home, f"sqlite:///{home.home / 'other.db'}")


def test_a_database_that_stays_locked_is_one_line(home: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLLY_TRACKING_PATIENCE_SECONDS", "0.2")
    with closing(sqlite3.connect(home.home / "mlflow.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match="database is locked"):
            connect(home)


def test_a_driver_that_is_missing_is_named(home: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    text = fault(home, "postgresql+psycopg2://user:turnip@127.0.0.1/mlflow")
    assert "pip install psycopg2-binary" in text
    assert "turnip" not in text


def test_a_lock_that_is_never_freed_is_one_line(home: State, monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    monkeypatch.setenv("DOLLY_TRACKING_PATIENCE_SECONDS", "0.2")
    with FileLock(home.home / ".mlflow.lock"), pytest.raises(TrackingError, match="has held"):
        connect(home)
