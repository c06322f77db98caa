"""Repeats a call to MLflow while its server or database is unavailable."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from dolly.errors import TrackingError
from dolly.secrets import redacted

PATIENCE = "DOLLY_TRACKING_PATIENCE_SECONDS"
_DEFAULT_PATIENCE = 120.0  # a server's restart, or a database that another process has locked
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500

T = TypeVar("T")


def patience_seconds() -> float:
    """How long a call is repeated before it fails; the environment's DOLLY_TRACKING_PATIENCE_SECONDS or 120."""
    try:
        return float(os.environ[PATIENCE])
    except (KeyError, ValueError):
        return _DEFAULT_PATIENCE


def temporary(error: BaseException) -> bool:
    """Whether a later attempt may succeed: no connection, a time-out, a locked database, an error of the server."""
    import requests
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException):
        status = int(error.get_http_status_code())  # type: ignore[no-untyped-call]
        return status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS
    away = (
        requests.ConnectionError,
        requests.Timeout,
        ConnectionError,
        TimeoutError,
        sqlite3.OperationalError,
        sqlalchemy.exc.OperationalError,
        sqlalchemy.exc.InterfaceError,
    )
    return isinstance(error, away)


def retried(action: Callable[[], T], *, address: str, seconds: float | None = None) -> T:
    """Returns the result of `action`, which is repeated after a temporary failure.

    Args:
        action: one call to MLflow that may be made twice.
        address: of the store, for the message.
        seconds: how long to retry; None: `patience_seconds()`.

    Raises:
        TrackingError: still no success after that time.
    """
    limit = patience_seconds() if seconds is None else seconds
    started, pause = time.monotonic(), _FIRST_PAUSE
    while True:
        try:
            return action()
        except Exception as error:
            if not temporary(error):
                raise
            waited = time.monotonic() - started
            if waited + pause > limit:
                raise unavailable(address, error, waited) from error
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def unavailable(address: str, error: BaseException, seconds: float) -> TrackingError:
    """The error of a store that doesn't answer."""
    return TrackingError(
        found=f"no answer from MLflow's store {redacted(address)} for {seconds:.0f} s: {first_line(error)}",
        expected="an MLflow server or a database that accepts reads and writes",
        fix="start it, or free its lock, and run the same command again: finished work is kept",
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's text, without secrets, at most 300 characters."""
    text = str(error).strip() or type(error).__name__
    return redacted(text.splitlines()[0])[:300]
