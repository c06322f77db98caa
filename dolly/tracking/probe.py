"""Tests within seconds whether a store can be used, before any work."""

from __future__ import annotations

import importlib.metadata
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from typing import Any

from dolly.errors import TrackingError, UsageError
from dolly.secrets import redacted
from dolly.state import sqlite_file
from dolly.tracking.retry import first_line, patience_seconds, retried, temporary, unavailable

_SERVERS = ("http", "https", "databricks", "databricks-uc", "uc")
_DATABASES = ("sqlite", "postgresql")
_SECONDS = 5
_LOCK_KEY = 4_202_301  # PostgreSQL's advisory lock while MLflow creates its tables
_DRIVER_PACKAGES = {"psycopg2": "psycopg2-binary", "psycopg": "'dolly[postgresql]'"}
_ONE_TRY = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": str(_SECONDS)}


def _kind(address: str) -> str:
    """The scheme of an address without a driver: `postgresql` for `postgresql+psycopg2://…`."""
    return address.partition(":")[0].partition("+")[0].lower()


def require_known(key: str, address: str) -> None:
    """Raises a UsageError for an address of an unknown kind."""
    if _kind(address) not in _SERVERS + _DATABASES:
        raise UsageError(
            found=f"state.{key}: {redacted(address)}",
            expected="a SQLite file, http(s):// of an MLflow server, or postgresql://",
            fix=f"correct state.{key}",
        )


def require_answer(address: str, query: Callable[[Any], object]) -> None:
    """Makes one small query, without MLflow's long retries.

    Raises:
        TrackingError: the store does not answer, or is not a store of MLflow.
    """
    import mlflow

    kind = _kind(address)
    guard: AbstractContextManager[object] = nullcontext()
    if kind in _SERVERS:
        guard = _environment(_ONE_TRY)
    elif kind == "postgresql":
        guard = _postgres_lock(address)
    elif kind == "sqlite":
        guard = _readable_file(address)
    try:
        with guard:
            # Creating the client opens the store. A SQLite file may be locked by another process: wait for it.
            retried(
                lambda: query(mlflow.MlflowClient(address, address)),
                address=address,
                seconds=None if kind == "sqlite" else 0,
            )
    except Exception as error:
        cause = error.__cause__ if isinstance(error, TrackingError) else error
        raise _no_store(address, cause or error) from error


def _no_store(address: str, error: BaseException) -> TrackingError:
    status = int(error.get_http_status_code()) if hasattr(error, "get_http_status_code") else 0
    if status in (401, 403):
        return TrackingError(
            found=f"MLflow at {redacted(address)} refuses the credentials (HTTP {status})",
            expected="a user who may read and write experiments",
            fix="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
        )
    if isinstance(error, ImportError):
        return TrackingError(
            found=f"no database driver for {redacted(address)} ({first_line(error)})",
            expected="the driver's Python package",
            fix=f"pip install {_DRIVER_PACKAGES.get(error.name or '', error.name)}",
        )
    if "FATAL" in str(error):  # PostgreSQL: unknown user or database, wrong password
        return TrackingError(
            found=f"the database {redacted(address)} refuses: {redacted(str(error).split('FATAL:')[-1].strip())[:200]}",
            expected="a database and a user who may make tables in it",
            fix="correct the address; a password comes from PGPASSWORD or ~/.pgpass",
        )
    if temporary(error) and _kind(address) == "sqlite":
        return unavailable(address, error, patience_seconds())
    if temporary(error):
        return TrackingError(
            found=f"no MLflow store answers at {redacted(address)}: {first_line(error)}",
            expected="an MLflow server or a database, within seconds",
            fix="start it, or correct state.tracking or state.registry",
        )
    return TrackingError(
        found=f"{redacted(address)} can't be used as MLflow's store: {first_line(error)}",
        expected=f"a store of MLflow {importlib.metadata.version('mlflow')} or older",
        fix="correct state.tracking or state.registry; an older database: mlflow db upgrade ADDRESS, after a backup",
    )


@contextmanager
def _readable_file(address: str) -> Iterator[None]:
    """Waits for a locked SQLite file; fails at once if it is no database, which MLflow would retry for minutes."""
    file = sqlite_file(address)
    if file.is_dir():
        raise TrackingError(
            found=f"{file}, which is a folder",
            expected="a SQLite file",
            fix="name a file in it, e.g. mlflow.db: correct state.tracking or state.registry",
        )
    if file.exists():
        with closing(sqlite3.connect(file, timeout=patience_seconds())) as database:
            database.execute("PRAGMA schema_version").fetchone()
    yield


@contextmanager
def _postgres_lock(address: str) -> Iterator[None]:
    """Holds an advisory lock of the database: other machines may open it at the same time.

    Without a connection it fails within seconds, where MLflow would retry for minutes.
    """
    import sqlalchemy

    engine = sqlalchemy.create_engine(address, connect_args={"connect_timeout": _SECONDS})
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"SELECT pg_advisory_lock({_LOCK_KEY})"))
            yield
    finally:
        engine.dispose()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
