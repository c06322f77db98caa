"""Starts MLflow runs: a parent run for each call of `dolly`, with a child run for each stage."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from dolly.errors import TrackingError, UsageError
from dolly.secrets import redacted
from dolly.state import State
from dolly.tracking.calls import log_metrics, log_params, log_tags
from dolly.tracking.origin import origin_tags, package_list
from dolly.tracking.process import Process
from dolly.tracking.stage_run import ParentRun, StageRun
from dolly.tracking.store import connect

if TYPE_CHECKING:
    from dolly.tables import Tables

PARENT_RUN = "DOLLY_PARENT_RUN_ID"  # environment variable: the parent of this call's run
_FIGURES = "report.json"
_PROCESS = "dolly.process"


class Tracker:
    """Starts the runs of one experiment.

    Args:
        state: addresses of the tracking store and of the artifacts.
        experiment: its name; created if missing, restored if it was deleted in the UI.
        price_per_hour, currency: for the cost of each run.
        tables: tables that runs name as inputs; None: opened from the state.
        say: prints one line.

    Raises:
        UsageError: DOLLY_PARENT_RUN_ID is not a run of this experiment.
        TrackingError: the store can't be used.
    """

    def __init__(
        self,
        state: State,
        *,
        experiment: str,
        price_per_hour: float,
        currency: str,
        tables: Tables | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        import mlflow

        from dolly.tables import Tables

        self._store = connect(state, say=say)
        self._client = self._store.client
        self._tables = tables or Tables(state.tables)
        self._price, self._currency = price_per_hour, currency
        self._experiment = self._store.experiment(experiment, artifacts=state.artifacts)
        self._store.call(lambda: mlflow.set_experiment(experiment_id=self._experiment))
        self._given_parent = self._checked_parent(os.environ.get(PARENT_RUN, ""))
        self._parent_id = self._given_parent

    @contextmanager
    def parent(self, *, name: str, config: str, params: Mapping[str, Any]) -> Iterator[ParentRun]:
        """Starts the parent run of the stages; its duration and cost are logged at its end.

        Args:
            name: the run's name in the UI.
            config: the whole config as YAML, logged as an artifact.
            params: flattened keys of the config, to compare runs by.
        """
        self._end_dead_runs()
        with self._run(name, {"stage": "run"}, self._given_parent) as run_id:
            parent = ParentRun(run_id, self._store, self._given_parent)
            self._parent_id = run_id
            try:
                text = redacted(config)
                self._store.write(run_id, lambda: self._client.log_text(run_id, text, "config.yaml"))
                self._store.write(run_id, lambda: self._client.log_text(run_id, package_list(), "packages.txt"))
                log_params(self._store, run_id, params)
                yield parent
            finally:
                self._parent_id = self._given_parent

    @contextmanager
    def stage(self, name: str) -> Iterator[StageRun]:
        """Starts the run of one stage; its duration, peak memory and cost are logged at its end."""
        with self._run(name, {"stage": name}, self._parent_id) as run_id:
            yield StageRun(name, run_id, self._tables, self._store)

    def keep_report(self, page: str, figures: Mapping[str, Any]) -> None:
        """Stores a data report and its figures in the parent run."""
        run_id, content = self._parent_id, dict(figures)
        if run_id is None:
            raise ValueError("a report is kept in a parent run: call this within parent()")
        self._store.write(run_id, lambda: self._client.log_text(run_id, page, "report.html"))
        self._store.write(run_id, lambda: self._client.log_dict(run_id, content, _FIGURES))
        log_tags(self._store, run_id, {"dolly.report": "report.html"})

    def last_report(self) -> dict[str, Any] | None:
        """The figures of the newest report in this experiment; None if there is none."""
        import mlflow

        runs = self._store.call(
            lambda: self._client.search_runs(
                [self._experiment], "tags.`dolly.report` = 'report.html'", max_results=1, order_by=["start_time DESC"]
            )
        )
        if not runs:
            return None
        uri = f"{runs[0].info.artifact_uri}/{_FIGURES}"
        figures: dict[str, Any] = self._store.call(lambda: mlflow.artifacts.load_dict(uri))
        return figures

    @contextmanager
    def _run(self, name: str, tags: Mapping[str, str], parent: str | None) -> Iterator[str]:
        """Starts an MLflow run and makes it active, so that MLflow's own functions log to it."""
        import mlflow

        tags = {**tags, **origin_tags(), _PROCESS: str(Process.current())}
        if parent:
            tags["mlflow.parentRunId"] = parent
        started, name = time.monotonic(), redacted(name)[:250]
        created = self._store.call(lambda: self._client.create_run(self._experiment, tags=tags, run_name=name))
        run_id = str(created.info.run_id)
        self._store.write(run_id, lambda: mlflow.start_run(run_id=run_id, nested=True))
        try:
            yield run_id
        except BaseException as error:
            status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
            # Report the error that ended the run, not this one.
            with suppress(TrackingError):
                self._end(run_id, started, status, seconds=0 if isinstance(error, TrackingError) else None)
            raise
        self._end(run_id, started, "FINISHED", seconds=None)

    def _end(self, run_id: str, started: float, status: str, *, seconds: float | None) -> None:
        import mlflow

        duration = time.monotonic() - started
        figures = {
            "duration_seconds": duration,
            "peak_memory_bytes": float(peak_memory_bytes()),
            f"cost_{self._currency}": duration / 3600 * self._price,
        }

        def end() -> None:
            active = mlflow.active_run()
            if active and active.info.run_id == run_id:
                mlflow.end_run(status)  # removes it from the active runs even if the store is unavailable
            else:
                self._client.set_terminated(run_id, status)

        try:
            log_metrics(self._store, run_id, figures, seconds=seconds)
        finally:
            self._store.write(run_id, end, seconds=seconds)

    def _checked_parent(self, run_id: str) -> str | None:
        """The run that DOLLY_PARENT_RUN_ID names.

        Raises:
            UsageError: there is no such run in this experiment.
        """
        if not run_id:
            return None
        try:
            run = self._store.call(lambda: self._client.get_run(run_id))
            fault = "a deleted run" if run.info.lifecycle_stage == "deleted" else ""
            if run.info.experiment_id != self._experiment:
                fault = f"a run of experiment {run.info.experiment_id}"
        except TrackingError as error:
            fault = f"no such run ({error.found})"
        if fault:
            raise UsageError(
                found=f"{PARENT_RUN}={run_id}: {fault}",
                expected=f"a run of experiment {self._experiment}, which this config logs to",
                fix=f"set {PARENT_RUN} to such a run's id, or unset it",
            )
        return run_id

    def _end_dead_runs(self) -> None:
        """Sets runs of this experiment to KILLED if their process has surely ended without closing them."""
        here = Process.current()
        running = self._store.call(
            lambda: self._client.search_runs([self._experiment], "attributes.status = 'RUNNING'")
        )
        for run in running:
            process = Process.parse(run.data.tags.get(_PROCESS, ""))
            if process and process.surely_ended(here):
                self._store.call(lambda run_id=run.info.run_id: self._client.set_terminated(run_id, "KILLED"))  # type: ignore[misc]


def peak_memory_bytes() -> int:
    """Largest resident size that this process or one of its ended children has had."""
    unit = 1 if sys.platform == "darwin" else 1024
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return unit * max(resource.getrusage(kind).ru_maxrss for kind in kinds)
