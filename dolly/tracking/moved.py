"""Artifact locations of a home that was moved or copied.

MLflow stores absolute locations. In a copy they would still point into the old home.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from dolly.state import State, sqlite_file, sqlite_uri

# Columns of MLflow's tables with artifact locations. Dataset inputs record what was read and are not changed.
_LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)
_BUSY_SECONDS = 5  # for another process's lock, before sqlite3.OperationalError


def adopt_artifacts(state: State) -> None:
    """Rewrites artifact locations in another home to this home, in one transaction.

    Only in the home's own SQLite file, only if artifacts are stored in the home, and only if this home has the files.
    Artifacts that a config stores elsewhere are not touched. The caller holds the lock of the home.
    """
    file = state.home / "mlflow.db"
    own = (state.home / "artifacts").as_uri()
    if state.tracking != sqlite_uri(file) or state.artifacts != own or not file.exists():
        return
    with closing(sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not {"runs", "tags"} <= tables or not (roots := _other_roots(database, state.home / "artifacts", own)):
            return
        database.execute("BEGIN IMMEDIATE")
        for root in roots:
            for table, column in _LOCATIONS:
                if table in tables:
                    _rewrite(database, table, column, old=root, new=own)
        database.execute("COMMIT")


def set_artifact_location(address: str, experiment: str, location: str) -> None:
    """Sets the artifact location of an experiment's new runs; only in SQLite, as MLflow has no API for it."""
    if address.startswith("sqlite:///"):
        with closing(sqlite3.connect(sqlite_file(address), timeout=_BUSY_SECONDS)) as database, database:
            database.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?", (location, int(experiment))
            )


def _other_roots(database: sqlite3.Connection, artifacts: Path, own: str) -> set[str]:
    """Artifact roots outside this home, of Dolly's runs that have their artifacts in this home."""
    rows = database.execute(
        "SELECT runs.run_uuid, runs.artifact_uri FROM runs JOIN tags USING (run_uuid) "
        "WHERE tags.key = 'dolly.process' AND substr(runs.artifact_uri, 1, ?) != ?",
        (len(own) + 1, f"{own}/"),
    )
    roots = set()
    for run, uri in rows:
        root = uri.removesuffix(f"/{run}/artifacts")
        if root != uri and _is_local(root) and (artifacts / run).is_dir():
            roots.add(root)
    return roots


def _is_local(uri: str) -> bool:
    return uri.startswith("/") or (uri.startswith("file:") and bool(url2pathname(urlsplit(uri).path)))


def _rewrite(database: sqlite3.Connection, table: str, column: str, *, old: str, new: str) -> None:
    database.execute(
        f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {column} = ? OR substr({column}, 1, ?) = ?",
        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
    )
