"""Connects to MLflow's tracking store and registry; a store that can't be used fails before any work."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from dolly.errors import TrackingError
from dolly.secrets import redacted
from dolly.state import State
from dolly.tracking.moved import adopt_artifacts, set_artifact_location
from dolly.tracking.probe import require_answer, require_known
from dolly.tracking.retry import first_line, patience_seconds, retried, temporary

# MLflow repeats its requests for about a minute; calls through `Store` are then repeated for `patience_seconds()`.
_HTTP = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "6", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1"}
# With this tag a UI opens an experiment as model training, not as an agent with traces. MLflow 3.17's UI ignores it
# and uses the address (`workflowType=machine_learning`, which `dolly ui` prints) and its switch.
_KIND, _TRAINING = "mlflow.experimentKind", "custom_model_development"

_ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")

T = TypeVar("T")


class Store:
    """The tracking store of a state; calls are repeated while it is unavailable.

    Args:
        address: MLflow's tracking URI.
        registry: MLflow's registry URI.
        say: prints one line.
    """

    def __init__(self, address: str, registry: str, say: Callable[[str], None]) -> None:
        import mlflow

        self.address, self.say = address, say
        self.client = mlflow.MlflowClient(address, registry)

    def call(self, action: Callable[[], T], *, seconds: float | None = None) -> T:
        """Returns the result of `action`, which may run more than once.

        Raises:
            TrackingError: the store is unavailable for longer than `seconds` (None: `patience_seconds()`), or refuses.
        """
        from mlflow.exceptions import MlflowException

        try:
            return retried(action, address=self.address, seconds=seconds)
        except MlflowException as error:
            raise TrackingError(
                found=f"MLflow's store {redacted(self.address)} refuses: {first_line(error)}",
                expected="a store that accepts what Dolly logs",
                fix="look at the run in dolly ui, then run the same command again",
            ) from error

    def write(self, run_id: str, action: Callable[[], T], *, seconds: float | None = None) -> T:
        """Like `call`, for an action on a run, which is restored if it was deleted in the meantime."""
        try:
            return self.call(action, seconds=seconds)
        except TrackingError as error:
            if error.__cause__ is None or temporary(error.__cause__) or not self._restored(run_id):
                raise
            return self.call(action, seconds=seconds)

    def _restored(self, run_id: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            run = self.client.get_run(run_id)
            if run.info.lifecycle_stage != "deleted":
                return False
            if self.client.get_experiment(run.info.experiment_id).lifecycle_stage == "deleted":
                self.client.restore_experiment(run.info.experiment_id)
            if self.client.get_run(run_id).info.lifecycle_stage == "deleted":
                self.client.restore_run(run_id)
        except MlflowException:
            return False
        self.say(f"the MLflow run {run.info.run_name} was deleted while it was at work: it is restored")
        return True

    def experiment(self, name: str, *, artifacts: str | None) -> str:
        """Returns the id of an experiment; creates it, or restores it if it was deleted in the UI.

        Args:
            name: the experiment's name.
            artifacts: URI under which its runs store artifacts; None: the server decides.

        Raises:
            TrackingError: the store is unavailable or refuses.
        """
        experiment = self.call(lambda: self._get_or_create(name, artifacts))
        if artifacts and experiment.artifact_location != artifacts:
            self.call(lambda: set_artifact_location(self.address, str(experiment.experiment_id), artifacts))
        if experiment.lifecycle_stage == "deleted":
            self.call(lambda: self.client.restore_experiment(experiment.experiment_id))
            self.say(f"the MLflow experiment {name} was deleted in the UI: it is restored, with its runs")
        if _KIND not in experiment.tags:
            self.call(lambda: self.client.set_experiment_tag(experiment.experiment_id, _KIND, _TRAINING))
        return str(experiment.experiment_id)

    def _get_or_create(self, name: str, artifacts: str | None) -> Any:
        from mlflow.exceptions import MlflowException

        if (experiment := self.client.get_experiment_by_name(name)) is not None:
            return experiment
        try:
            note = f"Data set `{name}`: a run for each call of `dolly`, its stages below it."
            tags = {_KIND: _TRAINING, "mlflow.note.content": note}
            self.client.create_experiment(name, artifact_location=artifacts, tags=tags)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                raise
        return self.client.get_experiment_by_name(name)


def connect(state: State, *, say: Callable[[str], None] = print) -> Store:
    """Opens the tracking store and the registry of a state and sets them in MLflow.

    MLflow creates its tables in a new database; of several processes that start at once, one creates them and the
    others wait.

    Raises:
        UsageError: an address has an unknown scheme.
        TrackingError: no server or database answers, or the credentials are wrong.
    """
    import mlflow

    _quiet()
    for name, value in _HTTP.items():
        os.environ.setdefault(name, value)
    for key, address in (("tracking", state.tracking), ("registry", state.registry)):
        require_known(key, address)
    with _opening(state):
        require_answer(state.tracking, lambda client: client.search_experiments(max_results=1))
        if state.registry != state.tracking:
            require_answer(state.registry, lambda client: client.search_registered_models(max_results=1))
        retried(lambda: adopt_artifacts(state), address=state.tracking)
    exported_before = {name: os.environ.get(name) for name in _ADDRESSES}
    mlflow.set_tracking_uri(state.tracking)
    mlflow.set_registry_uri(state.registry)
    # MLflow also sets environment variables, which `State` would read for another home in this process.
    for name, exported in exported_before.items():
        if exported is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = exported
    return Store(state.tracking, state.registry, say)


def models_trained_on(state: State, training_sets: Sequence[str]) -> list[str]:
    """One line for each registered model version that was trained on one of the sets."""
    if not training_sets:
        return []
    store = connect(state)
    versions = store.call(lambda: store.client.search_model_versions())
    return [
        f"{version.name} version {version.version}, training set {version.tags['training_set'][:12]}, "
        f"run {version.run_id}"
        for version in versions
        if version.tags.get("training_set") in training_sets
    ]


def _quiet() -> None:
    """Silences MLflow's messages about each attempt and artifact: this module reports failures, once."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Of a registration: neither the hub nor a licence is looked up.
    logging.getLogger("mlflow.transformers").setLevel(logging.ERROR)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


@contextmanager
def _opening(state: State) -> Iterator[None]:
    """Locks out other processes that open the stores of this home: MLflow creates its tables without a lock."""
    try:
        with FileLock(state.home / ".mlflow.lock", timeout=patience_seconds()):
            yield
    except Timeout as error:
        raise TrackingError(
            found=f"another process has held {state.home / '.mlflow.lock'} for {patience_seconds():.0f} s",
            expected="that it opens the store and frees the lock",
            fix="end that process, or wait, and run the same command again",
        ) from error
