"""MLflow: the only package that starts runs.

A parent run stands for one call of `dolly`, with a child run for each stage. Each child records the
table versions it read as MLflow dataset inputs, so that a model can be traced to its rows. Calls are
retried while a server or database is unavailable. A training's metrics go through a journal on disk, so
that no outage stops or slows a training.

    store.py       connects to the tracking store and the registry
    probe.py       tests a store before any work
    moved.py       artifact locations of a home that was moved or copied
    retry.py       repeats calls after temporary failures
    runs.py        starts parent and stage runs
    stage_run.py   what those runs log
    calls.py       metrics, parameters and tags in batches, without secrets
    journal.py     metrics of the training processes, from a file to MLflow
    origin.py      code revision, user and packages of a run
    process.py     the process of a run, and whether it has surely ended
"""

from dolly.tracking.retry import patience_seconds
from dolly.tracking.runs import PARENT_RUN, Tracker
from dolly.tracking.stage_run import ParentRun, StageRun
from dolly.tracking.store import Store, connect, models_trained_on

__all__ = [
    "PARENT_RUN",
    "ParentRun",
    "StageRun",
    "Store",
    "Tracker",
    "connect",
    "models_trained_on",
    "patience_seconds",
]
