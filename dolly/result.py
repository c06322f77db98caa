"""The results of a run and its stages: figures, ids and paths, so that a caller need not query MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StageResult:
    """The outcome of one stage.

    Args:
        stage: its name.
        run_id: its MLflow run.
        figures: metric → value, as logged in that run.
        ids: ids of its results, e.g. `training_set`, `training`, `evaluation`, `model_version`.
        paths: files and folders that it wrote, e.g. `weights`.
    """

    stage: str
    run_id: str
    figures: Mapping[str, float] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RunResult:
    """The outcome of one call of `dolly`.

    Args:
        run_id: the MLflow run that is the parent of the stages' runs.
        figures: headline figures, as logged in that run.
        stages: name → outcome, in the order in which they ran.
    """

    run_id: str
    figures: Mapping[str, float] = field(default_factory=dict)
    stages: Mapping[str, StageResult] = field(default_factory=dict)
