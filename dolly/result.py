"""What a run and its stages return: figures and where the results are, so that a caller needs no query to MLflow."""

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
        ids: what identifies its results, e.g. `training_set`, `training`, `evaluation`, `model_version`.
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
        run_id: the MLflow run above those of the stages.
        figures: headline figures, as logged in that run.
        stages: name → outcome, in the order in which they ran.
    """

    run_id: str
    figures: Mapping[str, float] = field(default_factory=dict)
    stages: Mapping[str, StageResult] = field(default_factory=dict)
