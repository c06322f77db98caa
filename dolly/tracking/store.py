"""Connects to MLflow's tracking store and registry: one line of error before any work, or a store to use."""

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

# Requests of MLflow's own are repeated for about a minute; calls made here then for `patience_seconds()`.
_HTTP = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "6", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1"}
# Experiments of this kind open as model training, and not as an agent with its traces, in a UI that obeys the tag;
# MLflow 3.17's own goes by the address (`workflowType=machine_learning`, which `dolly ui` prints) and its switch.
_KIND, _TRAINING = "mlflow.experimentKind", "custom_model_development"

_ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")

T = TypeVar("T")


class Store:
    """The tracking store of a state: calls to it are repeated while it is away.

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
        """The result of `action`, which may be made twice.

        Raises:
            TrackingError: the store is away for longer than `seconds` (None: `patience_seconds()`), or refuses.
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
        """As `call`, for an action on a run, which is restored first if it was deleted in the meantime."""
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
        """The id of an experiment, which is made, or restored if it was deleted in the UI.

        Args:
            name: of the experiment.
            artifacts: URI under which its runs keep artifacts; None: the server decides.

        Raises:
            TrackingError: the store is away or refuses.
        """
        found = self.call(lambda: self._get_or_create(name, artifacts))
        if artifacts and found.artifact_location != artifacts:
            self.call(lambda: set_artifact_location(self.address, str(found.experiment_id), artifacts))
        if found.lifecycle_stage == "deleted":
            self.call(lambda: self.client.restore_experiment(found.experiment_id))
            self.say(f"the MLflow experiment {name} was deleted in the UI: it is restored, with its runs")
        if _KIND not in found.tags:
            self.call(lambda: self.client.set_experiment_tag(found.experiment_id, _KIND, _TRAINING))
        return str(found.experiment_id)

    def _get_or_create(self, name: str, artifacts: str | None) -> Any:
        from mlflow.exceptions import MlflowException

        if (found := self.client.get_experiment_by_name(name)) is not None:
            return found
        try:
            note = f"Data set `{name}`: a run for each call of `dolly`, its stages below it."
            tags = {_KIND: _TRAINING, "mlflow.note.content": note}
            self.client.create_experiment(name, artifact_location=artifacts, tags=tags)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                raise
        return self.client.get_experiment_by_name(name)


def connect(state: State, *, say: Callable[[str], None] = print) -> Store:
    """Opens the tracking store and the registry of a state and makes them MLflow's current ones.

    A database gets MLflow's tables; of several processes that start at once, one makes them and the others wait.

    Raises:
        UsageError: an address of an unknown kind.
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
    given = {name: os.environ.get(name) for name in _ADDRESSES}
    mlflow.set_tracking_uri(state.tracking)
    mlflow.set_registry_uri(state.registry)
    # MLflow also exports what it is told, which the state of another home in this process would then obey.
    for name, exported in given.items():
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
    """Silences reports of each attempt and artifact: failures are reported here, once."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


@contextmanager
def _opening(state: State) -> Iterator[None]:
    """A lock for processes that open the stores of one home: MLflow makes its tables without one."""
    try:
        with FileLock(state.home / ".mlflow.lock", timeout=patience_seconds()):
            yield
    except Timeout as error:
        raise TrackingError(
            found=f"another process has held {state.home / '.mlflow.lock'} for {patience_seconds():.0f} s",
            expected="that it opens the store and frees the lock",
            fix="end that process, or wait, and run the same command again",
        ) from error
