from __future__ import annotations

from typing import Any

import pytest

from dolly.evaluate.gate import gate

PASSING: dict[str, Any] = {
    "fact_accuracy": 0.95,
    "min_fact_accuracy": 0.9,
    "losses_before": {"facts": 3.0, "public": 2.0},
    "losses_after": {"facts": 0.5, "public": 1.9},
    "max_loss_ratio": 1.0,
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"fact_accuracy": 0.9},
        {"min_fact_accuracy": None},
        {"min_fact_accuracy": None, "fact_accuracy": None},
        {"losses_before": {}, "losses_after": {}},
        {"losses_after": {"facts": 0.5, "public": 2.1}, "max_loss_ratio": 1.1},
        {"losses_after": {"facts": 0.5, "public": 2.1}, "max_loss_ratio": {"public": 1.1}},
    ],
)
def test_a_model_that_shows_enough_passes(change: dict[str, Any]) -> None:
    assert gate(**PASSING | change) == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"fact_accuracy": 0.89}, ["89.0%", "90.0%"]),
        ({"fact_accuracy": None}, ["min_fact_accuracy"]),
        ({"losses_after": {"facts": 0.5, "public": 2.1}}, ["public", "2.100", "2.000"]),
        ({"losses_after": {"facts": 0.5, "public": 2.0}}, ["public"]),
        ({"losses_after": {"facts": float("nan"), "public": 1.0}}, ["facts", "nan"]),
        ({"losses_after": {"facts": 2.9, "public": 0.1}, "max_loss_ratio": 0.9}, ["facts", "0.9"]),
        ({"losses_after": {"facts": 3.1, "public": 2.1}, "max_loss_ratio": {"public": 1.1}}, ["facts", "1 × 3.000"]),
        ({"min_fact_accuracy": None, "losses_before": {}, "losses_after": {}}, ["nothing was measured"]),
    ],
)
def test_each_reason_against_a_model_names_its_figures(change: dict[str, Any], named: list[str]) -> None:
    (reason,) = gate(**PASSING | change)
    for part in named:
        assert part in reason


def test_all_reasons_are_given_at_once() -> None:
    reasons = gate(**PASSING | {"fact_accuracy": 0.1, "losses_after": {"facts": 3.5, "public": 2.5}})
    assert len(reasons) == 3
