"""Logs to the run of a call of `dolly` and to the run of a stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dolly.errors import TrackingError
from dolly.result import StageResult
from dolly.secrets import redacted
from dolly.tracking.calls import log_metrics, log_params, log_tags
from dolly.tracking.journal import MetricSender
from dolly.tracking.retry import patience_seconds
from dolly.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Metric

    from dolly.schema import Table
    from dolly.tables import Tables

_SHORT_SECONDS = 5  # for what is sent after a failure


class ParentRun:
    """The run of one call of `dolly`."""

    def __init__(self, run_id: str, store: Store, given_parent: str | None) -> None:
        self.run_id = run_id
        self._store, self._given_parent = store, given_parent
        self.metrics: dict[str, float] = {}

    def describe(self, metrics: Mapping[str, float], text: str) -> None:
        """Logs headline figures, also to a parent run, and a description in Markdown."""
        self.metrics |= metrics
        for run_id in filter(None, (self.run_id, self._given_parent)):
            log_metrics(self._store, run_id, metrics)
        log_tags(self._store, self.run_id, {"mlflow.note.content": text})


class StageRun:
    """The MLflow run of one stage."""

    def __init__(self, name: str, run_id: str, tables: Tables, store: Store) -> None:
        self.name, self.run_id = name, run_id
        self._tables, self._store = tables, store
        self._figures: dict[str, float] = {}

    def result(self, *, ids: Mapping[str, str] | None = None, paths: Mapping[str, str] | None = None) -> StageResult:
        """The stage's result: all metrics logged so far, and the ids and paths of its results."""
        return StageResult(self.name, self.run_id, dict(self._figures), dict(ids or {}), dict(paths or {}))

    def input(self, table: Table, *, version: int | None = None, role: str) -> int:
        """Records that the stage reads `table`, at `version` or the newest; returns the version."""
        import mlflow
        from mlflow.data.delta_dataset_source import DeltaDatasetSource
        from mlflow.data.meta_dataset import MetaDataset

        pinned = self._tables.version(table) if version is None else version
        source = DeltaDatasetSource(path=redacted(self._tables.location(table)), delta_table_version=pinned)
        # MLflow builds this class itself, though it leaves `profile` abstract.
        dataset = MetaDataset(source, name=table.name, digest=f"v{pinned}")  # type: ignore[abstract]
        self._store.write(self.run_id, lambda: mlflow.log_input(dataset, context=role))
        return pinned

    def params(self, values: Mapping[str, Any]) -> None:
        log_params(self._store, self.run_id, values)

    def tags(self, values: Mapping[str, Any]) -> None:
        log_tags(self._store, self.run_id, values)

    def metrics(self, values: Mapping[str, float | None]) -> None:
        known = {key: float(value) for key, value in values.items() if value is not None}
        self._figures |= known
        log_metrics(self._store, self.run_id, known)

    def table(self, name: str, columns: Mapping[str, list[Any]]) -> None:
        """Logs a table as an artifact, which the UI shows."""
        rows = dict(columns)
        self._store.write(self.run_id, lambda: self._store.client.log_table(self.run_id, rows, f"{name}.json"))

    @contextmanager
    def training_metrics(self, folder: Path) -> Iterator[None]:
        """Sends the journal of a training's folder while the block runs, with lines left over from an earlier run.

        Raises:
            TrackingError: MLflow can't be reached at the end; the journal keeps the lines that were not sent.
        """
        sender = MetricSender(folder, self._send)
        sender.start()
        try:
            yield
        except BaseException:
            sender.close(seconds=_SHORT_SECONDS)
            raise
        if not sender.close(seconds=patience_seconds()):
            raise TrackingError(
                found=f"MLflow's store {redacted(self._store.address)} can't be reached: metrics wait in {folder}",
                expected="all metrics of the training in MLflow",
                fix="start it and run the same command again: the training is finished, its metrics are sent then",
            )
        if sender.refused:
            self._store.say(f"MLflow refused {len(sender.refused)} metrics, the first one: {sender.refused[0][:200]}")

    def _send(self, run_id: str, metrics: Sequence[Metric]) -> None:
        """Makes one attempt; restores the run if it was deleted in the UI.

        Raises:
            Exception: MLflow's own; it decides whether to try again.
        """
        try:
            self._store.write(run_id, lambda: self._store.client.log_batch(run_id, metrics=metrics), seconds=0)
        except TrackingError as error:
            raise error.__cause__ or error from error
