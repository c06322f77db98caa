"""The only module that starts MLflow runs.

A parent run stands for one call of `dolly`, with a child run for each stage. Each child records the
table versions it read as MLflow dataset inputs, so that a model leads back to its rows.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dolly.result import StageResult
from dolly.schema import Table
from dolly.state import State
from dolly.tables import Tables

_PACKAGES = ("torch", "transformers", "deepspeed", "peft", "pyspark", "delta-spark", "deltalake", "mlflow")
_FIGURES = "report.json"


def connect(state: State) -> None:
    """Directs this process's MLflow calls to a state's tracking server and model registry."""
    import mlflow

    mlflow.set_tracking_uri(state.tracking)
    mlflow.set_registry_uri(state.registry)


class StageRun:
    """The MLflow run of one stage."""

    def __init__(self, name: str, run_id: str, tables: Tables) -> None:
        self.name, self.run_id = name, run_id
        self._tables = tables
        self._figures: dict[str, float] = {}

    def result(self, *, ids: Mapping[str, str] | None = None, paths: Mapping[str, str] | None = None) -> StageResult:
        """What the stage returns: all metrics logged so far, and what identifies and holds its results."""
        return StageResult(self.name, self.run_id, dict(self._figures), dict(ids or {}), dict(paths or {}))

    def input(self, table: Table, *, version: int | None = None, role: str) -> int:
        """Records that the stage reads `table`, at `version` or the newest; returns the version."""
        import mlflow
        from mlflow.data.delta_dataset_source import DeltaDatasetSource
        from mlflow.data.meta_dataset import MetaDataset

        pinned = self._tables.version(table) if version is None else version
        source = DeltaDatasetSource(path=self._tables.location(table), delta_table_version=pinned)
        # MLflow builds this class itself, though it leaves `profile` abstract.
        dataset = MetaDataset(source, name=table.name, digest=f"v{pinned}")  # type: ignore[abstract]
        mlflow.log_input(dataset, context=role)
        return pinned

    def params(self, values: Mapping[str, Any]) -> None:
        import mlflow

        mlflow.log_params(dict(values))

    def tags(self, values: Mapping[str, Any]) -> None:
        import mlflow

        mlflow.set_tags(dict(values))

    def metrics(self, values: Mapping[str, float | None]) -> None:
        import mlflow

        known = {key: float(value) for key, value in values.items() if value is not None}
        self._figures |= known
        mlflow.log_metrics(known)

    def table(self, name: str, columns: Mapping[str, list[Any]]) -> None:
        """Stores a table that the UI shows, as an artifact."""
        import mlflow

        mlflow.log_table(dict(columns), f"{name}.json")


class Tracker:
    """Starts the runs of one experiment."""

    def __init__(self, state: State, *, experiment: str, price_per_hour: float, currency: str) -> None:
        import mlflow

        for name in ("mlflow", "alembic"):  # reports of its own schema and of each artifact
            logging.getLogger(name).setLevel(logging.WARNING)
        self._tables = Tables(state.tables)
        self._price, self._currency = price_per_hour, currency
        self.uri = state.tracking
        connect(state)
        if mlflow.get_experiment_by_name(experiment) is None:
            mlflow.create_experiment(experiment, artifact_location=state.artifacts)
        mlflow.set_experiment(experiment)

    @contextmanager
    def parent(self, *, name: str, config: str, params: Mapping[str, Any]) -> Iterator[str]:
        """The run that the stages' runs hang from; gives its id.

        Args:
            name: what the run is called in the UI.
            config: the whole config as YAML, kept as an artifact.
            params: the config's keys, flat, to compare runs by.
        """
        import mlflow

        self._end_dead_runs()
        with mlflow.start_run(run_name=name, tags=_origin()) as run:
            mlflow.log_text(config, "config.yaml")
            mlflow.log_text(_packages(), "packages.txt")
            mlflow.log_params({key: str(value)[:500] for key, value in params.items()})
            yield run.info.run_id

    @contextmanager
    def stage(self, name: str) -> Iterator[StageRun]:
        """The run of one stage; its duration, peak memory and cost are recorded at its end."""
        import mlflow

        started = time.monotonic()
        with mlflow.start_run(run_name=name, nested=True, tags={"stage": name, **_origin()}) as run:
            stage = StageRun(name, run.info.run_id, self._tables)
            try:
                yield stage
            finally:
                seconds = time.monotonic() - started
                stage.metrics({"duration_seconds": seconds, "peak_memory_bytes": peak_memory_bytes()})
                stage.metrics({f"cost_{self._currency}": seconds / 3600 * self._price})

    def keep_report(self, page: str, figures: Mapping[str, Any]) -> None:
        """Stores a data report and its figures in the active run."""
        import mlflow

        mlflow.log_text(page, "report.html")
        mlflow.log_dict(dict(figures), _FIGURES)
        mlflow.set_tag("dolly.report", "report.html")

    def last_report(self) -> dict[str, Any] | None:
        """The figures of the newest report in this experiment; None if there is none."""
        import mlflow

        found = mlflow.search_runs(
            filter_string="tags.`dolly.report` = 'report.html'", max_results=1, output_format="list"
        )
        if not found:
            return None
        figures: dict[str, Any] = mlflow.artifacts.load_dict(f"{found[0].info.artifact_uri}/{_FIGURES}")
        return figures

    def _end_dead_runs(self) -> None:
        """Runs that a kill left open are closed as KILLED, when their process is gone."""
        import mlflow
        from mlflow.entities import RunStatus

        client = mlflow.MlflowClient()
        experiments = [experiment.experiment_id for experiment in client.search_experiments()]
        for run in client.search_runs(experiments, "attributes.status = 'RUNNING'"):
            host, _, pid = run.data.tags.get("dolly.process", "").partition(":")
            if host == os.uname().nodename and pid and not Path("/proc", pid).exists():
                client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))


class MetricWriter:
    """Writes a training process's metrics into a run that another process has started."""

    def __init__(self, uri: str, run_id: str) -> None:
        import mlflow

        self._client = mlflow.MlflowClient(uri)
        self._run_id = run_id

    def write(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(key, float(value), now, step) for key, value in values.items()]
        self._client.log_batch(self._run_id, metrics=batch, synchronous=True)


def models_trained_on(state: State, training_sets: Sequence[str]) -> list[str]:
    """One line for each registered model version that was trained on one of the sets."""
    import mlflow

    if not training_sets:
        return []
    found = mlflow.MlflowClient(state.tracking).search_model_versions()
    return [
        f"{version.name} version {version.version}, training set {version.tags['training_set'][:12]}, "
        f"run {version.run_id}"
        for version in found
        if version.tags.get("training_set") in training_sets
    ]


def peak_memory_bytes() -> int:
    """Largest resident size that this process or one of its ended children has had."""
    unit = 1 if sys.platform == "darwin" else 1024
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return unit * max(resource.getrusage(kind).ru_maxrss for kind in kinds)


def _origin() -> dict[str, str]:
    """Tags that tell which code and which process a run comes from."""
    tags = {"dolly.process": f"{os.uname().nodename}:{os.getpid()}"}
    code = Path(__file__).parent
    try:
        sha = subprocess.run(["git", "-C", code, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        dirty = subprocess.run(
            ["git", "-C", code, "status", "--porcelain", "--", "."], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return tags | {"mlflow.source.git.commit": "not a git checkout"}
    changed = " with uncommitted changes" if dirty.stdout.strip() else ""
    return tags | {"mlflow.source.git.commit": sha.stdout.strip(), "dolly.code": sha.stdout[:12] + changed}


def _packages() -> str:
    lines = [f"python=={sys.version.split()[0]}"]
    for name in _PACKAGES:
        try:
            lines.append(f"{name}=={importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            lines.append(f"{name} is not installed")
    return "\n".join(lines) + "\n"
