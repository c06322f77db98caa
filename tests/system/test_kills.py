"""A training that is killed or stopped at 50 random points ends with the weights of one that was not."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.train.test_kills import run, stop_and_resume

pytestmark = [pytest.mark.model, pytest.mark.slow]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_training_stopped_at_25_points_ends_with_the_same_weights(tmp_path: Path, number: signal.Signals) -> None:
    assert run(tmp_path / "whole") == [0]
    stop_and_resume(tmp_path / "whole", tmp_path, number, points=25)
