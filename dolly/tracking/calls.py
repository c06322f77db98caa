"""Logs metrics, parameters and tags: in batches, without secrets, with retries while the store is unavailable."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from dolly.secrets import redacted
from dolly.tracking.store import Store

_BATCH = 100  # MLflow's limit of parameters and tags for one request
_PARAM_CHARACTERS, _TAG_CHARACTERS = 500, 5000


def log_metrics(store: Store, run_id: str, values: Mapping[str, float], *, seconds: float | None = None) -> None:
    """Logs figures at step 0; `seconds`: how long to retry while the store is unavailable."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)  # the same in each attempt: MLflow keeps one of equal points
    metrics = [Metric(key, float(value), now, 0) for key, value in values.items()]
    store.write(run_id, lambda: store.client.log_batch(run_id, metrics=metrics), seconds=seconds)


def log_params(store: Store, run_id: str, values: Mapping[str, Any]) -> None:
    """Logs parameters as text, cut to 500 characters."""
    from mlflow.entities import Param

    params = [Param(key, redacted(str(value))[:_PARAM_CHARACTERS]) for key, value in values.items()]
    for start in range(0, len(params), _BATCH):
        batch = params[start : start + _BATCH]
        store.write(run_id, lambda batch=batch: store.client.log_batch(run_id, params=batch))  # type: ignore[misc]


def log_tags(store: Store, run_id: str, values: Mapping[str, Any]) -> None:
    """Sets tags as text, cut to 5,000 characters."""
    from mlflow.entities import RunTag

    tags = [RunTag(key, redacted(str(value))[:_TAG_CHARACTERS]) for key, value in values.items()]
    store.write(run_id, lambda: store.client.log_batch(run_id, tags=tags))
