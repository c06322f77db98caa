"""What is tried again, and for how long."""

from __future__ import annotations

import sqlite3
import time

import pytest
import requests
import sqlalchemy.exc
from mlflow.exceptions import MlflowException

from dolly.errors import TrackingError
from dolly.tracking.retry import retried, temporary

TEMPORARY = [
    MlflowException("the server has ended"),
    MlflowException("locked", error_code=2),  # TEMPORARILY_UNAVAILABLE
    requests.ConnectionError("refused"),
    requests.Timeout("slow"),
    ConnectionResetError("reset"),
    sqlite3.OperationalError("database is locked"),
    sqlalchemy.exc.OperationalError("SELECT 1", {}, sqlite3.OperationalError("database is locked")),
]
FINAL = [
    MlflowException("no such run", error_code=1004),
    MlflowException("wrong value", error_code=1000),
    OSError("no space left on device"),
    ValueError("a defect"),
]


@pytest.mark.parametrize("error", TEMPORARY, ids=lambda error: type(error).__name__)
def test_an_outage_is_temporary(error: Exception) -> None:
    assert temporary(error)


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
def test_a_refusal_is_final(error: Exception) -> None:
    attempts = []

    def fail() -> None:
        attempts.append(1)
        raise error

    assert not temporary(error)
    with pytest.raises(type(error)):
        retried(fail, address="http://x")
    assert len(attempts) == 1


def test_a_call_succeeds_once_the_outage_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    outcomes = iter([requests.ConnectionError("x"), MlflowException("x"), None])

    def call() -> str:
        if (error := next(outcomes)) is not None:
            raise error
        return "done"

    assert retried(call, address="http://x") == "done"


def test_an_outage_that_lasts_is_one_line_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLLY_TRACKING_PATIENCE_SECONDS", "0.3")

    def fail() -> None:
        raise requests.ConnectionError("http://me:turnip@x refused\nand more")

    with pytest.raises(TrackingError) as raised:
        retried(fail, address="http://me:turnip@x")
    assert "no answer from MLflow's store http://me:***@x" in str(raised.value)
    assert "turnip" not in str(raised.value)
    assert "and more" not in str(raised.value)
